/**
 * Reads what a client sends: heads, and bodies with a length or in chunks. At
 * most one read is buffered ahead.
 * @module
 */
import { HEAD_LIMITS, HeadError } from "./head.ts";

/** The part of a connection that is read. */
export interface Readable {
  read(into: Uint8Array): Promise<number | null>;
}

/** Buffer sizes for heads and for bodies. */
const SMALL = 16_384, LARGE = 131_072;

/** The client has closed the connection. */
export class Gone extends Error {}

/** Buffered reader of a connection. */
export class Source {
  readonly #from: Readable;
  /** Read buffer, reused. */
  #piece = new Uint8Array(SMALL);
  /** Bytes that are read but not consumed. */
  #ahead = new Uint8Array(0);
  #reading: Promise<void> | undefined;
  #ended = false;

  constructor(from: Readable) {
    this.#from = from;
  }

  /** Number of buffered bytes. */
  get length(): number {
    return this.#ahead.length;
  }

  /**
   * Reads more bytes; concurrent calls share one read.
   * @throws {Gone} at the end of the stream
   */
  async more(): Promise<void> {
    if (this.#ended) throw new Gone();
    this.#reading ??= this.#read().finally(() => this.#reading = undefined);
    await this.#reading;
    if (this.#ended) throw new Gone();
  }

  async #read(): Promise<void> {
    const n = await this.#from.read(this.#piece).catch(() => null);
    if (n === null) {
      this.#ended = true;
      return;
    }
    const { length } = this.#ahead, all = new Uint8Array(length + n);
    if (length > 0) all.set(this.#ahead);
    all.set(this.#piece.subarray(0, n), length);
    this.#ahead = all;
  }

  /** Discards the buffered bytes; returns their number. */
  drop(): number {
    const { length } = this.#ahead;
    this.#ahead = new Uint8Array(0);
    return length;
  }

  /** Consumes up to `most` buffered bytes. */
  #take(most: number): Uint8Array<ArrayBuffer> {
    const all = this.#ahead;
    if (most >= all.length) {
      this.#ahead = new Uint8Array(0);
      return all;
    }
    this.#ahead = all.subarray(most);
    return all.slice(0, most);
  }

  /** Reads up to `end` and returns the text before it, as Latin-1. */
  async #until(end: string, most: number, status = 431): Promise<string> {
    for (let from = 0;;) {
      const text = latin1(this.#ahead.subarray(0, most));
      const at = text.indexOf(end, Math.max(0, from - end.length));
      if (at >= 0) {
        this.#take(at + end.length);
        return text.slice(0, at);
      }
      if (this.#ahead.length >= most) {
        throw new HeadError(status, `more than ${most} bytes`);
      }
      from = text.length;
      await this.more();
    }
  }

  /** The next head, as Latin-1 text; one empty line in front of it is allowed (RFC 9112, 2.2). */
  async head(): Promise<string> {
    while (this.#ahead.length < 2) await this.more();
    if (this.#ahead[0] === 13 && this.#ahead[1] === 10) this.#take(2);
    return await this.#until("\r\n\r\n", HEAD_LIMITS.bytes);
  }

  /** Reads a body of `length` bytes. */
  async *counted(length: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (length > SMALL) this.#piece = new Uint8Array(LARGE);
    for (let left = length; left > 0;) {
      while (this.#ahead.length === 0) await this.more();
      const piece = this.#take(left);
      left -= piece.length;
      yield piece;
    }
    if (length > SMALL) this.#piece = new Uint8Array(SMALL);
  }

  /**
   * Reads a chunked body (RFC 9112, 7.1); chunk extensions and trailers are
   * skipped.
   */
  async *chunked(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    while (true) {
      const line = await this.#until("\r\n", 1024, 400);
      const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw new HeadError(400, "a chunk is malformed");
      const length = parseInt(size, 16);
      if (length === 0) break;
      yield* this.counted(length);
      if (await this.#until("\r\n", 2, 400) !== "") {
        throw new HeadError(400, "a chunk is malformed");
      }
    }
    for (let fields = 0; await this.#until("\r\n", 4096) !== ""; fields++) {
      if (fields >= HEAD_LIMITS.fields) {
        throw new HeadError(431, "too many fields");
      }
    }
  }
}

const decoder = new TextDecoder("latin1");

/** Decodes Latin-1. */
function latin1(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
