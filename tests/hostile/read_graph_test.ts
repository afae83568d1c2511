/** Hostile graphs: refused with an error, never a crash or a plan. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/format/error.ts";
import type { ModelFile } from "../../src/format/model_file.ts";
import { random, uniform } from "../../src/tensor/random.ts";
import { RuntimeError, type RuntimeErrorCode } from "../../src/graph/error.ts";
import { planFor } from "../../src/execute/options.ts";
import {
  readBits,
  readGroups,
  readInfo,
  readNodes,
} from "../../src/graph/read.ts";
import { readStaticModel } from "../../src/graph/static_model.ts";
import { checkGraph } from "../../src/graph/check.ts";
import { tensorsOf } from "../../src/graph/tensors.ts";
import { BITS, type Fields, GRAPH, INFO, rotation } from "../small_graph.ts";
const withImage = (fields: Fields) => ({
  ...INFO,
  image: { ...INFO.image, ...fields },
});

/** A model file whose metadata say `graph`, `info`, `bits`, and whose tensors are those of `stored`, all ones. */
function file(
  graph: unknown,
  info: unknown = INFO,
  bits: unknown = BITS,
  stored: unknown = GRAPH,
): ModelFile {
  const meta = new Map(
    Object.entries({ graph, info, bits }).map((
      [k, v],
    ) => [k, JSON.stringify(v)]),
  );
  const nodes = readNodes(JSON.stringify(stored));
  const specs = tensorsOf(
    nodes,
    readInfo(JSON.stringify(INFO)),
    readBits(JSON.stringify(BITS)),
  );
  const tensors = new Map([...specs].map(([name, { dtype, shape }]) => [name, {
    name,
    dtype,
    shape,
    byteLength: 0,
    read: () => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1),
    readInto() {},
    readSlice() {},
  }]));
  return {
    name: "test",
    metadata: meta,
    tensors,
    assets: [],
    tensor(name: string) {
      const t = tensors.get(name);
      if (!t) {
        throw new FormatError("missing_tensor", "test", `it lacks ${name}`);
      }
      return t;
    },
    meta: (key: string) => meta.get(key)!,
  } as unknown as ModelFile;
}

const pixels = { rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] };

function planIt(f: ModelFile) {
  return planFor(readStaticModel(f), pixels, { threads: 1, context: 64 });
}

/** GRAPH with changes to one node. */
const changed = (id: string, change: Fields): Fields[] =>
  GRAPH.map((n) => n.id === id ? { ...n, ...change } : n);

Deno.test("the graph itself is planned, with every op", () => {
  const { vision, prefill, decode, memory } = planIt(file(GRAPH));
  const kernels = new Set(
    [vision!, prefill, decode].flatMap((l) => l.steps.map((s) => s.kernel)),
  );
  for (
    const k of [
      "gemm_w4a8",
      "gemv_w8a8",
      "rank1_f32",
      "attention_s8",
      "patchify_u8_s8",
      "hadamard_f32",
    ] as const
  ) {
    assert(kernels.has(k), k);
  }
  assertEquals(memory.total % 65536, 0);
});

