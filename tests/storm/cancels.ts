/**
 * Clients that leave at every stage: the slot is free within 200 ms, and waiting
 * clients get their usual answer.
 * @module
 */
import type { Progress } from "../../src/mod.ts";
import { type Answering, handler } from "../../src/server/mod.ts";
import { ask, photoUri, toySession } from "../server/fake.ts";
import { type Outcome, outcome } from "./outcome.ts";

/** When a client leaves. */
const STAGES = [
  "uploading",
  "queued",
  "image",
  "vision",
  "prefill",
  "decode",
  "last token",
] as const;
const MOST_MS = 200;

/** Cancels number `from` to `to` − 1, each at another stage. */
export async function cancels(
  { from, to }: { from: number; to: number },
): Promise<Outcome> {
  const out = outcome();
  await using session = await toySession();
  let at: (progress: Progress) => boolean = () => false, leave = () => {};
  const hooked: Answering = {
    info: session.info,
    chat: (messages, options = {}) =>
      session.chat(messages, {
        ...options,
        onProgress(progress) {
          options.onProgress?.(progress);
          if (!at(progress)) return;
          at = () => false;
          leave();
        },
      }),
  };
  const handle = handler(hooked);
  const url = await photoUri(), tokens = 12;
  const request = (more: object) => ({
    messages: [{
      role: "user",
      content: [
        { type: "image_url", image_url: { url } },
        { type: "text", text: "?" },
      ],
    }],
    max_tokens: tokens,
    temperature: 1,
    seed: 3,
    ...more,
  });
  const plain = async () =>
    (await (await handle(ask(request({})))).json()).choices[0].message.content;
  const inside = async () => {
    const text = await (await handle(new Request("http://localhost/metrics")))
      .text();
    return [...text.matchAll(/mquant_inside\{stage="\w+"\} (\d+)/g)]
      .reduce((sum, m) => sum + Number(m[1]), 0);
  };
  const want = await plain();
  for (let i = from; i < to; i++) {
    out.tried++;
    const stage = STAGES[i % STAGES.length];
    const stream = Math.floor(i / STAGES.length) % 2 === 0;
    const client = new AbortController();
    let left = 0;
    leave = () => {
      left = performance.now();
      client.abort();
    };
    at = ({ stage: now, done, total }) =>
      stage === "last token"
        ? now === "decode" && done === total - 1
        : now === stage;
    const ahead = stage === "queued" ? [plain(), plain()] : [];
    const first = handle(
      stage === "uploading"
        ? upload(client.signal)
        : ask(request({ stream }), {}, client.signal),
    );
    const neighbour = plain();
    if (stage === "queued" || stage === "uploading") setTimeout(leave, 1);
    const response = await first;
    const text = await response.text().catch(() => "broken off");
    const over = response.status === 499 || /broken off|"cancelled"/.test(text);
    if (left === 0) out.end(`${stage}: never came`);
    else if (!over && stage !== "last token") {
      out.find(
        `${stage} ${stream ? "stream" : "plain"}: ${response.status} ${
          text.slice(0, 100)
        }`,
      );
    } else out.end(`${stage} ${stream ? "stream" : "plain"}`);
    for (const answer of [...ahead, neighbour]) {
      if (await answer !== want) {
        out.find(`${stage}: a neighbour got another answer`);
      }
    }
    const settled = performance.now();
    while (await inside() > 0 && performance.now() - settled < 5000) {
      await new Promise((go) => setTimeout(go, 1));
    }
    const ms = performance.now() - settled;
    if (ms > MOST_MS) {
      out.find(`${stage}: its slot was free after ${Math.round(ms)} ms`);
    }
  }
  return out;
}

/** A request whose body does not end before it breaks off. */
function upload(signal: AbortSignal): Request {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"messages":['));
      signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
  return new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal,
  });
}
