/**
 * Multi-head attention: masks, rotary embedding, windows.
 * @module
 */
import { attendHeads } from "../attention.ts";
import { type Executor, type Floats, gatherRows } from "../executor.ts";
import * as f from "../field.ts";
import { mergeOf, wholeTokens } from "../grid.ts";
import { type ImageInfo, imageInfoOf } from "../info.ts";
import { headScale, prefixValues } from "../names.ts";
import { fixed, op, type OpNode, type TensorUse } from "../op.ts";
import {
  mropeAxes,
  positionTables,
  rope2dTables,
  type RopeTables,
  ropeTables,
  rotaryKey,
} from "../rope.ts";
import type { Rows, Runner, Segment } from "../runner.ts";
import { windowsOf } from "../windows.ts";

/** Hook of attention. */
export interface AttentionHooks {
  /** Called with q, k (after the rotary embedding) and v; returns the values to use. `modality` has one entry per row: 0 vision, 1 text. */
  heads?(
    node: AttentionNode,
    part: "q" | "k" | "v",
    x: Floats,
    modality: Uint8Array,
  ): Floats;
}

const fields = {
  q: f.value("[rows, heads·headDim]"),
  k: f.value("[rows, kvHeads·headDim]"),
  v: f.value("[rows, kvHeads·headDim]"),
  heads: f.size("query heads, a multiple of kvHeads"),
  kvHeads: f.size("key and value heads"),
  headDim: f.size("channels of a head"),
  mask: f.choice(["full", "causal"])(
    "full: all rows of an image; causal: a token attends to itself and to those before it",
  ),
  ropeTheta: f.optional(
    f.positive(
      "base θ of the rotary embedding of q and k: pair (i, i + headDim/2) is rotated by position·θ^(−2i/rotaryDim); none where absent",
    ),
  ),
  ropeScalingFactor: f.optional(
    f.positive("positions are divided by it (linear scaling)"),
    { with: "ropeTheta", without: ["rope2d", "mropeSection"] },
  ),
  ropeFactors: f.optional(
    f.list(
      "a list of up to 1024 positive finite numbers",
      (n) => n >= 1 && n <= 1024,
      f.positive(""),
    )(
      "the angle of pair i is divided by number i of rotaryDim/2 (Llama 3, YaRN, LongRoPE)",
    ),
    { with: "ropeTheta", without: ["rope2d", "ropeScalingFactor"] },
  ),
  ropeAttentionFactor: f.optional(
    f.positive(
      "cosines and sines are multiplied by it (YaRN, LongRoPE); default 1",
    ),
    { with: "ropeTheta", without: ["rope2d"] },
  ),
  slidingWindow: f.optional(
    f.size(
      "most tokens that a token attends to, itself included; default all before it",
    ),
    { phase: "text" },
  ),
  rotaryDim: f.optional(
    f.size(
      "rotated channels of a head: even, at most headDim, which is the default",
    ),
    { with: "ropeTheta", without: ["rope2d"] },
  ),
  rope2d: f.optional(
    f.yes(
      "half of the pairs are rotated by the patch's row, half by its column",
    ),
    { phase: "vision", with: "ropeTheta", without: ["mropeSection"] },
  ),
  windowSize: f.optional(
    f.side(
      "with nativeResolution: side in patches of the windows within which patches attend to each other (Qwen2.5-VL)",
    ),
    { phase: "vision" },
  ),
  mropeSection: f.optional(
    f.list(
      "one whole number from 1, or three",
      (n) => n === 1 || n === 3,
      f.size(""),
    )(
      "numbers of pairs that are rotated by a token's time, row and column (M-RoPE)",
    ),
    { phase: "text", with: "ropeTheta" },
  ),
  mropeInterleaved: f.optional(
    f.yes("those pairs alternate: time, row, column, time … (Qwen3-VL)"),
    { with: "mropeSection" },
  ),
};

type AttentionNode = OpNode<"attention", typeof fields>;

