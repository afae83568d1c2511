/**
 * A graph of 24 nodes with most ops, small enough to be damaged a million times: the
 * seed of hostile-input tests.
 * @module
 */
import { writeModelFile } from "../src/format/write_model.ts";
import {
  readBits,
  readGroups,
  readInfo,
  readNodes,
} from "../src/graph/read.ts";
import { tensorsOf } from "../src/graph/tensors.ts";

/** Fields of a node. */
export type Fields = Record<string, unknown>;

/** Its info. */
export const INFO = {
  architecture: "test",
  vocabulary: 24,
  maxPositions: 64,
  stopIds: [2],
  image: {
    height: 8,
    width: 8,
    patchSize: 2,
    tokens: 4,
    tokenId: 3,
    text: "<image>",
  },
};
const V = { phase: "vision" }, T = { phase: "text" };
/** The rotation its nodes name. */
export const rotation = { n: 16, block: 16, order: 1, seed: 7 };

/** The nodes. */
export const GRAPH: Fields[] = [
  { op: "learned_embedding", id: "pos", ...V, weight: "pos.weight", width: 16 },
  { op: "residual_add", id: "pos>v", ...V, stream: "v", x: "pos" },
  { op: "patch_input", id: "px", ...V, width: 12 },
  {
    op: "linear",
    id: "patch",
    ...V,
    x: "px",
    k: 12,
    n: 16,
    weight: "patch.weight",
    bias: "patch.bias",
  },
  { op: "residual_add", id: "patch>v", ...V, stream: "v", x: "patch" },
  {
    op: "norm",
    id: "norm",
    ...V,
    stream: "v",
    width: 16,
    kind: "rms",
    eps: 1e-6,
  },
  { op: "pixel_shuffle", id: "merge", ...V, x: "norm", factor: 2, width: 16 },
  {
    op: "linear",
    id: "connector",
    ...V,
    x: "merge",
    k: 64,
    n: 16,
    weight: "connector.weight",
  },
  {
    op: "residual_add",
    id: "connector>t",
    ...T,
    stream: "t",
    x: "connector",
    modality: "vision",
  },
  { op: "embedding", id: "embed", ...T, weight: "embed.weight", width: 16 },
  {
    op: "residual_add",
    id: "embed>t",
    ...T,
    stream: "t",
    x: "embed",
    modality: "text",
  },
  {
    op: "norm",
    id: "n1",
    ...T,
    stream: "t",
    width: 16,
    kind: "rms",
    eps: 1e-6,
  },
  { op: "linear", id: "q", ...T, x: "n1", k: 16, n: 16, weight: "q.weight" },
  { op: "linear", id: "k", ...T, x: "n1", k: 16, n: 8, weight: "k.weight" },
  { op: "linear", id: "v", ...T, x: "n1", k: 16, n: 8, weight: "v.weight" },
  {
    op: "attention",
    id: "at",
    ...T,
    q: "q",
    k: "k",
    v: "v",
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    mask: "causal",
    ropeTheta: 10000,
  },
  { op: "linear", id: "o", ...T, x: "at", k: 16, n: 16, weight: "o.weight" },
  { op: "residual_add", id: "o>t", ...T, stream: "t", x: "o" },
  {
    op: "norm",
    id: "n2",
    ...T,
    stream: "t",
    width: 16,
    kind: "rms",
    eps: 1e-6,
  },
  { op: "linear", id: "up", ...T, x: "n2", k: 16, n: 16, weight: "up.weight" },
  { op: "activation", id: "act", ...T, fn: "silu", x: "up", width: 16 },
  { op: "hadamard", id: "turn", ...T, x: "act", rotation },
  {
    op: "linear",
    id: "down",
    ...T,
    x: "turn",
    k: 16,
    n: 16,
    weight: "down.weight",
    floatChannel0: true,
  },
  { op: "residual_add", id: "down>t", ...T, stream: "t", x: "down" },
  {
    op: "norm",
    id: "n3",
    ...T,
    stream: "t",
    width: 16,
    kind: "rms",
    eps: 1e-6,
  },
  { op: "last_row", id: "end", ...T, x: "n3" },
  { op: "hadamard", id: "back", ...T, x: "end", rotation, inverse: true },
  {
    op: "channel_scale",
    id: "gain",
    ...T,
    x: "back",
    weight: "gain.weight",
    width: 16,
  },
  { op: "hadamard", id: "forth", ...T, x: "gain", rotation },
  {
    op: "linear",
    id: "head",
    ...T,
    x: "forth",
    k: 16,
    n: 24,
    weight: "embed.weight",
  },
];
/** Bits of its weights. */
export const BITS: Record<string, number> = Object.fromEntries(
  GRAPH.filter((n) => n.op === "linear" || n.op === "embedding").map((
    n,
  ) => [n.weight, n.weight === "embed.weight" ? 8 : 4]),
);

/** The bytes of a model file of it, all its tensors ones; `assets` go with it. */
export function smallModel(
  assets: Readonly<Record<string, Uint8Array>> = {},
  { info = INFO, graph = GRAPH, groups }: {
    info?: unknown;
    graph?: unknown;
    groups?: Readonly<Record<string, number>>;
  } = {},
): Uint8Array<ArrayBuffer> {
  const text = { info, graph, bits: BITS, ...groups ? { groups } : {} };
  const metadata = Object.fromEntries(
    Object.entries(text).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  const specs = tensorsOf(
    readNodes(metadata.graph),
    readInfo(metadata.info),
    readBits(metadata.bits),
    readGroups(metadata.groups ?? "{}"),
  );
  const tensors = [...specs].map(([name, { dtype, shape }]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = () =>
      dtype === "F32"
        ? new Float32Array(size).fill(1)
        : new Uint8Array(size).fill(1);
    return { name, dtype, shape, data };
  });
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  try {
    writeModelFile(path, { metadata, tensors, assets });
    return Deno.readFileSync(path);
  } finally {
    Deno.removeSync(path);
  }
}
