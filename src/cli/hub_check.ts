/**
 * A checkpoint on a model hub, checked before it is downloaded: its side files
 * and the headers of its weights are read, a few megabytes.
 * @module
 */
import { checkFiles } from "../convert/check.ts";
import type { CheckOptions, CheckResult } from "../convert/check_result.ts";
import { refusePickles, type SeenWeights } from "../convert/seen_weights.ts";
import { type SideFiles, tokenizerElsewhere } from "../convert/side_files.ts";
import { INDEX, openShards, readIndex } from "../format/checkpoint.ts";
import { HEADER_LIMITS } from "../format/header.ts";
import { openSafetensors, type TensorFile } from "../format/safetensors.ts";
import { type ByteSource, bytesSource } from "../format/source.ts";
import type { HubFile } from "./download.ts";
import { type Repository, repository } from "./hub.ts";
import type { HubValues } from "./hub_options.ts";
import { SIDE_FILES } from "./needed.ts";

/** Most bytes of a side file that is read to memory: four times the largest known tokenizer. */
const MOST_BYTES = 2 ** 27;

/** First bytes of a safetensors file that are asked for; longer headers take a second request. */
const FIRST = 2 ** 16;

/** Checks the repository OWNER/NAME of a hub. */
export async function checkOnHub(
  name: string,
  values: HubValues,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<CheckResult> {
  const hub = repository(name, values, signal, "check");
  const commit = await hub.commit(), listed = await hub.files(commit);
  const contents = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { path, size } of listed) {
    if (!SIDE_FILES.test(path)) continue;
    if (size > MOST_BYTES) {
      throw new Error(
        `Cannot check ${name}: ${
          JSON.stringify(path)
        } has ${size} bytes, at most ${MOST_BYTES} are allowed for a side file`,
      );
    }
    contents.set(path, await piece(hub, path, commit, 0, size));
  }
  const other = await otherTokenizer(
    contents.get("config.json"),
    (repo) =>
      repository(repo, { ...values, revision: "main" }, signal, "check"),
  );
  if (other) {
    const { hub, commit, file, place } = other;
    contents.set(place, await piece(hub, file.path, commit, 0, file.size));
  }
  const files: SideFiles = {
    path: (file) => `${name}/${file}`,
    read: (file) => contents.get(file),
  };
  const see = await weightsOnHub(hub, name, commit, listed, files);
  return await checkFiles(files, see, options);
}

/**
 * The tokenizer.json that the checkpoint's family keeps in another repository;
 * undefined where it has none.
 * @param open opens a repository of the same hub
 */
export async function otherTokenizer(
  config: Uint8Array | undefined,
  open: (repository: string) => Repository,
): Promise<
  | { hub: Repository; commit: string; file: HubFile; place: string }
  | undefined
> {
  const tokenizer = config && tokenizerElsewhere(config);
  if (!tokenizer) return undefined;
  const hub = open(tokenizer.repository), commit = await hub.commit();
  const file = (await hub.files(commit))
    .find(({ path, size }) => path === "tokenizer.json" && size <= MOST_BYTES);
  if (file) return { hub, commit, file, place: tokenizer.file };
  throw new Error(
    `Cannot use ${tokenizer.repository}: it has no tokenizer.json, which the checkpoint needs`,
  );
}

/** Reads facts about the weights from the headers of a hub's files. */
export async function weightsOnHub(
  hub: Repository,
  name: string,
  commit: string,
  listed: readonly HubFile[],
  files: SideFiles,
): Promise<() => SeenWeights> {
  const names = listed.map(({ path }) => path);
  const index = files.read(INDEX), single = "model.safetensors";
  const shards = names.includes(single)
    ? new Map([["", single]])
    : index && readIndex(bytesSource(index, INDEX));
  if (!shards) {
    return () => {
      refusePickles(name, names);
      throw new RangeError(
        `Cannot use ${name}: it has neither ${single} nor ${INDEX}; choose a repository with safetensors`,
      );
    };
  }
  const open = new Map<string, TensorFile>();
  for (const shard of new Set(shards.values())) {
    const file = listed.find(({ path }) => path === shard);
    if (!file) {
      throw new Error(
        `Cannot check ${name}: ${JSON.stringify(INDEX)} names ${
          JSON.stringify(shard)
        }, which the hub does not list`,
      );
    }
    open.set(shard, openSafetensors(await headerOf(hub, file, commit)));
  }
  return () => ({
    from: "headers",
    readable: false,
    file: open.get(single) ??
      openShards(name, shards, (shard) => open.get(shard)!),
  });
}

/** The header of a file as a source; its data cannot be read. */
async function headerOf(
  hub: Repository,
  { path, size }: HubFile,
  commit: string,
): Promise<ByteSource> {
  let bytes = await piece(hub, path, commit, 0, Math.min(size, FIRST));
  if (bytes.length >= 8) {
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const end = Math.min(size, 8 + length);
    if (length <= HEADER_LIMITS.headerBytes && end > bytes.length) {
      bytes = await piece(hub, path, commit, 0, end);
    }
  }
  return { ...bytesSource(bytes, path), size };
}

/** All bytes of a side file. */
export function readWhole(
  hub: Repository,
  { path, size }: HubFile,
  commit: string,
): Promise<Uint8Array<ArrayBuffer>> {
  return piece(hub, path, commit, 0, Math.min(size, MOST_BYTES));
}

/** Bytes `from` to `to` of a file. */
async function piece(
  hub: Repository,
  path: string,
  commit: string,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(to - from);
  if (to === from) return bytes;
  let at = 0;
  for await (const part of await hub.bytes(path, commit, from, to)) {
    bytes.set(part.subarray(0, bytes.length - at), at);
    at = Math.min(bytes.length, at + part.length);
  }
  if (at === bytes.length) return bytes;
  throw new Error(
    `Cannot read ${
      JSON.stringify(path)
    }: it ended after ${at} of ${bytes.length} bytes; run the same command again`,
  );
}
