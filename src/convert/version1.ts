/**
 * Converts a model file of version 1 to the current version: ops, fields and
 * tensors get their new names; weights and scales are unchanged, so the
 * converted model gives the same bits. The checkpoint is not needed.
 * @module
 */
import { FormatError, quoted } from "../format/error.ts";
import { asModelFile, majorOf, MODEL_FORMAT } from "../format/model_file.ts";
import type { StoredTensor, TensorFile } from "../format/safetensors.ts";
import { openSafetensors, tensorFile } from "../format/safetensors.ts";
import { fileSource } from "../format/source.ts";
import { verify } from "../format/verify.ts";
import { type TensorToWrite, writeSafetensors } from "../format/write.ts";
import { readStaticModel } from "../graph/static_model.ts";
import { checkOpens } from "./opens.ts";

/** New names by old ones. */
type Names = Readonly<Record<string, string>>;

/**
 * The new name of an op of version 1, of its fields, and of the values of its
 * field `by`.
 */
interface Renamed {
  readonly op: string;
  readonly fields?: Names;
  readonly values?: Names;
}

/** The ops of version 1. */
const OPS: Readonly<Record<string, Renamed>> = {
  patches: { op: "patch_input", fields: { extra: "extraRows" } },
  table: {
    op: "learned_embedding",
    fields: { param: "weight", side: "gridSize", by: "interpolation" },
    values: {
      buckets: "bucket",
      axes: "axis_sum",
      area: "bilinear_antialias",
    },
  },
  embed: { op: "embedding", fields: { param: "weight" } },
  linear: {
    op: "linear",
    fields: { split: "floatChannel0", rows: "modality" },
  },
  write: {
    op: "residual_add",
    fields: { rows: "modality", part: "columns" },
  },
  read: { op: "norm", fields: { norm: "kind", gain: "weight" } },
  peek: { op: "residual_read" },
  attend: {
    op: "attention",
    fields: {
      theta: "ropeTheta",
      stretch: "ropeScalingFactor",
      reach: "slidingWindow",
      rotary: "rotaryDim",
      window: "windowSize",
      grid: "rope2d",
      sections: "mropeSection",
      interleaved: "mropeInterleaved",
    },
  },
  convolve: {
    op: "causal_conv1d",
    fields: {
      before: "inputGate",
      behind: "outputGate",
      taps: "kernelSize",
      param: "weight",
    },
  },
  act: { op: "activation" },
  rotate: { op: "hadamard" },
  gain: { op: "channel_scale", fields: { param: "weight" } },
  headnorm: { op: "qk_norm", fields: { param: "weight" } },
  shuffle: { op: "pixel_shuffle" },
  join: { op: "concat_features" },
  stack: { op: "concat_rows" },
  take: { op: "slice_rows" },
  last: { op: "last_row" },
};

/** Fields of `info.image`. */
const IMAGE: Names = {
  patch: "patchSize",
  anySize: "nativeResolution",
  mostPatches: "maxPatches",
  mark: "templateToken",
  each: "tokenText",
  atOnePlace: "sharedPosition",
  seesItself: "bidirectional",
  lead: "leadingTokens",
};

type Json = Record<string, unknown>;

/** Result of `convertFile`. */
export interface Converted {
  /** Tensors of the new file, assets included. */
  readonly tensors: number;
  /** Number of renamed tensors. */
  readonly renamed: number;
}

/**
 * Converts the model file `from` (version 1) and writes `to`: crash-safe, one
 * part of a tensor at a time. The old file is verified and the new graph is
 * checked as in `open` before anything is written.
 * @throws {FormatError} if `from` is not a model file of version 1, or is
 * damaged
 * @throws {RuntimeError} if its graph cannot run in this version
 */
