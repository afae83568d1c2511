/**
 * GGUF, llama.cpp's file format, versions 2 and 3: keys and tensors of any block
 * format of blocks.ts, dequantized to float32 while they are read.
 *
 * ```text
 * "GGUF" │ u32 version │ u64 tensors │ u64 keys │ keys │ tensor infos │ pad │ data
 *   key    text name │ u32 type │ value        text: u64 length │ UTF-8
 *   info   text name │ u32 axes │ u64 extents, innermost first │ u32 type │ u64 offset
 * ```
 *
 * Source: github.com/ggml-org/ggml, docs/gguf.md.
 * @module
 */
import { FormatError, quoted } from "../error.ts";
import { HEADER_LIMITS } from "../header.ts";
import {
  type StoredTensor,
  type TensorFile,
  tensorFile,
} from "../safetensors.ts";
import type { ByteSource } from "../source.ts";
import { BLOCK_FORMATS, type BlockFormat } from "./blocks.ts";

/** A value of a key. */
export type GgufValue = number | string | boolean | readonly GgufValue[];

/** A GGUF file. */
export interface Gguf {
  readonly keys: ReadonlyMap<string, GgufValue>;
  /** Its tensors; all have dtype F32. */
  readonly file: TensorFile;
}

/** Limits of a file; beyond them it is refused. */
export const GGUF_LIMITS = {
  keys: 4096,
  /** Elements of an array; the largest vocabularies have 262,144. */
  array: 2 ** 20,
  /** Bytes of a text; the longest are chat templates. */
  text: 2 ** 20,
  /** Bytes of keys and tensor infos together. */
  header: 64 * 2 ** 20,
  /** Arrays in arrays. */
  depth: 2,
} as const;

