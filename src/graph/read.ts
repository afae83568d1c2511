/**
 * Graph and info of a model file, read as if an enemy wrote them: every field
 * of every node is checked against the table below, nothing else is let in.
 * @module
 */
import { quoted } from "../format/error.ts";
import {
  parseStrictJson,
  type StrictJson,
  StrictJsonError,
} from "../format/strict_json.ts";
import type { ImageInfo, ModelInfo, Node } from "./node.ts";
import { GROUP_UNIT } from "../kernels/layout.ts";
import { hadamardMatrix } from "../tensor/hadamard.ts";
import type { Rotation } from "../tensor/rotation.ts";
import { RuntimeError, type RuntimeErrorCode } from "./error.ts";

/** Largest width, row count or vocabulary a graph may name. */
export const MAX_SIZE = 2 ** 24;

/** Most nodes of a graph. */
export const MAX_NODES = 65_536;

type Json = Map<string, StrictJson>;
/** Checks one field and gives its plain value; undefined where it is not as wished. */
type Field = {
  wish: string;
  optional?: true;
  read: (v: StrictJson) => unknown;
};

const size: Field = {
  wish: `a whole number from 1 to ${MAX_SIZE}`,
  read: (v) =>
    Number.isInteger(v) && v as number >= 1 && v as number <= MAX_SIZE
      ? v
      : undefined,
};
const count: Field = {
  wish: "a whole number from 0 to 4096",
  read: (v) =>
    Number.isInteger(v) && v as number >= 0 && v as number <= 4096
      ? v
      : undefined,
};
const side: Field = {
  wish: "a whole number from 1 to 1024",
  read: (v) =>
    Number.isInteger(v) && v as number >= 1 && v as number <= 1024
      ? v
      : undefined,
};
const text: Field = {
  wish: "a name of 1 to 200 letters, digits and _ . : / > -",
  read: (v) =>
    typeof v === "string" && /^[\w.:/>-]{1,200}$/.test(v) ? v : undefined,
};
const positive: Field = {
  wish: "a positive finite number",
  read: (v) =>
    typeof v === "number" && Number.isFinite(v) && v > 0 ? v : undefined,
};
const flag: Field = {
  wish: "true or false",
  read: (v) => typeof v === "boolean" ? v : undefined,
};
const choice = (...of: string[]): Field => ({
  wish: of.map((o) => JSON.stringify(o)).join(" or "),
  read: (v) => of.includes(v as string) ? v : undefined,
});
const yes: Field = { wish: "true", read: (v) => v === true ? v : undefined };
const sections: Field = {
  wish: "one whole number from 1, or three",
  read: (v) =>
    Array.isArray(v) && (v.length === 1 || v.length === 3) &&
      v.every((x) => size.read(x) !== undefined)
      ? v
      : undefined,
};
const columns: Field = {
  wish: "a first column and a number of columns",
  read: (v) =>
    Array.isArray(v) && v.length === 2 &&
      (v[0] === 0 || size.read(v[0]) !== undefined) &&
      size.read(v[1]) !== undefined
      ? v
      : undefined,
};
const names: Field = {
  wish: "a list of 1 to 64 names",
  read: (v) =>
    Array.isArray(v) && v.length >= 1 && v.length <= 64 &&
      v.every((x) => text.read(x) !== undefined)
      ? v
      : undefined,
};
const optional = (f: Field): Field => ({ ...f, optional: true });

const rotation: Field = {
  wish:
    "a rotation {n, block, order, outer?, seed} whose block divides n and is order·2^p, or outer·order·2^p, with Hadamard matrices of those orders",
  read(v) {
    if (!(v instanceof Map)) return undefined;
    const pair = v.has("outer");
    if (v.size !== (pair ? 5 : 4)) return undefined;
    const [n, block, order, seed, outer = 1] = [
      "n",
      "block",
      "order",
      "seed",
      "outer",
    ].map((k) => v.get(k));
    if (
      ![n, block, order, outer].every((x) => size.read(x ?? null) !== undefined)
    ) return undefined;
    if (
      !Number.isInteger(seed) || seed as number < 0 || seed as number >= 2 ** 32
    ) {
      return undefined;
    }
    const r = { n, block, order, ...pair ? { outer } : {}, seed } as Rotation;
    const second = r.outer ?? 1, power = r.block / second / r.order;
    if (
      r.n % r.block !== 0 || r.order > 256 || second > 256 ||
      (pair && (r.order < 4 || second < 4)) ||
      power < 1 || !Number.isInteger(Math.log2(power))
    ) {
      return undefined;
    }
    try {
      hadamardMatrix(r.order);
      hadamardMatrix(second);
    } catch {
      return undefined;
    }
    return r;
  },
};