export async function convertFile(
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<Converted> {
  const source = fileSource(from);
  using old = openSafetensors(source);
  checkVersion(old);
  await verify(source, old, signal);
  const { metadata, rename } = converted(old);
  const named = [...old.tensors.values()].map((tensor) => ({
    ...tensor,
    name: rename(tensor.name),
  }));
  checkModel(old, metadata, named);
  writeSafetensors(to, { metadata, tensors: named.map(copy), sha256: true });
  const renamed = [...old.tensors.keys()].filter((n) => rename(n) !== n).length;
  return { tensors: named.length, renamed };
}

function checkVersion({ name, metadata }: TensorFile): void {
  const format = metadata.get("format"), major = majorOf(format);
  if (major === 1) return;
  if (major === undefined) {
    throw new FormatError(
      "not_mquant",
      name,
      "it is not a model file of version 1, so there is nothing to convert; `mquant quantize` makes a model file of a checkpoint",
    );
  }
  throw new FormatError(
    "version",
    name,
    `its format is ${quoted(format!)}, only mquant/1 can be converted${
      major === 2 ? "; open it as it is" : ""
    }`,
  );
}

/** The new metadata, and the new name of each tensor. */
function converted(old: TensorFile): {
  metadata: Record<string, string>;
  rename: (tensor: string) => string;
} {
  const names = new Map<string, string>();
  const graph = parsed(old, "graph");
  const nodes = convertGraph(graph, old.name);
  for (const node of graph as Json[]) {
    if (node.split === true) {
      names.set(`${node.id}.split_weight`, `${node.id}.channel0_weight`);
    }
  }
  const groups = old.metadata.has("groups") ? parsed(old, "groups") : {};
  for (const weight of Object.keys(groups as Json)) {
    names.set(`${weight}_group`, `${weight}_group_scale`);
  }
  const { header_sha256: _, sha256: __, ...kept } = Object.fromEntries(
    old.metadata,
  );
  return {
    metadata: {
      ...kept,
      format: MODEL_FORMAT,
      info: JSON.stringify(convertedInfo(parsed(old, "info") as Json)),
      graph: JSON.stringify(nodes),
    },
    rename: (tensor) => names.get(tensor) ?? tensor,
  };
}

function parsed({ name, metadata }: TensorFile, key: string): unknown {
  try {
    const value = JSON.parse(metadata.get(key) ?? "");
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new FormatError(
    "metadata",
    name,
    `its metadata ${quoted(key)} must be a JSON object or list`,
  );
}

/** Renames the keys of an object and the values of its `by`. */
function renamed(json: Json, fields: Names, values: Names = {}): Json {
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [
      Object.hasOwn(fields, key) ? fields[key] : key,
      key === "by" && Object.hasOwn(values, String(value))
        ? values[String(value)]
        : value,
    ]),
  );
}

function convertedInfo(info: Json): Json {
  return Object.fromEntries(
    Object.entries(info).map(([key, value]) => [
      key,
      key === "image" && typeof value === "object" && value
        ? renamed(value as Json, IMAGE)
        : value,
    ]),
  );
}

/**
 * Converts nodes of version 1; other errors in them are left to the reader of
 * the graph.
 * @param file name of the file in errors
 * @throws {FormatError} "metadata" if an op is not one of version 1
 */
export function convertGraph(graph: unknown, file: string): Json[] {
  if (!Array.isArray(graph)) {
    throw new FormatError("metadata", file, "its graph is not a list");
  }
  return graph.map((node, i) => {
    const { op, ...rest } = (node ?? {}) as Json;
    if (typeof op !== "string" || !Object.hasOwn(OPS, op)) {
      throw new FormatError(
        "metadata",
        file,
        `node ${i} of its graph has the op ${
          quoted(String(op))
        }, which version 1 does not have`,
      );
    }
    const { op: name, fields = {}, values = {} } = OPS[op];
    return { op: name, ...renamed(rest, fields, values) };
  });
}

/** Checks the new file as `open` does. */
function checkModel(
  { name }: TensorFile,
  metadata: Readonly<Record<string, string>>,
  tensors: readonly StoredTensor[],
): void {
  const byName = new Map(tensors.map((t) => [t.name, t]));
  const entries = new Map(Object.entries(metadata));
  const file = asModelFile(tensorFile(name, byName, entries, []));
  // One without a tokenizer is of use to the engine only.
  if (file.assets.includes("tokenizer.json")) checkOpens(file);
  else readStaticModel(file);
}

/** Bytes of a tensor that are copied at a time. */
const PIECE = 4 * 2 ** 20;

function copy(stored: StoredTensor): TensorToWrite {
  const { name, dtype, shape, byteLength } = stored;
  return {
    name,
    dtype,
    shape,
    *data() {
      const piece = new Uint8Array(Math.min(PIECE, byteLength));
      for (let at = 0; at < byteLength; at += piece.length) {
        const part = piece.subarray(0, Math.min(PIECE, byteLength - at));
        stored.readSlice(at, part);
        yield part;
      }
    },
  };
}
