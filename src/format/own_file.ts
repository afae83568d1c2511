/**
 * Files that a run comes back to by name: journals, records, downloads. Whoever
 * gave us the folder may have put something else under that name: a link out of
 * the folder, a pipe that never ends, a device. Only a regular file with no
 * other name is opened, and only if it still is the one that was looked at.
 * @module
 */
import { quoted } from "./error.ts";

/** How a file of ours is opened. */
export interface OwnFileOptions {
  /** Each write goes to the end. */
  readonly append?: boolean;
  /** Whoever else may read it; default: as the system's mask says. */
  readonly mode?: number;
}

/**
 * Opens the file at `path` for reading and writing, or makes it. Its content
 * stays as it is. Needs `--allow-read --allow-write` of it.
 * @throws {RangeError} where a link, a folder, a pipe, a device or a file with a
 * second name stands there, or what stands there changed while it was opened
 */
export function openOwnFile(
  path: string,
  { append = false, mode }: OwnFileOptions = {},
): Deno.FsFile {
  const before = checked(path);
  const file = Deno.openSync(path, {
    read: true,
    ...(append ? { append } : { write: true }),
    // O_EXCL: never through a link that came after the look.
    ...(before ? {} : { createNew: true, ...(mode && { mode }) }),
  });
  let same = false;
  try {
    same = !before || isSame(before, file.statSync());
  } finally {
    if (!same) file.close();
  }
  if (same) return file;
  refuse(path, "it was replaced meanwhile");
}

/** What stands at `path`, if it may be ours; undefined where nothing does. */
function checked(path: string): Deno.FileInfo | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  if (info.isSymlink) refuse(path, "it is a symbolic link");
  if (info.isDirectory) refuse(path, "it is a folder");
  if (!info.isFile) refuse(path, "it is a pipe, a socket or a device");
  if ((info.nlink ?? 1) > 1) {
    refuse(path, "it has a second name (a hard link)");
  }
  return info;
}

/** Whether two looks saw one file. */
export function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return b.isFile && a.dev === b.dev && a.ino === b.ino;
}

function refuse(path: string, problem: string): never {
  throw new RangeError(
    `Cannot write ${
      quoted(path)
    }: ${problem}; remove it, or choose another file`,
  );
}

/** All bytes of an open file, from its beginning; at most `most`. */
export function readWhole(
  file: Deno.FsFile,
  path: string,
  most: number,
): Uint8Array<ArrayBuffer> {
  const { size } = file.statSync();
  if (size > most) {
    throw new RangeError(
      `Cannot read ${
        quoted(path)
      }: it has ${size} bytes, at most ${most} are allowed; move it away first`,
    );
  }
  const bytes = new Uint8Array(size);
  file.seekSync(0, Deno.SeekMode.Start);
  let at = 0;
  for (let n; at < size && (n = file.readSync(bytes.subarray(at)));) at += n;
  return bytes.subarray(0, at);
}
