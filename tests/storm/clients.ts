/**
 * 64 clients at once over a real socket and the session of the toy model: every
 * request is accounted for, answers equal those of a serial run, in the order of
 * admission.
 * @module
 */
import { type Answering, listen } from "../../src/server/mod.ts";
import { say, toySession } from "../server/fake.ts";
import { type Outcome, outcome } from "./outcome.ts";

const CLIENTS = 64, QUEUE = 16, TEXTS = 12;

/** Sends `to − from` requests. */
export async function clients(
  { from, to }: { from: number; to: number },
): Promise<Outcome> {
  const out = outcome(), total = to - from;
  await using session = await toySession();
  const asked: number[] = [], begun: number[] = [];
  let number = 0;
  // The real session, which notes in which order requests come and begin.
  const noted: Answering = {
    info: session.info,
    chat(messages, options = {}) {
      const id = number++;
      asked.push(id);
      let first = true;
      return session.chat(messages, {
        ...options,
        onProgress(progress) {
          if (first) begun.push(id);
          first = false;
          options.onProgress?.(progress);
        },
      });
    },
  };
  const server = listen(noted, { port: 0, limits: { queue: QUEUE } });
  const url = `${server.url}v1/chat/completions`;
  const body = (i: number, stream: boolean) =>
    JSON.stringify(
      say(`text ${i % TEXTS}`, {
        max_tokens: 6,
        temperature: 1,
        seed: i % TEXTS,
        stream,
      }),
    );
  const ask = (i: number, stream: boolean, signal?: AbortSignal) =>
    fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: body(i, stream),
      ...(signal ? { signal } : {}),
    });
  try {
    const serial: string[] = [];
    for (let i = 0; i < TEXTS; i++) {
      serial.push(textOf(await (await ask(i, false)).text(), false));
    }
    const before = number;
    let sent = 0;
    await Promise.all(Array.from({ length: CLIENTS }, async () => {
      while (sent < total) {
        const i = sent++, stream = i % 3 === 0, leaves = i % 7 === 0;
        const client = new AbortController();
        const timer = leaves
          ? setTimeout(() => client.abort(), i % 5)
          : undefined;
        try {
          const response = await ask(i, stream, client.signal);
          const text = await response.text();
          if (response.status === 200) {
            out.end("ok");
            const got = textOf(text, stream);
            if (got !== serial[i % TEXTS]) {
              out.find(`request ${i} got ${got}, not ${serial[i % TEXTS]}`);
            }
          } else {
            out.end(response.status);
            if (response.status !== 503) {
              out.find(`request ${i}: ${response.status}`);
            }
            if (!response.headers.has("retry-after")) {
              out.find("no Retry-After");
            }
            await new Promise((go) => setTimeout(go, 2));
          }
        } catch (error) {
          if (client.signal.aborted) out.end("left");
          else out.find(`request ${i} was reset: ${String(error)}`);
        } finally {
          clearTimeout(timer);
        }
        out.tried++;
      }
    }));
    const ends = Object.values(out.ends).reduce((a, b) => a + b, 0);
    if (ends !== out.tried) {
      out.find(`${out.tried} sent, ${ends} accounted for`);
    }
    const order = begun.filter((id) => id >= before);
    if (order.some((id, i) => i > 0 && id < order[i - 1])) {
      out.find("one was answered before another that came first");
    }
    const metrics = await (await fetch(`${server.url}metrics`)).text();
    for (const stage of ["reading", "waiting", "running"]) {
      if (!metrics.includes(`mquant_inside{stage="${stage}"} 0\n`)) {
        out.find(`somebody is still ${stage}`);
      }
    }
  } finally {
    await server.shutdown(0);
  }
  return out;
}

/** The text of an answer, plain or streamed. */
function textOf(body: string, stream: boolean): string {
  if (!stream) return JSON.parse(body).choices[0].message.content;
  return body.split("\n\n")
    .filter((e) => e.startsWith("data: {"))
    .map((e) => JSON.parse(e.slice(6)).choices[0]?.delta.content ?? "")
    .join("");
}
