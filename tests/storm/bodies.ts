/**
 * Malformed requests over a real socket, heads and bodies damaged in every way: the
 * answer is a 4xx, or the connection is closed; never a 5xx, and the next valid
 * request is answered.
 * @module
 */
import { listen } from "../../src/server/mod.ts";
import { fake, say } from "../server/fake.ts";
import { type Draw, drawOf, mutateBytes, pick } from "../fuzz/mutate.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { type Outcome, outcome } from "./outcome.ts";

const { seeds, mutate } = TARGETS.find((t) => t.name === "request")!;

/** Sends inputs `from` to `to` − 1. */
export async function bodies(
  { seed, from, to }: { seed: number; from: number; to: number },
): Promise<Outcome> {
  const out = outcome(), errors: unknown[] = [];
  const server = listen(fake({ pieces: 1 }), {
    port: 0,
    model: "m",
    limits: { bodyMs: 500 },
    onError: (error) => errors.push(error),
  });
  const port = Number(new URL(server.url).port);
  try {
    for (let index = from; index < to; index++) {
      out.tried++;
      const draw = drawOf(seed, "bodies", index);
      const status = draw(4) === 0
        ? await raw(port, damagedHttp(draw))
        : await post(server.url, mutate(draw, pick(draw, seeds)));
      out.end(status);
      if (/^5/.test(status)) out.find(`input ${index}: ${status}`);
      if (index % 100 !== 0) continue;
      const good = await post(server.url, JSON.stringify(say("hi")));
      if (good !== "200") out.find(`a good request after ${index}: ${good}`);
    }
  } finally {
    await server.shutdown(0);
  }
  for (const error of errors) out.find(`inside: ${String(error)}`);
  return out;
}

async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<string> {
  const response = await fetch(`${url}v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.text();
  return String(response.status);
}

const HEADS = [
  "POST /v1/chat/completions HTTP/1.1",
  "GET /v1/models HTTP/1.1",
  "GET /../../etc/passwd HTTP/1.1",
  "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
  "OPTIONS * HTTP/1.1",
  "PUT /v1/models HTTP/1.0",
];
const FIELDS = [
  "host: localhost",
  "host: evil.example",
  "host: 127.0.0.1:1@x",
  "content-type: application/json",
  "content-type: text/plain",
  "content-length: 2",
  "content-length: -1",
  "content-length: 99999999999",
  "content-length: 2, 2",
  "transfer-encoding: chunked",
  "transfer-encoding: gzip",
  "expect: 100-continue",
  "origin: http://evil.example",
  "authorization: Bearer x",
  "connection: upgrade",
  "upgrade: websocket",
  `x: ${"y".repeat(5000)}`,
];

/** A request with a damaged head. */
function damagedHttp(draw: Draw): Uint8Array<ArrayBuffer> {
  const fields = Array.from({ length: draw(6) }, () => pick(draw, FIELDS));
  const body = pick(draw, ["", "{}", "2\r\n{}\r\n0\r\n\r\n", "[".repeat(99)]);
  const text = `${
    [pick(draw, HEADS), ...fields].join("\r\n")
  }\r\nconnection: close\r\n\r\n${body}`;
  const bytes = new TextEncoder().encode(text);
  return draw(3) === 0 ? bytes : mutateBytes(draw, bytes);
}

/** The status of what comes back within half a second; "closed" or "silent" where nothing does. */
async function raw(port: number, bytes: Uint8Array): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(512);
  const read = async (): Promise<string> => {
    try {
      for (let at = 0; at < bytes.length;) {
        at += await connection.write(bytes.subarray(at));
      }
      await connection.closeWrite(); // nothing more will come
      const n = await connection.read(buffer);
      if (n === null) return "closed";
      const text = new TextDecoder("latin1").decode(buffer.subarray(0, n));
      return /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? "no HTTP";
    } catch {
      return "closed";
    }
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<string>((done) => {
    timer = setTimeout(() => done("silent"), 2000);
  });
  try {
    return await Promise.race([read(), silent]);
  } finally {
    clearTimeout(timer);
  }
}
