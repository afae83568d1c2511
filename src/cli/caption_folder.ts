/**
 * `caption --sidecar`, `--journal`, `--watch`: captions of folders, written
 * into files.
 * @module
 */
import { join } from "@std/path";
import type { CaptionValues } from "./caption_options.ts";
import {
  captionFiles,
  type CaptionFilesOptions,
  type Tally,
  tallyCode,
  tallyText,
} from "./caption_files.ts";
import { openCaptionJournal } from "./caption_journal.ts";
import { captioner } from "./captioner.ts";
import { EXIT, sentence, UsageError } from "./errors.ts";
import { findPhotos, type FoundPhotos } from "./find_photos.ts";
import { dim, type Io, PipeClosed } from "./io.ts";
import { clashes, type Kind, KINDS } from "./sidecar.ts";
import { nearest } from "./suggest.ts";
import { count } from "./table.ts";

/**
 * Pause after the last change before a watched folder is read, in milliseconds:
 * copying a photo causes many changes.
 */
const SETTLE_MS = 500;

/** Longest time from a change to reading the folder, in milliseconds. */
const MOST_WAIT_MS = 2000;

/** Captions the photos in `operands` into files; returns the exit code. */
export async function keepCaptions(
  operands: readonly string[],
  values: CaptionValues,
  io: Io,
  say: Io,
): Promise<number> {
  const kinds = kindsOf(values.sidecar);
  if (operands.includes("-")) {
    throw new UsageError(
      "Cannot write the caption of stdin into a file: stdin has no name; give photos or folders, or leave out --sidecar, --journal and --watch",
    );
  }
  const find = () => findPhotos(operands, { mayBeEmpty: values.watch });
  const found = find();
  if (found.photos.length === 0 && !values.watch) {
    for (const [operand, why] of found.problems) {
      io.err(sentence(why, `caption ${JSON.stringify(operand)}`));
    }
    return EXIT.failure; // before a journal is made for nothing
  }
  const path = values.journal ??
    join(found.folders[0] ?? ".", "captions.jsonl");
  await using captions = captioner(values, io);
  using journal = openCaptionJournal(path, captions.origin, {
    trust: values["trust-journal"],
  });
  const keeping: CaptionFilesOptions = {
    kinds,
    fullNames: values["full-names"],
    overwrite: values.overwrite,
    journal,
    json: values.json,
    caption: captions.caption,
    io: values.quiet ? { ...io, status() {} } : io,
  };
  const done = new Map<string, string>(); // versions of photos, while watching
  if (!values.watch) return await once(found);
  // Watched from before the first look on: what comes meanwhile is seen after it.
  await watch(found.folders, io, say, async () => {
    await once(find());
  });
  return EXIT.ok;

  async function once(found: FoundPhotos): Promise<number> {
    const begin = performance.now();
    for (const [operand, why] of found.problems) {
      io.err(sentence(why, `caption ${JSON.stringify(operand)}`));
    }
    // While watching, a name shared by two photos stops these two only.
    const twins = kinds.length > 0 && values.watch
      ? clashes(found.photos, values["full-names"])
      : undefined;
    const versions = found.photos
      .map((p) => [p, `${version(p)} ${twins?.get(p) ?? ""}`] as const)
      .filter(([p, v]) => done.get(p) !== v);
    if (values.watch && versions.length === 0) return EXIT.ok;
    for (const [p, v] of versions) done.set(p, v); // as it was before it is read
    const photos = versions.map(([p]) => p);
    const tally: Tally = photos.length > 0
      ? await captionFiles(photos, keeping, twins)
      : { made: 0, reused: 0, kept: 0, failed: 0 };
    const failed = tally.failed + found.problems.length;
    const links = found.links.length > 0
      ? `; not followed: ${count(found.links.length, "symbolic link")}`
      : "";
    const seconds = (performance.now() - begin) / 1000;
    say.err(dim(`${tallyText({ ...tally, failed }, seconds)}${links}`));
    return tallyCode({ ...tally, failed });
  }
}

/** A string that changes when the file changes. */
function version(path: string): string {
  try {
    const { size, mtime } = Deno.lstatSync(path);
    return `${size} ${mtime?.getTime()}`;
  } catch {
    return ""; // it no longer exists; reading it reports the error
  }
}

/**
 * Calls `look` now, and after changes below `folders` when they have paused or
 * continue too long; never concurrently. Ends with `io.signal`.
 */
async function watch(
  folders: readonly string[],
  io: Io,
  say: Io,
  look: () => Promise<void>,
) {
  using watcher = Deno.watchFs([...folders], { recursive: true });
  const end = () => watcher.close();
  io.signal.addEventListener("abort", end);
  let begun = false, failed: unknown;
  const tried = async () => {
    try {
      await look();
    } catch (error) {
      const { aborted } = io.signal;
      if (error instanceof PipeClosed || aborted && !begun) throw error;
      if (!aborted) io.err(sentence(error, "caption"));
    }
    if (!begun) {
      say.err(dim(`watching ${folders.join(", ")}; Ctrl-C ends it`));
    }
    begun = true;
  };
  const fail = (error: unknown) => {
    failed = error; // nobody reads what we say, or Ctrl-C came early
    end();
  };
  let looking = tried().catch(fail);
  let timer: ReturnType<typeof setTimeout> | undefined, since = 0;
  for await (const { kind } of watcher) {
    if (kind === "access") continue; // our own reading, too
    const now = performance.now();
    if (timer === undefined) since = now;
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = undefined;
      looking = looking.then(tried).catch(fail);
    }, Math.min(SETTLE_MS, Math.max(0, since + MOST_WAIT_MS - now)));
  }
  clearTimeout(timer);
  await looking;
  if (failed) throw failed;
}

function kindsOf(list: string | undefined): Kind[] {
  const words = list?.split(",").map((w) => w.trim()) ?? [];
  for (const word of words) {
    if ((KINDS as readonly string[]).includes(word)) continue;
    const near = nearest(word, KINDS);
    throw new UsageError(
      `Cannot caption: --sidecar must be a list of ${
        KINDS.join(", ")
      }: current value has ${JSON.stringify(word)}; ${
        near ? `did you mean ${near}?` : "see `mquant caption --help`"
      }`,
    );
  }
  return [...new Set(words)] as Kind[];
}
