/**
 * An append-only file of JSON objects, one per line, from which a run resumes.
 * Each line is one write, so a crash leaves at most one incomplete line, which
 * is skipped. Each line names the folder where it was written, so a journal
 * that came with somebody's photos is not accepted.
 * @module
 */
import { dirname } from "@std/path";
import { writeAll, writeAtomically } from "../format/atomic_write.ts";
import { openOwnFile, readWhole } from "../format/own_file.ts";

/** An open file of JSON lines. */
export interface JsonLines extends Disposable {
  /** Objects that the file had when it was opened. */
  readonly before: readonly Line[];
  /** Appends an object; synced to disk when it returns. */
  add(value: Line): void;
}

type Line = Record<string, unknown>;

/** Maximum bytes of a journal, about half a million photos. */
const MOST_BYTES = 2 ** 28;

/** Beginnings of the first line: of a caption journal and of a result journal. */
const BEGINNINGS = ['{"photo":"', '{"key":"'];

/**
 * Opens or creates the file at `path`, for this process only. Needs
 * `--allow-read --allow-write` for it.
 * @param options `trust`: accept a journal of another folder, machine or
 * version
 * @throws {RangeError} if the path is another kind of file, or a journal of
 * another folder
 */
export function openJsonLines(
  path: string,
  { trust = false }: { readonly trust?: boolean } = {},
): JsonLines {
  let file = openOwnFile(path, { append: true });
  try {
    lock(file, path);
    const folder = folderOf(path);
    let text = new TextDecoder().decode(readWhole(file, path, MOST_BYTES));
    if (!isOurs(text, folder)) {
      if (!trust || !isJournal(text)) refuse(path, isJournal(text));
      text = text.split("\n").flatMap(parsed)
        .map((line) => `${JSON.stringify({ ...line, folder })}\n`).join("");
      writeAtomically(
        path,
        (f) => writeAll(f, new TextEncoder().encode(text)),
      );
      file.close();
      file = openOwnFile(path, { append: true });
      lock(file, path);
    }
    let torn = text !== "" && !text.endsWith("\n");
    return {
      before: text.split("\n").flatMap(parsed)
        .filter((line) => line.folder === folder),
      add(value) {
        const line = `${torn ? "\n" : ""}${
          JSON.stringify({ ...value, folder })
        }\n`;
        torn = true; // until it is whole
        writeAll(file, new TextEncoder().encode(line));
        file.syncDataSync();
        torn = false;
      },
      [Symbol.dispose]: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function lock(file: Deno.FsFile, path: string) {
  if (file.tryLockSync(true)) return;
  throw new Error(
    `Cannot write ${
      JSON.stringify(path)
    }: another process is writing it; wait for that process, or stop it`,
  );
}

/**
 * Identifies the folder of `path` on this machine: its inode number, which
 * another machine cannot know and which survives moving; without inodes its
 * path.
 */
function folderOf(path: string): string {
  const folder = dirname(path);
  return String(Deno.statSync(folder).ino ?? Deno.realPathSync(folder));
}

/** Whether a journal belongs to `folder`: the first complete line decides. */
function isOurs(text: string, folder: string): boolean {
  if (text === "") return true;
  if (!isJournal(text)) return false;
  for (const line of text.split("\n", 8).flatMap(parsed)) {
    return line.folder === folder;
  }
  return true;
}

function isJournal(text: string): boolean {
  const [first] = text.split("\n", 1);
  return first !== "" &&
    BEGINNINGS.some((b) => first.startsWith(b) || b.startsWith(first));
}

function refuse(path: string, journal: boolean): never {
  throw new RangeError(
    `Cannot write ${JSON.stringify(path)}: it is ${
      journal
        ? "the journal of another folder, or it came with the photos; remove it, or add --trust-journal if it is yours"
        : "not a journal of mquant; name another file with --journal"
    }`,
  );
}

function parsed(line: string): Line[] {
  try {
    const value = JSON.parse(line);
    return typeof value === "object" && value !== null ? [value] : [];
  } catch {
    return []; // an empty line, or one that a crash cut short
  }
}
