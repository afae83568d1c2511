// The worker of a page that runs the model: it opens a model file and answers
// questions one at a time. It loads the model file and sends nothing.
import { open } from "./mquant.js";

let session;
const running = new Map(); // id → AbortController

addEventListener("message", async ({ data: { id, open: url, ask, stop } }) => {
  if (stop) return running.get(id)?.abort();
  const answer = (message) => postMessage({ id, ...message });
  try {
    if (url) {
      session = await open(await download(url, answer));
      answer({ done: session.info });
    } else answer({ done: await describe(id, ask, answer) });
  } catch (error) {
    answer({ failed: error.message });
  }
});

async function describe(id, { photo, prompt }, answer) {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const said = session.caption(photo, { prompt, signal: controller.signal });
    for await (const piece of said) answer({ piece });
    return await said;
  } finally {
    running.delete(id);
  }
}

/** Downloads the model and reports progress. */
async function download(url, answer) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(
      `Cannot load the model: ${url} answered ${response.status}`,
    );
  }
  const total = Number(response.headers.get("content-length"));
  const parts = [];
  let loaded = 0;
  for await (const part of response.body) {
    parts.push(part);
    loaded += part.length;
    answer({ loaded, total });
  }
  return await new Blob(parts).bytes();
}
