/**
 * Buffers of a plan before placement: contents, size, and the steps between
 * which they are needed. place.ts assigns addresses.
 * @module
 */
import {
  groupedBytes,
  type WeightBits,
  weightBytes,
} from "../kernels/layout.ts";
import { REGISTER } from "./step.ts";

/** Part of WebAssembly memory that a buffer lies in. */
export type Region = "state" | "constants" | "weights" | "cache" | "arena";

/** A part of a packed weight matrix. */
export interface WeightPart {
  /** Tensor in the file: row-major values [n, k]. */
  readonly tensor: string;
  /** Rows of the tensor: columns of the matmul. */
  readonly n: number;
  /** Length of the reduction, without padding. */
  readonly k: number;
  /** Byte offset of its first panel. */
  readonly offset: number;
}

/** Packing of a weight. */
export interface Packing {
  readonly bits: WeightBits;
  /** Columns per quantization group, for two-level scales. */
  readonly group?: number;
}

/** Bytes of packed weights [n, k]; for n = 8, of one panel. */
export function packedBytes(
  { bits, group }: Packing,
  n: number,
  k: number,
): number {
  return group === undefined
    ? weightBytes(bits, n, k)
    : groupedBytes(n, k, group);
}

/** What is loaded into a weight buffer. */
export interface WeightContent {
  readonly packing: Packing;
  readonly parts: readonly WeightPart[];
}

/** A range of memory. */
export interface Buffer {
  /** Name, for output and errors. */
  readonly name: string;
  readonly region: Region;
  readonly bytes: number;
  /** Index of its memory; default 0. */
  readonly memory?: number;
  /**
   * Contents of a constant, or initial contents of a cache; computed when the
   * model is loaded.
   */
  readonly fill?: () => ArrayBufferView;
  /** Contents of a weight buffer. */
  readonly weights?: WeightContent;
  /** Bytes from one thread's copy to the next, if each thread has one. */
  readonly perThread?: number;
  /** Address, once placed. */
  at: number;
  /** First and last step that use it, for buffers of the arena. */
  first: number;
  last: number;
}

/** A number: constant, or register · scale. */
export type Amount = number | {
  readonly register: number;
  readonly scale?: number;
  /** Its maximum, needed for scratch sizes. */
  readonly most?: number;
};

/** An address: buffer + offset + register · scale. */
export interface Ref {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly register?: number;
  readonly scale?: number;
}

/** Scratch of at least `scratch` bytes, one per thread. */
export interface Scratch {
  readonly scratch: number;
}

/** An argument of a step, before placement. */
export type Arg = Amount | Ref | Scratch;

/** `buffer` + offset + amount · scale. */
export function ref(
  buffer: Buffer,
  offset = 0,
  amount: Amount = 0,
  scale = 1,
): Ref {
  if (buffer.perThread !== undefined) {
    if (typeof amount !== "number") {
      throw new TypeError(`"${buffer.name}" has one row per thread`);
    }
    const at = offset + amount * scale;
    return {
      buffer,
      offset: at,
      register: REGISTER.thread,
      scale: buffer.perThread,
    };
  }
  if (typeof amount === "number") {
    return { buffer, offset: offset + amount * scale };
  }
  return {
    buffer,
    offset,
    register: amount.register,
    scale: (amount.scale ?? 1) * scale,
  };
}

/** Assigns weights to memories (memories.ts). */
export interface Allocator {
  /**
   * Returns the memory of a weight of `bytes`; a `pinned` weight stays in
   * memory 0.
   */
  take(bytes: number, pinned: boolean): number;
}

/** Persistent buffers, each created once per key. */
export class Store {
  /** All persistent buffers, in the order of creation. */
  readonly buffers = new Map<string, Buffer>();

  /** Creates an empty store. */
  constructor(private readonly allocator: Allocator) {}

  #once(
    key: string,
    region: Region,
    bytes: number,
    content: () => Pick<Buffer, "fill" | "weights" | "memory">,
  ): Buffer {
    let buffer = this.buffers.get(key);
    if (!buffer) {
      buffer = {
        name: key,
        region,
        bytes,
        at: 0,
        first: 0,
        last: 0,
        ...content(),
      };
      this.buffers.set(key, buffer);
    }
    return buffer;
  }

  /** A constant: scales, biases, tables. */
  constant(
    key: string,
    bytes: number,
    fill: () => ArrayBufferView,
    memory = 0,
  ): Buffer {
    const place = memory === 0 ? {} : { memory };
    const name = memory === 0 ? key : `${key} @${memory}`;
    return this.#once(name, "constants", bytes, () => ({ fill, ...place }));
  }

  /** Quantized weights, in the memory that has room; `pinned` ones in memory 0. */
  weight(
    key: string,
    bytes: number,
    weights: WeightContent,
    pinned = false,
  ): Buffer {
    return this.#once(key, "weights", bytes, () => {
      const memory = this.allocator.take(bytes, pinned);
      return memory === 0 ? { weights } : { weights, memory };
    });
  }

  /** K/V cache, with optional initial contents (prefix tokens). */
  cache(key: string, bytes: number, fill?: () => ArrayBufferView): Buffer {
    return this.#once(key, "cache", bytes, () => (fill ? { fill } : {}));
  }

  /** Inputs of a call: token ids, positions. */
  state(key: string, bytes: number): Buffer {
    return this.#once(key, "state", bytes, () => ({}));
  }
}