const bad: [RuntimeErrorCode, string, unknown, unknown?, unknown?][] = [
  ["graph", "no list", {}],
  ["graph", "empty", []],
  ["graph", "unknown op", changed("q", { op: "eval" })],
  ["graph", "op from the prototype", changed("q", { op: "constructor" })],
  ["graph", "unknown field", changed("q", { code: "x" })],
  ["graph", "missing field", changed("q", { k: undefined })],
  ["graph", "negative size", changed("q", { k: -16 })],
  ["graph", "fractional size", changed("q", { n: 15.5 })],
  ["graph", "huge size", changed("q", { n: 2 ** 31 })],
  ["graph", "size as text", changed("q", { n: "16" })],
  ["graph", "zero heads", changed("at", { heads: 0 })],
  ["graph", "heads no multiple", changed("at", { heads: 3, kvHeads: 2 })],
  ["graph", "q of another width", changed("at", { headDim: 16 })],
  ["graph", "eps not positive", changed("n1", { eps: 0 })],
  [
    "graph",
    "eps beyond float",
    JSON.parse(JSON.stringify(GRAPH).replace("0.000001", "1e999")),
  ],
  ["graph", "odd name", changed("q", { id: "q+k" })],
  ["graph", "two of one id", changed("k", { id: "q" })],
  ["graph", "value from the future", changed("q", { x: "act" })],
  ["graph", "value of itself", changed("act", { x: "act" })],
  ["graph", "value of a write", changed("q", { x: "o>t" })],
  ["graph", "value of another phase", changed("q", { x: "norm" })],
  ["graph", "vision behind text", [...GRAPH.slice(1, 12), GRAPH[0]]],
  ["graph", "wrong k", changed("up", { k: 12 })],
  ["graph", "wrong width into a stream", changed("o", { n: 8 })],
  ["graph", "stream nobody wrote", changed("n1", { stream: "u" })],
  ["graph", "stream of another phase", changed("n1", { stream: "v" })],
  ["graph", "patches of another size", changed("px", { width: 16 })],
  ["graph", "last node is no head", GRAPH.slice(0, -1)],
  ["graph", "head of another size", changed("head", { n: 16 })],
  [
    "graph",
    "rotation of another width",
    changed("turn", { rotation: { ...rotation, n: 32 } }),
  ],
  [
    "graph",
    "block that does not divide",
    changed("turn", { rotation: { ...rotation, block: 12 } }),
  ],
  [
    "graph",
    "two factors larger than the block",
    changed("turn", { rotation: { ...rotation, order: 8, outer: 4 } }),
  ],
  [
    "graph",
    "order without matrix",
    changed("turn", { rotation: { ...rotation, order: 3, block: 12, n: 12 } }),
  ],
  [
    "graph",
    "seed too large",
    changed("turn", { rotation: { ...rotation, seed: 2 ** 32 } }),
  ],
  ["graph", "tensor in two shapes", changed("k", { weight: "q.weight" })],
  ["graph", "an expert in vision", changed("patch", { modality: "vision" })],
  [
    "graph",
    "an expert's rows into attention",
    changed("q", { modality: "text" }),
  ],
  ["info", "no object", GRAPH, []],
  ["info", "no vocabulary", GRAPH, { ...INFO, vocabulary: 0 }],
  ["info", "image token outside", GRAPH, withImage({ tokenId: 24 })],
  ["info", "stop id outside", GRAPH, { ...INFO, stopIds: [99] }],
  ["info", "half a patch", GRAPH, withImage({ height: 9 })],
  ["info", "huge image", GRAPH, withImage({ height: 2 ** 20 })],
  ["info", "an image of nothing", GRAPH, withImage({ tokens: 0 })],
  ["graph", "image nodes without image", GRAPH, { ...INFO, image: undefined }],
  ["bits", "three bits", GRAPH, INFO, { ...BITS, "q.weight": 3 }],
  ["bits", "a weight left out", GRAPH, INFO, {
    ...BITS,
    "q.weight": undefined,
  }],
  ["bits", "a weight too many", GRAPH, INFO, { ...BITS, "x.weight": 4 }],
  ["tensors", "other bits than stored", GRAPH, INFO, {
    ...BITS,
    "q.weight": 8,
  }],
  ["tensors", "a tensor nobody uses", changed("patch", { bias: undefined })],
  ["plan", "full mask in text", changed("at", { mask: "full" })],
  [
    "plan",
    "no last row",
    GRAPH.filter((n) => n.id !== "end").map((n) =>
      n.id === "back" ? { ...n, x: "n3" } : n
    ),
  ],
  [
    "plan",
    "a norm taken too late",
    [...GRAPH.slice(0, 19).filter((n) => n.id !== "n2"), ...GRAPH.slice(19)]
      .toSpliced(16, 0, GRAPH[18]),
  ],
  ["plan", "image tokens", GRAPH, withImage({ tokens: 5 })],
  [
    "plan",
    "embeddings on all rows",
    changed("embed>t", { modality: undefined }),
  ],
];