/** Fields of each op beside op, id and phase. */
const FIELDS: Readonly<Record<Node["op"], Readonly<Record<string, Field>>>> = {
  patch_input: { width: size, extraRows: optional(count) },
  learned_embedding: {
    weight: text,
    width: size,
    rows: optional(size),
    gridSize: optional(side),
    interpolation: optional(choice("bucket", "axis_sum", "bilinear_antialias")),
  },
  embedding: { weight: text, width: size },
  linear: {
    x: text,
    k: size,
    n: size,
    weight: text,
    bias: optional(text),
    floatChannel0: optional(flag),
    modality: optional(choice("vision", "text")),
  },
  residual_add: {
    stream: text,
    x: text,
    modality: optional(choice("vision", "text")),
    columns: optional(columns),
  },
  norm: {
    stream: text,
    width: size,
    kind: choice("layer", "rms"),
    eps: positive,
    weight: optional(text),
    bias: optional(text),
  },
  residual_read: { stream: text, width: size },
  attention: {
    q: text,
    k: text,
    v: text,
    heads: size,
    kvHeads: size,
    headDim: size,
    mask: choice("full", "causal"),
    ropeTheta: optional(positive),
    ropeScalingFactor: optional(positive),
    slidingWindow: optional(size),
    rotaryDim: optional(size),
    rope2d: optional(yes),
    windowSize: optional(side),
    mropeSection: optional(sections),
    mropeInterleaved: optional(yes),
  },
  causal_conv1d: {
    x: text,
    inputGate: optional(text),
    outputGate: optional(text),
    width: size,
    kernelSize: side,
    weight: text,
    bias: optional(text),
  },
  activation: {
    fn: choice("gelu", "gelu_tanh", "quick_gelu", "silu"),
    x: text,
    gate: optional(text),
    width: size,
  },
  hadamard: { x: text, rotation, inverse: optional(flag) },
  channel_scale: { x: text, weight: text, width: size },
  qk_norm: {
    x: text,
    width: size,
    headDim: size,
    eps: positive,
    weight: text,
  },
  pixel_shuffle: { x: text, factor: size, width: size },
  concat_features: { xs: names },
  concat_rows: { xs: names },
  slice_rows: { x: text, count: size },
  last_row: { x: text },
};

function fail(code: RuntimeErrorCode, problem: string): never {
  throw new RuntimeError(code, `Cannot read the model: ${problem}`);
}

function parse(code: RuntimeErrorCode, what: string, json: string): StrictJson {
  try {
    return parseStrictJson(json, { depth: 6, values: 40 * MAX_NODES });
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    return fail(code, `its ${what} ${error.message}`);
  }
}

/** Reads `fields` out of an object, refusing any other. */
function record(
  code: RuntimeErrorCode,
  where: string,
  json: Json,
  fields: Readonly<Record<string, Field>>,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const key of json.keys()) {
    if (!Object.hasOwn(fields, key)) {
      fail(code, `${where} has an unknown field ${quoted(key)}`);
    }
  }
  for (const [key, field] of Object.entries(fields)) {
    const given = json.get(key);
    if (given === undefined && field.optional) continue;
    const value = given === undefined ? undefined : field.read(given);
    if (value === undefined) {
      fail(
        code,
        `${where}: ${key} must be ${field.wish}: current value is ${
          given === undefined ? "missing" : shown(given)
        }`,
      );
    }
    out[key] = value;
  }
  return out;
}

function shown(v: StrictJson): string {
  return typeof v === "object" && v !== null ? "an object" : quoted(String(v));
}

/** Nodes of the graph; their references are checked by `checkGraph`. */
export function readNodes(json: string): Node[] {
  const list = parse("graph", "graph", json);
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_NODES) {
    return fail("graph", `its graph must be a list of 1 to ${MAX_NODES} nodes`);
  }
  return list.map((item, i) => {
    const op = item instanceof Map ? item.get("op") : undefined;
    if (typeof op !== "string" || !Object.hasOwn(FIELDS, op)) {
      return fail(
        "graph",
        `node ${i} has the unknown op ${
          quoted(String(op))
        }; this version knows ${Object.keys(FIELDS).join(", ")}`,
      );
    }
    return record("graph", `node ${i} (${op})`, item as Json, {
      op: text,
      id: text,
      phase: choice("vision", "text"),
      ...FIELDS[op as Node["op"]],
    }) as unknown as Node;
  });
}

