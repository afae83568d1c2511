/**
 * What is at a path.
 * @module
 */

/** The file or folder at a path, links followed; undefined if there is none. Needs `--allow-read`. */
export function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether there is a folder at a path. */
export function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory === true;
}
