/**
 * Reads safetensors files as a map of named tensors. Opening reads the header
 * only; a tensor is read on demand, so a large checkpoint needs the memory of
 * one tensor.
 * @module
 */
import { constant } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { elementsOf } from "./dtype.ts";
import type { DType, Elements } from "./dtype.ts";
import { FormatError, quoted } from "./error.ts";
import { readHeader } from "./header.ts";
import type { HeaderEntry } from "./header.ts";
import type { ByteSource } from "./source.ts";

/** A tensor in a file. */
export interface StoredTensor {
  /** Its name. */
  readonly name: string;
  /** Element type as stored. */
  readonly dtype: DType;
  /** Shape, outermost dimension first. */
  readonly shape: readonly number[];
  /** Bytes as stored. */
  readonly byteLength: number;
  /** Reads all elements, row-major; F16 and BF16 as float32, BOOL as bytes. */
  read(): Elements;
  /** Reads the stored bytes into `buffer`, of exactly `byteLength` bytes; shared memory is fine. */
  readInto(buffer: Uint8Array): void;
  /** Reads the stored bytes from `start` on into `buffer`. */
  readSlice(start: number, buffer: Uint8Array): void;
}

/** Open tensors by name. */
export interface TensorFile extends Disposable {
  /** Its name in messages. */
  readonly name: string;
  /** Tensors in the order of their data. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** `__metadata__`; empty if absent. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * Returns the tensor `name`.
   * @throws {FormatError} "missing_tensor"
   */
  tensor(name: string): StoredTensor;
}

/** Opens a safetensors file; throws `FormatError`. The result owns `source`. */
export function openSafetensors(source: ByteSource): TensorFile {
  try {
    const header = readHeader(source);
    const tensors = new Map<string, StoredTensor>();
    for (const [name, entry] of header.entries) {
      tensors.set(name, storedTensor(source, name, entry));
    }
    return tensorFile(source.name, tensors, header.metadata, [source]);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/** A stored float tensor as a lazy float64 tensor. */
export function floatTensor(stored: StoredTensor): Tensor {
  const read = () => {
    const values = stored.read();
    if (!(values instanceof BigInt64Array)) return values;
    throw new TypeError(
      `Cannot read ${quoted(stored.name)} as floats: its dtype is I64`,
    );
  };
  const tensor = {
    shape: stored.shape,
    read: () => constant(stored.shape, read()).read(),
  };
  if (!["F32", "F16", "BF16"].includes(stored.dtype)) return tensor;
  return { ...tensor, float32: () => read() as Float32Array };
}

/**
 * Whether two stored tensors have equal type, shape and content; reads a part
 * at a time, up to the first difference.
 */
export function sameStored(a: StoredTensor, b: StoredTensor): boolean {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  const size = Math.min(a.byteLength, 1 << 20);
  const [left, right] = [new Uint8Array(size), new Uint8Array(size)];
  for (let at = 0; at < a.byteLength; at += size) {
    const n = Math.min(size, a.byteLength - at);
    a.readSlice(at, left.subarray(0, n));
    b.readSlice(at, right.subarray(0, n));
    for (let i = 0; i < n; i++) if (left[i] !== right[i]) return false;
  }
  return true;
}

/** Compares two tensors of a file by name, as `sameStored` does; false if one does not exist. */
export function sameIn(
  { tensors }: TensorFile,
): (a: string, b: string) => boolean {
  return (a, b) => {
    const [one, other] = [tensors.get(a), tensors.get(b)];
    return !!one && !!other && sameStored(one, other);
  };
}

function storedTensor(
  source: ByteSource,
  name: string,
  { dtype, shape, offset, byteLength }: HeaderEntry,
): StoredTensor {
  const readSlice = (start: number, buffer: Uint8Array) => {
    if (start < 0 || start + buffer.length > byteLength) {
      throw new RangeError(
        `Cannot read ${quoted(name)}: bytes ${start} to ${
          start + buffer.length
        } are not within its ${byteLength}`,
      );
    }
    source.read(offset + start, buffer);
  };
  return {
    name,
    dtype,
    shape,
    byteLength,
    readSlice,
    read() {
      const bytes = new Uint8Array(byteLength);
      source.read(offset, bytes);
      return elementsOf(dtype, bytes.buffer);
    },
    readInto(buffer) {
      if (buffer.length !== byteLength) {
        throw new RangeError(
          `Cannot read ${
            quoted(name)
          }: the buffer must have ${byteLength} bytes: it has ${buffer.length}`,
        );
      }
      source.read(offset, buffer);
    },
  };
}

/** A `TensorFile` that owns the sources of its tensors. */
export function tensorFile(
  name: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, string>,
  owned: readonly Disposable[],
): TensorFile {
  return {
    name,
    tensors,
    metadata,
    tensor(wanted) {
      const found = tensors.get(wanted);
      if (found) return found;
      throw new FormatError(
        "missing_tensor",
        name,
        `it has no tensor ${quoted(wanted)}`,
      );
    },
    [Symbol.dispose]() {
      for (const source of owned) source[Symbol.dispose]();
    },
  };
}
