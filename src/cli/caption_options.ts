/**
 * Options of `caption`, and the library options that follow from them.
 * @module
 */
import { open } from "../mod.ts";
import type { CaptionOptions, JsonSchema, Session } from "../mod.ts";
import type { Values } from "./command.ts";
import {
  MEMORY_OPTION,
  memoryOption,
  MODEL_OPTION,
  modelPath,
} from "./model_path.ts";
import { PICTURE_OPTIONS, pictureOptions } from "./picture_options.ts";

/** Options of `caption`. */
export const CAPTION_OPTIONS = {
  prompt: {
    type: "string",
    value: "TEXT",
    help: "question or instruction; default: the model's caption prompt",
  },
  "max-tokens": {
    type: "integer",
    help: "maximum length of the answer, in tokens",
    min: 1,
    max: 1024,
  },
  ...PICTURE_OPTIONS,
  "max-memory": MEMORY_OPTION,
  threads: {
    type: "integer",
    help: "number of threads; default: one per CPU, at most 4",
    min: 1,
    max: 64,
  },
  temperature: {
    type: "number",
    help: "sampling temperature; 0 is greedy decoding",
    min: 0,
    max: 10,
  },
  "top-k": {
    type: "integer",
    help: "sample from the k most likely tokens",
    min: 1,
    max: 1000,
  },
  "top-p": {
    type: "number",
    help:
      "sample from the most likely tokens whose probabilities add up to this (nucleus sampling)",
    min: 0.001,
    max: 1,
  },
  seed: {
    type: "integer",
    help: "seed of sampling; the same seed gives the same answer",
    min: 0,
    max: 2 ** 32 - 1,
  },
  schema: {
    type: "string",
    value: "FILE",
    help: "answer with JSON that is valid for the JSON schema in FILE",
  },
  model: MODEL_OPTION,
  sidecar: {
    type: "string",
    value: "KIND,...",
    help: "write captions into files beside the photos; kinds: txt, json, xmp",
  },
  journal: {
    type: "string",
    value: "FILE",
    help:
      "append every caption to FILE (JSONL) and resume from it; default with --sidecar: captions.jsonl in the first folder",
  },
  "trust-journal": {
    type: "boolean",
    help:
      "resume from a journal that was written in another folder or on another machine",
  },
  overwrite: {
    type: "boolean",
    help: "replace sidecars that were written or edited by somebody else",
  },
  "full-names": {
    type: "boolean",
    help: "name sidecars photo.jpg.txt instead of photo.txt",
  },
  watch: {
    type: "boolean",
    help: "keep running and caption new photos, until Ctrl-C",
  },
  "alt-text": {
    type: "boolean",
    help:
      "add missing alt text to HTML and Markdown pages instead of captioning photos",
  },
  "site-root": {
    type: "string",
    value: "FOLDER",
    help: "folder that addresses beginning with / refer to, for --alt-text",
  },
  json: {
    type: "boolean",
    help: "print one line of JSON per photo",
  },
  quiet: { type: "boolean", help: "print only errors on stderr" },
} as const;

/** Parsed options of `caption`. */
export type CaptionValues = Values<typeof CAPTION_OPTIONS>;

/** Opens the model. */
export async function openSession(
  values: CaptionValues,
  signal: AbortSignal,
): Promise<Session> {
  return await open(modelPath(values.model), {
    ...given({ threads: values.threads }),
    ...memoryOption(values),
    ...pictureOptions(values),
    signal,
  });
}

/**
 * A session that is opened at its first use, so that a run with nothing to do
 * opens none.
 */
export function lazily(open: () => Promise<Session>) {
  let opened: Promise<Session> | undefined;
  return {
    get: () => opened ??= open(),
    async [Symbol.asyncDispose]() {
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}

/** Library options of a question. */
export function askOptions(
  question: Question,
  signal: AbortSignal,
): CaptionOptions {
  return { ...given(question), signal };
}

/** The options that affect an answer. */
export type Question = ReturnType<typeof questionOf>;

/**
 * The options that affect an answer. Call it once per run: the schema file may
 * change meanwhile.
 */
export function questionOf(values: CaptionValues) {
  return {
    prompt: values.prompt,
    maxTokens: values["max-tokens"],
    ...pictureOptions(values),
    temperature: values.temperature,
    topK: values["top-k"],
    topP: values["top-p"],
    seed: values.seed,
    schema: schemaIn(values.schema),
  };
}

function schemaIn(path: string | undefined): JsonSchema | undefined {
  if (path === undefined) return undefined;
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(
      `Cannot read the schema ${
        JSON.stringify(path)
      }: it is not JSON; see json-schema.org`,
    );
  }
}

/** `object` without undefined properties. */
function given<T extends object>(
  object: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, v]) => v !== undefined),
  ) as never;
}
