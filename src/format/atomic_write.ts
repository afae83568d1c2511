/**
 * Writing a file so that a crash leaves the old one or the new one, never a
 * torn one: a temporary file beside it, fsync, rename, fsync of the folder.
 * A killed process leaves its temporary file (`sweep`). Which ones are still
 * being written, their locks tell: the system drops a lock when its process
 * ends, however it ends.
 * @module
 */
import { basename, dirname, join } from "@std/path";

/**
 * Writes `path` through `fill`, which gets the open temporary file. Where
 * `fill` throws, `path` stays as it was and the temporary file is removed.
 * Needs `--allow-read --allow-write` of the folder.
 */
export function writeAtomically(
  path: string,
  fill: (file: Deno.FsFile) => void,
): void {
  const temporary = join(dirname(path), `.${basename(path)}.${Deno.pid}.tmp`);
  removeAbandoned(temporary); // of a dead process that had our number
  let made = false;
  try {
    {
      using file = Deno.openSync(temporary, { write: true, createNew: true });
      made = true;
      file.lockSync(true);
      fill(file);
      file.syncSync();
    }
    Deno.renameSync(temporary, path);
  } catch (error) {
    if (made) removeIfThere(temporary);
    throw error;
  }
  syncFolder(dirname(path));
}

/** Makes a rename or a new name in `folder` survive a loss of power. */
export function syncFolder(folder: string): void {
  if (Deno.build.os === "windows") return; // a folder cannot be opened there
  using file = Deno.openSync(folder, { read: true });
  file.syncSync();
}

/** Writes all of `bytes` at the file's position. */
export function writeAll(
  file: Pick<Deno.FsFile, "writeSync">,
  bytes: Uint8Array,
): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** Removes what killed writers of `path` have left; looks through its whole folder. */
export function sweep(path: string): void {
  const folder = dirname(path), before = `.${basename(path)}.`;
  for (const { name } of Deno.readDirSync(folder)) {
    if (!name.startsWith(before)) continue;
    if (!/^\d+\.tmp$/.test(name.slice(before.length))) continue;
    removeAbandoned(join(folder, name));
  }
}

function removeAbandoned(path: string): void {
  if (isAbandoned(path)) removeIfThere(path);
}

function isAbandoned(path: string): boolean {
  try {
    if (!Deno.lstatSync(path).isFile) return false; // no link, no pipe: not made here
    using file = Deno.openSync(path, { read: true, write: true });
    return file.tryLockSync(true);
  } catch {
    return false; // gone meanwhile, or another user's: not ours to remove
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { /* it was removed by another, or the folder is gone */ }
}
