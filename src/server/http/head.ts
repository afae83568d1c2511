/**
 * Strict parser of the head of an HTTP/1.1 request (RFC 9112). Ambiguous heads
 * are refused, so that no request is read differently by a proxy (request
 * smuggling).
 * @module
 */

/** Limits of a head. */
export const HEAD_LIMITS = {
  /** Bytes, including the empty line. */
  bytes: 16_384,
  /** Number of header fields. */
  fields: 100,
} as const;

/** A parsed head. */
export interface Head {
  readonly method: string;
  /** Path and query, beginning with "/". */
  readonly target: string;
  readonly headers: Headers;
  /** Bytes of the body; undefined for chunked transfer coding. */
  readonly length: number | undefined;
  /** Whether the connection may take another request afterwards. */
  readonly keepAlive: boolean;
  /** Whether the client expects "100 Continue". */
  readonly expects: boolean;
  /** Whether the client supports chunked transfer coding (HTTP/1.1). */
  readonly chunks: boolean;
}

/** A head that is refused before the handler is called. */
export class HeadError extends Error {
  /** HTTP status of the response; the connection is closed afterwards. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "HeadError";
    this.status = status;
  }
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S{1,8192}) HTTP\/(\d)\.(\d)$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const TARGET = /^\/[\x21-\x7e]*$/;

/**
 * Parses a head, given as Latin-1 text without the empty line.
 * @throws {HeadError}
 */
export function readHead(text: string): Head {
  const [first, ...lines] = text.split("\r\n");
  const line = LINE.exec(first);
  if (!line) throw new HeadError(400, "the request line is malformed");
  const [, method, target, major, minor] = line;
  if (major !== "1" || Number(minor) > 1) {
    throw new HeadError(400, "only HTTP/1.0 and HTTP/1.1 are supported");
  }
  const old = minor === "0";
  const headers = fieldsOf(lines);
  const hosts = headers.get("host");
  if (hosts === undefined && !old) {
    throw new HeadError(400, "the Host field is missing");
  }
  const coding = headers.get("transfer-encoding");
  const length = lengthOf(headers.get("content-length"));
  if (coding !== undefined) {
    if (length !== undefined || old) {
      throw new HeadError(400, "the body has two lengths");
    }
    if (coding.toLowerCase() !== "chunked") {
      throw new HeadError(400, "the only supported transfer coding is chunked");
    }
  }
  const connection = (headers.get("connection") ?? "").toLowerCase()
    .split(",").map((word) => word.trim());
  return {
    method,
    target: pathOf(target, hosts ?? ""),
    headers: new Headers([...headers]),
    length: coding === undefined ? length ?? 0 : undefined,
    keepAlive: !old && !connection.includes("close"),
    expects: !old && headers.get("expect")?.toLowerCase() === "100-continue",
    chunks: !old,
  };
}

/** Header fields by lower-case name; repeated list fields are joined. */
function fieldsOf(lines: readonly string[]): Map<string, string> {
  if (lines.length > HEAD_LIMITS.fields) {
    throw new HeadError(431, `more than ${HEAD_LIMITS.fields} fields`);
  }
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!TOKEN.test(name)) throw new HeadError(400, "a field is malformed");
    const value = line.slice(colon + 1).replace(/^[ \t]+/, "").trimEnd();
    if (!VALUE.test(value)) throw new HeadError(400, "a field is malformed");
    const known = headers.get(name);
    if (known !== undefined && ONCE.has(name)) {
      throw new HeadError(400, `the field ${name} appears twice`);
    }
    headers.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  return headers;
}

/** Fields that may appear only once. */
const ONCE = new Set([
  ...["host", "content-length", "transfer-encoding", "content-type"],
  ...["authorization", "origin", "expect"],
]);

function lengthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw new HeadError(400, "the length of the body is malformed");
  }
  return Number(text);
}

/**
 * The path and query of a request target. An absolute target must name the host
 * of the Host field.
 */
function pathOf(target: string, host: string): string {
  const whole = /^http:\/\/([^/?#]*)(.*)$/i.exec(target);
  if (whole && whole[1].toLowerCase() !== host.toLowerCase()) {
    throw new HeadError(400, "the request names two hosts");
  }
  const path = whole ? whole[2] || "/" : target;
  if (!TARGET.test(path)) {
    throw new HeadError(400, "the request target is malformed");
  }
  return path;
}
