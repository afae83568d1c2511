/**
 * Rotary position embedding (Su et al. 2021), half-split pairs: channel i turns
 * with channel i + d/2 by the angle position · θ^(−2i/d).
 * @module
 */
import { pow, sincos } from "../tensor/math.ts";
import { type Grid, patchesIn } from "./grid.ts";
import type { PositionId } from "./position_ids.ts";

/** cos and sin tables, row-major. */
export interface RopeTables {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** How the heads of an attention turn: fields of its node. */
export interface Rotary {
  readonly ropeTheta?: number;
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly ropeScalingFactor?: number;
  readonly ropeFactors?: readonly number[];
  readonly ropeAttentionFactor?: number;
}

/** Attentions with the same key have the same tables for the same positions. */
export function rotaryKey(node: Rotary): string {
  const { ropeTheta, headDim, rotaryDim = headDim, ropeScalingFactor = 1 } =
    node;
  const { ropeFactors = [], ropeAttentionFactor = 1 } = node;
  return [
    ...[ropeTheta, headDim, rotaryDim, ropeScalingFactor, ropeAttentionFactor],
    ...ropeFactors,
  ].join(" ");
}

/** Pairs from `turning` on stand still; the others' values are multiplied by `factor`. */
function tables(
  rows: number,
  half: number,
  turning: number,
  angle: (row: number, pair: number) => number,
  factor = 1,
): RopeTables {
  const cos = new Float32Array(rows * half).fill(1);
  const sin = new Float32Array(rows * half);
  for (let i = 0; i < turning; i++) {
    for (let row = 0; row < rows; row++) {
      const at = row * half + i, [s, c] = sincos(angle(row, i));
      sin[at] = factor * s;
      cos[at] = factor * c;
    }
  }
  return { cos, sin };
}

/** θ^(−2i/d) of each pair, [d/2]. */
function frequencies(theta: number, d: number): Float64Array {
  return Float64Array.from({ length: d / 2 }, (_, i) => pow(theta, -2 * i / d));
}

/** Angle per position of each pair of a node that turns, [rotaryDim/2]. */
function anglesOf(
  { ropeTheta, headDim, rotaryDim = headDim, ropeFactors }: Rotary,
): Float64Array {
  const f = frequencies(ropeTheta!, rotaryDim);
  return ropeFactors ? f.map((x, i) => x / ropeFactors[i]) : f;
}

/**
 * cos and sin tables of `positions` positions from `first` on, each [positions,
 * headDim/2], equal on every machine.
 */
export function ropeTables(
  node: Rotary,
  positions: number,
  first = 0,
): RopeTables {
  const { ropeScalingFactor = 1, ropeAttentionFactor } = node;
  const f = anglesOf(node);
  return tables(
    positions,
    node.headDim / 2,
    f.length,
    (p, i) => (first + p) * f[i] / ropeScalingFactor,
    ropeAttentionFactor,
  );
}

/**
 * Tables of a grid of patches, each [patches, headDim/2], row by row: the
 * first quarter of the channels turns by the row, the second by the column,
 * both with the frequencies of half the channels (transformers,
 * models/qwen2_vl/modeling_qwen2_vl.py, Qwen2VLVisionRotaryEmbedding).
 */
export function rope2dTables(
  theta: number,
  headDim: number,
  grid: Grid,
): RopeTables {
  const f = frequencies(theta, headDim / 2), quarter = headDim / 4;
  return tables(patchesIn(grid), headDim / 2, headDim / 2, (p, i) => {
    const row = Math.floor(p / grid.cols), column = p % grid.cols;
    return i < quarter ? row * f[i] : column * f[i - quarter];
  });
}

/**
 * By what each pair of an attention with sections turns: 0 time, 1 row, 2
 * column. In a row, sections[0] pairs by time, and so on; interleaved, they take
 * turns until a section is used up, and the rest turn by time (transformers,
 * recomposition_frequencies of Qwen2VLRotaryEmbedding and
 * Qwen3VLTextRotaryEmbedding).
 */
export function mropeAxes(
  { mropeSection = [], mropeInterleaved }: {
    readonly mropeSection?: readonly number[];
    readonly mropeInterleaved?: true;
  },
): number[] {
  if (!mropeInterleaved) {
    return mropeSection.flatMap((n, a) => new Array<number>(n).fill(a));
  }
  const pairs = mropeSection.reduce((a, b) => a + b, 0);
  return Array.from(
    { length: pairs },
    (_, i) => i < 3 * mropeSection[i % 3] ? i % 3 : 0,
  );
}

/** Tables of tokens at places, each [places, headDim/2]; pair i turns by axis[i] of the place, if it is among the channels that turn. */
export function positionTables(
  node: Rotary,
  axis: readonly number[],
  places: readonly PositionId[],
): RopeTables {
  const f = anglesOf(node);
  return tables(
    places.length,
    node.headDim / 2,
    f.length,
    (p, i) => places[p][axis[i]] * f[i],
    node.ropeAttentionFactor,
  );
}
