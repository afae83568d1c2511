/**
 * The buffers of a test case in one memory: deterministic contents, guard bytes
 * between them, and ranges that are not compared.
 * @module
 */
import type { Arena } from "./case.ts";

/** A bump allocator over a buffer that it fills with noise first. */
export class NoiseArena implements Arena {
  /** Byte ranges of scratch. */
  readonly ignored: [number, number][] = [];
  /** End of what is placed, with its guard bytes. */
  top = 4096; // the data segment of a module would lie below
  #state = 0x9e3779b9;
  readonly #sizes = new Map<number, number>();
  readonly #buffer: ArrayBufferLike;

  /** Takes over `buffer`: every byte of it becomes noise. */
  constructor(buffer: ArrayBufferLike) {
    this.#buffer = buffer;
    const words = new Uint32Array(buffer);
    for (let i = 0; i < words.length; i++) words[i] = this.#next();
  }

  #next(): number { // xorshift32
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return this.#state = s >>> 0;
  }

  #take(bytes: number): number {
    const at = this.top;
    this.top = (at + bytes + 64 + 15) & ~15; // at least 64 guard bytes
    if (this.top > this.#buffer.byteLength) {
      throw new RangeError(
        `Cannot place ${bytes} bytes: the arena holds ${this.#buffer.byteLength}`,
      );
    }
    this.#sizes.set(at, bytes);
    return at;
  }

  /** Bytes of what was placed at an address. */
  bytesAt(at: number): number {
    return this.#sizes.get(at) ?? 0;
  }

  floats(count: number, range = 1): number {
    const at = this.#take(count * 4);
    const out = new Float32Array(this.#buffer, at, count);
    for (let i = 0; i < count; i++) {
      out[i] = (this.#next() / 2 ** 31 - 1) * range;
    }
    return at;
  }

  int8s(count: number, low = -128, high = 127): number {
    const at = this.#take(count), out = new Int8Array(this.#buffer, at, count);
    for (let i = 0; i < count; i++) {
      const x = this.#next();
      out[i] = x % 8 === 0
        ? (x & 64 ? low : high)
        : low + (x >>> 8) % (high - low + 1);
    }
    return at;
  }

  bytes(count: number): number {
    const at = this.#take(count), out = new Uint8Array(this.#buffer, at, count);
    for (let i = 0; i < count; i++) out[i] = this.#next() >>> 8;
    return at;
  }

  ints(count: number, value: (i: number) => number): number {
    const at = this.#take(count * 4);
    const out = new Int32Array(this.#buffer, at, count);
    for (let i = 0; i < count; i++) out[i] = value(i);
    return at;
  }

  place(bytes: ArrayBufferView): number {
    const at = this.#take(bytes.byteLength);
    new Uint8Array(this.#buffer, at).set(
      new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    );
    return at;
  }

  scratch(bytes: number): number {
    const at = this.#take(bytes);
    this.ignored.push([at, at + bytes]);
    return at;
  }
}
