/**
 * Sidecars: captions in files beside the photos: `photo.txt`, `photo.json`,
 * `photo.xmp`. A file that a person wrote or edited is not changed.
 * @module
 */
import { basename } from "@std/path";
import { writeAll, writeAtomically } from "../format/atomic_write.ts";
import type { Entry } from "./caption_journal.ts";
import { isOurXmp, xmp } from "./xmp.ts";

/** Kinds of sidecars. */
export const KINDS = ["txt", "json", "xmp"] as const;

/** A kind of sidecar. */
export type Kind = (typeof KINDS)[number];

/** Content of each kind, and whether mquant wrote a file. */
const FORMS: Readonly<
  Record<Kind, {
    readonly text: (entry: Entry) => string;
    readonly ours: (text: string) => boolean;
  }>
> = {
  txt: { text: ({ caption }) => `${caption}\n`, ours: () => true },
  json: {
    text: ({ photo, ...rest }) =>
      `${JSON.stringify({ photo: basename(photo), ...rest }, null, 2)}\n`,
    ours: (text) => /"caption":.*"sha256":.*"model":.*"ask":/s.test(text),
  },
  xmp: { text: ({ caption }) => xmp(caption), ours: isOurXmp },
};

/** Path of the sidecar of `photo`; with `full`, after the whole file name. */
export function sidecarPath(photo: string, kind: Kind, full: boolean): string {
  const stem = full ? photo : photo.replace(/\.[^./\\]+$/, "");
  return `${stem}.${kind}`;
}

/** Whether a sidecar is written, and why not. */
export type Standing =
  /** It does not exist, is out of date, or may be replaced. */
  | "write"
  /** It is up to date. */
  | "same"
  /** A person wrote it; it stays. */
  | "keep";

/**
 * State of the sidecar at `path` for the caption in `entry`; undefined if the
 * photo has none yet.
 */
export function standing(
  path: string,
  kind: Kind,
  entry: Entry | undefined,
  before: Entry | undefined,
  overwrite: boolean,
): Standing {
  const text = readOrUndefined(path);
  if (text === undefined) return "write";
  const { text: textOf, ours } = FORMS[kind];
  if (entry && text === textOf(entry)) return "same";
  if (before && text === textOf(before)) return "write";
  if (!overwrite) return "keep";
  if (ours(text)) return "write";
  throw new Error(
    `Cannot overwrite ${
      JSON.stringify(path)
    }: it contains more than a caption of mquant; move it away first`,
  );
}

/** Writes a sidecar atomically. Needs `--allow-write` of the folder. */
export function writeSidecar(path: string, kind: Kind, entry: Entry): void {
  const bytes = new TextEncoder().encode(FORMS[kind].text(entry));
  writeAtomically(path, (file) => writeAll(file, bytes));
}

function readOrUndefined(path: string): string | undefined {
  try {
    const { isFile } = Deno.lstatSync(path);
    if (isFile) return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  throw new Error(
    `Cannot write ${
      JSON.stringify(path)
    }: a folder or a link has that name; move it away first`,
  );
}

/** Photos whose sidecars would have the same name, each with the other photo. */
export function clashes(
  photos: readonly string[],
  full: boolean,
): Map<string, string> {
  const owner = new Map<string, string>(), found = new Map<string, string>();
  for (const photo of photos) {
    const path = sidecarPath(photo, "txt", full);
    const other = owner.get(path);
    if (other === undefined) owner.set(path, photo);
    else {
      found.set(photo, other);
      if (!found.has(other)) found.set(other, photo);
    }
  }
  return found;
}

/** The error for two photos with the same sidecar name. */
export function clashError(a: string, b: string): Error {
  const [x, y] = [a, b].map((p) => JSON.stringify(p));
  return new Error(
    `Cannot write sidecars: ${x} and ${y} would share one; rename one of them, or add --full-names`,
  );
}
