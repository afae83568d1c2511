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

/** Pairs from `turning` on stand still. */
function tables(
  rows: number,
  half: number,
  turning: number,
  angle: (row: number, pair: number) => number,
): RopeTables {
  const cos = new Float32Array(rows * half).fill(1);
  const sin = new Float32Array(rows * half);
  for (let i = 0; i < turning; i++) {
    for (let row = 0; row < rows; row++) {
      const at = row * half + i;
      [sin[at], cos[at]] = sincos(angle(row, i));
    }
  }
  return { cos, sin };
}

/** θ^(−2i/d) of each pair, [d/2]. */
function frequencies(theta: number, d: number): Float64Array {
  return Float64Array.from({ length: d / 2 }, (_, i) => pow(theta, -2 * i / d));
}

/**
 * cos and sin tables of `positions` positions from `first` on, each [positions,
 * headDim/2], equal on every machine; `rotary` channels of the head turn, by
 * positions that count `stretch` times less.
 */
export function ropeTables(
  theta: number,
  headDim: number,
  positions: number,
  rotary = headDim,
  first = 0,
  stretch = 1,
): RopeTables {
  const f = frequencies(theta, rotary);
  return tables(
    positions,
    headDim / 2,
    rotary / 2,
    (p, i) => (first + p) * f[i] / stretch,
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

/** Tables of tokens at places, each [places, headDim/2]; pair i turns by axis[i] of the place, if it is among the `rotary` channels. */
export function positionTables(
  theta: number,
  headDim: number,
  axis: readonly number[],
  places: readonly PositionId[],
  rotary = headDim,
): RopeTables {
  const f = frequencies(theta, rotary);
  return tables(
    places.length,
    headDim / 2,
    rotary / 2,
    (p, i) => places[p][axis[i]] * f[i],
  );
}
