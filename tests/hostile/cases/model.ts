/** Model files, graphs and shard indexes that break a rule each. */
import { ASSET } from "../../../src/format/model_file.ts";
import { unsealed } from "../../damage/unsealed.ts";
import {
  BITS,
  type Fields,
  GRAPH,
  INFO,
  smallModel,
} from "../../small_graph.ts";
import { bytesOf, type Case, jsonOf } from "./case.ts";
import { file, t } from "./safetensors.ts";

const meta = (text: string, more = "", data = 0) =>
  file(`{"__metadata__":{${text}}${more}}`, data);
const FORMAT = '"format":"mquant/2"';

/** A model whose header says otherwise, at the same length. */
function changed(from: string | RegExp, to: string): Uint8Array {
  const bytes = unsealed(smallModel());
  const text = new TextDecoder("latin1").decode(bytes);
  const next = text.replace(from, (whole) => to.padEnd(whole.length));
  if (next === text || next.length !== text.length) throw new Error(`${from}`);
  return Uint8Array.from(next, (c) => c.charCodeAt(0));
}

/** Containers. */
export const MODEL: readonly Case[] = [
  ["not_mquant", "no format", file("{}")],
  ["not_mquant", "a float checkpoint", meta('"format":"pt"')],
  [
    "not_mquant",
    "a format that begins like ours",
    meta('"format":"mquant/2x"'),
  ],
  ["version", "version 1", meta('"format":"mquant/1.1"')],
  ["version", "a later major", meta('"format":"mquant/3"')],
  ["version", "major 10", meta('"format":"mquant/10"')],
  ["metadata", "no graph", meta(FORMAT)],
  [
    "asset",
    "an asset of floats",
    meta(FORMAT, `,"${ASSET}x":${t("1", 0, 4)}`, 4),
  ],
  [
    "asset",
    "an asset of two axes",
    meta(FORMAT, `,"${ASSET}x":${t("2,2", 0, 4, "U8")}`, 4),
  ],
  [
    "graph",
    "a graph that is no JSON",
    meta(`${FORMAT},"graph":"[","info":"{}","bits":"{}"`),
  ],
  [
    "graph",
    "a graph of no nodes",
    meta(`${FORMAT},"graph":"[]","info":"{}","bits":"{}"`),
  ],
  [
    "tensors",
    "a weight of another type",
    changed(/"q\.weight":\{"dtype":"U8"/, '"q.weight":{"dtype":"I8"'),
  ],
  [
    "missing_tensor",
    "a weight by another name",
    changed('"q.weight":{', '"Q.weight":{'),
  ],
  [
    "truncated",
    "its last byte is missing",
    unsealed(smallModel()).slice(0, -1),
  ],
  [
    "trailing_bytes",
    "a byte too many",
    Uint8Array.from([...unsealed(smallModel()), 0]),
  ],
];

const lines = (graph: unknown, info: unknown = INFO, bits: unknown = BITS) =>
  bytesOf([graph, info, bits].map((x) => JSON.stringify(x)).join("\n"));
const node = (id: string, change: Fields) =>
  lines(GRAPH.map((n) => n.id === id ? { ...n, ...change } : n));
const image = (change: Fields) => info({ image: { ...INFO.image, ...change } });
const info = (change: Fields) => lines(GRAPH, { ...INFO, ...change });

/** Graph, info and bits, a line each. */
export const GRAPHS: readonly Case[] = [
  ["graph", "an object", lines({})],
  ["graph", "an unknown op", node("q", { op: "eval" })],
  ["graph", "an op of the prototype", node("q", { op: "constructor" })],
  ["graph", "an unknown field", node("q", { code: "1" })],
  ["graph", "a size below zero", node("q", { k: -16 })],
  ["graph", "a size of half a number", node("q", { n: 15.5 })],
  ["graph", "a size of 2^31", node("q", { n: 2 ** 31 })],
  ["graph", "a size of 2^53", node("q", { n: 2 ** 53 })],
  ["graph", "a size as text", node("q", { n: "16" })],
  ["graph", "no heads", node("at", { heads: 0 })],
  ["graph", "heads that do not divide", node("at", { heads: 3 })],
  ["graph", "an input that is not there", node("q", { x: "nowhere" })],
  ["graph", "an input of later", node("q", { x: "down" })],
  ["graph", "an id twice", node("k", { id: "q" })],
  ["graph", "a name of control characters", node("q", { weight: "a\u0000b" })],
  [
    "graph",
    "a rotation of no order",
    node("turn", { rotation: { n: 16, block: 16, order: 0, seed: 1 } }),
  ],
  ["graph", "eps of zero", node("n1", { eps: 0 })],
  ["info", "a vocabulary of none", info({ vocabulary: 0 })],
  ["info", "an image token beyond it", image({ tokenId: 24 })],
  ["info", "a stop id beyond it", info({ stopIds: [24] })],
  ["info", "half a patch", image({ height: 9 })],
  [
    "info",
    "an image of 2^24",
    image({ height: 2 ** 24 }),
  ],
  ["bits", "three bits", lines(GRAPH, INFO, { ...BITS, "q.weight": 3 })],
  ["bits", "sixty-four bits", lines(GRAPH, INFO, { ...BITS, "q.weight": 64 })],
  ["bits", "a weight without", lines(GRAPH, INFO, {})],
];

const index = (shard: unknown) => jsonOf({ weight_map: { a: shard } });

/** Indexes of shards. */
export const INDEX: readonly Case[] = [
  [
    "shard_index",
    "a way out of the folder",
    index("../../etc/passwd.safetensors"),
  ],
  ["shard_index", "an absolute path", index("/etc/x.safetensors")],
  ["shard_index", "a NUL in a name", index("a\u0000.safetensors")],
  ["shard_index", "a backslash", index("..\\x.safetensors")],
  ["shard_index", "another kind of file", index("model.bin")],
  ["shard_index", "a number", index(7)],
  ["shard_index", "no map", jsonOf({ weight_map: [] })],
  ["shard_index", "an empty map", jsonOf({ weight_map: {} })],
  [
    "shard_index",
    "a key twice",
    bytesOf('{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}'),
  ],
  ["shard_index", "a thousand brackets", bytesOf("[".repeat(1000))],
];
