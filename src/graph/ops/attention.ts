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

/** What a watcher may see and replace of attention. */
export interface AttentionHooks {
  /** q, k (after the rotary embedding) and v entering attention; `modality` has one entry per row: 0 vision, 1 text. */
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
      "base θ of the rotary embedding of q and k: pair (i, i + headDim/2) turns by position·θ^(−2i/rotaryDim); none where absent",
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
    f.size("so many tokens back are attended to, its own counted; default all"),
    { phase: "text" },
  ),
  rotaryDim: f.optional(
    f.size("channels of a head that turn: even, at most headDim, the default"),
    { with: "ropeTheta", without: ["rope2d"] },
  ),
  rope2d: f.optional(
    f.yes("half of the pairs turn by the patch's row, half by its column"),
    { phase: "vision", with: "ropeTheta", without: ["mropeSection"] },
  ),
  windowSize: f.optional(
    f.side(
      "with nativeResolution: a patch attends to its window of so many patches a side (Qwen2.5-VL)",
    ),
    { phase: "vision" },
  ),
  mropeSection: f.optional(
    f.list(
      "one whole number from 1, or three",
      (n) => n === 1 || n === 3,
      f.size(""),
    )("so many pairs turn by a token's time, row and column (M-RoPE)"),
    { phase: "text", with: "ropeTheta" },
  ),
  mropeInterleaved: f.optional(
    f.yes("those pairs alternate: time, row, column, time … (Qwen3-VL)"),
    { with: "mropeSection" },
  ),
};

type AttentionNode = OpNode<"attention", typeof fields>;

export const attention = op({
  op: "attention",
  about:
    "Multi-head attention softmax(q·kᵀ/√headDim)·v, [rows of q, heads·headDim]. In the vision phase q may have other rows than k and v (cross-attention of a resampler).",
  fields,
  width: ({ heads, headDim }) => heads * headDim,
  tensors(node, { prefix }) {
    const { id, phase, heads, kvHeads, headDim } = node;
    const ahead = (part: "k" | "v"): TensorUse => ({
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
      ...prefix > 0 && phase === "text" ? [ahead("k"), ahead("v")] : [],
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
      q = turned(q, node.heads, node, r.segments);
      k = turned(k, node.kvHeads, node, r.segments);
    }
    const { heads } = r.hooks;
    if (heads) {
      q = heads(node, "q", q, r.modality);
      k = heads(node, "k", k, r.modality);
      v = heads(node, "v", v, r.modality);
    }
    return node.windowSize === undefined
      ? attended(node, r, r.segments, q, k, v)
      : inWindows(node, node.windowSize, r, q, k, v);
  },
});

/** One factor for each pair that turns. */
function checkFactors(
  { headDim, rotaryDim = headDim, ropeFactors }: AttentionNode,
  fail: (problem: string) => never,
): void {
  if (!ropeFactors || ropeFactors.length === rotaryDim / 2) return;
  fail(
    `ropeFactors must be ${
      rotaryDim / 2
    } numbers, half the channels that turn: they are ${ropeFactors.length}`,
  );
}

/** Rotary embedding by a token's time, row and column. */
function checkMrope(
  { headDim, mropeSection: sections, mropeInterleaved }: AttentionNode,
  image: ImageInfo | undefined,
  fail: (problem: string) => never,
): void {
  if (!sections) return;
  if (!image) {
    return fail("mropeSection is for images, and its info has no image");
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

/** cos and sin of a segment's rows, each [count, headDim/2]; all layers of a kind share them. */
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

/** q or k after the rotary embedding, in a copy. */
function turned(
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

/** Attention of each segment for itself. */
function attended(
  node: AttentionNode,
  r: Runner,
  segments: readonly Rows[],
  q: Floats,
  k: Floats,
  v: Floats,
): Floats {
  const { executor } = r, { heads, kvHeads, headDim: d } = node;
  const out = executor.zeros(q.length), wide = heads * d, width = kvHeads * d;
  // In the vision phase queries may have other rows than keys.
  const fixed = (x: string) =>
    node.phase === "vision" ? r.rowsPerImage(x) : undefined;
  const asked = fixed(node.q), given = fixed(node.k);
  for (const [i, segment] of segments.entries()) {
    const s = asked === undefined ? segment : share(asked, i);
    const of = given === undefined ? segment : share(given, i);
    const rows = (x: Floats) =>
      x.subarray(of.start * width, (of.start + of.count) * width);
    const { keys, vals } = withPast(node, r, segment, rows(k), rows(v));
    const total = keys.length / width;
    const own = [s.start * wide, (s.start + s.count) * wide] as const;
    const asking = q.subarray(...own), answer = out.subarray(...own);
    const shape = { rows: s.count, keys: total, heads, kvHeads, headDim: d };
    const seen = maskOf(node, segment, s.count, total);
    const made = executor.attention?.(asking, keys, vals, shape, seen);
    if (made) answer.set(made);
    else attendHeads(executor, asking, keys, vals, shape, seen, answer);
  }
  return out;
}

/** Keys and values of a segment behind those that its sequence remembers, which it then does of these. */
function withPast(
  { id }: AttentionNode,
  { executor, prefix }: Runner,
  { sequence }: Partial<Segment>,
  keys: Floats,
  vals: Floats,
): { keys: Floats; vals: Floats } {
  if (!sequence) return { keys, vals };
  const past = sequence.cache.get(id) ?? prefix?.get(id);
  if (past) keys = joined(executor, past.k, keys);
  if (past) vals = joined(executor, past.v, vals);
  sequence.cache.set(id, { k: keys.slice(), v: vals.slice() });
  return { keys, vals };
}

/** First key that each row attends to and the one behind its last, [rows, 2]. */
function maskOf(
  { mask, slidingWindow = Infinity }: AttentionNode,
  { maskEnds }: Partial<Segment>,
  rows: number,
  keys: number,
): Int32Array {
  const offset = keys - rows, seen = new Int32Array(2 * rows);
  for (let r = 0; r < rows; r++) {
    seen[2 * r] = Math.max(0, offset + r + 1 - slidingWindow);
    seen[2 * r + 1] = mask === "full"
      ? keys
      : offset + (maskEnds?.[r] ?? r) + 1;
  }
  return seen;
}

/** Attention of each window for itself: the rows in window order, a window as an image of one. */
function inWindows(
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
  const y = attended(node, r, segments, inOrder(q), inOrder(k), inOrder(v));
  const back = new Int32Array(order.length);
  for (const [to, from] of order.entries()) back[from] = to;
  return gatherRows(r.executor, y, y.length / order.length, back);
}

/** Rows of image i where a value holds as many for each. */
function share(count: number, i: number): Rows {
  return { start: i * count, count };
}

function joined(executor: Executor, a: Floats, b: Floats): Floats {
  const c = executor.zeros(a.length + b.length);
  c.set(a);
  c.set(b, a.length);
  return c;
}
