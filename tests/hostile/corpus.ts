/**
 * The hostile files: `files/READER/CODE--WHAT`, where CODE is the `code` of the
 * error that READER must answer with, or its name where it has none. Those made
 * by hand come from cases/ and are written by
 * `deno run -A tests/hostile/corpus.ts`; those that fuzzing found (`found-…`)
 * are there alone.
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

/** Where they lie. */
export const FILES = new URL("./files/", import.meta.url);

/** Cases made by hand, by reader. */
export const CASES: Readonly<Record<string, readonly Case[]>> = {
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

/** Name of a case's file. */
export function fileName([code, what]: Case): string {
  const words = what.replaceAll(/[^\p{L}\p{N}_^.]+/gu, "-").replaceAll("^", "");
  return `${code}--${words.replace(/-$/, "")}`;
}

if (import.meta.main) {
  for (const [reader, cases] of Object.entries(CASES)) {
    const folder = new URL(`${reader}/`, FILES);
    Deno.mkdirSync(folder, { recursive: true });
    for (const case_ of cases) {
      Deno.writeFileSync(
        new URL(encodeURIComponent(fileName(case_)), folder),
        case_[2],
      );
    }
  }
}