/** The op `attention`; `about` defines it. */
export const attention = op({
  op: "attention",
  about:
    "Multi-head attention softmax(q·kᵀ/√headDim)·v, [rows of q, heads·headDim]. In the vision phase q may have a different number of rows than k and v (cross-attention of a resampler).",
  fields,
  width: ({ heads, headDim }) => heads * headDim,
  tensors(node, { prefix }) {
    const { id, phase, heads, kvHeads, headDim } = node;
    const prefixTensor = (part: "k" | "v"): TensorUse => ({
      kind: "prefix",
      name: prefixValues(node, part),
      shape: [prefix, kvHeads * headDim],
      scale: headScale(node, part),
      part,
      node: id,
    });
    return [
      ...fixed(headScale(node, "q"), heads),
      ...fixed(headScale(node, "k"), kvHeads),
      ...fixed(headScale(node, "v"), kvHeads),
      ...prefix > 0 && phase === "text"
        ? [prefixTensor("k"), prefixTensor("v")]
        : [],
    ];
  },
  check(node, { widths, expect, fail, info: { image } }) {
    const { heads, kvHeads, headDim, windowSize, rotaryDim = 2 } = node;
    if (heads % kvHeads !== 0) {
      fail(
        `heads must be a multiple of kvHeads: current values are ${heads} and ${kvHeads}`,
      );
    }
    expect(heads * headDim, widths[0], "the width of q");
    expect(kvHeads * headDim, widths[1], "the width of k");
    expect(kvHeads * headDim, widths[2], "the width of v");
    if (
      windowSize !== undefined &&
      (!image?.nativeResolution || windowSize % mergeOf(image) !== 0 ||
        kvHeads !== heads)
    ) {
      fail(
        `windowSize must be whole tokens in a model with nativeResolution, with as many kvHeads as heads: current value is ${windowSize}`,
      );
    }
    if (rotaryDim % 2 !== 0 || rotaryDim > headDim) {
      fail(
        `rotaryDim must be even and at most the headDim of ${headDim}: current value is ${rotaryDim}`,
      );
    }
    if (node.rope2d && headDim % 4 !== 0) {
      fail(
        `with rope2d, headDim must be a multiple of 4: current value is ${headDim}`,
      );
    }
    checkFactors(node, fail);
    checkMrope(node, image, fail);
  },
  run(node, r: Runner<AttentionHooks>) {
    let q = r.value(node.q), k = r.value(node.k), v = r.value(node.v);
    if (node.ropeTheta !== undefined) {
      q = rotated(q, node.heads, node, r.segments);
      k = rotated(k, node.kvHeads, node, r.segments);
    }
    const { heads } = r.hooks;
    if (heads) {
      q = heads(node, "q", q, r.modality);
      k = heads(node, "k", k, r.modality);
      v = heads(node, "v", v, r.modality);
    }
    return node.windowSize === undefined
      ? attend(node, r, r.segments, q, k, v)
      : attendWindows(node, node.windowSize, r, q, k, v);
  },
});

/** Checks for one factor per rotated pair. */
function checkFactors(
  { headDim, rotaryDim = headDim, ropeFactors }: AttentionNode,
  fail: (problem: string) => never,
): void {
  if (!ropeFactors || ropeFactors.length === rotaryDim / 2) return;
  fail(
    `ropeFactors must be ${
      rotaryDim / 2
    } numbers, half the rotated channels: they are ${ropeFactors.length}`,
  );
}

/** Checks the fields of M-RoPE. */
function checkMrope(
  { headDim, mropeSection: sections, mropeInterleaved }: AttentionNode,
  image: ImageInfo | undefined,
  fail: (problem: string) => never,
): void {
  if (!sections) return;
  if (!image) {
    return fail("mropeSection needs images, but the info has no image");
  }
  if (mropeInterleaved && sections.length !== 3) {
    fail("mropeInterleaved must come with three numbers of mropeSection");
  }
  if (sections.reduce((a, b) => a + b, 0) !== headDim / 2) {
    fail(
      `mropeSection must add up to half the headDim of ${headDim}: it is ${sections}`,
    );
  }
  if (!image.sharedPosition && !wholeTokens(image)) {
    fail(
      `with mropeSection, an image's ${image.tokens} tokens must be squares of its patches`,
    );
  }
}

/** cos and sin of a segment's rows, each [count, headDim/2]; layers with equal rotary parameters share them. */
function tablesOf(node: AttentionNode, s: Segment): RopeTables {
  const { headDim, rope2d, mropeSection } = node;
  const key = `${rotaryKey(node)} ${rope2d} ${mropeSection}`;
  let tables = s.tables.get(key);
  if (tables) return tables;
  if (rope2d) tables = rope2dTables(node.ropeTheta!, headDim, s.grid!);
  else if (mropeSection) {
    tables = positionTables(node, mropeAxes(node), s.positions!);
  } else tables = ropeTables(node, s.count, s.sequence?.length);
  s.tables.set(key, tables);
  return tables;
}

