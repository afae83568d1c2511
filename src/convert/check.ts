/**
 * Checks whether a checkpoint can be quantized, and estimates memory, file size and
 * time, from its side files and the headers or names of its weights. No weight is read.
 * @module
 */
import { basename, dirname, resolve } from "@std/path";
import { planFor } from "../execute/options.ts";
import { DTYPE_BYTES } from "../format/dtype.ts";
import { decodedNames } from "../format/quantization/mod.ts";
import { type Scheme, schemeOf } from "../format/quantization/scheme.ts";
import { sameIn } from "../format/safetensors.ts";
import { statOf } from "../format/stat.ts";
import type { Model } from "../graph/node.ts";
import { tensorsOf } from "../graph/tensors.ts";
import { readImagePlan } from "../image/processors.ts";
import { type Checkpoint, withoutValues } from "../models/checkpoint.ts";
import {
  checkSupported,
  describe,
  supplementOf,
  typeOf,
} from "../models/mod.ts";
import type { Supplement } from "../models/supplement.ts";
import { transformed, unquantized } from "../plan/unquantized.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { TOKENIZER_FILES } from "../tokenizer/side_files.ts";
import type { CheckOptions, CheckResult } from "./check_result.ts";
import { NO_TEMPLATE } from "./checkpoint.ts";
import { quantizeWork, secondsFor } from "./estimate.ts";
import { type SeenWeights, weightsIn } from "./seen_weights.ts";
import {
  type Assets,
  findAssets,
  folderFiles,
  MissingFile,
  parseJson,
  PROCESSOR,
  readJson,
  type SideFiles,
  TEMPLATE,
  templateOf,
  tokenizerOf,
} from "./side_files.ts";
import { weightsOf } from "./weights.ts";

/**
 * Checks a checkpoint before it is quantized, or before its weights are there.
 * @param path a checkpoint folder, or a config.json, of which only the architecture is checked
 * @throws {RangeError} if there is no such folder or file
 */
export async function check(
  path: string,
  options: CheckOptions = {},
): Promise<CheckResult> {
  const files = filesAt(path), { sideFiles, folder } = files;
  using weights = folder === undefined ? undefined : weightsLater(folder);
  return await checkFiles(
    sideFiles,
    weights?.see ?? (() => ({ from: "config" })),
    { ...options, partial: folder === undefined },
  );
}

/** The side files of a folder, or a single config.json. */
function filesAt(path: string): { sideFiles: SideFiles; folder?: string } {
  const stat = statOf(path);
  if (stat?.isDirectory) {
    return { sideFiles: folderFiles(path), folder: resolve(path) };
  }
  if (!stat?.isFile || !path.endsWith(".json")) {
    throw new RangeError(
      `Cannot check ${JSON.stringify(path)}: ${
        stat ? "it is another file" : "it does not exist"
      }; give a checkpoint folder, its config.json, or OWNER/NAME on the hub`,
    );
  }
  const around = folderFiles(dirname(path));
  const read = (name: string) =>
    name === "config.json" ? around.read(basename(path)) : undefined;
  return { sideFiles: { ...around, read } };
}

/** Headers or names of the weights of a folder, read on demand. */
function weightsLater(folder: string) {
  let seen: ReturnType<typeof weightsIn> | undefined;
  return {
    see: (): SeenWeights => seen = weightsIn(folder),
    [Symbol.dispose]: () => seen?.[Symbol.dispose]?.(),
  };
}

/** Options of `checkFiles`. */
interface FilesOptions extends CheckOptions {
  /** Only config.json is known; other files are not reported as missing. */
  readonly partial?: boolean;
  /** Whether to estimate the time; default true. */
  readonly time?: boolean;
}

type Found = { -readonly [K in keyof CheckResult]: CheckResult[K] } & {
  missing: string[];
};

/** Checks files of any source. An error in them becomes `reason`. */
export async function checkFiles(
  files: SideFiles,
  see: () => SeenWeights,
  options: FilesOptions = {},
): Promise<CheckResult> {
  const found: Found = { weights: "config", missing: [] };
  try {
    await look(found, files, see, options);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("Cannot ")) {
      throw error;
    }
    if (error instanceof MissingFile) found.missing.push(error.file);
    found.reason = error.message.split("\n")[0];
  }
  return found;
}

