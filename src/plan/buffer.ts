/**
 * Buffers of a plan before they have an address: contents, size and lifetime in
 * steps. place.ts assigns the addresses.
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

/** One tensor of a packed weight matrix; linears with the same input share a matrix. */
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

/** Packed layout of weights. */
export interface Packing {
  readonly bits: WeightBits;
  /** Columns per quantization group, for two-level scales. */
  readonly group?: number;
}

/** Bytes of packed weights [n, k]; of one panel where n is 8. */
export function packedBytes(
  { bits, group }: Packing,
  n: number,
  k: number,
): number {
  return group === undefined
    ? weightBytes(bits, n, k)
    : groupedBytes(n, k, group);
}

/** Contents of a weight buffer. */
export interface WeightContent {
  readonly packing: Packing;
  readonly parts: readonly WeightPart[];
}

/** A range of memory. */
export interface Buffer {
  /** Name, for error messages. */
  readonly name: string;
  readonly region: Region;
  readonly bytes: number;
  /** Index of its memory; default 0. */
  readonly memory?: number;
  /** Contents of a constant, or initial contents of a cache, computed when the model is loaded. */
  readonly fill?: () => ArrayBufferView;
  /** Contents of a weight buffer. */
  readonly weights?: WeightContent;
  /** Bytes of one thread's copy, where each thread has its own. */
  readonly perThread?: number;
  /** Address, once placed. */
  at: number;
  /** Lifetime of an arena buffer: first and last step that uses it. */
  first: number;
  last: number;
}

/** A number that is fixed, or register · scale. */
export type Amount = number | {
  readonly register: number;
  readonly scale?: number;
  /** Its largest value, where a scratch size depends on it. */
  readonly most?: number;
};

/** An address: buffer + offset + register · scale. */
export interface Ref {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly register?: number;
  readonly scale?: number;
}

/** Scratch memory of at least `scratch` bytes per thread. */
export interface Scratch {
  readonly scratch: number;
}

/** An argument of a step before buffers have addresses. */
export type Arg = Amount | Ref | Scratch;

/** The address `buffer` + offset + amount · scale. */
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

/** Persistent buffers, each created once by its key. */
export class Store {
  /** The buffers by key, in the order of their creation. */
  readonly buffers = new Map<string, Buffer>();

  /** An empty store. */
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
    const where = memory === 0 ? {} : { memory };
    const name = memory === 0 ? key : `${key} @${memory}`;
    return this.#once(name, "constants", bytes, () => ({ fill, ...where }));
  }

  /** Integer weights, in a memory with space for them; `pinned` ones in memory 0. */
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

  /** A cache of keys, values or convolution inputs; `fill` gives the prefix tokens. */
  cache(key: string, bytes: number, fill?: () => ArrayBufferView): Buffer {
    return this.#once(key, "cache", bytes, () => (fill ? { fill } : {}));
  }

  /** Inputs of a call: token ids, positions, pixels. */
  state(key: string, bytes: number): Buffer {
    return this.#once(key, "state", bytes, () => ({}));
  }
}
