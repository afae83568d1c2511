/**
 * Writing a file so that a crash leaves the old one or the new one, never a
 * torn one: a temporary file beside it, fsync, rename, fsync of the folder.
 * A killed process leaves its temporary file (`sweep`). Which ones are still
 * being written, their locks tell: the system drops a lock when its process
 * ends, however it ends.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "@std/path";

/**
 * Writes `path` through `fill`, which gets the open temporary file and its path. Where
 * `fill` throws, `path` stays as it was and the temporary file is removed. `mode`: who may read it,
 * from the first moment on (the system's mask takes away more).
 * Needs `--allow-read --allow-write` of the folder.
 */
export function writeAtomically(
  path: string,
  fill: (file: Deno.FsFile, temporary: string) => void,
  mode?: number,
): void {
  const temporary = join(
    dirname(path),
    `.${stemOf(basename(path))}.${Deno.pid}.tmp`,
  );
  let made = false;
  try {
    {
      using file = lockedNew(temporary, mode);
      made = true;
      fill(file, temporary);
      file.syncSync();
    }
    Deno.renameSync(temporary, path);
  } catch (error) {
    if (made) removeIfThere(temporary);
    throw error;
  }
  syncFolder(dirname(path));
}

/** A new, locked file at `path`. */
function lockedNew(path: string, mode?: number): Deno.FsFile {
  removeAbandoned(path); // of a dead process that had our number
  for (;;) {
    const file = Deno.openSync(path, {
      write: true,
      createNew: true,
      ...(mode !== undefined && { mode }),
    });
    try {
      file.lockSync(true);
      // Until it was locked, somebody's sweep may have taken it for abandoned.
      if (file.statSync().nlink !== 0) return file;
    } catch (error) {
      file.close();
      removeIfThere(path);
      throw error;
    }
    file.close();
  }
}

/** Bytes of a name that leave room for what a temporary one has beside it, of 255. */
const MOST_NAME = 230;

/** What stands for `name` in the name of a temporary file. */
function stemOf(name: string): string {
  return new TextEncoder().encode(name).length <= MOST_NAME
    ? name
    : createHash("sha256").update(name).digest("hex");
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

/**
 * Removes what killed writers of `paths` have left; looks through each of their
 * folders once. What is still being written is locked, and what is not the
 * temporary file of one of them is somebody else's: both stay.
 */
export function sweep(paths: string | Iterable<string>): void {
  const stems = new Map<string, Set<string>>();
  for (const path of typeof paths === "string" ? [paths] : paths) {
    const folder = dirname(path), stem = stemOf(basename(path));
    stems.set(folder, (stems.get(folder) ?? new Set()).add(stem));
  }
  for (const [folder, ours] of stems) {
    for (const { name } of Deno.readDirSync(folder)) {
      const stem = /^\.(.+)\.\d+\.tmp$/s.exec(name)?.[1];
      if (stem !== undefined && ours.has(stem)) {
        removeAbandoned(join(folder, name));
      }
    }
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