/** A copy of q or k after the rotary embedding. */
function rotated(
  x: Floats,
  heads: number,
  node: AttentionNode,
  segments: readonly Segment[],
): Floats {
  const y = x.slice(), d = node.headDim, half = d / 2;
  for (const s of segments) {
    const { cos, sin } = tablesOf(node, s);
    for (let r = 0; r < s.count; r++) {
      const t = r * half;
      for (let h = 0; h < heads; h++) {
        const at = (s.start + r) * heads * d + h * d;
        for (let i = 0; i < half; i++) {
          const u = x[at + i], v = x[at + i + half];
          y[at + i] = u * cos[t + i] - v * sin[t + i];
          y[at + i + half] = v * cos[t + i] + u * sin[t + i];
        }
      }
    }
  }
  return y;
}

/** Attention within each segment. */
function attend(
  node: AttentionNode,
  r: Runner,
  segments: readonly Rows[],
  q: Floats,
  k: Floats,
  v: Floats,
): Floats {
  const { executor } = r, { heads, kvHeads, headDim: d } = node;
  const out = executor.zeros(q.length), wide = heads * d, width = kvHeads * d;
  // In the vision phase q and k may have different numbers of rows.
  const fixed = (x: string) =>
    node.phase === "vision" ? r.rowsPerImage(x) : undefined;
  const queryRows = fixed(node.q), keyRows = fixed(node.k);
  for (const [i, segment] of segments.entries()) {
    const s = queryRows === undefined ? segment : rowsOfImage(queryRows, i);
    const of = keyRows === undefined ? segment : rowsOfImage(keyRows, i);
    const rows = (x: Floats) =>
      x.subarray(of.start * width, (of.start + of.count) * width);
    const { keys, vals } = withPast(node, r, segment, rows(k), rows(v));
    const total = keys.length / width;
    const own = [s.start * wide, (s.start + s.count) * wide] as const;
    const queries = q.subarray(...own), result = out.subarray(...own);
    const shape = { rows: s.count, keys: total, heads, kvHeads, headDim: d };
    const mask = keyRanges(node, segment, s.count, total);
    const y = executor.attention?.(queries, keys, vals, shape, mask);
    if (y) result.set(y);
    else attendHeads(executor, queries, keys, vals, shape, mask, result);
  }
  return out;
}

/** Appends keys and values of a segment to the KV cache of its sequence; returns the whole cache. */
function withPast(
  { id }: AttentionNode,
  { executor, prefix }: Runner,
  { sequence }: Partial<Segment>,
  keys: Floats,
  vals: Floats,
): { keys: Floats; vals: Floats } {
  if (!sequence) return { keys, vals };
  const past = sequence.cache.get(id) ?? prefix?.get(id);
  if (past) keys = concat(executor, past.k, keys);
  if (past) vals = concat(executor, past.v, vals);
  sequence.cache.set(id, { k: keys.slice(), v: vals.slice() });
  return { keys, vals };
}

/** First key that each row attends to and the end of its range (exclusive), [rows, 2]. */
function keyRanges(
  { mask, slidingWindow = Infinity }: AttentionNode,
  { maskEnds }: Partial<Segment>,
  rows: number,
  keys: number,
): Int32Array {
  const offset = keys - rows, ranges = new Int32Array(2 * rows);
  for (let r = 0; r < rows; r++) {
    ranges[2 * r] = Math.max(0, offset + r + 1 - slidingWindow);
    ranges[2 * r + 1] = mask === "full"
      ? keys
      : offset + (maskEnds?.[r] ?? r) + 1;
  }
  return ranges;
}

/** Attention within windows: the rows are permuted to window order, and each window is a segment. */
function attendWindows(
  node: AttentionNode,
  window: number,
  r: Runner,
  q: Floats,
  k: Floats,
  v: Floats,
): Floats {
  const merge = mergeOf(imageInfoOf(r.info));
  const cut = r.segments.map((s) => windowsOf(s.grid!, window, merge));
  const order = cut.flatMap(({ order }, i) =>
    Array.from(order, (p) => r.segments[i].start + p)
  );
  let start = 0;
  const segments = cut.flatMap(({ sizes }) => sizes).map((count) => {
    start += count;
    return { start: start - count, count };
  });
  const inOrder = (x: Floats) =>
    gatherRows(r.executor, x, x.length / order.length, order);
  const y = attend(node, r, segments, inOrder(q), inOrder(k), inOrder(v));
  const back = new Int32Array(order.length);
  for (const [to, from] of order.entries()) back[from] = to;
  return gatherRows(r.executor, y, y.length / order.length, back);
}

/** Rows of image i of a value with `count` rows per image. */
function rowsOfImage(count: number, i: number): Rows {
  return { start: i * count, count };
}

function concat(executor: Executor, a: Floats, b: Floats): Floats {
  const c = executor.zeros(a.length + b.length);
  c.set(a);
  c.set(b, a.length);
  return c;
}