Deno.test("each kind of damage has an error code and a message", () => {
  for (const [code, name, graph, info, bits] of bad) {
    const made = file(graph, info, bits, code === "plan" ? graph : GRAPH);
    const error = assertThrows(
      () => planIt(made),
      RuntimeError,
    ) as RuntimeError;
    assertEquals(error.code, code, `${name}: ${error.message}`);
    assert(
      /^Cannot (read the model|load|plan the model)/.test(error.message),
      error.message,
    );
  }
});

Deno.test("500 mutated graphs: planned, or refused with a typed error", () => {
  const next = random(42), draw = (n: number) => Math.floor(uniform(next) * n);
  const values = [
    0,
    -1,
    1,
    3,
    4,
    8,
    12,
    16,
    2 ** 24,
    2 ** 32,
    1e308,
    null,
    true,
    "",
    "q",
    "t",
    [],
    {},
  ];
  let planned = 0;
  for (let i = 0; i < 500; i++) {
    const graph = structuredClone(GRAPH);
    for (let n = draw(3); n >= 0; n--) {
      const at = draw(graph.length), node = graph[at], keys = Object.keys(node);
      const key = keys[draw(keys.length)];
      switch (draw(5)) {
        case 0:
          graph.splice(at, 1);
          break;
        case 1:
          graph.splice(draw(graph.length), 0, { ...node });
          break;
        case 2:
          node[key] = graph[draw(graph.length)][key] ?? node[key];
          break;
        default:
          node[key] = values[draw(values.length)];
      }
    }
    try {
      planIt(file(graph));
      planned++;
    } catch (error) {
      assert(
        error instanceof RuntimeError || error instanceof FormatError,
        `${i}: ${(error as Error).stack}`,
      );
    }
  }
  assert(planned > 5 && planned < 400, `${planned} planned`);
});

Deno.test("widths that follow from widths have a bound: long chains, doubled concatenations", () => {
  const grown = (nodes: Fields[]) => {
    const at = GRAPH.findIndex((n) => n.op === "patch_input") + 1;
    const list = readNodes(JSON.stringify(GRAPH.toSpliced(at, 0, ...nodes)));
    const info = readInfo(JSON.stringify(INFO));
    const begun = performance.now();
    const error = assertThrows(() => checkGraph(list, info), RuntimeError);
    assertEquals(error.code, "graph");
    assert(/the width of its value/.test(error.message), error.message);
    assert(performance.now() - begun < 1000);
  };
  const chain = (n: number, op: string, of: (x: string) => Fields) =>
    Array.from({ length: n }, (_, i) => ({
      ...{ op, id: `c${i}`, phase: "vision" },
      ...of(i === 0 ? "px" : `c${i - 1}`),
    }));
  grown(chain(60_000, "slice_rows", (x) => ({ x, count: 1 })));
  grown(chain(40, "concat_features", (x) => ({ xs: [x, x] })));
  grown(chain(20, "concat_features", (x) => ({ xs: Array(64).fill(x) })));
});

Deno.test("checkGraph accepts what it should", () => {
  checkGraph(readNodes(JSON.stringify(GRAPH)), readInfo(JSON.stringify(INFO)));
});

Deno.test("groups are multiples of 32", () => {
  assertEquals([...readGroups('{"q.weight":96}')], [["q.weight", 96]]);
  for (const group of [0, 8, 48, 64.5, "64", null]) {
    const error = assertThrows(
      () => readGroups(JSON.stringify({ "q.weight": group })),
      RuntimeError,
      'the group of "q.weight" must be a multiple of 32',
    );
    assertEquals(error.code, "bits");
  }
});
