/**
 * Opens a Hugging Face checkpoint folder for quantizer and evaluator: model,
 * tokenizer, chat template, image settings. Only headers and JSON files are
 * read at first; tensors are read when they are needed.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join, resolve } from "@std/path";
import { openCheckpoint } from "../format/checkpoint.ts";
import { openGguf } from "../format/gguf/read.ts";
import { schemeOf } from "../format/quantization/scheme.ts";
import { sameIn, type TensorFile } from "../format/safetensors.ts";
import { fileSource } from "../format/source.ts";
import { statOf } from "../format/stat.ts";
import type { Grid } from "../graph/grid.ts";
import { imageFormat } from "../graph/image_text.ts";
import type { Model } from "../graph/node.ts";
import { checkSupported, describe, supplementOf } from "../models/mod.ts";
import { chat, type ChatFormat } from "../tokenizer/chat.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { checkpointOf } from "./gguf.ts";
import {
  type Assets,
  folderFiles,
  GENERATION,
  MissingFile,
  parseJson,
  PROCESSOR,
  readAssets,
  readJson,
  type SideFiles,
  TEMPLATE,
  templateOf,
  tokenizerOf,
} from "./side_files.ts";
import { weightsOf } from "./weights.ts";

/** Default prompt of a caption. */
export const DEFAULT_PROMPT = "Describe this image.";

/** Error message for a checkpoint without a chat template. */
export const NO_TEMPLATE =
  "it has no chat template (chat_template.jinja, chat_template.json, or in tokenizer_config.json); add the one from its model page";

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
  readonly assets: Assets;
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

/** Files of a checkpoint; weights are opened when they are needed. */
interface CheckpointFiles {
  readonly side: SideFiles;
  weights(): TensorFile;
  sha256(): string;
}

/** Files at a path; `open` closes what was opened. */
function filesOf(path: string, open: DisposableStack): CheckpointFiles {
  if (isGguf(path)) {
    const gguf = openGguf(fileSource(path));
    open.use(gguf.file);
    const { files, weights } = checkpointOf(gguf, path);
    return {
      side: files,
      weights: () => weights,
      sha256: () => hashOf([path]),
    };
  }
  checkFolder(path);
  return {
    side: folderFiles(path),
    weights: () => open.use(openCheckpoint(path)),
    sha256: () => contentHash(path),
  };
}

/** Whether a path names a GGUF file. */
export function isGguf(path: string): boolean {
  return /\.gguf$/i.test(path) && statOf(path)?.isFile === true;
}

/** Opens the checkpoint in a folder or in a GGUF file. Errors name the file that is wrong. */
export function openFloatCheckpoint(folder: string): FloatCheckpoint {
  using open = new DisposableStack();
  const { side: files, weights, sha256 } = filesOf(folder, open);
  const config = readJson(files, "config.json");
  checkSupported(config);
  const supplement = supplementOf(config);
  const assets = readAssets(files, supplement);
  const text = (name: string) => new TextDecoder().decode(assets[name]);
  const json = (name: string) => parseJson(text(name), name);
  const tokenizer = tokenizerOf(assets, supplement);
  const settings = "tokenizer_config.json" in assets
    ? json("tokenizer_config.json")
    : {};
  const textOf = (ids: readonly number[]) =>
    tokenizer.decode(ids, { skipSpecial: false });
  const stated = templateOf(files, assets, supplement, textOf);
  if (stated === undefined) {
    throw new RangeError(
      `Cannot read checkpoint ${JSON.stringify(folder)}: ${NO_TEMPLATE}`,
    );
  }
  const file = weights();
  const { tensors, check } = weightsOf(file, schemeOf(config));
  const processor = PROCESSOR in assets ? json(PROCESSOR) : {};
  const { idOf } = tokenizer;
  const sameBytes = sameIn(file);
  const model = withStops(
    describe({ config, tensors, sameBytes, processor, idOf, textOf }),
    GENERATION in assets ? json(GENERATION) : {},
  );
  const { info } = model;
  if (info.image && !(PROCESSOR in assets)) {
    throw new MissingFile(files, PROCESSOR);
  }
  const template = info.image ? withLeading(stated, tokenizer.leading) : stated;
  const format: ChatFormat = {
    template,
    ...imageFormat(tokenizer, info),
    variables: tokensOf(settings),
  };
  const owned = open.move();
  return {
    name: basename(resolve(folder)),
    model,
    tokenizer,
    format,
    processor,
    assets: {
      ...assets,
      [TEMPLATE]: new TextEncoder().encode(template),
    },
    checkWeights: () => check(model),
    sha256,
    promptIds: (prompt, grid) =>
      chat(tokenizer, [{
        role: "user",
        content: [
          ...(info.image ? [{ type: "image" } as const] : []),
          { type: "text", text: prompt },
        ],
      }], { ...format, ...imageFormat(tokenizer, info, grid) }).ids,
    [Symbol.dispose]: () => owned.dispose(),
  };
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
  const names = [...Deno.readDirSync(folder)].map((e) => e.name)
    .filter((name) =>
      /\.(json|jinja|safetensors|tiktoken|model)$|^merges\.txt$/.test(name)
    ).sort();
  return hashOf(names.map((name) => join(folder, name)));
}

/** SHA-256 of the names and bytes of files. */
function hashOf(paths: readonly string[]): string {
  const hash = createHash("sha256"), chunk = new Uint8Array(1 << 22);
  for (const path of paths) {
    hash.update(`${basename(path)}\n`);
    using file = Deno.openSync(path);
    for (let n; (n = file.readSync(chunk)) !== null;) {
      hash.update(chunk.subarray(0, n));
    }
  }
  return hash.digest("hex");
}
