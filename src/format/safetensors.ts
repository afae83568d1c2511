/**
 * Reading safetensors: one file, or a checkpoint of several shards, as a map
 * of named tensors. Opening reads the header only; a tensor is read when asked
 * for, so a large checkpoint streams through in the memory of one tensor.
 * @module
 */
import { basename, join } from "@std/path";
import { constant } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { elementsOf } from "./dtype.ts";
import type { DType, Elements } from "./dtype.ts";
import { FormatError, quoted } from "./error.ts";
import { HEADER_LIMITS, readHeader } from "./header.ts";
import type { HeaderEntry } from "./header.ts";
import { fileSource } from "./source.ts";
import type { ByteSource } from "./source.ts";
import { parseStrictJson, StrictJsonError } from "./strict_json.ts";

/** A tensor in a file. */
export interface StoredTensor {
  /** Its name. */
  readonly name: string;
  /** Element type as stored. */
  readonly dtype: DType;
  /** Extent of each axis, outermost first. */
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
  /** What messages call it. */
  readonly name: string;
  /** Tensors in the order of their data. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** `__metadata__`; empty where there is none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** The tensor called `name`; throws `FormatError` "missing_tensor". */
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

/**
 * Opens a checkpoint: a `.safetensors` file, or a folder with
 * `model.safetensors` or the shards that `model.safetensors.index.json` names.
 */
export function openCheckpoint(path: string): TensorFile {
  if (!isFolder(path)) return openSafetensors(fileSource(path));
  const index = join(path, "model.safetensors.index.json");
  const single = join(path, "model.safetensors");
  if (!exists(index) || exists(single)) {
    return openSafetensors(fileSource(single));
  }
  return openShards(path, readIndex(index));
}

/** A stored tensor of floats as the lazy float64 tensor of the tensor room. */
export function floatTensor(stored: StoredTensor): Tensor {
  return {
    shape: stored.shape,
    read() {
      const values = stored.read();
      if (values instanceof BigInt64Array) {
        throw new TypeError(
          `Cannot read ${quoted(stored.name)} as floats: its dtype is I64`,
        );
      }
      return constant(stored.shape, values).read();
    },
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

function tensorFile(
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

/** `weight_map` of an index: tensor name → shard file name. */
function readIndex(path: string): Map<string, string> {
  const name = basename(path);
  const bad = (problem: string): never => {
    throw new FormatError("shard_index", name, problem);
  };
  using source = fileSource(path);
  if (source.size > HEADER_LIMITS.headerBytes) {
    bad(
      `it has ${source.size} bytes, at most ${HEADER_LIMITS.headerBytes} are allowed`,
    );
  }
  const bytes = new Uint8Array(source.size);
  source.read(0, bytes);
  let map;
  try {
    const json = parseStrictJson(new TextDecoder().decode(bytes), {
      depth: 8,
      values: 16 * HEADER_LIMITS.tensors,
    });
    map = json instanceof Map ? json.get("weight_map") : undefined;
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    bad(`it ${error.message}`);
  }
  if (!(map instanceof Map) || map.size === 0) {
    return bad("it has no weight_map");
  }
  for (const shard of map.values()) {
    // A shard lies beside its index: no way out of the folder.
    if (typeof shard !== "string" || !/^[\w.-]+\.safetensors$/.test(shard)) {
      bad(`the shard name ${quoted(String(shard))} is not a plain file name`);
    }
  }
  return map as Map<string, string>;
}

function openShards(folder: string, index: Map<string, string>): TensorFile {
  const name = basename(folder);
  const shards: TensorFile[] = [];
  const tensors = new Map<string, StoredTensor>();
  const metadata = new Map<string, string>();
  try {
    for (const shardName of new Set([...index.values()].toSorted())) {
      const shard = openSafetensors(fileSource(join(folder, shardName)));
      shards.push(shard);
      for (const [key, value] of shard.metadata) metadata.set(key, value);
      for (const [tensorName, stored] of shard.tensors) {
        if (index.get(tensorName) !== shardName) {
          throw new FormatError(
            "shard_index",
            name,
            `${quoted(shardName)} holds the tensor ${
              quoted(tensorName)
            }, which the index does not place there`,
          );
        }
        tensors.set(tensorName, stored);
      }
    }
    for (const [tensorName, shardName] of index) {
      if (tensors.has(tensorName)) continue;
      throw new FormatError(
        "shard_index",
        name,
        `the index places ${quoted(tensorName)} in ${
          quoted(shardName)
        }, which does not hold it`,
      );
    }
    return tensorFile(name, tensors, metadata, shards);
  } catch (error) {
    for (const shard of shards) shard[Symbol.dispose]();
    throw error;
  }
}

function isFolder(path: string): boolean {
  return exists(path) && Deno.statSync(path).isDirectory;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
