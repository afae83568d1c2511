/**
 * A folder to evaluate on: images/, and captions.json, a list of
 * `{"file", "captions": [...]}`, or questions.json, a list of
 * `{"file", "question", "answers": [...]}`, or text.txt, or several of them.
 * @module
 */
import { join } from "@std/path";
import { statOf } from "../format/stat.ts";

/** A photo, the question about it, and the reference texts. */
export interface Reference {
  /** Name of the file in images/. */
  readonly file: string;
  /** Path of the photo. */
  readonly path: string;
  /** The question; absent for captions. */
  readonly question?: string;
  /** References: captions or answers. */
  readonly texts: readonly string[];
}

/** The lists of a folder. */
export interface References {
  readonly captions: readonly Reference[];
  readonly questions: readonly Reference[];
  /** Path of a text for the perplexity. */
  readonly text?: string;
}

const LISTS = {
  captions: {
    file: "captions.json",
    wish: '{"file": NAME, "captions": [TEXT, ...]}',
    texts: "captions",
  },
  questions: {
    file: "questions.json",
    wish: '{"file": NAME, "question": TEXT, "answers": [TEXT, ...]}',
    texts: "answers",
  },
} as const;

/**
 * Reads the lists of `folder`.
 * @throws {RangeError} for invalid lists
 */
export function readReferences(folder: string): References {
  const there = (list: keyof typeof LISTS) => exists(folder, LISTS[list].file);
  const text = exists(folder, "text.txt");
  // Where there is nothing, captions.json is what is missed.
  return {
    captions: there("captions") || !(there("questions") || text)
      ? readList(folder, "captions")
      : [],
    questions: there("questions") ? readList(folder, "questions") : [],
    ...(text ? { text: join(folder, "text.txt") } : {}),
  };
}

function exists(folder: string, name: string): boolean {
  return statOf(join(folder, name))?.isFile === true;
}

function readList(folder: string, list: keyof typeof LISTS): Reference[] {
  const { file: name, wish, texts: field } = LISTS[list];
  const path = join(folder, name);
  const fail = (problem: string): never => {
    throw new RangeError(
      `Cannot read ${
        JSON.stringify(path)
      }: ${problem}; it must be a list of ${wish} beside images/`,
    );
  };
  let json: unknown;
  try {
    json = JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) fail("there is no such file");
    if (!(error instanceof SyntaxError)) throw error;
    fail("it is not JSON");
  }
  if (!Array.isArray(json) || json.length === 0) {
    return fail("it is not a list with entries");
  }
  return json.map((entry, i) => {
    const { file, question, [field]: texts } = (entry ?? {}) as Record<
      string,
      unknown
    >;
    if (typeof file !== "string" || !/^[^/\\]+$/.test(file) || file === "..") {
      return fail(`entry ${i} names no file of images/`);
    }
    const good = Array.isArray(texts) && texts.length > 0 &&
      texts.every((c) => typeof c === "string");
    if (!good) return fail(`entry ${i} (${file}) has no ${field}`);
    const reference = { file, path: join(folder, "images", file), texts };
    if (list === "captions") return reference;
    if (typeof question === "string") return { ...reference, question };
    return fail(`entry ${i} (${file}) has no question`);
  });
}
