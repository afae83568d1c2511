/**
 * Rotary position embedding (Su et al. 2021) with half-split pairs: channels i and
 * i + d/2 are rotated by the angle position · θ^(−2i/d).
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

/** Rotary parameters of an attention: fields of its node. */
export interface Rotary {
  readonly ropeTheta?: number;
  readonly headDim: number;
  readonly rotaryDim?: number;
  readonly ropeScalingFactor?: number;
  readonly ropeFactors?: readonly number[];
  readonly ropeAttentionFactor?: number;
}

/** Key of the rotary parameters: nodes with equal keys share their tables. */
export function rotaryKey(node: Rotary): string {
  const { ropeTheta, headDim, rotaryDim = headDim, ropeScalingFactor = 1 } =
    node;
  const { ropeFactors = [], ropeAttentionFactor = 1 } = node;
  return [
    ...[ropeTheta, headDim, rotaryDim, ropeScalingFactor, ropeAttentionFactor],
    ...ropeFactors,
  ].join(" ");
}

/** cos and sin, [rows, half], multiplied by `factor`; pairs from `rotated` on are not rotated (cos 1, sin 0). */
function tables(
  rows: number,
  half: number,
  rotated: number,
  angle: (row: number, pair: number) => number,
  factor = 1,
): RopeTables {
  const cos = new Float32Array(rows * half).fill(1);
  const sin = new Float32Array(rows * half);
  for (let i = 0; i < rotated; i++) {
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

/** Angle per position of each rotated pair, [rotaryDim/2]. */
function anglesOf(
  { ropeTheta, headDim, rotaryDim = headDim, ropeFactors }: Rotary,
): Float64Array {
  const f = frequencies(ropeTheta!, rotaryDim);
  return ropeFactors ? f.map((x, i) => x / ropeFactors[i]) : f;
}

/**
 * cos and sin tables of `positions` positions from `first` on, each [positions,
 * headDim/2]; the same bits on every machine.
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
 * 2D rotary tables of a grid of patches, each [patches, headDim/2], in row-major
 * order: half of the pairs are rotated by the row, half by the column, both with the
 * frequencies of headDim/2 channels (transformers,
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
 * M-RoPE axis of each pair: 0 time, 1 row, 2 column. Without `mropeInterleaved` the
 * first mropeSection[0] pairs use time, and so on. With it the axes alternate until a
 * section is used up, and the remaining pairs use time (transformers,
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

/** M-RoPE tables of tokens, each [positions, headDim/2]; rotated pair i uses axis[i] of a position id. */
export function positionTables(
  node: Rotary,
  axis: readonly number[],
  positions: readonly PositionId[],
): RopeTables {
  const f = anglesOf(node);
  return tables(
    positions.length,
    node.headDim / 2,
    f.length,
    (p, i) => positions[p][axis[i]] * f[i],
    node.ropeAttentionFactor,
  );
}
