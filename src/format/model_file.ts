/**
 * A static model as one file: safetensors with the metadata `format:
 * "mquant/2"` and its assets (tokenizer, image settings, chat template) as
 * byte tensors called `file:NAME`. docs/format.md is the specification.
 * @module
 */
import { FormatError, quoted } from "./error.ts";
import { openSafetensors } from "./safetensors.ts";
import type { StoredTensor, TensorFile } from "./safetensors.ts";
import type { ByteSource } from "./source.ts";

/** The format version that this program reads and writes. */
export const MODEL_FORMAT = "mquant/2";

/** How to convert a file of version 1. */
export const HOW_TO_CONVERT =
  "run `deno task convert OLD NEW` (installed: `mquant convert OLD NEW`)";

/** Prefix of the tensor name of an asset. */
export const ASSET = "file:";
const MOST_ASSET_BYTES = 64 * 2 ** 20;

/** An open model file. */
export interface ModelFile extends Disposable {
  /** Its name in messages. */
  readonly name: string;
  /** Metadata, including `format`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Tensors without the assets, in the order of their data. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The underlying safetensors file, including the assets. */
  readonly whole: TensorFile;
  /** Names of the assets. */
  readonly assets: readonly string[];
  /**
   * Returns the tensor `name`.
   * @throws {FormatError} "missing_tensor"
   */
  tensor(name: string): StoredTensor;
  /**
   * Returns required metadata.
   * @throws {FormatError} "metadata" if it is missing
   */
  meta(key: string): string;
  /**
   * Returns the bytes of an asset.
   * @throws {FormatError} "asset"
   */
  asset(name: string): Uint8Array<ArrayBuffer>;
  /**
   * Returns an asset as UTF-8 text.
   * @throws {FormatError} "asset"
   */
  assetText(name: string): string;
}

/** Opens a model file; throws `FormatError`. The result owns `source`. */
export function openModelFile(source: ByteSource): ModelFile {
  const file = openSafetensors(source);
  try {
    return asModelFile(file);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** Major version of a `format`; undefined if it is not one of mquant. */
export function majorOf(format: string | undefined): number | undefined {
  const major = format?.match(/^mquant\/(\d{1,9})(?:\.\d+)*$/)?.[1];
  return major === undefined ? undefined : Number(major);
}

function checkFormat({ name, metadata }: TensorFile) {
  const format = metadata.get("format"), major = majorOf(format);
  if (major === 2) return;
  if (major === 1) {
    throw new FormatError(
      "version",
      name,
      `its format is ${
        quoted(format!)
      }, this version reads ${MODEL_FORMAT}; ${HOW_TO_CONVERT} to convert it without its checkpoint`,
    );
  }
  if (major !== undefined) {
    throw new FormatError(
      "version",
      name,
      `its format is ${
        quoted(format!)
      }, this version reads ${MODEL_FORMAT}; quantize the checkpoint again or use the matching version`,
    );
  }
  const said = format === undefined
    ? 'no "format" in its metadata'
    : `"format" in its metadata is ${quoted(format)}`;
  throw new FormatError(
    "not_mquant",
    name,
    `it is a float checkpoint (${said}); run \`deno task quantize\` on it first`,
  );
}

/**
 * Checks an open safetensors file as a model file.
 * @throws {FormatError}
 */
export function asModelFile(file: TensorFile): ModelFile {
  checkFormat(file);
  const tensors = new Map<string, StoredTensor>();
  const assets = new Map<string, StoredTensor>();
  for (const [name, stored] of file.tensors) {
    if (!name.startsWith(ASSET)) {
      tensors.set(name, stored);
      continue;
    }
    const { dtype, shape, byteLength } = stored;
    if (dtype !== "U8" || shape.length !== 1 || byteLength > MOST_ASSET_BYTES) {
      throw new FormatError(
        "asset",
        file.name,
        `${
          quoted(name)
        } must be U8 of one dimension and at most ${MOST_ASSET_BYTES} bytes: it is ${dtype} of shape [${shape}]`,
      );
    }
    assets.set(name.slice(ASSET.length), stored);
  }
  const asset = (name: string) => {
    const stored = assets.get(name);
    if (!stored) {
      throw new FormatError(
        "asset",
        file.name,
        `it has no asset ${quoted(name)}`,
      );
    }
    return stored.read() as Uint8Array<ArrayBuffer>;
  };
  return {
    name: file.name,
    metadata: file.metadata,
    tensors,
    whole: file,
    assets: [...assets.keys()],
    asset,
    tensor: (name) => file.tensor(name),
    meta(key) {
      const value = file.metadata.get(key);
      if (value !== undefined) return value;
      throw new FormatError(
        "metadata",
        file.name,
        `its metadata has no ${quoted(key)}`,
      );
    },
    assetText(name) {
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(asset(name));
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        throw new FormatError(
          "asset",
          file.name,
          `its asset ${quoted(name)} is not UTF-8 text`,
        );
      }
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}
