// The page's script: photos in, one request each, pieces of text as they come.
const $ = (id) => document.getElementById(id);
const PROMPTS = {
  caption: "Describe this image.",
  alt: "Write a short alt text for this image.",
};
const KINDS = ["image/jpeg", "image/png", "image/webp"];
const MOST_BYTES = 12e6; // base64 and the request around it stay below 20 MB
const LONG_SIDE = 2048;

let model = "";
let key = "";
const cards = []; // in order, one per photo
const waiting = []; // cards to be asked about
let current; // AbortController of the one that is

function say(text) {
  $("status").textContent = text;
}

function headers() {
  return {
    "content-type": "application/json",
    ...(key ? { authorization: `Bearer ${key}` } : {}),
  };
}

function prompt() {
  const preset = document.querySelector("[name=preset]:checked").value;
  return PROMPTS[preset] ?? ($("question").value.trim() || PROMPTS.caption);
}

function refresh() {
  const done = cards.filter((c) => c.result);
  $("stop").disabled = !current;
  $("save").disabled = done.length === 0;
  $("clear").disabled = cards.length === 0 || current !== undefined;
  for (const card of cards) {
    card.copy.disabled = !card.result;
    card.again.disabled = card.busy;
  }
}

// What the server says about itself; asked again until the model is loaded.
async function about() {
  try {
    const answer = await fetch("/v1/models", { headers: headers() });
    if (answer.status === 401) {
      if (!$("key-row").hidden && key) {
        say("That API key is not the right one.");
      }
      $("key-row").hidden = false;
      return;
    }
    if (answer.status === 503) {
      $("about").textContent = "The model is being loaded …";
      setTimeout(about, 500);
      return;
    }
    const { data: [{ id, meta }] } = await answer.json();
    model = id;
    $("key-row").hidden = true;
    const threads = `${meta.threads} thread${meta.threads === 1 ? "" : "s"}`;
    const memory = `${Math.round(meta.memory_bytes / 2 ** 20)} MiB`;
    $("about").textContent =
      `${id} on this server's CPU: ${threads}, ${meta.build} SIMD, ${memory}`;
    work();
  } catch {
    $("about").textContent = "The server does not answer.";
  }
}

function add(files) {
  const photos = [...files].filter((f) =>
    f.type.startsWith("image/") || f.type === ""
  );
  for (const file of photos) {
    const item = $("card").content.cloneNode(true).querySelector("li");
    const part = (selector) => item.querySelector(selector);
    const card = {
      file,
      item,
      name: file.name || "pasted image",
      url: URL.createObjectURL(file),
      text: part(".text"),
      times: part(".times"),
      copy: part(".copy"),
      again: part(".again"),
      busy: false,
      result: undefined,
    };
    part("img").onerror = () => part("img").hidden = true;
    part("img").src = card.url;
    part("h3").textContent = card.name;
    card.copy.setAttribute("aria-label", `Copy text of ${card.name}`);
    card.again.setAttribute("aria-label", `Ask again about ${card.name}`);
    card.copy.onclick = () => copy(card);
    card.again.onclick = () => enqueue(card);
    cards.push(card);
    $("answers").append(item);
    enqueue(card);
  }
  if (photos.length === 0) say("That is no photo: choose a JPEG, PNG or WebP.");
}

function enqueue(card) {
  card.busy = true;
  card.prompt = prompt();
  card.result = undefined;
  card.item.classList.remove("failed");
  card.text.textContent = "";
  card.times.textContent = "waiting";
  waiting.push(card);
  refresh();
  work();
}

async function work() {
  if (current || model === "") return;
  let last;
  while (waiting.length > 0) {
    const card = waiting.shift();
    current = new AbortController();
    refresh();
    const left = waiting.length === 0 ? "" : `, ${waiting.length} waiting`;
    say(`Looking at ${card.name}${left} …`);
    card.item.classList.add("working");
    card.times.textContent = "looking …";
    try {
      await ask(card, current.signal);
      last = `${card.name}: ${card.result.caption || "no words"}`;
      say(last);
    } catch (error) {
      if (current.signal.aborted) {
        card.times.textContent = "stopped";
        last = "Stopped.";
      } else {
        card.item.classList.add("failed");
        card.text.textContent = error.message;
        card.times.textContent = "";
        last = `${card.name}: ${error.message}`;
      }
      say(last);
    }
    card.item.classList.remove("working");
    card.busy = false;
    current = undefined;
    refresh();
  }
}