const id: Field = {
  wish: `a token id below ${MAX_SIZE}`,
  read: (v) =>
    Number.isInteger(v) && v as number >= 0 && v as number < MAX_SIZE
      ? v
      : undefined,
};

const longText: Field = {
  wish: "a text of at most 1 MB",
  read: (v) => typeof v === "string" && v.length <= 2 ** 20 ? v : undefined,
};

/** How a model takes images. */
function readImage(map: Json): ImageInfo {
  const image = record("info", "info: image", map, {
    height: size,
    width: size,
    patchSize: size,
    nativeResolution: optional(yes),
    maxPatches: optional(size),
    tokens: size,
    fixedTokens: optional(yes),
    tokenId: id,
    templateToken: optional(longText),
    tokenText: optional(longText),
    text: longText,
    sharedPosition: optional(yes),
    bidirectional: optional(yes),
    leadingTokens: optional(size),
    tiles: {
      wish:
        "{begin, tile, rowEnd, end} and perhaps rowGap, texts of at most 1 MB",
      optional: true,
      read(v) {
        const known = ["begin", "tile", "rowEnd", "end"];
        if (!(v instanceof Map)) return undefined;
        if (v.has("rowGap")) known.push("rowGap");
        if (v.size !== known.length) return undefined;
        const texts = known.map((k) => [k, v.get(k)]);
        return texts.every(([, t]) =>
            t !== undefined && longText.read(t as StrictJson) !== undefined
          )
          ? Object.fromEntries(texts)
          : undefined;
      },
    },
  }) as unknown as ImageInfo;
  const { height, width, patchSize } = image;
  if (
    height > 4096 || width > 4096 || height % patchSize || width % patchSize
  ) {
    fail(
      "info",
      `info: image must have sides of whole patches, at most 4096: it is ${height} × ${width} with patches of ${patchSize}`,
    );
  }
  return image;
}

/** Info of the model. */
export function readInfo(json: string): ModelInfo {
  const map = parse("info", "info", json);
  if (!(map instanceof Map)) return fail("info", "its info must be an object");
  const info = record("info", "info", map, {
    architecture: text,
    vocabulary: size,
    maxPositions: size,
    stopIds: {
      wish: "a list of at most 64 token ids",
      read: (v) =>
        Array.isArray(v) && v.length <= 64 &&
          v.every((x) => id.read(x) !== undefined)
          ? v
          : undefined,
    },
    prefix: {
      wish: "a list of 1 to 64 token ids",
      optional: true,
      read: (v) =>
        Array.isArray(v) && v.length >= 1 && v.length <= 64 &&
          v.every((x) => id.read(x) !== undefined)
          ? v
          : undefined,
    },
    image: {
      wish: "an object",
      optional: true,
      read: (v) => v instanceof Map ? readImage(v) : undefined,
    },
  }) as unknown as ModelInfo;
  for (
    const [name, value] of [
      ["image: tokenId", info.image?.tokenId ?? 0],
      ...(info.prefix ?? []).map((p) => ["an id of prefix", p]),
      ...info.stopIds.map((s) => ["a stop id", s]),
    ] as [string, number][]
  ) {
    if (value >= info.vocabulary) {
      fail(
        "info",
        `info: ${name} must be below the vocabulary of ${info.vocabulary}: current value is ${value}`,
      );
    }
  }
  return info;
}

/** Columns per group of the weights that have groups. */
export function readGroups(json: string): Map<string, number> {
  const map = parse("bits", "groups", json);
  if (!(map instanceof Map)) {
    return fail("bits", "its groups must be an object");
  }
  for (const [name, group] of map) {
    const columns = size.read(group) as number | undefined;
    if (columns === undefined || columns % GROUP_UNIT !== 0) {
      fail(
        "bits",
        `the group of ${
          quoted(name)
        } must be a multiple of ${GROUP_UNIT}: current value is ${
          shown(group)
        }`,
      );
    }
  }
  return map as Map<string, number>;
}

/** Bits of every integer weight. */
export function readBits(json: string): Map<string, number> {
  const map = parse("bits", "bits", json);
  if (!(map instanceof Map)) return fail("bits", "its bits must be an object");
  for (const [name, bits] of map) {
    if (![4, 5, 6, 7, 8].includes(bits as number)) {
      fail(
        "bits",
        `bits of ${quoted(name)} must be 4 to 8: current value is ${
          shown(bits)
        }`,
      );
    }
  }
  return map as Map<string, number>;
}
