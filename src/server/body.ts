/**
 * A request's body as JSON, refused while it is read where it grows too large,
 * arrives too slowly or nests too deep.
 * @module
 */
import { ApiError, shown } from "./error.ts";
import type { Limits } from "./options.ts";

type BodyLimits = Pick<Limits, "bodyBytes" | "bodyMs" | "jsonDepth">;

/** Reads and parses the body; throws `ApiError`. */
export async function readJson(
  request: Request,
  limits: BodyLimits,
): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(
      "unsupported_media_type",
      `Cannot read the request: its Content-Type must be application/json: it is ${
        shown(type)
      }`,
    );
  }
  return parseJson(await readBytes(request, limits), limits);
}

/** A body's bytes as JSON; throws `ApiError`. */
export function parseJson(
  bytes: Uint8Array,
  { jsonDepth }: Pick<Limits, "jsonDepth">,
): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("it is not UTF-8");
  }
  if (depthOf(text, jsonDepth) > jsonDepth) {
    throw invalid(`it nests deeper than ${jsonDepth}`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(text.trim() === "" ? "it is empty" : "it is no valid JSON");
  }
}

function invalid(why: string): ApiError {
  return new ApiError(
    "invalid_json",
    `Cannot read the request: ${why}; send one JSON object`,
  );
}

async function readBytes(
  request: Request,
  { bodyBytes, bodyMs }: BodyLimits,
): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > bodyBytes) throw tooLarge(`${declared} bytes`, bodyBytes);
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, refuse) => {
    timer = setTimeout(() =>
      refuse(
        new ApiError(
          "body_timeout",
          `Cannot read the request: its body took more than ${
            bodyMs / 1000
          } s; send it again`,
        ),
      ), bodyMs);
  });
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      size += value.length;
      if (size > bodyBytes) {
        throw tooLarge(`over ${bodyBytes} bytes`, bodyBytes);
      }
      parts.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof ApiError) throw error;
    throw new ApiError("cancelled", "Cannot read the request: it broke off");
  } finally {
    clearTimeout(timer);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) all.set(part, at), at += part.length;
  return all;
}

function tooLarge(what: string, most: number): ApiError {
  return new ApiError(
    "body_too_large",
    `Cannot read the request: it has ${what}, at most ${most} are allowed; send smaller or fewer images`,
    null,
    { connection: "close" },
  );
}

/** Deepest nesting of brackets outside strings; stops counting beyond `most`. */
export function depthOf(text: string, most: number): number {
  const bracket = /["[\]{}]/g;
  let depth = 0, deepest = 0;
  for (let m; (m = bracket.exec(text)) !== null;) {
    if (m[0] === '"') {
      const end = stringEnd(text, m.index + 1);
      if (end < 0) return deepest; // JSON.parse says so
      bracket.lastIndex = end + 1;
    } else if (m[0] === "[" || m[0] === "{") {
      deepest = Math.max(deepest, ++depth);
      if (deepest > most) return deepest;
    } else depth--;
  }
  return deepest;
}

/** Where the string that begins at `from` ends; −1 where it does not. */
function stringEnd(text: string, from: number): number {
  for (let at = from;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return -1;
    let slashes = 0;
    while (quote - slashes > from && text[quote - 1 - slashes] === "\\") {
      slashes++;
    }
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
}
