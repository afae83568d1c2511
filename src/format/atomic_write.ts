/**
 * Writing a file so that a crash leaves the old one or the new one, never a
 * torn one: a temporary file beside it, fsync, rename, fsync of the folder.
 * @module
 */
import { basename, dirname, join } from "@std/path";

const temporaryName = (path: string, pid: string | number) =>
  `.${basename(path)}.${pid}.tmp`;

/**
 * Removes what killed writers of `path` left behind. The caller must know that
 * nobody is writing it now.
 */
export function removeTemporary(path: string): void {
  const folder = dirname(path);
  for (const { name } of Deno.readDirSync(folder)) {
    const pid = name.split(".").at(-2)!;
    if (/^\d+$/.test(pid) && name === temporaryName(path, pid)) {
      Deno.removeSync(join(folder, name));
    }
  }
}

/**
 * Writes `path` through `fill`, which gets the open temporary file. Where
 * `fill` throws, `path` stays as it was and the temporary file is removed.
 * A killed process may leave `.NAME.PID.tmp` behind (`removeTemporary`).
 * Needs `--allow-read --allow-write` of the folder.
 */
export function writeAtomically(
  path: string,
  fill: (file: Deno.FsFile) => void,
): void {
  const temporary = join(dirname(path), temporaryName(path, Deno.pid));
  try {
    {
      using file = Deno.openSync(temporary, {
        write: true,
        create: true,
        truncate: true,
      });
      fill(file);
      file.syncSync();
    }
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch { /* it may never have come to be */ }
    throw error;
  }
  syncFolder(dirname(path));
}

/** Makes the names in a folder outlive a crash. */
export function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return; // a folder cannot be opened there
  using folder = Deno.openSync(path, { read: true });
  folder.syncSync();
}

/** Writes all of `bytes` at the file's position. */
export function writeAll(
  file: Pick<Deno.FsFile, "writeSync">,
  bytes: Uint8Array,
): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