async function ask(card, signal) {
  const begun = performance.now();
  const body = JSON.stringify({
    model,
    stream: true,
    stream_options: { include_usage: true },
    messages: [{
      role: "user",
      content: [
        { type: "image_url", image_url: { url: await dataUri(card.file) } },
        { type: "text", text: card.prompt },
      ],
    }],
  });
  const answer = await post(body, signal);
  let text = "", finish = null, times, tokens = 0, first;
  for await (const event of events(answer.body)) {
    if (event.error) throw new Error(event.error.message);
    const piece = event.choices[0]?.delta?.content ?? "";
    if (piece) first ??= performance.now() - begun;
    text += piece;
    card.text.textContent = text;
    finish = event.choices[0]?.finish_reason ?? finish;
    times = event.timings ?? times;
    tokens = event.usage?.completion_tokens ?? tokens;
  }
  if (finish === null) throw new Error("The answer broke off; ask again.");
  const ms = performance.now() - begun, s = (x) => `${(x / 1000).toFixed(2)} s`;
  const rate = times.decode_ms > 0
    ? `, ${Math.round(tokens / times.decode_ms * 1000)} tokens/s`
    : "";
  card.times.textContent = `${s(ms)}: photo ${
    s(times.image_ms + times.vision_ms)
  }, first word after ${s(first ?? ms)}, ${tokens} tokens${rate}${
    finish === "length" ? ", cut at its longest" : ""
  }`;
  card.result = {
    file: card.name,
    prompt: card.prompt,
    caption: text,
    finish,
    tokens,
    ms: Math.round(ms),
    model,
  };
}

// A full queue is no failure: wait as long as the server says, a few times.
async function post(body, signal) {
  for (let attempt = 0;; attempt++) {
    const answer = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: headers(),
      body,
      signal,
    });
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    const later = Number(answer.headers.get("retry-after"));
    if (answer.status !== 503 || !(later > 0) || attempt === 5) {
      throw new Error(
        error?.message ?? `The server answered ${answer.status}.`,
      );
    }
    say("The server is busy; waiting for a place …");
    await new Promise((done, refuse) => {
      const timer = setTimeout(done, later * 1000);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        refuse(signal.reason);
      });
    });
  }
}

async function* events(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      if (!block.startsWith("data: ") || block === "data: [DONE]") continue;
      yield JSON.parse(block.slice(6));
    }
  }
}

// Photos go as they are; what the server cannot read or take is made a smaller JPEG.
async function dataUri(file) {
  const blob = KINDS.includes(file.type) && file.size <= MOST_BYTES
    ? file
    : await smaller(file);
  return await new Promise((done, refuse) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => refuse(new Error("The photo cannot be read."));
    reader.readAsDataURL(blob);
  });
}

async function smaller(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This browser cannot read the photo; save it as JPEG.");
  }
  const { width, height } = bitmap;
  const scale = Math.min(1, LONG_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}

async function copy(card) {
  try {
    await navigator.clipboard.writeText(card.result.caption);
    say(`Copied the text of ${card.name}.`);
  } catch {
    // Without a secure context there is no clipboard: select it instead.
    getSelection().selectAllChildren(card.text);
    say("Selected the text; copy it with the keyboard.");
  }
}

function save() {
  const lines = cards.filter((c) => c.result).map((c) =>
    `${JSON.stringify(c.result)}\n`
  );
  const url = URL.createObjectURL(
    new Blob(lines, { type: "application/jsonl" }),
  );
  const link = document.createElement("a");
  link.href = url;
  link.download = "captions.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function stop() {
  for (const card of waiting.splice(0)) {
    card.busy = false;
    card.times.textContent = "not asked";
  }
  current?.abort();
}

function clear() {
  for (const { url, item } of cards.splice(0)) {
    URL.revokeObjectURL(url);
    item.remove();
  }
  say("No photo yet.");
  refresh();
  $("files").focus();
}

for (const id of ["files", "camera"]) {
  $(id).addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
}
for (const radio of document.querySelectorAll("[name=preset]")) {
  radio.addEventListener("change", () => {
    $("own").hidden = document.querySelector("[value=own]:checked") === null;
  });
}
$("key").addEventListener("change", (event) => {
  key = event.target.value.trim();
  about();
});
$("stop").addEventListener("click", stop);
$("save").addEventListener("click", save);
$("clear").addEventListener("click", clear);
addEventListener("paste", (event) => {
  const { files } = event.clipboardData;
  if (files.length > 0) add(files);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) $("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  add(event.dataTransfer.files);
});
about();
