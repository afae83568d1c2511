/**
 * Attention over an int8 K/V cache with static scales per head.
 * @module
 */
import { attentionScratchBytes, cacheBytes, roundUp } from "../layout.ts";
import {
  f32,
  i32,
  i8,
  kernel,
  optional,
  out,
  packed,
  range,
  scratch,
  size,
  type Sizes,
} from "../signature.ts";

/** Fixed point of the softmax weights: what 1.0 is. 14 bits: one int16, or two numbers of 7 bits. */
export const SOFTMAX_ONE = 16383;

const strided = (heads: string, stride: string) => ({
  ...f32("rows"),
  shape: `[rows][${heads}·headDim], ${stride} apart`,
  bytes: (s: Sizes) =>
    s.rows > 0 ? 4 * ((s.rows - 1) * s[stride] + s[heads] * s.headDim) : 0,
});

/** Rotary embedding (rotate-half): tables of [position][headDim/2], or none. */
const rotary = {
  positions: optional(i32("rows")),
  cos: optional(f32("position", "headDim/2")),
  sin: optional(f32("position", "headDim/2")),
};

const inv = f32("heads");

const cacheOf = (heads: string, which: string) =>
  packed(
    "i8",
    `${which} cache [${heads}][capacity][headDim]`,
    (s) => cacheBytes(s[heads], s.capacity, s.headDim),
  );

/** Queries: rotary embedding, then quantization to int8 rows. */
export const queries_f32_s8 = kernel(
  "queries_f32_s8",
  "q[row][h] = round(rope(x[row][h])·inv[h])",
  {
    x: strided("heads", "ldx"),
    ldx: size,
    ...rotary,
    inv,
    q: out({
      ...i8("rows"),
      shape: "[rows][heads·headDim]",
      bytes: ({ rows, heads, headDim }) => rows * heads * headDim,
    }),
    rows: range(),
    heads: size,
    /** A multiple of 8. */
    headDim: size,
  },
);

/** Keys: rotary embedding, then quantization to int8 in the K cache, row r at slot + r. */
export const keys_f32_s8 = kernel(
  "keys_f32_s8",
  "K cache[h][slot + row] = round(rope(x[row][h])·inv[h])",
  {
    x: strided("heads", "ldx"),
    ldx: size,
    ...rotary,
    inv,
    cache: out(cacheOf("heads", "K")),
    capacity: size,
    slot: size,
    rows: range(),
    heads: size,
    headDim: size,
  },
);

/** Values: quantization to int8 in the V cache, row r at slot + r. */
export const values_f32_s8 = kernel(
  "values_f32_s8",
  "V cache[h][slot + row] = round(x[row][h]·inv[h])",
  {
    x: strided("heads", "ldx"),
    ldx: size,
    inv,
    cache: out(cacheOf("heads", "V")),
    capacity: size,
    slot: size,
    rows: range(),
    heads: size,
    headDim: size,
  },
);

/**
 * score = f32(q·k)·scoreScale[h]; p = round(16383·e^(score − max));
 * y = f32(Σ p·v)·(valueScale[kv] / f32(Σ p)), both sums exact. Query head h reads
 * kv head h / (heads/kvHeads). Key j is visible to row i where
 * keyOrder[j] ≤ queryOrder[i], and with a sliding window also where
 * keyOrder[j] > queryPosition[i] − window; each row must see at least one key.
 */
export const attention_s8 = kernel(
  "attention_s8",
  "y = softmax(q·kᵀ·scoreScale)·v·valueScale, exact integer sums",
  {
    q: {
      ...i8("rows"),
      shape: "[rows][heads·headDim]",
      bytes: ({ rows, heads, headDim }) => rows * heads * headDim,
    },
    k: {
      ...cacheOf("kvHeads", "K"),
      bytes: ({ kvHeads, capacity, headDim, keys }) =>
        ((kvHeads - 1) * capacity + roundUp(keys, 8)) * headDim,
    },
    v: {
      ...cacheOf("kvHeads", "V"), // the keys of each panel of 8 channels
      bytes: ({ kvHeads, capacity, headDim, keys }) =>
        (kvHeads * headDim - 8) * capacity + roundUp(keys, 4) * 8,
    },
    y: out(strided("heads", "ldy")),
    ldy: size,
    /** Query scale · key scale / √headDim. */
    scoreScale: f32("heads"),
    valueScale: f32("kvHeads"),
    /** None: every row sees every key. */
    queryOrder: optional(i32("rows")),
    /** Readable up to a multiple of 8. */
    keyOrder: optional(i32("keys")),
    queryPosition: optional(i32("rows")),
    /** Tokens that a row sees, its own included; 0: all. */
    window: size,
    rows: size,
    /** Keys in the cache, 1 to capacity. */
    keys: size,
    /** A multiple of 8, at most 65536. */
    capacity: size,
    heads: size,
    kvHeads: size,
    headDim: size,
    /** Work items of attentionItems(rows, heads, kvHeads). */
    items: range(),
    scratch: scratch(({ keys, headDim }) =>
      attentionScratchBytes(keys, headDim)
    ),
  },
);
