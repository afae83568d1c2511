/**
 * A function for Deno Deploy: POST a photo, get its caption.
 *
 *     curl --data-binary @photo.jpg https://YOUR-APP.deno.net/
 *
 * The model is opened in the background when the program starts; the first
 * request waits for it. Requests are answered one at a time; at most
 * `MOST_WAITING` wait. On SIGINT, which Deploy sends 5 s before it kills the
 * process, the function takes no new requests and finishes the running ones.
 * @module
 */
import { ImageError, open } from "../../src/mod.ts";

const MODEL = new URL(
  "../../models/photo-mini/photo-mini.w4a8.safetensors",
  import.meta.url,
);
const MOST_BYTES = 10_000_000;
const MOST_WAITING = 16;
const CUT_MS = 4000;

const model = open(MODEL);
const cut = new AbortController();
let inside = 0;

/** Answers a request. */
async function answer(request: Request): Promise<Response> {
  if (request.method !== "POST") {
    return new Response("POST a JPEG, PNG or WebP to get its caption.\n", {
      status: request.method === "GET" ? 200 : 405,
    });
  }
  if (inside > MOST_WAITING) {
    return refuse(
      503,
      "too many photos are waiting; send it again in a moment",
    );
  }
  inside++;
  try {
    const photo = await bodyOf(request);
    if (!photo) return refuse(413, `send at most ${MOST_BYTES} bytes`);
    const { text, timings, finish } = await (await model).caption(photo, {
      maxTokens: 48,
      signal: cut.signal,
    });
    if (finish === "aborted") return refuse(503, "the server ends");
    const { imageMs, visionMs, prefillMs, decodeMs } = timings;
    const ms = Math.round(imageMs + visionMs + prefillMs + decodeMs);
    return Response.json({ caption: text, ms });
  } catch (error) {
    if (error instanceof ImageError) return refuse(400, error.message);
    console.error(error);
    return refuse(500, "something failed inside; the log says what");
  } finally {
    inside--;
  }
}

function refuse(status: number, error: string): Response {
  return Response.json({ error }, { status });
}

/** The body; undefined where it is too large, of which no more is read. */
async function bodyOf(request: Request): Promise<Uint8Array | undefined> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > MOST_BYTES) return undefined;
    parts.push(part);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const server = Deno.serve(answer);

Deno.addSignalListener("SIGINT", async () => {
  const timer = setTimeout(() => cut.abort(), CUT_MS);
  await server.shutdown();
  clearTimeout(timer);
  await (await model)[Symbol.asyncDispose]();
  Deno.exit(0);
});
