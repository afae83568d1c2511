/**
 * Work that survives a crash: named records, appended to a file one by one. A
 * record counts once it is complete; an incomplete one is dropped on reopening.
 *
 * ```text
 * "mquant.w" │ record │ record │ …          the first record is the key of the work
 *
 *   record   u32 head bytes │ u64 body bytes │ head, JSON │ body │ SHA-256 of all before
 *   head     {"name", "plain": {…}, "arrays": [["values", "Int8Array", length], …]}
 *   body     the arrays, one after another
 * ```
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname } from "@std/path";
import { syncFolder, writeAll } from "./atomic_write.ts";
import { openOwnFile } from "./own_file.ts";
import { quoted } from "./error.ts";

const ARRAYS = {
  Int8Array,
  Uint8Array,
  Int32Array,
  Float32Array,
  Float64Array,
} as const;

/** Content of a record: plain values, and arrays of numbers. */
export type Fields = Readonly<
  Record<
    string,
    | string
    | number
    | boolean
    | Int8Array
    | Uint8Array
    | Int32Array
    | Float32Array
    | Float64Array
  >
>;

/** Finished work by name. */
export interface Records {
  /** All names, in the order in which they were added. */
  names(): Iterable<string>;
  /** Whether there is a record of this name. */
  has(name: string): boolean;
  /** The record of this name; undefined if there is none. */
  read(name: string): Fields | undefined;
  /** Adds a new record; it is on disk when the call returns. */
  add(name: string, fields: Fields): void;
}

/** Records in a file. */
export interface RecordFile extends Records, Disposable {
  /** Number of records. */
  readonly size: number;
}

/** The written file; tests replace it by one that fails. */
export type RecordSink = Pick<Deno.FsFile, "writeSync" | "syncDataSync">;

/** Records in memory only. */
export function memoryRecords(): Records {
  const known = new Map<string, Fields>();
  return {
    names: () => known.keys(),
    has: (name) => known.has(name),
    read: (name) => known.get(name),
    add: (name, fields) => void known.set(name, fields),
  };
}

const MAGIC = new TextEncoder().encode("mquant.w");
const FRAME = 12, DIGEST = 32;
const MOST_HEAD = 1 << 20; // names and lengths: a damaged length must not be believed

interface Head {
  readonly name: string;
  readonly plain: Record<string, string | number | boolean>;
  readonly arrays: readonly [string, keyof typeof ARRAYS, number][];
}

/** Positions of a record's arrays. */
interface Place extends Head {
  readonly body: number;
}

/**
 * Opens or creates the records at `path`.
 * @param key identifies all inputs of the work: an existing file with another
 * key is an error, and is not changed
 * @throws {RangeError} if the file is something else, has another key, or is
 * used by another process
 */
export function openRecords(
  path: string,
  key: string,
  sink: (file: Deno.FsFile) => RecordSink = (file) => file,
): RecordFile {
  const file = openOwnFile(path);
  try {
    if (!file.tryLockSync(true)) {
      fail(path, "another process is using it", "wait for that process");
    }
    const { places, end } = scan(file, path);
    const begun = places.get("");
    if (begun && begun.plain.key !== key) {
      fail(path, "it belongs to a run with other inputs", "remove it");
    }
    file.truncateSync(end);
    file.seekSync(end, Deno.SeekMode.Start);
    places.delete("");
    const records = recordFile(file, sink(file), places);
    if (!begun) {
      if (end === 0) writeAll(file, MAGIC);
      records.add("", { key });
      places.delete("");
      syncFolder(dirname(path));
    }
    return records;
  } catch (error) {
    file.close();
    throw error;
  }
}

function fail(path: string, problem: string, next: string): never {
  throw new RangeError(
    `Cannot resume from ${
      quoted(basename(path))
    }: ${problem}; ${next}, or write to another file`,
  );
}