async function look(
  found: Found,
  files: SideFiles,
  see: () => SeenWeights,
  { partial = false, time = true, threads }: FilesOptions,
): Promise<void> {
  const config = readJson(files, "config.json");
  found.family = typeOf(config);
  checkSupported(config);
  const supplement = supplementOf(config), scheme = schemeOf(config);
  if (scheme) found.quantized = scheme.kind;
  const weights = see();
  found.weights = weights.from;
  const side = sideOf(files, supplement, partial);
  found.missing = [...side.missing];
  const model = describe({
    config,
    ...tensorsSeen(weights, scheme, config),
    ...side.checkpoint,
  });
  const { info, params } = model;
  found.pictures = info.image !== undefined;
  found.parameters = [...params.values()]
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const processor = side.checkpoint.processor;
  if (info.image && !partial && !processor) found.missing.push(PROCESSOR);
  refuseMissing(found.missing);
  const pixels = info.image && processor &&
    readImagePlan(JSON.stringify(processor));
  measure(found, model, pixels, threads);
  found.fileBytes! += Object.values(side.assets)
    .reduce((sum, bytes) => sum + bytes.length, 0);
  if (!time) return;
  found.seconds = await secondsFor(quantizeWork(transformed(model)), threads);
}

/** The side files that exist. */
interface Side {
  readonly assets: Assets;
  /** The checkpoint's side files for a model description. */
  readonly checkpoint: Pick<Checkpoint, "processor" | "idOf" | "textOf">;
  readonly missing: readonly string[];
}

function sideOf(
  files: SideFiles,
  supplement: Supplement,
  partial: boolean,
): Side {
  const { assets, missing } = findAssets(files, supplement);
  const text = (name: string) => new TextDecoder().decode(assets[name]);
  const processor = PROCESSOR in assets
    ? { processor: parseJson(text(PROCESSOR), PROCESSOR) }
    : {};
  if (missing) {
    return {
      assets,
      checkpoint: { ...processor, idOf: () => 0, textOf: () => "<image>" },
      missing: partial ? [] : [missing.file],
    };
  }
  const tokenizer = tokenizerOf(assets, supplement);
  const textOf = (ids: readonly number[]) =>
    tokenizer.decode(ids, { skipSpecial: false });
  const template = templateOf(files, assets, supplement, textOf);
  return {
    assets,
    checkpoint: { ...processor, idOf: tokenizer.idOf, textOf },
    missing: template === undefined ? [TEMPLATE] : [],
  };
}

function refuseMissing(missing: readonly string[]): void {
  if (missing.length === 0) return;
  const names = missing.map((name) =>
    name === "tokenizer.json" ? TOKENIZER_FILES : name
  ).join("; ");
  throw new RangeError(
    missing.includes(TEMPLATE)
      ? `Cannot use the checkpoint: ${NO_TEMPLATE}`
      : `Cannot use the checkpoint: missing ${names}; download the whole checkpoint`,
  );
}

/** Tensors for a model description: shapes from headers, or those that the model needs. */
function tensorsSeen(
  weights: SeenWeights,
  scheme: Scheme | undefined,
  config: Record<string, unknown>,
): Pick<Checkpoint, "tensors" | "outline" | "sameBytes"> {
  const tied = () =>
    [config, config.text_config, config.llm_config].some((level) =>
      (level as Record<string, unknown> | undefined)?.tie_word_embeddings ===
        true
    );
  if (weights.from === "headers") {
    const { file, readable } = weights;
    return {
      tensors: weightsOf(file, scheme).tensors,
      sameBytes: readable ? sameIn(file) : tied,
    };
  }
  const names = weights.from === "index"
    ? decodedNames(weights.names, scheme)
    : [];
  return {
    tensors: new Map(names.map((name) => [name, withoutValues(name, [])])),
    outline: {},
    sameBytes: tied,
  };
}

/** Memory and file size of the model's w4a8 file. */
function measure(
  found: Found,
  model: Model,
  pixels: Parameters<typeof planFor>[1],
  threads: number | undefined,
): void {
  const small = unquantized(transformed(model));
  const { context, memory } = planFor(
    small,
    pixels,
    threads === undefined ? {} : { threads },
  );
  const specs = tensorsOf(small.nodes, small.info, small.bits);
  found.context = context;
  found.memory = memory;
  found.fileBytes = [...specs.values()].reduce(
    (sum, { dtype, shape }) => sum + sizeOf(shape) * DTYPE_BYTES[dtype],
    0,
  );
}
