/**
 * `caption --alt-text`: adds missing alt texts to HTML and Markdown files and
 * changes nothing else.
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "@std/path";
import { writeAll, writeAtomically } from "../format/atomic_write.ts";
import { altGaps, fillGaps, type Gap, kindOf } from "./alt_gaps.ts";
import type { CaptionValues } from "./caption_options.ts";
import { captioner } from "./captioner.ts";
import { EXIT, sentence } from "./errors.ts";
import { findPhotos } from "./find_photos.ts";
import { dim, field, type Io, PipeClosed, printable } from "./io.ts";
import { readPhotoBytes } from "./photo.ts";
import { count } from "./table.ts";

const PAGE = /\.(x?html?|md|markdown)$/i;

/** Maximum bytes of a page. */
const MOST_PAGE = 2 ** 26;

/** Why an image gets no text. */
type Left = "elsewhere" | "no root";

/** Adds alt texts to the pages in `operands`; returns the exit code. */
export async function fillAltTexts(
  operands: readonly string[],
  values: CaptionValues,
  io: Io,
  say: Io,
): Promise<number> {
  const { photos: pages, problems } = findPhotos(operands, { wanted: PAGE });
  await using captions = captioner(values, io);
  const known = new Map<string, string>(); // by content: pages share images
  let filled = 0, failed = 0, elsewhere = 0, rootless = 0;
  const fail = (what: string, error: unknown) => {
    if (io.signal.aborted || error instanceof PipeClosed) throw error;
    failed++;
    io.err(sentence(error, what));
  };
  for (const [operand, why] of problems) {
    fail(`fill in ${JSON.stringify(operand)}`, why);
  }
  for (const page of pages) {
    try {
      await fillPage(page);
    } catch (error) {
      fail(`fill in ${JSON.stringify(page)}`, error);
    }
  }
  const notes = [`${count(filled, "text")} filled in`];
  if (elsewhere > 0) notes.push(`${count(elsewhere, "image")} elsewhere`);
  if (rootless > 0) {
    const addresses = count(rootless, "address", "addresses");
    notes.push(`${addresses} with / in front (name --site-root FOLDER)`);
  }
  say.err(dim(notes.join(", ")));
  if (failed === 0) return EXIT.ok;
  return filled > 0 ? EXIT.partial : EXIT.failure;

  async function fillPage(page: string) {
    const text = readText(page), done: [Gap, string][] = [];
    for (const gap of altGaps(text, kindOf(page))) {
      const place = placeOf(gap.address, page, values["site-root"]);
      if (place === "elsewhere") elsewhere++;
      else if (place === "no root") rootless++;
      else {
        try {
          const alt = await altOf(place.path);
          if (alt !== "") done.push([gap, alt]);
        } catch (error) {
          fail(`caption ${JSON.stringify(place.path)}`, error);
        }
      }
    }
    if (done.length === 0) return;
    replace(page, text, fillGaps(text, done));
    filled += done.length;
    for (const [{ at, address }, alt] of done) {
      const line = text.slice(0, at).split("\n").length;
      io.out(
        values.json
          ? `${JSON.stringify({ page, line, image: address, alt })}\n`
          : `${field(page)}:${line}\t${field(address)}\t${printable(alt)}\n`,
      );
    }
  }

  async function altOf(path: string): Promise<string> {
    const bytes = await readPhotoBytes(path, io.signal);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    let alt = known.get(sha256);
    if (alt === undefined) {
      const answer = await captions.caption(bytes, path);
      io.signal.throwIfAborted();
      alt = answer.text.trim().replaceAll(/\s+/g, " ");
      known.set(sha256, alt);
    }
    return alt;
  }
}

/** The file of an image address in `page`, or why it has none. */
export function placeOf(
  address: string,
  page: string,
  root: string | undefined,
): { readonly path: string } | Left {
  const trimmed = address.trim();
  if (/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(trimmed)) return "elsewhere";
  let path = trimmed.replace(/[?#].*$/s, "");
  try {
    path = decodeURIComponent(path);
  } catch { /* a stray percent sign stands for itself */ }
  if (path === "" || path.includes("\0")) return "elsewhere";
  if (!path.startsWith("/")) return { path: join(dirname(page), path) };
  return root === undefined ? "no root" : { path: join(root, path) };
}

/**
 * Reads a page, including its byte order mark; refuses text that would not be
 * written back byte for byte.
 */
function readText(page: string): string {
  const { isFile, size } = Deno.lstatSync(page);
  if (!isFile || size > MOST_PAGE) {
    throw new Error(
      `Cannot fill in ${JSON.stringify(page)}: ${
        isFile
          ? `it has ${size} bytes, at most ${MOST_PAGE} are allowed; split it`
          : "it is not a regular file; give an HTML or Markdown file"
      }`,
    );
  }
  const bytes = Deno.readFileSync(page);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
  } catch {
    throw new Error(
      `Cannot fill in ${
        JSON.stringify(page)
      }: it is not UTF-8; save it as UTF-8 first`,
    );
  }
}

/** Replaces `page` atomically, if it still is what was read. */
function replace(page: string, before: string, after: string) {
  if (readText(page) !== before) {
    throw new Error(
      `Cannot fill in ${
        JSON.stringify(page)
      }: it was changed meanwhile; run the command again`,
    );
  }
  const { mode } = Deno.lstatSync(page);
  const bytes = new TextEncoder().encode(after);
  writeAtomically(
    page,
    (file) => writeAll(file, bytes),
    mode === null ? undefined : mode & 0o777,
  );
  if (mode !== null && Deno.build.os !== "windows") {
    Deno.chmodSync(page, mode & 0o7777);
  }
}
