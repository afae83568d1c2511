/**
 * Cases of attention and of the K/V cache.
 * @module
 */
import {
  attentionItems,
  attentionScratchBytes,
  cacheBytes,
} from "../../../src/kernels/layout.ts";
import type { Arena, CasesOf } from "../case.ts";

const heads: readonly (readonly [
  rows: number,
  heads: number,
  headDim: number,
  rotated: boolean,
])[] = [
  [1, 1, 8, false],
  [3, 2, 16, true],
  [7, 5, 64, false],
  [5, 6, 64, true],
  [4, 3, 72, true],
  [1, 9, 80, true],
];

const over = <C>(
  call: (
    arena: Arena,
    s: { rows: number; heads: number; headDim: number; rotated: boolean },
  ) => C,
) =>
  heads.map(([rows, heads, headDim, rotated]) => ({
    name: `${rows} rows, ${heads} heads of ${headDim}${
      rotated ? ", rotated" : ""
    }`,
    build: (arena: Arena) => call(arena, { rows, heads, headDim, rotated }),
  }));

function rotary(
  arena: Arena,
  { rows, headDim, rotated }: {
    rows: number;
    headDim: number;
    rotated: boolean;
  },
) {
  const table = () => rotated ? arena.floats(32 * headDim / 2) : 0;
  return {
    positions: arena.ints(rows, (i) => (i * 5 + 3) % 32),
    cos: table(),
    sin: table(),
  };
}

/** Queries. */
export const queries: CasesOf<"queries_f32_s8"> = over((arena, s) => {
  const { rows, heads, headDim } = s, wide = heads * headDim;
  return {
    x: arena.floats(rows * (wide + 4), 3),
    ldx: wide + 4,
    ...rotary(arena, s),
    inv: arena.floats(heads, 60),
    q: arena.int8s(rows * wide),
    rows: [rows > 4 ? 2 : 0, rows] as const,
    heads,
    headDim,
  };
});

/** Keys. */
export const keys: CasesOf<"keys_f32_s8"> = over((arena, s) => {
  const { rows, heads, headDim } = s, wide = heads * headDim;
  return {
    x: arena.floats(rows * wide, 3),
    ldx: wide,
    ...rotary(arena, s),
    inv: arena.floats(heads, 60),
    cache: arena.int8s(cacheBytes(heads, 24, headDim)),
    capacity: 24,
    slot: 6,
    rows: [0, rows] as const,
    heads,
    headDim,
  };
});

/** Values. */
export const values: CasesOf<"values_f32_s8"> = over((arena, s) => {
  const { rows, heads, headDim } = s, wide = heads * headDim;
  return {
    x: arena.floats(rows * wide, 3),
    ldx: wide,
    inv: arena.floats(heads, 60),
    cache: arena.int8s(cacheBytes(heads, 24, headDim)),
    capacity: 24,
    slot: 7,
    rows: [0, rows] as const,
    heads,
    headDim,
  };
});

/** Attention of `rows` queries over `keys` keys in a cache of `capacity`. */
interface Shape {
  readonly rows: number;
  readonly keys: number;
  readonly capacity: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly window?: number;
  readonly why: string;
}

const shape = (
  [rows, keys, capacity]: readonly [number, number, number],
  [heads, kvHeads, headDim]: readonly [number, number, number],
  causal: boolean,
  why: string,
  window?: number,
): Shape => ({
  rows,
  keys,
  capacity,
  heads,
  kvHeads,
  headDim,
  causal,
  why,
  ...(window ? { window } : {}),
});

const shapes: readonly Shape[] = [
  shape([1, 1, 8], [1, 1, 8], false, "one of everything"),
  shape([3, 7, 16], [2, 1, 16], true, "grouped queries"),
  shape([9, 9, 16], [1, 1, 64], true, "partial row blocks"),
  shape([1, 83, 96], [9, 3, 64], true, "SmolVLM-256M decode"),
  shape([13, 65, 80], [6, 6, 64], true, "photo-mini text"),
  shape([10, 196, 200], [5, 5, 64], false, "a small ViT"),
  shape([4, 196, 200], [2, 2, 72], false, "heads of 72"),
  shape([2, 1030, 1032], [1, 1, 80], false, "more than one block of keys"),
  shape([13, 65, 80], [4, 2, 16], true, "sliding window", 20),
  shape([1, 1500, 1504], [2, 1, 256], true, "Gemma 3 decode", 1024),
  shape([1, 8190, 8192], [2, 1, 16], false, "longest text"),
];

function call(arena: Arena, s: Shape, uniform: boolean) {
  const { rows, keys, capacity, heads, kvHeads, headDim, causal } = s;
  const wide = heads * headDim, ldy = wide + 8;
  const cache = cacheBytes(kvHeads, capacity, headDim);
  const items = attentionItems(rows, heads, kvHeads);
  const last = keys - rows; // position of row 0
  return {
    q: uniform ? arena.int8s(rows * wide, 0, 0) : arena.int8s(rows * wide),
    k: arena.int8s(cache),
    v: uniform ? arena.int8s(cache, -128, -128) : arena.int8s(cache),
    y: arena.floats(rows * ldy),
    ldy,
    scoreScale: arena.place(
      new Float32Array(heads).map((_, i) => 1e-4 * (1 + i)),
    ),
    valueScale: arena.floats(kvHeads, 0.1),
    queryOrder: causal ? arena.ints(rows, (i) => last + i) : 0,
    keyOrder: causal
      ? arena.ints(
        keys,
        (i) => (i * 7 + 2) % keys === 0 ? 0 : i % (keys - 1 || 1),
      )
      : 0,
    queryPosition: s.window ? arena.ints(rows, (i) => last + i - i % 3) : 0,
    window: s.window ?? 0,
    rows,
    keys,
    capacity,
    heads,
    kvHeads,
    headDim,
    items: [items > 4 ? 1 : 0, items] as const,
    scratch: arena.scratch(attentionScratchBytes(keys, headDim)),
  };
}

/** Attention. */
export const attention: CasesOf<"attention_s8"> = shapes.flatMap((s) =>
  [false, true].map((uniform) => ({
    name:
      `${s.rows} rows × ${s.keys} keys, ${s.heads}/${s.kvHeads} heads of ${s.headDim}` +
      `${s.causal ? ", causal" : ""}${s.window ? `, window ${s.window}` : ""}${
        uniform ? ", equal scores, v = −128" : ""
      } (${s.why})`,
    build: (arena: Arena) => call(arena, s, uniform),
  }))
);
