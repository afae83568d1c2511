/**
 * Opens a Hugging Face checkpoint folder for quantizer and evaluator: model,
 * tokenizer, chat template, image settings. Only headers and JSON files are
 * read at first; tensors are read when they are needed.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join, resolve } from "@std/path";
import { openCheckpoint } from "../format/checkpoint.ts";
import { schemeOf } from "../format/quantization/scheme.ts";
import { parseSettings, StrictJsonError } from "../format/strict_json.ts";
import { sameStored } from "../format/safetensors.ts";
import type { Grid } from "../graph/grid.ts";
import { nestedSettings } from "../image/processors.ts";
import { imageFormat } from "../graph/image_text.ts";
import type { Model } from "../graph/node.ts";
import { checkSupported, describe, supplementOf } from "../models/mod.ts";
import type { Supplement } from "../models/supplement.ts";
import { chat, type ChatFormat } from "../tokenizer/chat.ts";
import { tokenizerJsonOf } from "../tokenizer/side_files.ts";
import { readTokenizer } from "../tokenizer/tokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { rankedTokenizerJson, readRanks } from "../tokenizer/tiktoken.ts";
import { weightsOf } from "./weights.ts";

/** Default prompt of a caption. */
export const DEFAULT_PROMPT = "Describe this image.";

/** Image settings; required if the model takes images. */
const PROCESSOR = "preprocessor_config.json";

/** File with the stop token ids, in addition to config.json. */
const GENERATION = "generation_config.json";

/** Files that are stored in a model file. */
const ASSETS = [
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  PROCESSOR,
  GENERATION,
] as const;

/** An open checkpoint. */
export interface FloatCheckpoint extends Disposable {
  /** Name of its folder. */
  readonly name: string;
  /** The model, its parameters read when they are needed. */
  readonly model: Model;
  /** Its tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Its chat template. */
  readonly format: ChatFormat;
  /** Parsed preprocessor_config.json; empty for a text-only model. */
  readonly processor: Record<string, unknown>;
  /** Files to store in the model file, by name. */
  readonly assets: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
  /**
   * Reads all weights once: a few seconds for 2 billion parameters.
   * @throws {RangeError} naming the first one the model uses that holds NaN or infinity
   */
  checkWeights(): void;
  /**
   * SHA-256 of all its files, read again: a few seconds for 2 billion
   * parameters.
   */
  sha256(): string;
  /**
   * Token ids of a prompt about one image, with image tokens expanded; for a
   * text-only model, of the text alone.
   * @param grid patches of the image; default: the tower's own size
   */
  promptIds(text: string, grid?: Grid): number[];
}

