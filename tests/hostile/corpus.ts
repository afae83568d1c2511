/**
 * Hostile inputs: files made to harm, each with the `code` of the error that its
 * reader must answer with (the error's name if it has no code). Those of `cases/`
 * are made here, in memory. Inputs that fuzzing found cannot be derived from
 * anything, so they are kept as files: `files/READER/CODE--found-SEED-NUMBER`.
 * @module
 */
import { decode } from "../../src/image/decode.ts";
import { TARGETS } from "../fuzz/targets.ts";
import type { Target } from "../fuzz/target.ts";
import type { Case } from "./cases/case.ts";
import { IMAGE } from "./cases/image.ts";
import { GRAPHS, INDEX, MODEL } from "./cases/model.ts";
import { REQUEST } from "./cases/request.ts";
import { SAFETENSORS } from "./cases/safetensors.ts";
import { CONFIGS, PROCESSOR, TEMPLATE, TOKENIZER } from "./cases/text.ts";

/** Folder of the inputs that fuzzing found. */
export const FILES = new URL("./files/", import.meta.url);

/** Cases by reader. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  safetensors: SAFETENSORS,
  model: MODEL,
  graph: GRAPHS,
  index: INDEX,
  tokenizer: TOKENIZER,
  config: CONFIGS,
  processor: PROCESSOR,
  template: TEMPLATE,
  request: REQUEST,
  image: IMAGE,
};

/** The reader of a folder: a fuzz target, or the whole decoder of pictures. */
export function readerOf(folder: string): Pick<Target, "read" | "errors"> {
  const target = TARGETS.find((t) => t.name === folder);
  if (target) return target;
  if (folder === "image") {
    return { read: (b) => decode(b), errors: ["ImageError"] };
  }
  throw new Error(`there is no reader ${folder}`);
}

/** One hostile input. */
export interface Hostile {
  /** `CODE--WHAT`. */
  readonly name: string;
  readonly code: string;
  readonly bytes: Uint8Array;
}

/** `CODE--WHAT` of a case, without blanks. */
function nameOf([code, what]: Case): string {
  const words = what.replaceAll(/[^\p{L}\p{N}_^.]+/gu, "-").replaceAll("^", "");
  return `${code}--${words.replace(/-$/, "")}`;
}

/** Inputs that fuzzing found for a reader. */
function found(reader: string): Hostile[] {
  const folder = new URL(`${reader}/`, FILES);
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => ({
      name,
      code: name.split("--")[0],
      bytes: Deno.readFileSync(new URL(encodeURIComponent(name), folder)),
    }));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** All hostile inputs by reader. */
export function hostileInputs(): Map<string, Hostile[]> {
  const readers = new Set([
    ...Object.keys(CASES),
    ...[...Deno.readDirSync(FILES)].map((e) => e.name),
  ]);
  return new Map([...readers].map((reader) => {
    const made = (CASES[reader] ?? []).map((c): Hostile => ({
      name: nameOf(c),
      code: c[0],
      bytes: c[2],
    }));
    return [reader, [...made, ...found(reader)]];
  }));
}
