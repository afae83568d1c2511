// The backend of a model in the page (page.js describes backends). The model runs
// in a worker, not in the page's main thread.
const MODEL = "photo-mini.w4a8";

const worker = new Worker(new URL("caption.js", document.baseURI), {
  type: "module",
});
const open = new Map(); // id → receives the messages of an answer
let last = 0;
worker.addEventListener("message", ({ data }) => open.get(data.id)?.(data));
worker.addEventListener("error", (event) => {
  const failed = event.message ?? "its files could not be loaded";
  for (const hear of open.values()) hear({ failed });
});

/** Sends a request to the worker; resolves to its result. */
function send(message, { signal, hear = () => {}, transfer = [] } = {}) {
  const id = ++last;
  return new Promise((done, refuse) => {
    open.set(id, (said) => {
      if ("done" in said) done(said.done);
      else if ("failed" in said) refuse(new Error(said.failed));
      else hear(said);
    });
    signal?.addEventListener(
      "abort",
      () => worker.postMessage({ id, stop: true }),
    );
    worker.postMessage({ id, ...message }, transfer);
  }).finally(() => open.delete(id));
}

globalThis.backend = {
  privacy: "Photos stay in this page: the model runs in your browser.",
  mostBytes: 64e6,

  async ready(say) {
    say("Loading the model …");
    const url = new URL(`${MODEL}.safetensors`, document.baseURI).href;
    const { threads, build, memory } = await send({ open: url }, {
      hear: ({ loaded, total }) =>
        say(
          `Loading the model: ${(loaded / 1e6).toFixed(0)} of ${
            (total / 1e6).toFixed(0)
          } MB`,
        ),
    });
    return { model: MODEL, threads, build, memory_bytes: memory.total };
  },

  async ask(blob, prompt, { signal, piece }) {
    const photo = new Uint8Array(await blob.arrayBuffer());
    const { finish, tokens, timings } = await send(
      { ask: { photo, prompt } },
      { signal, hear: (said) => piece(said.piece), transfer: [photo.buffer] },
    );
    signal.throwIfAborted();
    const photoMs = timings.imageMs + timings.visionMs;
    return {
      finish,
      tokens: tokens.length,
      photoMs,
      decodeMs: timings.decodeMs,
    };
  },
};