function recordFile(
  file: Deno.FsFile,
  sink: RecordSink,
  places: Map<string, Place>,
): RecordFile {
  let open = true;
  return {
    get size() {
      return places.size;
    },
    names: () => places.keys(),
    has: (name) => places.has(name),
    read(name) {
      const place = places.get(name);
      if (!place) return undefined;
      const fields: Record<string, Fields[string]> = { ...place.plain };
      file.seekSync(place.body, Deno.SeekMode.Start);
      for (const [field, type, length] of place.arrays) {
        const array = new ARRAYS[type](length);
        readAll(file, new Uint8Array(array.buffer));
        fields[field] = array;
      }
      return fields;
    },
    add(name, fields) {
      const at = file.seekSync(0, Deno.SeekMode.End);
      const { head, json, bodies } = encode(name, fields);
      const frame = new DataView(new ArrayBuffer(FRAME));
      frame.setUint32(0, json.length, true);
      frame.setBigUint64(
        4,
        BigInt(bodies.reduce((sum, b) => sum + b.length, 0)),
        true,
      );
      const hash = createHash("sha256");
      for (const part of [new Uint8Array(frame.buffer), json, ...bodies]) {
        hash.update(part);
        writeAll(sink, part);
      }
      writeAll(sink, hash.digest());
      sink.syncDataSync();
      places.set(name, { ...head, body: at + FRAME + json.length });
    },
    [Symbol.dispose]() {
      if (open) file.close();
      open = false;
    },
  };
}

function encode(name: string, fields: Fields) {
  const plain: Head["plain"] = {}, bodies: Uint8Array[] = [];
  const arrays: [string, keyof typeof ARRAYS, number][] = [];
  for (const [field, value] of Object.entries(fields)) {
    if (typeof value !== "object") {
      plain[field] = value;
      continue;
    }
    const type = value.constructor.name as keyof typeof ARRAYS;
    arrays.push([field, type, value.length]);
    bodies.push(
      new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
    );
  }
  const head: Head = { name, plain, arrays };
  return { head, json: new TextEncoder().encode(JSON.stringify(head)), bodies };
}

/** Finds the complete records; `end` is the end of the last one. */
function scan(
  file: Deno.FsFile,
  path: string,
): { places: Map<string, Place>; end: number } {
  const size = file.seekSync(0, Deno.SeekMode.End);
  const start = new Uint8Array(Math.min(size, MAGIC.length));
  file.seekSync(0, Deno.SeekMode.Start);
  readAll(file, start);
  if (start.some((byte, i) => byte !== MAGIC[i])) {
    fail(path, "it is not a progress file of mquant", "move it away");
  }
  const places = new Map<string, Place>();
  if (size < MAGIC.length) return { places, end: 0 };
  let end = MAGIC.length;
  for (;;) {
    const record = readRecord(file, end, size);
    if (!record) return { places, end };
    places.set(record.place.name, record.place);
    end = record.end;
  }
}

/** The record at `at`; undefined if it is incomplete. */
function readRecord(
  file: Deno.FsFile,
  at: number,
  size: number,
): { place: Place; end: number } | undefined {
  if (at + FRAME + DIGEST > size) return undefined;
  const frame = new Uint8Array(FRAME);
  file.seekSync(at, Deno.SeekMode.Start);
  readAll(file, frame);
  const view = new DataView(frame.buffer);
  const headBytes = view.getUint32(0, true);
  const bodyBytes = Number(view.getBigUint64(4, true));
  const end = at + FRAME + headBytes + bodyBytes + DIGEST;
  if (headBytes > MOST_HEAD || end > size) return undefined;
  const json = new Uint8Array(headBytes);
  readAll(file, json);
  const hash = createHash("sha256").update(frame).update(json);
  const chunk = new Uint8Array(1 << 20);
  for (let left = bodyBytes; left > 0;) {
    const part = chunk.subarray(0, Math.min(left, chunk.length));
    readAll(file, part);
    hash.update(part);
    left -= part.length;
  }
  const digest = new Uint8Array(DIGEST);
  readAll(file, digest);
  if (!hash.digest().equals(digest)) return undefined;
  const head = JSON.parse(new TextDecoder().decode(json)) as Head;
  return { place: { ...head, body: at + FRAME + headBytes }, end };
}

function readAll(file: Deno.FsFile, into: Uint8Array): void {
  for (let at = 0; at < into.length;) {
    const n = file.readSync(into.subarray(at));
    if (n === null) {
      throw new RangeError("Cannot read a record: the file no longer has it");
    }
    at += n;
  }
}
