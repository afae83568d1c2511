/**
 * Writing a file so that a crash leaves the old one or the new one, never a
 * torn one: a temporary file beside it, fsync, rename, fsync of the folder.
 * @module
 */
import { basename, dirname, join } from "@std/path";

/**
 * Writes `path` through `fill`, which gets the open temporary file. Where
 * `fill` throws, `path` stays as it was and the temporary file is removed.
 * A killed process may leave `.NAME.PID.tmp` behind.
 * Needs `--allow-read --allow-write` of the folder.
 */
export function writeAtomically(
  path: string,
  fill: (file: Deno.FsFile) => void,
): void {
  const temporary = join(dirname(path), `.${basename(path)}.${Deno.pid}.tmp`);
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
  if (Deno.build.os === "windows") return; // a folder cannot be opened there
  using folder = Deno.openSync(dirname(path), { read: true });
  folder.syncSync();
}

/** Writes all of `bytes` at the file's position. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
