/**
 * Files that a run reopens by name: journals, records, downloads. In a folder
 * of unknown origin, such a name may be a link out of the folder, a pipe that
 * never ends, or a device. Only a regular file without a second name (hard
 * link) is opened, and only if it is still the same file after opening.
 * @module
 */
import { quoted } from "./error.ts";

/** Options of `openOwnFile`. */
export interface OwnFileOptions {
  /** Append mode. */
  readonly append?: boolean;
  /** Permission bits; default: the umask. */
  readonly mode?: number;
}

/**
 * Opens or creates the file at `path` for reading and writing; its content
 * stays. Needs `--allow-read --allow-write` of it.
 * @throws {RangeError} if the path is a link, a folder, a pipe, a device or a
 * file with a second name, or was replaced while it was opened
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

/** The file at `path`, if it is a plain file; undefined if nothing exists. */
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

/** Whether two results of stat are the same file. */
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

/**
 * Reads all bytes of an open file.
 * @param most maximum size
 */
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
