/**
 * GPTQ (Frantar et al. 2023) per output channel. Columns are rounded one after
 * the other, those with the largest inputs first (act order). The inverse Hessian
 * spreads each rounding error over the columns that follow (docs/method.md).
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import {
  diagonalBlock,
  inverseUpperFactor,
  NotPositiveDefinite,
} from "../tensor/linalg.ts";
import { roundEven } from "../tensor/round.ts";
import { groupScales, stepOf } from "./groups.ts";

/** A quantized weight: w ≈ values · scale, one scale per row. */
export interface IntegerWeight {
  readonly bits: number;
  readonly n: number;
  readonly k: number;
  /** Row-major [n, k], −2^(bits−1) … 2^(bits−1)−1. */
  readonly values: Int8Array;
  /** Per row, [n]. */
  readonly scale: Float32Array;
  /** Columns per group, where groups have integer scales. */
  readonly group?: number;
  /** [n, k/group], 1 to 15: w ≈ values · groupScale · scale. */
  readonly groupScale?: Uint8Array;
}

/** Clipping ranges that the search tries, each 1 % smaller than the one before; even. */
const SHRINKS = 60;

/**
 * Scale of a row: the clipping range with the least squared error weighed by
 * the energy of its column's inputs.
 * @param row weights of one output
 * @param weight importance of each column (diagonal of the Hessian), or ones
 */
export function rowScale(
  row: Float64Array,
  bits: number,
  weight?: Float64Array,
): number {
  const top = 2 ** (bits - 1) - 1, bottom = -top - 1;
  let max = 0;
  for (const w of row) max = Math.max(max, Math.abs(w));
  if (max === 0) return 1;
  let best = max / top, least = Infinity;
  for (let i = 0; i < SHRINKS; i += 2) { // two independent sums overlap in the pipeline
    const s0 = max * (1 - i / 100) / top, s1 = max * (1 - (i + 1) / 100) / top;
    let error0 = 0, error1 = 0;
    for (
      let from = 0;
      from < row.length && (error0 < least || error1 < least);
      from += 64
    ) {
      const to = Math.min(row.length, from + 64);
      for (let c = from; c < to; c++) {
        const x = row[c], importance = weight ? weight[c] : 1;
        let q = roundEven(x / s0);
        q = q > top ? top : q < bottom ? bottom : q;
        let e = x - q * s0;
        error0 += importance * e * e;
        q = roundEven(x / s1);
        q = q > top ? top : q < bottom ? bottom : q;
        e = x - q * s1;
        error1 += importance * e * e;
      }
    }
    if (error0 < least) least = error0, best = s0;
    if (error1 < least) least = error1, best = s1;
  }
  return best;
}

/** Rounds to nearest with the clip search: GPTQ without a Hessian. */
export function roundToNearest(
  w: Float64Array,
  n: number,
  k: number,
  bits: number,
  { weight, group = 0 }: {
    /** Importance of each column. */
    readonly weight?: Float64Array;
    /** Columns that share an integer scale; 0: none. */
    readonly group?: number;
  } = {},
): IntegerWeight {
  const top = 2 ** (bits - 1) - 1, bottom = -top - 1;
  const values = new Int8Array(n * k);
  const scales = group > 0
    ? groupScales(w, n, k, bits, group, weight)
    : { scale: rowScales(w, n, k, bits, weight) };
  const step = stepOf(scales, k);
  for (let r = 0; r < n; r++) {
    for (let i = r * k; i < (r + 1) * k; i++) {
      values[i] = Math.min(
        top,
        Math.max(bottom, roundEven(w[i] / step(r, i % k))),
      );
    }
  }
  return { bits, n, k, values, ...scales };
}

function rowScales(
  w: Float64Array,
  n: number,
  k: number,
  bits: number,
  weight?: Float64Array,
): Float32Array {
  return Float32Array.from(
    { length: n },
    (_, r) => rowScale(w.subarray(r * k, r * k + k), bits, weight),
  );
}

/** Weights of input rows in the Hessian. */
export interface RowWeights {
  /** Of an image row, where a text row has 1 (MBQ, arXiv 2412.19509: text is more sensitive). */
  readonly image?: number;
  /** Every row has the same weight whatever its norm, so that a few outlier rows do not dominate (after VLMQ, arXiv 2508.03351). */
  readonly even?: true;
}

/**
 * Square roots of the row weights, [rows]. Rows multiplied by them make Σ xᵀx the weighted Hessian.
 * @param x [rows, k]
 * @param modality per row: 0 image, 1 text
 */
export function rowRoots(
  x: Floats,
  k: number,
  modality: Uint8Array,
  { image = 1, even }: RowWeights,
): Float64Array {
  return Float64Array.from({ length: x.length / k }, (_, r) => {
    let square = 0;
    for (let i = r * k; i < (r + 1) * k; i++) square += x[i] * x[i];
    const weight = (modality[r] === 0 ? image : 1) /
      (even ? square / k || 1 : 1);
    return Math.sqrt(weight);
  });
}

/** Multiplies row r of x [rows, k] by roots[r], the square root of its weight in the Hessian. */
export function weighRows(
  x: Floats,
  k: number,
  roots: Float64Array,
  zeros: Executor["zeros"],
): Floats {
  const y = zeros(x.length);
  for (let i = 0; i < x.length; i++) y[i] = x[i] * roots[Math.floor(i / k)];
  return y;
}