/** Opens a GGUF file; throws `FormatError`. The result owns `source`. */
export function openGguf(source: ByteSource): Gguf {
  try {
    return read(source);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/** Bytes that are read from the source at a time. */
const WINDOW = 1 << 20;

/** Reads values one after the other, within the limits. */
function cursor(source: ByteSource) {
  let window = new Uint8Array(0), begin = 0, at = 0;
  const fail = (problem: string): never => {
    throw new FormatError("header_entry", source.name, problem);
  };
  /** The next `size` bytes. */
  const bytes = (size: number): Uint8Array => {
    if (at + size > Math.min(source.size, GGUF_LIMITS.header)) {
      fail(
        at + size > source.size
          ? "it ends within its header"
          : `its header has more than ${GGUF_LIMITS.header} bytes`,
      );
    }
    if (at + size > begin + window.length) {
      begin = at;
      window = new Uint8Array(
        Math.min(Math.max(size, WINDOW), source.size - at),
      );
      source.read(begin, window);
    }
    at += size;
    return window.subarray(at - size - begin, at - begin);
  };
  const view = (size: number) => {
    const b = bytes(size);
    return new DataView(b.buffer, b.byteOffset, size);
  };
  const count = (most: number, what: string) => {
    const n = view(8).getBigUint64(0, true);
    if (n > BigInt(most)) {
      fail(`it has ${n} ${what}, at most ${most} are allowed`);
    }
    return Number(n);
  };
  return {
    fail,
    count,
    bytes,
    at: () => at,
    u32: () => view(4).getUint32(0, true),
    view,
    text: () =>
      new TextDecoder().decode(
        bytes(count(GGUF_LIMITS.text, "bytes in a text")),
      ),
  };
}

type Cursor = ReturnType<typeof cursor>;

/** Numbers by GGUF's type number: bytes, and how they are read. */
const NUMBERS: Readonly<
  Record<number, readonly [number, (v: DataView) => number]>
> = {
  0: [1, (v) => v.getUint8(0)],
  1: [1, (v) => v.getInt8(0)],
  2: [2, (v) => v.getUint16(0, true)],
  3: [2, (v) => v.getInt16(0, true)],
  4: [4, (v) => v.getUint32(0, true)],
  5: [4, (v) => v.getInt32(0, true)],
  6: [4, (v) => v.getFloat32(0, true)],
  10: [8, (v) => Number(v.getBigUint64(0, true))],
  11: [8, (v) => Number(v.getBigInt64(0, true))],
  12: [8, (v) => v.getFloat64(0, true)],
};
const BOOL = 7, TEXT = 8, ARRAY = 9;

function value(c: Cursor, type: number, depth = 0): GgufValue {
  if (Object.hasOwn(NUMBERS, type)) {
    const [size, get] = NUMBERS[type];
    return get(c.view(size));
  }
  if (type === BOOL) return c.bytes(1)[0] !== 0;
  if (type === TEXT) return c.text();
  if (type !== ARRAY || depth === GGUF_LIMITS.depth) {
    return c.fail(
      type === ARRAY
        ? `arrays are nested deeper than ${GGUF_LIMITS.depth}`
        : `a value has the unknown type ${type}`,
    );
  }
  const of = c.u32(), size = c.count(GGUF_LIMITS.array, "elements in an array");
  const out: GgufValue[] = [];
  for (let i = 0; i < size; i++) out.push(value(c, of, depth + 1));
  return out;
}

function read(source: ByteSource): Gguf {
  const c = cursor(source);
  if (source.size < 24 || c.u32() !== 0x46554747) {
    throw new FormatError(
      "header_start",
      source.name,
      'a GGUF file begins with "GGUF"',
    );
  }
  const version = c.u32();
  if (version !== 2 && version !== 3) {
    throw new FormatError(
      "version",
      source.name,
      `its GGUF version must be 2 or 3: it is ${version}; convert it again with a current llama.cpp`,
    );
  }
  const count = c.count(HEADER_LIMITS.tensors, "tensors");
  const size = c.count(GGUF_LIMITS.keys, "keys");
  const keys = new Map<string, GgufValue>();
  for (let i = 0; i < size; i++) {
    const name = c.text();
    if (keys.has(name)) c.fail(`the key ${quoted(name)} is there twice`);
    keys.set(name, value(c, c.u32()));
  }
  const infos = Array.from({ length: count }, () => info(c));
  const alignment = keys.get("general.alignment") ?? 32;
  if (
    typeof alignment !== "number" || !Number.isInteger(alignment) ||
    alignment < 1 || alignment > 65_536
  ) {
    return c.fail(
      `general.alignment must be from 1 to 65536: it is ${alignment}`,
    );
  }
  const data = Math.ceil(c.at() / alignment) * alignment;
  const tensors = new Map<string, StoredTensor>();
  for (const tensor of infos) {
    if (tensors.has(tensor.name)) {
      throw new FormatError(
        "duplicate_key",
        source.name,
        `the tensor ${quoted(tensor.name)} is there twice`,
      );
    }
    tensors.set(tensor.name, stored(source, tensor, data));
  }
  return {
    keys,
    file: tensorFile(source.name, tensors, new Map(), [source]),
  };
}

/** A tensor's entry in the header. */
interface Info {
  readonly name: string;
  /** Outermost first. */
  readonly shape: readonly number[];
  readonly type: number;
  /** Of its first byte, from the begin of the data. */
  readonly offset: number;
}

function info(c: Cursor): Info {
  const name = c.text(), axes = c.u32();
  if (axes > HEADER_LIMITS.axes) {
    c.fail(
      `the tensor ${
        quoted(name)
      } has ${axes} axes, at most ${HEADER_LIMITS.axes} are allowed`,
    );
  }
  const shape = Array.from(
    { length: axes },
    () => c.count(2 ** 32, "elements on an axis"),
  );
  return {
    name,
    shape: shape.reverse(),
    type: c.u32(),
    offset: c.count(2 ** 50, "bytes before a tensor"),
  };
}

/** Blocks that are decoded at a time. */
const BLOCKS = 4096;

function stored(
  source: ByteSource,
  { name, shape, type, offset }: Info,
  data: number,
): StoredTensor {
  const format = BLOCK_FORMATS.get(type);
  if (!format) {
    const known = [...BLOCK_FORMATS.values()].map((f) => f.name).join(", ");
    throw new FormatError(
      "dtype",
      source.name,
      `the tensor ${
        quoted(name)
      } has the block format ${type}, known are ${known}; use another quantization of the model`,
    );
  }
  const elements = shape.reduce((a, b) => a * b, 1), { weights } = format;
  const begin = data + offset, bytes = elements / weights * format.bytes;
  if ((shape.at(-1) ?? 1) % weights !== 0 || begin + bytes > source.size) {
    throw new FormatError(
      "size_mismatch",
      source.name,
      `the tensor ${
        quoted(name)
      } of shape [${shape}] in ${format.name} does not fit ${source.size} bytes`,
    );
  }
  const decode = (from: number, to: number) =>
    blocks(source, format, begin, from, to);
  const byteLength = elements * 4;
  const readSlice = (start: number, buffer: Uint8Array) => {
    const first = Math.floor(start / 4 / weights);
    const end = Math.ceil((start + buffer.length) / 4 / weights);
    const values = new Uint8Array(decode(first, end).buffer);
    const from = start - first * weights * 4;
    buffer.set(values.subarray(from, from + buffer.length));
  };
  return {
    name,
    dtype: "F32",
    shape,
    byteLength,
    read: () => decode(0, elements / weights),
    readInto: (buffer) => readSlice(0, buffer.subarray(0, byteLength)),
    readSlice,
  };
}

/** Weights of blocks [from, to) of a tensor whose data begin at byte `begin`. */
function blocks(
  source: ByteSource,
  { bytes, weights, decode }: BlockFormat,
  begin: number,
  from: number,
  to: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array((to - from) * weights);
  const buffer = new Uint8Array(Math.min(BLOCKS, to - from) * bytes);
  for (let block = from; block < to; block += BLOCKS) {
    const count = Math.min(BLOCKS, to - block);
    const part = buffer.subarray(0, count * bytes);
    source.read(begin + block * bytes, part);
    for (let i = 0; i < count; i++) {
      decode(part, i * bytes, out, (block - from + i) * weights);
    }
  }
  return out;
}
