/**
 * Randomised Hadamard rotations Q = D·H of row vectors: random signs, then the
 * Hadamard transform, on each block of the row (MQuant §5; QuaRot).
 * @module
 */
import { hadamardOrder, hadamardPair, transform } from "./hadamard.ts";
import { random, seedOf } from "./random.ts";

/**
 * The rotation x → transform(x · diag(signs)), block by block. Plain data,
 * stored in the model file.
 */
export interface Rotation {
  /** Length of the vectors. */
  readonly n: number;
  /** Block length; blocks are transformed independently. Divides n. */
  readonly block: number;
  /** Order K of the dense factor: block = K·2^p, or outer·K·2^p. */
  readonly order: number;
  /** Order N of a second, outer dense factor; absent if there is none. */
  readonly outer?: number;
  /** Seed of the ±1 diagonal; 0 means all ones. */
  readonly seed: number;
}

/** Largest order of a dense factor: each output costs that many additions. */
const MOST = 64;

/**
 * Block length and order of the largest block of a row of length n that has a
 * fast transform with K ≤ `most`.
 */
function largestBlock(n: number, most: number): [number, number] {
  for (let count = 1; count <= n; count++) {
    if (n % count !== 0) continue;
    const order = hadamardOrder(n / count);
    if (order !== undefined && order <= most) return [n / count, order];
  }
  return [1, 1];
}

/**
 * The rotation of vectors of length n; its signs depend on `seed` and `name`,
 * and are all +1 for `seed` 0.
 */
export function rotation(n: number, seed: number, name = ""): Rotation {
  const [block, order] = largestBlock(n, MOST);
  const pair = block < n ? hadamardPair(n, MOST) : undefined;
  return {
    n,
    ...pair ? { block: n, order: pair[1], outer: pair[0] } : { block, order },
    seed: seed === 0 ? 0 : seedOf(seed, name) || 1,
  };
}

/**
 * The rotation of vectors of length n without signs, in one block if any K
 * allows it; then channel 0 is √n·mean.
 */
export function wholeRotation(n: number): Rotation {
  const [block, order] = largestBlock(n, 256);
  return { n, block, order, seed: 0 };
}

/** The ±1 diagonal of a rotation. */
export function signsOf(r: Rotation): Int8Array {
  const signs = new Int8Array(r.n).fill(1);
  if (r.seed === 0) return signs;
  const next = random(r.seed);
  for (let i = 0; i < r.n; i++) if (next() & 0x10000) signs[i] = -1;
  return signs;
}

/** Rotates each row of `x` ([rows, r.n]) in place. */
export function rotate(x: Float64Array | Float32Array, r: Rotation): void {
  sign(x, r);
  transform(x, r.block, r.order, false, r.outer);
}

/** Undoes `rotate`, in place. */
export function unrotate(x: Float64Array | Float32Array, r: Rotation): void {
  transform(x, r.block, r.order, true, r.outer);
  sign(x, r);
}

function sign(x: Float64Array | Float32Array, r: Rotation): void {
  const signs = signsOf(r);
  for (let row = 0; row < x.length; row += r.n) {
    for (let i = 0; i < r.n; i++) x[row + i] *= signs[i];
  }
}

/** Side of the tiles of `transpose`, whose rows stay in cache on both sides. */
const SQUARE = 32;

/** Transposes [rows, columns] to [columns, rows]. */
export function transpose(
  x: Float64Array,
  rows: number,
  columns: number,
): Float64Array {
  const y = new Float64Array(x.length);
  for (let top = 0; top < rows; top += SQUARE) {
    const bottom = Math.min(rows, top + SQUARE);
    for (let left = 0; left < columns; left += SQUARE) {
      const right = Math.min(columns, left + SQUARE);
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) y[j * rows + i] = x[i * columns + j];
      }
    }
  }
  return y;
}
