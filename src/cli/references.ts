/**
 * A folder to evaluate on: images/ and captions.json, a list of
 * `{"file", "captions": [...]}`.
 * @module
 */
import { join } from "@std/path";

/** A photo and what people said of it. */
export interface Reference {
  /** Name of the file in images/. */
  readonly file: string;
  /** Path of the photo. */
  readonly path: string;
  /** What people said. */
  readonly captions: readonly string[];
}

/** Reads `folder`/captions.json; errors say what is wrong in it. */
export function readReferences(folder: string): Reference[] {
  const path = join(folder, "captions.json");
  const fail = (problem: string): never => {
    throw new RangeError(
      `Cannot read ${
        JSON.stringify(path)
      }: ${problem}; it must be a list of {"file": NAME, "captions": [TEXT, ...]} beside images/`,
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
    const { file, captions } = (entry ?? {}) as Partial<Reference>;
    if (typeof file !== "string" || !/^[^/\\]+$/.test(file) || file === "..") {
      return fail(`entry ${i} names no file of images/`);
    }
    const good = Array.isArray(captions) && captions.length > 0 &&
      captions.every((c) => typeof c === "string");
    if (!good) return fail(`entry ${i} (${file}) has no captions`);
    return { file, path: join(folder, "images", file), captions };
  });
}