/** Opens the checkpoint in `folder`. Errors name the file that is wrong. */
export function openFloatCheckpoint(folder: string): FloatCheckpoint {
  checkFolder(folder);
  const config = readJson(join(folder, "config.json"));
  checkSupported(config);
  const supplement = supplementOf(config);
  const assets = readAssets(folder, supplement);
  const text = (name: string) => new TextDecoder().decode(assets[name]);
  const json = (name: string) => parseJson(text(name), name);
  const tokenizer = readTokenizer(text("tokenizer.json"));
  const settings = "tokenizer_config.json" in assets
    ? json("tokenizer_config.json")
    : {};
  const textOf = (ids: readonly number[]) =>
    tokenizer.decode(ids, { skipSpecial: false });
  const stated = "chat_template.jinja" in assets
    ? text("chat_template.jinja")
    : olderTemplate(folder) ?? madeTemplate(supplement, textOf) ??
      settings.chat_template;
  if (typeof stated !== "string") {
    throw new RangeError(
      `Cannot read checkpoint ${
        JSON.stringify(folder)
      }: it has no chat template (chat_template.jinja, chat_template.json, or in tokenizer_config.json); add the one from its model page`,
    );
  }
  const file = openCheckpoint(folder);
  try {
    const { tensors, check } = weightsOf(file, schemeOf(config));
    const processor = PROCESSOR in assets ? json(PROCESSOR) : {};
    const { idOf } = tokenizer;
    const sameBytes = (a: string, b: string) => {
      const [one, other] = [file.tensors.get(a), file.tensors.get(b)];
      return !!one && !!other && sameStored(one, other);
    };
    const model = withStops(
      describe({ config, tensors, sameBytes, processor, idOf, textOf }),
      GENERATION in assets ? json(GENERATION) : {},
    );
    const { info } = model;
    if (info.image && !(PROCESSOR in assets)) {
      throw missing(join(folder, PROCESSOR));
    }
    const template = info.image
      ? withLeading(stated, tokenizer.leading)
      : stated;
    const format: ChatFormat = {
      template,
      ...imageFormat(tokenizer, info),
      variables: tokensOf(settings),
    };
    return {
      name: basename(resolve(folder)),
      model,
      tokenizer,
      format,
      processor,
      assets: {
        ...assets,
        "chat_template.jinja": new TextEncoder().encode(template),
      },
      checkWeights: () => check(model),
      sha256: () => contentHash(folder),
      promptIds: (prompt, grid) =>
        chat(tokenizer, [{
          role: "user",
          content: [
            ...(info.image ? [{ type: "image" } as const] : []),
            { type: "text", text: prompt },
          ],
        }], { ...format, ...imageFormat(tokenizer, info, grid) }).ids,
      [Symbol.dispose]: () => file[Symbol.dispose](),
    };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/**
 * Adds the stop token ids of generation_config.json, so that calibration
 * answers end where a session's answers end.
 */
function withStops(
  model: Model,
  { eos_token_id: ids }: Record<string, unknown>,
): Model {
  const more = [ids].flat().filter((id): id is number =>
    Number.isInteger(id) && id as number >= 0 &&
    id as number < model.info.vocabulary
  );
  const stopIds = [...new Set([...model.info.stopIds, ...more])];
  return { ...model, info: { ...model.info, stopIds } };
}

function checkFolder(folder: string) {
  const stat = statOf(folder);
  if (stat?.isDirectory) return;
  throw new RangeError(
    `Cannot read checkpoint ${JSON.stringify(folder)}: ${
      stat === undefined ? "there is no such folder" : "it is a file"
    }; give the folder that holds config.json and model.safetensors`,
  );
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function readAssets(
  folder: string,
  supplement: Supplement,
): Record<string, Uint8Array<ArrayBuffer>> {
  const assets: Record<string, Uint8Array<ArrayBuffer>> = {};
  for (const name of ASSETS) {
    const path = join(folder, name);
    if (statOf(path)) {
      assets[name] = Deno.readFileSync(path);
      if (name === PROCESSOR && supplement.settings) {
        const settings = { ...readJson(path), ...supplement.settings };
        assets[name] = new TextEncoder().encode(JSON.stringify(settings));
      }
      continue;
    }
    const made = standIn(folder, name, supplement);
    if (made !== undefined) assets[name] = new TextEncoder().encode(made);
    else if (name === "tokenizer.json") throw missing(path);
  }
  return assets;
}

/** The family's substitute for a missing file. */
function standIn(
  folder: string,
  name: string,
  { processor, settings: set, ranks }: Supplement,
): string | undefined {
  if (name === PROCESSOR) {
    const settings = newerSettings(folder) ?? processor ?? set;
    return settings && JSON.stringify(settings);
  }
  if (name !== "tokenizer.json") return undefined;
  if (!ranks) {
    return tokenizerJsonOf((file) => {
      const path = join(folder, file);
      return statOf(path) && Deno.readFileSync(path);
    });
  }
  const path = join(folder, ranks.file);
  if (!statOf(path)) throw missing(path);
  const vocabulary = readRanks(Deno.readTextFileSync(path));
  const settings = join(folder, "tokenizer_config.json");
  const words = ranks.words(
    vocabulary.size,
    statOf(settings) ? readJson(settings) : {},
  );
  return rankedTokenizerJson(vocabulary, words);
}

/** Image settings in processor_config.json, as transformers 5 writes them. */
function newerSettings(folder: string): Record<string, unknown> | undefined {
  const path = join(folder, "processor_config.json");
  return statOf(path) ? nestedSettings(readJson(path)) : undefined;
}

/** The template in chat_template.json, as older checkpoints have it. */
function olderTemplate(folder: string): unknown {
  const path = join(folder, "chat_template.json");
  return statOf(path) ? readJson(path).chat_template : undefined;
}

/**
 * A template that writes the tokenizer's leading token. transformers' processors
 * let the tokenizer add it where the prompt does not begin with it; tokenizers of
 * text-only models do not.
 */
function withLeading(template: string, token: string | undefined): string {
  if (token === undefined) return template;
  const writes = template.includes(token) || /\bbos_token\b/.test(template);
  return writes ? template : token + template;
}

/** The family's own template. */
function madeTemplate(
  { template }: Supplement,
  textOf: (ids: readonly number[]) => string,
): string | undefined {
  return typeof template === "function" ? template(textOf) : template;
}

function missing(path: string): RangeError {
  return new RangeError(
    `Cannot read checkpoint file ${
      JSON.stringify(path)
    }: there is no such file; download the whole checkpoint`,
  );
}

function readJson(path: string): Record<string, unknown> {
  if (!statOf(path)) throw missing(path);
  return parseJson(Deno.readTextFileSync(path), basename(path));
}

function parseJson(text: string, name: string): Record<string, unknown> {
  try {
    return parseSettings(text);
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw new RangeError(
      `Cannot read checkpoint file ${
        JSON.stringify(name)
      }: it ${error.message}; download it again`,
    );
  }
}

/** Special tokens of tokenizer_config.json, as templates name them. */
function tokensOf(settings: Record<string, unknown>): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [key, value] of Object.entries(settings)) {
    if (!key.endsWith("_token")) continue;
    const content = (value as { content?: unknown } | null)?.content ?? value;
    if (typeof content === "string") tokens[key] = content;
  }
  return tokens;
}

/** SHA-256 of the names and bytes of a checkpoint's files. */
function contentHash(folder: string): string {
  const hash = createHash("sha256"), chunk = new Uint8Array(1 << 22);
  const names = [...Deno.readDirSync(folder)].map((e) => e.name)
    .filter((name) =>
      /\.(json|jinja|safetensors|tiktoken|model)$|^merges\.txt$/.test(name)
    ).sort();
  for (const name of names) {
    hash.update(`${name}\n`);
    using file = Deno.openSync(join(folder, name));
    for (let n; (n = file.readSync(chunk)) !== null;) {
      hash.update(chunk.subarray(0, n));
    }
  }
  return hash.digest("hex");
}
