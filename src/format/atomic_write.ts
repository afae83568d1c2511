/**
 * Atomic file writing: a crash leaves the old or the new file, never a partial
 * one. Steps: a temporary file in the same folder, fsync, rename, fsync of the
 * folder. A killed process leaves its temporary file, which `sweep` removes.
 * Temporary files in use are locked; the system releases a lock when its
 * process ends.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "@std/path";

/**
 * Writes `path` atomically. If `fill` throws, `path` is unchanged and the
 * temporary file is removed. Needs `--allow-read --allow-write` of the folder.
 * @param fill receives the open temporary file and its path
 * @param mode permission bits from the creation on, before the umask
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

/** Creates and locks a new file at `path`. */
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
      // Before it was locked, another process's cleanup may have removed it.
      if (file.statSync().nlink !== 0) return file;
    } catch (error) {
      file.close();
      removeIfThere(path);
      throw error;
    }
    file.close();
  }
}

/**
 * Maximum bytes of a file name to which the suffix of a temporary name is added
 * (the system's limit is 255).
 */
const MOST_NAME = 230;

/** The form of `name` within the name of a temporary file. */
function stemOf(name: string): string {
  return new TextEncoder().encode(name).length <= MOST_NAME
    ? name
    : createHash("sha256").update(name).digest("hex");
}

/** Syncs `folder`, so that a rename or a new file survives a power loss. */
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
 * Removes temporary files that killed writers of `paths` left; reads each
 * folder once. Locked files (in use) and files of other targets stay.
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
