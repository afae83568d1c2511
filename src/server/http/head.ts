/**
 * The head of a request in HTTP/1.1 (RFC 9112), read strictly: what two readers
 * could understand differently is refused, so that nothing hides behind a proxy.
 * @module
 */

/** Limits of a head. */
export const HEAD_LIMITS = {
  /** Bytes, the empty line included. */
  bytes: 16_384,
  /** Fields. */
  fields: 100,
} as const;

/** A head. */
export interface Head {
  readonly method: string;
  /** Path and query, beginning with "/". */
  readonly target: string;
  readonly headers: Headers;
  /** Bytes of the body; undefined where it comes in chunks. */
  readonly length: number | undefined;
  /** Whether the connection may take another request afterwards. */
  readonly keepAlive: boolean;
  /** Whether the client waits for "100 Continue". */
  readonly expects: boolean;
  /** Whether the client understands chunks. */
  readonly chunks: boolean;
}

/** A head that is not answered by the handler. */
export class HeadError extends Error {
  /** What is answered before the connection is closed. */
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

/** Reads a head, given as Latin-1 text without the empty line; throws `HeadError`. */
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

/** Fields by their names in lower case; a list field that stands twice is joined. */
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

/** Fields of one value. */
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

/** A target as path and query. One that names a host must name that of the Host field. */
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
