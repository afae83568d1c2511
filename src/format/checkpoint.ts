/**
 * A checkpoint on disk: one safetensors file, or a folder with one file or
 * several shards, as one map of named tensors.
 * @module
 */
import { basename, join } from "@std/path";
import { FormatError, quoted } from "./error.ts";
import { HEADER_LIMITS } from "./header.ts";
import { openSafetensors, tensorFile } from "./safetensors.ts";
import type { StoredTensor, TensorFile } from "./safetensors.ts";
import { type ByteSource, fileSource } from "./source.ts";
import { isFolder, statOf } from "./stat.ts";
import { parseStrictJson, StrictJsonError } from "./strict_json.ts";

/** Name of the file that lists the shards. */
export const INDEX = "model.safetensors.index.json";

/**
 * Opens a checkpoint: a `.safetensors` file, or a folder with
 * `model.safetensors` or the shards that `model.safetensors.index.json` names.
 */
export function openCheckpoint(path: string): TensorFile {
  if (!isFolder(path)) return openSafetensors(fileSource(path));
  const index = join(path, INDEX);
  const single = join(path, "model.safetensors");
  if (!statOf(index) || statOf(single)) {
    if (!statOf(single)) refusePickles(path);
    return openSafetensors(fileSource(single));
  }
  using source = fileSource(index);
  return openShards(
    basename(path),
    readIndex(source),
    (shard) => openSafetensors(fileSource(join(path, shard))),
  );
}

/** Refuses folders with PyTorch pickles only: loading a pickle runs code. */
function refusePickles(folder: string): void {
  for (const { name } of Deno.readDirSync(folder)) {
    if (!/\.(bin|pt|pth)$/.test(name)) continue;
    throw new FormatError(
      "not_found",
      basename(folder),
      `it holds ${
        quoted(name)
      } but no safetensors file; convert it once with safetensors.torch.save_file (Python), keeping the tensor names`,
    );
  }
}

/** `weight_map` of an index: tensor name → shard file name; throws `FormatError` "shard_index". */
export function readIndex(source: ByteSource): Map<string, string> {
  const bad = (problem: string): never => {
    throw new FormatError("shard_index", source.name, problem);
  };
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

/** The tensors of all shards that an index names; throws `FormatError` where they differ from the index. */
export function openShards(
  name: string,
  index: ReadonlyMap<string, string>,
  open: (shard: string) => TensorFile,
): TensorFile {
  const shards: TensorFile[] = [];
  const tensors = new Map<string, StoredTensor>();
  const metadata = new Map<string, string>();
  try {
    for (const shardName of new Set([...index.values()].toSorted())) {
      const shard = open(shardName);
      shards.push(shard);
      for (const [key, value] of shard.metadata) metadata.set(key, value);
      for (const [tensorName, stored] of shard.tensors) {
        if (index.get(tensorName) !== shardName) {
          throw new FormatError(
            "shard_index",
            name,
            `${quoted(shardName)} holds the tensor ${
              quoted(tensorName)
            }, which the index does not list there`,
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
        `the index lists ${quoted(tensorName)} in ${
          quoted(shardName)
        }, which does not contain it`,
      );
    }
    return tensorFile(name, tensors, metadata, shards);
  } catch (error) {
    for (const shard of shards) shard[Symbol.dispose]();
    throw error;
  }
}