/** A Hessian in rounding order, with the Cholesky factor of its inverse. */
export interface PreparedHessian {
  /** order[i] is the column rounded i-th. */
  readonly order: Int32Array;
  /** Upper Cholesky factor U of the inverse of the ordered, damped Hessian, UᵀU = H⁻¹, [k, k]. */
  readonly factor: Floats;
  /** Diagonal of the Hessian in storage order. */
  readonly diagonal: Float64Array;
  /** The damped Hessian in storage order, [k, k]; coordinate descent needs it. */
  readonly damped?: Floats;
}

/** Storage and factorization of a Hessian; float64 by default. */
interface Factoring {
  zeros(n: number): Floats;
  inverseUpperFactor?(a: Floats, n: number): Floats;
}

const plain: Factoring = { zeros: (n) => new Float64Array(n) };

/**
 * Orders, damps and factors H = Σ xᵀx ([k, k]).
 * @param damping share of the mean diagonal that is added to the diagonal
 * @param keepDamped return the damped Hessian, too
 * @returns undefined where H cannot be factored even so
 */
export function prepareHessian(
  h: Floats,
  k: number,
  { actOrder = true, damping = 0.01, keepDamped = false } = {},
  { zeros, inverseUpperFactor: factorOf = inverseUpperFactor }: Factoring =
    plain,
): PreparedHessian | undefined {
  const diagonal = Float64Array.from({ length: k }, (_, i) => h[i * k + i]);
  const order = Int32Array.from({ length: k }, (_, i) => i);
  if (actOrder) order.sort((a, b) => diagonal[b] - diagonal[a] || a - b);
  const mean = diagonal.reduce((a, b) => a + b, 0) / k || 1;
  const ordered = zeros(k * k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < k; j++) ordered[i * k + j] = h[order[i] * k + order[j]];
    if (diagonal[order[i]] === 0) ordered[i * k + i] = 1; // its input is always 0
    ordered[i * k + i] += damping * mean;
  }
  const prepared = { order, diagonal };
  try {
    const factor = factorOf(ordered, k);
    if (!keepDamped) return { ...prepared, factor };
    const damped = zeros(k * k);
    damped.set(h);
    for (let i = 0; i < k; i++) damped[i * k + i] += damping * mean;
    return { ...prepared, factor, damped };
  } catch (error) {
    if (error instanceof NotPositiveDefinite) return undefined;
    throw error;
  }
}

/** Columns rounded before their errors reach the following columns in one matmul. */
export const BLOCK = 128;

/**
 * Quantizes W [n, k] under a prepared Hessian.
 * @param matmul y = x·wᵀ, x [m, k], w [n, k]: spreads a block's errors over the columns after it
 */
export function gptq(
  w: Float64Array,
  n: number,
  k: number,
  bits: number,
  hessian: PreparedHessian,
  matmul: Executor["matmul"],
  zeros: Executor["zeros"],
  block = BLOCK,
  group = 0,
): IntegerWeight {
  const { order, factor, diagonal } = hessian;
  const top = 2 ** (bits - 1) - 1, bottom = -top - 1;
  const values = new Int8Array(n * k);
  const scales = group > 0
    ? groupScales(w, n, k, bits, group, diagonal)
    : { scale: rowScales(w, n, k, bits, diagonal) };
  const step = stepOf(scales, k);
  const rest = new Float64Array(n * k); // in rounding order
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < k; i++) rest[r * k + i] = w[r * k + order[i]];
  }
  for (let from = 0; from < k; from += block) {
    const to = Math.min(k, from + block), size = to - from, after = k - to;
    const errors = zeros(n * size);
    const diagonalOf = diagonalBlock(factor, k, from, to);
    const row = new Float64Array(size);
    for (let r = 0; r < n; r++) {
      row.set(rest.subarray(r * k + from, r * k + to));
      for (let i = 0; i < size; i++) {
        const s = step(r, order[from + i]);
        const q = Math.min(top, Math.max(bottom, roundEven(row[i] / s)));
        values[r * k + order[from + i]] = q;
        const at = i * size, e = (row[i] - q * s) / diagonalOf[at + i];
        for (let j = i + 1; j < size; j++) row[j] -= e * diagonalOf[at + j];
        errors[r * size + i] = e;
      }
    }
    if (after === 0) break;
    const links = zeros(after * size); // U[block, after]ᵀ
    for (let j = 0; j < after; j++) {
      for (let i = 0; i < size; i++) {
        links[j * size + i] = factor[(from + i) * k + to + j];
      }
    }
    const spread = matmul(errors, n, size, links, after);
    for (let r = 0; r < n; r++) {
      for (let j = 0; j < after; j++) {
        rest[r * k + to + j] -= spread[r * after + j];
      }
    }
  }
  return { bits, n, k, values, ...scales };
}

/** values · scale into `out`, [n, k]; float64 by default. */
export function dequantize<F extends Floats = Float64Array>(
  { values, n, k, ...scales }: IntegerWeight,
  out = new Float64Array(n * k) as F,
): F {
  const step = stepOf(scales, k);
  for (let r = 0; r < n; r++) {
    for (let c = 0, i = r * k; c < k; c++, i++) out[i] = values[i] * step(r, c);
  }
  return out;
}
