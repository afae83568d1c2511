/**
 * Finds the photos of a command line: files, folders with all subfolders, and
 * globs that the shell has not expanded. Symbolic links are refused, because
 * Deno follows them out of the folder that a run may read.
 * @module
 */
import { globToRegExp, join } from "@std/path";

const PHOTO = /\.(jpe?g|png|webp)$/i;
const GLOB = /[*?[\]{}]/;

/** The result of `findPhotos`. */
export interface FoundPhotos {
  /**
   * Paths as they are shown; `-` is stdin. Each once, in the order of the
   * operands, folders sorted by name.
   */
  readonly photos: readonly string[];
  /** Operands without photos, and why. */
  readonly problems: readonly (readonly [operand: string, why: Error])[];
  /** Links in folders, which are skipped. */
  readonly links: readonly string[];
  /** Searched folders, in the order of the operands. */
  readonly folders: readonly string[];
}

/**
 * Finds the photos of `operands`; reads folders but opens no photo.
 * @param options `wanted`: file names to find in folders; `mayBeEmpty`: folders
 * and patterns without photos are allowed
 */
export function findPhotos(
  operands: readonly string[],
  { wanted = PHOTO, mayBeEmpty = false }: {
    readonly wanted?: RegExp;
    readonly mayBeEmpty?: boolean;
  } = {},
): FoundPhotos {
  const photos = new Set<string>(), links: string[] = [];
  const problems: [string, Error][] = [];
  const folders = new Set<string>();
  for (const operand of operands) {
    try {
      const { base, accept, depth } = reach(operand, wanted);
      folders.add(base);
      if (depth === 0) {
        photos.add(operand);
        continue;
      }
      const before = photos.size;
      walk(base, depth, accept, photos, links);
      if (photos.size === before && !mayBeEmpty) throw nothing(operand);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      problems.push([operand, error as Error]);
    }
  }
  return { photos: [...photos], problems, links, folders: [...folders] };
}

/** Folder, depth and pattern of an operand; depth 0 is the operand itself. */
function reach(operand: string, wanted: RegExp) {
  const itself = (base: string) => ({ base, accept: () => true, depth: 0 });
  if (operand === "-") return itself(".");
  const info = statOrUndefined(operand);
  if (info?.isSymlink) {
    throw new RangeError(
      `Cannot caption ${
        JSON.stringify(operand)
      }: it is a symbolic link, and links are not followed; give its target`,
    );
  }
  if (info?.isDirectory) {
    const accept = (path: string) => wanted.test(path);
    return { base: operand, accept, depth: Infinity };
  }
  if (info || !GLOB.test(operand)) return itself(join(operand, ".."));
  const pattern = join(operand), parts = pattern.split("/");
  const first = parts.findIndex((part) => GLOB.test(part));
  const named = globToRegExp(pattern);
  return {
    base: parts.slice(0, first).join("/") || (first === 0 ? "." : "/"),
    accept: (path: string) => wanted.test(path) && named.test(path),
    depth: parts.includes("**") ? Infinity : parts.length - first,
  };
}

function statOrUndefined(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function walk(
  folder: string,
  depth: number,
  accept: (path: string) => boolean,
  photos: Set<string>,
  links: string[],
) {
  const entries = [...Deno.readDirSync(folder)]
    .filter(({ name }) => !name.startsWith("."))
    .sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isFile, isDirectory, isSymlink } of entries) {
    const path = join(folder, name);
    if (isSymlink) links.push(path);
    else if (isFile && accept(path)) photos.add(path);
    else if (isDirectory && depth > 1) {
      walk(path, depth - 1, accept, photos, links);
    }
  }
}

function nothing(operand: string): Error {
  const shown = JSON.stringify(operand);
  return new RangeError(
    GLOB.test(operand)
      ? `Cannot caption ${shown}: no file has such a name; check the pattern`
      : `Cannot caption ${shown}: there is no JPEG, PNG or WebP in it; check the path`,
  );
}
