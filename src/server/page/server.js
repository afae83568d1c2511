// The backend that asks the server of the page (page.js describes backends).
// As base64 within a request, a photo of this size stays below 20 MB.
const MOST_BYTES = 12e6;
let key = "", model = "";
const $ = (id) => document.getElementById(id);

const headers = () => ({
  "content-type": "application/json",
  ...(key ? { authorization: `Bearer ${key}` } : {}),
});

globalThis.backend = {
  privacy: "Photos are sent only to this server, which stores nothing.",
  mostBytes: MOST_BYTES,

  async ready(say) {
    while (true) {
      const answer = await fetch("/v1/models", { headers: headers() });
      if (answer.status === 401) await keyed(say);
      else if (answer.status === 503) {
        say("Loading the model …");
        await new Promise((done) => setTimeout(done, 500));
      } else {
        $("key-row").hidden = true;
        const { data: [{ id, meta }] } = await answer.json();
        model = id;
        return { model, ...meta };
      }
    }
  },

  async ask(photo, prompt, { signal, say, piece }) {
    const content = [
      { type: "image_url", image_url: { url: await dataUri(photo) } },
      { type: "text", text: prompt },
    ];
    const body = JSON.stringify({
      model,
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: "user", content }],
    });
    const answer = await post(body, signal, say);
    let finish = null, times, tokens = 0;
    for await (const event of events(answer.body)) {
      if (event.error) throw new Error(event.error.message);
      const [choice] = event.choices;
      if (choice?.delta?.content) piece(choice.delta.content);
      finish = choice?.finish_reason ?? finish;
      times = event.timings ?? times;
      tokens = event.usage?.completion_tokens ?? tokens;
    }
    if (finish === null) throw new Error("The answer was cut off; ask again.");
    const photoMs = times.image_ms + times.vision_ms;
    return { finish, tokens, photoMs, decodeMs: times.decode_ms };
  },
};

// Resolves when the user has entered a key.
function keyed(say) {
  say(
    key ? "This API key is wrong." : "This server needs an API key.",
  );
  $("key-row").hidden = false;
  $("key").focus();
  return new Promise((done) => {
    const entered = (event) => {
      event.preventDefault();
      key = $("key").value.trim();
      done();
    };
    $("key-row").addEventListener("submit", entered, { once: true });
    $("key").addEventListener("change", entered, { once: true });
  });
}

// If the queue is full, waits as long as Retry-After says; up to five times.
async function post(body, signal, say) {
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
    say("The server is busy; waiting …");
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

function dataUri(photo) {
  return new Promise((done, refuse) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => refuse(new Error("The photo cannot be read."));
    reader.readAsDataURL(photo);
  });
}
