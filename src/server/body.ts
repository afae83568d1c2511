/**
 * Reads the body of a request as JSON. Bodies that are too large, too slow or
 * nested too deeply are refused while they are read.
 * @module
 */
import {
  parseStrictJson,
  plain,
  StrictJsonError,
} from "../format/strict_json.ts";
import { ApiError, shown } from "./error.ts";
import { LIMITS, type Limits } from "./options.ts";

type BodyLimits = Pick<Limits, "bodyBytes" | "bodyMs">;

/**
 * Reads the bytes of a JSON body.
 * @param hold is called with a number of bytes before they are kept; throws if
 * there is no room
 * @param evicted stops the reading because other requests need the slot
 * @throws {ApiError}
 */
export async function readBody(
  request: Request,
  limits: BodyLimits,
  hold: (bytes: number) => void,
  evicted: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(
      "unsupported_media_type",
      `Cannot read the request: its Content-Type must be application/json: it is ${
        shown(type)
      }`,
    );
  }
  return await readBytes(request, limits, hold, evicted);
}

/**
 * Parses the bytes of a body.
 * @throws {ApiError}
 */
export function parseJson(
  bytes: Uint8Array,
  { jsonDepth, jsonValues = LIMITS.jsonValues }:
    & Pick<Limits, "jsonDepth">
    & Partial<Limits>,
): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("it is not UTF-8");
  }
  try {
    const limits = { depth: jsonDepth, values: jsonValues };
    return plain(parseStrictJson(text, limits));
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw invalid(
      text.trim() === ""
        ? "it is empty"
        : /twice|more than|deeper/.test(error.message)
        ? `it ${error.message}`
        : `it is no valid JSON: it ${error.message}`,
    );
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
  hold: (bytes: number) => void,
  evicted: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const declared = lengthOf(request.headers.get("content-length"));
  if (declared > bodyBytes) throw tooLarge(`${declared} bytes`, bodyBytes);
  if (!request.body) return new Uint8Array();
  if (declared > 0) hold(declared); // room is kept before the first byte comes
  let held = declared;
  const reader = request.body.getReader();
  const { promise: late, reject: refuse } = Promise.withResolvers<never>();
  late.catch(() => {}); // it may come when nobody reads any more
  const timer = setTimeout(
    () => refuse(tooSlow(`took more than ${bodyMs / 1000} s`)),
    bodyMs,
  );
  const give = () =>
    refuse(tooSlow("was slow, and other requests are waiting"));
  evicted.addEventListener("abort", give);
  let all = new Uint8Array(declared), size = 0;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) break;
      if (size + value.length > bodyBytes) {
        throw tooLarge(`over ${bodyBytes} bytes`, bodyBytes);
      }
      if (size + value.length > held) {
        hold(size + value.length - held);
        held = size + value.length;
      }
      if (held > all.length) all = grown(all, held);
      all.set(value, size);
      size += value.length;
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof ApiError) throw error;
    throw new ApiError(
      "cancelled",
      "Cannot read the request: the connection ended before the body was complete",
    );
  } finally {
    clearTimeout(timer);
    evicted.removeEventListener("abort", give);
  }
  return size === all.length ? all : all.slice(0, size);
}

/** A copy of `bytes` with room for `least` bytes, or twice its size. */
function grown(
  bytes: Uint8Array<ArrayBuffer>,
  least: number,
): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * least);
  larger.set(bytes);
  return larger;
}

/** The value of Content-Length; 0 if it is missing or malformed. */
function lengthOf(header: string | null): number {
  return /^\d{1,15}$/.test(header ?? "") ? Number(header) : 0;
}

function tooSlow(how: string): ApiError {
  return new ApiError(
    "body_timeout",
    `Cannot read the request: its body ${how}; send it again`,
  );
}

function tooLarge(what: string, most: number): ApiError {
  return new ApiError(
    "body_too_large",
    `Cannot read the request: it has ${what}, at most ${most} are allowed; send smaller or fewer images`,
    null,
    { connection: "close" },
  );
}
