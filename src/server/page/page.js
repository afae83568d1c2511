// The page: it takes photos, asks one question about each and shows the answer as
// it is streamed. A backend answers; the script before this one defines it: the
// server of the page (server.js), or a model in the page (examples/browser/local.js).
//
//   backend.privacy             text: where photos are sent
//   backend.mostBytes           larger photos are resized first
//   backend.ready(say)          → {model, threads, build, memory_bytes}
//   backend.ask(photo, prompt, {signal, say, piece})
//                               → {finish, tokens, photoMs, decodeMs}
const { backend } = globalThis;
const $ = (id) => document.getElementById(id);
const PROMPTS = {
  caption: "Describe this image.",
  alt: "Write a short alt text for this image.",
};
const KINDS = ["image/jpeg", "image/png", "image/webp"];
const LONG_SIDE = 2048;

let model = "";
const cards = []; // in order, one per photo
const waiting = []; // cards whose question is not sent yet
let current; // AbortController of the running question

const say = (text) => $("status").textContent = text;

function prompt() {
  const preset = document.querySelector("[name=preset]:checked").value;
  return PROMPTS[preset] ?? ($("question").value.trim() || PROMPTS.caption);
}

function refresh() {
  const done = cards.filter((c) => c.result),
    left = cards.filter((c) => c.busy);
  $("stop").disabled = left.length === 0;
  $("save").disabled = done.length === 0;
  $("clear").disabled = cards.length === 0 || left.length > 0;
  $("progress").hidden = cards.length < 2 || left.length === 0;
  $("progress").max = cards.length;
  $("progress").value = cards.length - left.length;
  for (const card of cards) {
    card.copy.disabled = card.html.disabled = !card.result;
    card.again.disabled = card.busy;
  }
}

async function begin() {
  $("privacy").textContent = backend.privacy;
  try {
    const about = await backend.ready((text) => $("about").textContent = text);
    model = about.model;
    const threads = `${about.threads} thread${about.threads === 1 ? "" : "s"}`;
    const memory = `${Math.round(about.memory_bytes / 2 ** 20)} MiB`;
    $("about").textContent =
      `${model} · CPU, ${threads}, ${about.build} SIMD · ${memory}`;
    work();
  } catch (error) {
    $("about").textContent = error instanceof TypeError
      ? "The server does not answer; start it and reload this page."
      : error.message;
  }
}

function add(files) {
  const photos = [...files].filter((f) =>
    f.type.startsWith("image/") || f.type === ""
  );
  const fresh = [];
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
      html: part(".html"),
      again: part(".again"),
      busy: false,
      result: undefined,
    };
    part("img").onerror = () => part(".photo").classList.add("none");
    part("img").src = card.url;
    part("h3").textContent = card.name;
    card.copy.setAttribute("aria-label", `Copy text of ${card.name}`);
    card.html.setAttribute("aria-label", `Copy HTML of ${card.name}`);
    card.again.setAttribute("aria-label", `Ask again about ${card.name}`);
    card.copy.onclick = () => copy(card, card.result.caption);
    card.html.onclick = () => copy(card, imgTag(card));
    card.again.onclick = () => ask([card]);
    cards.push(card);
    $("answers").append(item);
    fresh.push(card);
  }
  ask(fresh);
  if (photos.length === 0) {
    say("These are not photos; choose JPEG, PNG or WebP files.");
  }
}

function ask(some) {
  for (const card of some) {
    card.busy = true;
    card.prompt = prompt();
    card.result = undefined;
    card.item.classList.remove("failed");
    card.text.textContent = "";
    card.times.textContent = "waiting";
    waiting.push(card);
  }
  refresh();
  work();
}

async function work() {
  if (current || model === "") return;
  while (waiting.length > 0) {
    const card = waiting.shift();
    current = new AbortController();
    refresh();
    const left = waiting.length === 0 ? "" : `, ${waiting.length} waiting`;
    say(`Describing ${card.name}${left} …`);
    card.item.classList.add("working");
    card.times.textContent = "running …";
    try {
      await describe(card, current.signal);
      say(`${card.name}: ${card.result.caption || "empty answer"}`);
    } catch (error) {
      if (current.signal.aborted) {
        card.times.textContent = "stopped";
        say("Stopped.");
      } else {
        card.item.classList.add("failed");
        card.text.textContent = error.message;
        card.times.textContent = "";
        say(`${card.name}: ${error.message}`);
      }
    }
    card.item.classList.remove("working");
    card.busy = false;
    current = undefined;
    refresh();
  }
}

async function describe(card, signal) {
  const begun = performance.now(), s = (ms) => `${(ms / 1000).toFixed(2)} s`;
  let caption = "", first;
  const piece = (text) => {
    first ??= performance.now() - begun;
    caption += text;
    card.text.textContent = caption;
  };
  const { finish, tokens, photoMs, decodeMs } = await backend.ask(
    await readable(card.file),
    card.prompt,
    { signal, say, piece },
  );
  const ms = performance.now() - begun;
  const times = [
    s(ms),
    `photo ${s(photoMs)}`,
    `first word ${s(first ?? ms)}`,
    `${tokens} token${tokens === 1 ? "" : "s"}`,
  ];
  if (decodeMs > 0) {
    times.push(`${Math.round(tokens / decodeMs * 1000)} tokens/s`);
  }
  if (finish === "length") times.push("cut off at the length limit");
  card.times.textContent = times.join(" · ");
  const { name: file, prompt } = card;
  card.result = {
    ...{ file, prompt, caption, finish, tokens },
    ...{ ms: Math.round(ms), model },
  };
}

// Photos are sent unchanged; other formats and large files become a smaller JPEG.
async function readable(file) {
  if (KINDS.includes(file.type) && file.size <= backend.mostBytes) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This browser cannot decode the photo; save it as JPEG.");
  }
  const { width, height } = bitmap;
  const scale = Math.min(1, LONG_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}

function imgTag({ name, result }) {
  const attribute = (key, text) => {
    const safe = text.replaceAll("&", "&amp;").replaceAll('"', "&quot;")
      .replaceAll("<", "&lt;");
    return `${key}="${safe}"`;
  };
  return `<img ${attribute("src", name)} ${attribute("alt", result.caption)}>`;
}

async function copy(card, text) {
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied: ${text}`);
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
    card.times.textContent = "cancelled";
  }
  current?.abort();
  refresh();
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
begin();
