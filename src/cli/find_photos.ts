/**
 * Photos that a command line names: files, folders with all below them, and
 * globs that no shell has expanded. Symbolic links are refused: Deno follows
 * one out of the folder that a run was allowed to read.
 * @module
 */
import { globToRegExp, join } from "@std/path";

const PHOTO = /\.(jpe?g|png|webp)$/i;
const GLOB = /[*?[\]{}]/;

/** What a command line names. */
export interface FoundPhotos {
  /** Paths as they will be shown; `-` is stdin. Each once, in the order named, folders by name. */
  readonly photos: readonly string[];
  /** Operands that name nothing, and why. */
  readonly problems: readonly (readonly [operand: string, why: Error])[];
  /** Links that were left out within folders. */
  readonly links: readonly string[];
  /** Folders they were looked for in, in the order named. */
  readonly folders: readonly string[];
}

/**
 * Finds what `operands` name; reads folders, opens no photo.
 * @param options `wanted`: names to look for in folders; `mayBeEmpty`: folders
 * and patterns that name nothing yet are no problem
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

/** Where to look for an operand, how deep, and for what; depth 0 is the operand itself. */
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
