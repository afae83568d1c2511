/**
 * The files of a checkpoint besides its weights, from a folder or another source, in
 * the layouts of older and newer tools.
 * @module
 */
import { basename, join } from "@std/path";
import { parseSettings, StrictJsonError } from "../format/strict_json.ts";
import { nestedSettings } from "../image/processors.ts";
import { supplementOf } from "../models/mod.ts";
import type { Supplement } from "../models/supplement.ts";
import { readTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { tokenizerJsonOf } from "../tokenizer/side_files.ts";
import { rankedTokenizerJson, readRanks } from "../tokenizer/tiktoken.ts";

/** File of the image settings; required for models that take images. */
export const PROCESSOR = "preprocessor_config.json";

/** File with stop token ids, besides config.json. */
export const GENERATION = "generation_config.json";

/** File of the chat template in a model file. */
export const TEMPLATE = "chat_template.jinja";

/** Files that are stored in a model file, so that it is self-contained. */
const ASSETS = [
  "tokenizer.json",
  "tokenizer_config.json",
  TEMPLATE,
  PROCESSOR,
  GENERATION,
] as const;

/** Files by name. */
export interface SideFiles {
  /** Path of a file, for error messages. */
  path(name: string): string;
  /** Bytes of a file; undefined if it does not exist. */
  read(name: string): Uint8Array<ArrayBuffer> | undefined;
}

/** Files that are stored in a model file, by name. */
export type Assets = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

/** The files of a folder. */
export function folderFiles(folder: string): SideFiles {
  const path = (name: string) => join(folder, name);
  return {
    path,
    read(name) {
      try {
        return Deno.readFileSync(path(name));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
  };
}

/** A required file does not exist. */
export class MissingFile extends RangeError {
  /** @param file its name */
  constructor(files: SideFiles, readonly file: string) {
    super(
      `Cannot read checkpoint file ${
        JSON.stringify(files.path(file))
      }: there is no such file; download the whole checkpoint`,
    );
  }
}

/** Reads and parses a JSON file; throws `MissingFile`, or a `RangeError` for invalid JSON. */
export function readJson(
  files: SideFiles,
  name: string,
): Record<string, unknown> {
  const json = findJson(files, name);
  if (json) return json;
  throw new MissingFile(files, name);
}

/** Reads and parses a JSON file; undefined if it does not exist. */
function findJson(
  files: SideFiles,
  name: string,
): Record<string, unknown> | undefined {
  const bytes = files.read(name);
  return bytes && parseJson(new TextDecoder().decode(bytes), name);
}

/** Parses a JSON file called `name`. */
export function parseJson(text: string, name: string): Record<string, unknown> {
  try {
    return parseSettings(text);
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw new RangeError(
      `Cannot read checkpoint file ${
        JSON.stringify(basename(name))
      }: it ${error.message}; download it again`,
    );
  }
}

/** The files to store in a model file, or their substitutes; throws `MissingFile` without a tokenizer. */
export function readAssets(files: SideFiles, supplement: Supplement): Assets {
  const { assets, missing } = findAssets(files, supplement);
  if (missing) throw missing;
  return assets;
}

/** As `readAssets`, but returns the name of a missing tokenizer as `missing`. */
export function findAssets(
  files: SideFiles,
  supplement: Supplement,
): { readonly assets: Assets; readonly missing?: MissingFile } {
  const assets: Record<string, Uint8Array<ArrayBuffer>> = {};
  let missing: MissingFile | undefined;
  const { tokenizer } = supplement;
  for (const name of ASSETS) {
    const bytes = name === "tokenizer.json" && tokenizer
      ? files.read(tokenizer.file) ?? files.read(name)
      : files.read(name);
    if (bytes === undefined) {
      const made = standIn(files, name, supplement);
      if (made !== undefined) assets[name] = new TextEncoder().encode(made);
      else if (name === "tokenizer.json") {
        const ranks = supplement.ranks?.file;
        missing = new MissingFile(files, ranks ?? name);
      }
    } else if (name === PROCESSOR && supplement.settings) {
      const settings = { ...readJson(files, name), ...supplement.settings };
      assets[name] = new TextEncoder().encode(JSON.stringify(settings));
    } else assets[name] = bytes;
  }
  return missing ? { assets, missing } : { assets };
}

/** Substitute of a missing file: the same content in another layout, or the family's supplement. */
function standIn(
  files: SideFiles,
  name: string,
  { processor, settings: set, ranks }: Supplement,
): string | undefined {
  if (name === PROCESSOR) {
    const settings = newerSettings(files) ?? processor ?? set;
    return settings && JSON.stringify(settings);
  }
  if (name !== "tokenizer.json") return undefined;
  if (!ranks) return tokenizerJsonOf((file) => files.read(file));
  const bytes = files.read(ranks.file);
  if (!bytes) return undefined;
  const vocabulary = readRanks(new TextDecoder().decode(bytes));
  const settings = findJson(files, "tokenizer_config.json") ?? {};
  return rankedTokenizerJson(
    vocabulary,
    ranks.words(vocabulary.size, settings),
  );
}

/** Image settings of a processor_config.json, where transformers 5 keeps them. */
function newerSettings(files: SideFiles): Record<string, unknown> | undefined {
  const json = findJson(files, "processor_config.json");
  return json && nestedSettings(json);
}

/** Location of the tokenizer for families that keep it in another repository. */
export function tokenizerElsewhere(
  config: Uint8Array,
): Supplement["tokenizer"] {
  try {
    const json = parseJson(new TextDecoder().decode(config), "config.json");
    return supplementOf(json).tokenizer;
  } catch {
    return undefined; // what is wrong in it, the check says
  }
}

/** Reads tokenizer.json of the assets; throws if it does not fit the family. */
export function tokenizerOf(
  assets: Assets,
  { tokenizer: other }: Supplement,
): Tokenizer {
  const tokenizer = readTokenizer(
    new TextDecoder().decode(assets["tokenizer.json"]),
  );
  const wrong = other?.specialIds.find((id) => !tokenizer.isSpecial(id));
  if (!other || wrong === undefined) return tokenizer;
  throw new RangeError(
    `Cannot use tokenizer.json: it is an older tokenizer, in which id ${wrong} is no special token; save tokenizer.json of ${other.repository} as ${other.file} beside config.json, as \`mquant pull\` does`,
  );
}

/**
 * The chat template: chat_template.jinja, chat_template.json of older processors,
 * the family's supplement, or that of tokenizer_config.json; undefined without one.
 * @param textOf text of tokens, for families whose template names them by id
 */
export function templateOf(
  files: SideFiles,
  assets: Assets,
  { template: own }: Supplement,
  textOf: (ids: readonly number[]) => string,
): string | undefined {
  if (TEMPLATE in assets) return new TextDecoder().decode(assets[TEMPLATE]);
  const json = (name: string) =>
    defaultTemplate(findJson(files, name)?.chat_template);
  return json("chat_template.json") ??
    (typeof own === "function" ? own(textOf) : own) ??
    json("processor_config.json") ?? json("tokenizer_config.json");
}

/** A template, or the default one of several: a list of `{name, template}`, or an object by name. */
function defaultTemplate(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return undefined;
  const named: [unknown, unknown][] = Array.isArray(value)
    ? value.map((one) => [one?.name, one?.template])
    : Object.entries(value);
  const [, found] = named.find(([name]) => name === "default") ?? named[0] ??
    [];
  return typeof found === "string" ? found : undefined;
}
