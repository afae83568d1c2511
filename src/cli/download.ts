/**
 * Downloads one file of a hub: resumes an earlier download, verifies the hub's
 * hash, and only then renames the file.
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { dirname, join } from "@std/path";
import { writeAll } from "../format/atomic_write.ts";
import { openOwnFile } from "../format/own_file.ts";

/** A file as a hub lists it. */
export interface HubFile {
  /** Path in the repository. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of the bytes, hex; or the git blob id if the hub has no SHA-256. */
  readonly hash: string;
}

/**
 * The path of a hub file below `folder`. The hub's listing is not trusted.
 * @throws if the path leaves the folder or goes through a link
 */
export function placeOf(folder: string, path: string): string {
  const parts = path.split("/");
  const bad = parts.some((p) =>
    p === "" || p === "." || p === ".." || /[\\\0:]/.test(p)
  );
  if (bad) {
    throw new Error(
      `Cannot pull ${JSON.stringify(path)}: it is not a path below the folder`,
    );
  }
  for (let n = 1; n <= parts.length; n++) {
    const place = join(folder, ...parts.slice(0, n));
    try {
      if (!Deno.lstatSync(place).isSymlink) continue;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) break;
      throw error;
    }
    throw new Error(
      `Cannot pull to ${
        JSON.stringify(place)
      }: it is a symbolic link; remove it first`,
    );
  }
  return join(folder, path);
}

/** Whether the file at `path` has the size and hash of `file`. */
export function isWhole(path: string, file: HubFile): boolean {
  try {
    const { size, isFile } = Deno.lstatSync(path);
    if (!isFile || size !== file.size) return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  const hash = hashOf(file);
  using opened = Deno.openSync(path);
  eachPiece(opened, (piece) => hash.update(piece));
  return hash.digest("hex") === file.hash;
}

/**
 * Downloads `file` to `path`. After a failure the received part stays in
 * `.NAME.part` for the next attempt.
 * @param bytesFrom returns the bytes from an offset on
 * @param arrived called with the total number of received bytes
 */
export async function download(
  path: string,
  file: HubFile,
  bytesFrom: (offset: number) => Promise<ReadableStream<Uint8Array>>,
  arrived: (bytes: number) => void,
): Promise<void> {
  const part = join(dirname(path), `.${path.replace(/^.*[/\\]/, "")}.part`);
  Deno.mkdirSync(dirname(path), { recursive: true });
  const hash = hashOf(file);
  let size = 0;
  {
    using out = openOwnFile(part, { append: true });
    if (out.statSync().size > file.size) out.truncateSync(0);
    eachPiece(out, (piece) => {
      hash.update(piece);
      size += piece.length;
    });
    arrived(size);
    if (size < file.size) {
      for await (const piece of await bytesFrom(size)) {
        writeAll(out, piece);
        hash.update(piece);
        size += piece.length;
        if (size > file.size) break;
        arrived(size);
      }
    }
    out.syncSync();
  }
  if (size < file.size) {
    throw new Error(
      `Cannot pull ${
        JSON.stringify(file.path)
      }: the download ended after ${size} of ${file.size} bytes; run the same command again to resume`,
    );
  }
  if (size !== file.size || hash.digest("hex") !== file.hash) {
    Deno.removeSync(part);
    throw new Error(
      `Cannot pull ${
        JSON.stringify(file.path)
      }: its hash differs from the hub's; the file was deleted, run the same command again`,
    );
  }
  Deno.renameSync(part, path);
}

/**
 * The hash of the hub's listing: SHA-256 for large files, the git blob's SHA-1
 * for small ones.
 */
function hashOf({ hash, size }: HubFile): Hash {
  return hash.length === 64
    ? createHash("sha256")
    : createHash("sha1").update(`blob ${size}\0`);
}

function eachPiece(file: Deno.FsFile, use: (piece: Uint8Array) => void) {
  const buffer = new Uint8Array(1 << 20);
  for (let n; (n = file.readSync(buffer));) use(buffer.subarray(0, n));
}
