/**
 * A request's body as JSON, refused while it is read where it grows too large,
 * arrives too slowly or nests too deep.
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
 * The bytes of a body that is said to be JSON; throws `ApiError`.
 * @param hold told of bytes before they are kept; throws where there is no room for them
 * @param evicted ends the reading, for others who wait
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

/** A body's bytes as JSON; throws `ApiError`. */
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

/** The same bytes with room for `least`, and for as many again. */
function grown(
  bytes: Uint8Array<ArrayBuffer>,
  least: number,
): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * least);
  larger.set(bytes);
  return larger;
}

/** Bytes that a body is said to have; 0 where nothing sensible is said. */
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
