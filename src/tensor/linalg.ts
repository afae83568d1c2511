/**
 * The float64 linear algebra of GPTQ: Cholesky factors of symmetric positive
 * definite matrices, row-major.
 * @module
 */

/** A matrix is not positive definite. */
export class NotPositiveDefinite extends RangeError {
  /** @param pivot index of the pivot that failed. */
  constructor(readonly pivot: number) {
    super(
      `Cannot factor the matrix: pivot ${pivot} is not positive; add damping`,
    );
    this.name = "NotPositiveDefinite";
  }
}

/** Σ x[k]·y[at + k] over k < n, in four sums: one sum would wait for each addition (3× slower). */
function dot(x: Float64Array, y: Float64Array, at: number, n: number): number {
  let a = 0, b = 0, c = 0, d = 0, k = 0;
  for (; k + 3 < n; k += 4) {
    a += x[k] * y[at + k];
    b += x[k + 1] * y[at + k + 1];
    c += x[k + 2] * y[at + k + 2];
    d += x[k + 3] * y[at + k + 3];
  }
  for (; k < n; k++) a += x[k] * y[at + k];
  return (a + b) + (c + d);
}

/** Lower factor L with L·Lᵀ = a ([n, n]); the upper triangle of the result is 0. */
export function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const ri = l.subarray(i * n, i * n + i);
    for (let j = 0; j <= i; j++) {
      const sum = a[i * n + j] - dot(ri, l, j * n, j);
      if (i === j) {
        if (!(sum > 0)) throw new NotPositiveDefinite(i);
        l[i * n + i] = Math.sqrt(sum);
      } else l[i * n + j] = sum / l[j * n + j];
    }
  }
  return l;
}

/** Inverse of a lower triangular matrix, lower triangular. */
export function invertLower(l: Float64Array, n: number): Float64Array {
  // Rows of the transposed inverse are its columns: x[j, i] = −Σ l[i, k]·x[j, k] / l[i, i],
  // a dot product along two rows.
  const t = new Float64Array(n * n), x = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const d = 1 / l[i * n + i];
    for (let j = 0; j < i; j++) {
      const row = t.subarray(j * n + j, j * n + i);
      x[i * n + j] = t[j * n + i] = -dot(row, l, i * n + j, i - j) * d;
    }
    x[i * n + i] = t[i * n + i] = d;
  }
  return x;
}

/**
 * Upper factor U with Uᵀ·U = a⁻¹, used by GPTQ row by row. With J the reversal,
 * a' = J·a·J = L·Lᵀ gives a⁻¹ = (J·L⁻¹·J)ᵀ·(J·L⁻¹·J), and J·L⁻¹·J is upper
 * triangular: one factorisation and one triangular inverse suffice.
 */
export function inverseUpperFactor(
  a: ArrayLike<number>,
  n: number,
): Float64Array {
  const reversed = Float64Array.from(a).reverse(); // J·a·J, row-major
  return invertLower(cholesky(reversed, n), n).reverse();
}

/**
 * A copy of rows and columns [from, to) of a square matrix [k, k]. A copy,
 * because reads of wasm memory are several times slower.
 */
export function diagonalBlock(
  matrix: Float64Array | Float32Array,
  k: number,
  from: number,
  to: number,
): Float64Array {
  const size = to - from, corner = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const at = (from + i) * k + from;
    corner.set(matrix.subarray(at, at + size), i * size);
  }
  return corner;
}
