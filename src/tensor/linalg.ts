/**
 * The float64 linear algebra of GPTQ: Cholesky factors of symmetric positive
 * definite matrices, row-major.
 * @module
 */

/** Thrown where a matrix is not positive definite. */
export class NotPositiveDefinite extends RangeError {
  /** @param pivot index of the pivot that failed. */
  constructor(readonly pivot: number) {
    super(
      `Cannot factor the matrix: pivot ${pivot} is not positive; add damping`,
    );
    this.name = "NotPositiveDefinite";
  }
}

/** Lower factor L with L·Lᵀ = a ([n, n]); the upper triangle of the result is 0. */
export function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const ri = l.subarray(i * n, i * n + i);
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      const rj = j * n;
      for (let k = 0; k < j; k++) sum -= ri[k] * l[rj + k];
      if (i === j) {
        if (!(sum > 0)) throw new NotPositiveDefinite(i);
        l[i * n + i] = Math.sqrt(sum);
      } else l[i * n + j] = sum / l[rj + j];
    }
  }
  return l;
}

/** Inverse of a lower triangular matrix, lower triangular. */
export function invertLower(l: Float64Array, n: number): Float64Array {
  const x = new Float64Array(n * n);
  // Row i of the inverse from the rows above it: all inner loops run along rows.
  for (let i = 0; i < n; i++) {
    const row = x.subarray(i * n, i * n + n);
    for (let k = 0; k < i; k++) {
      const f = -l[i * n + k];
      if (f === 0) continue;
      const above = x.subarray(k * n, k * n + k + 1);
      for (let j = 0; j <= k; j++) row[j] += f * above[j];
    }
    const d = 1 / l[i * n + i];
    for (let j = 0; j < i; j++) row[j] *= d;
    row[i] = d;
  }
  return x;
}

/**
 * Upper factor U with Uᵀ·U = a⁻¹, which GPTQ walks down row by row. With J the
 * reversal, a' = J·a·J = L·Lᵀ gives a⁻¹ = (J·L⁻¹·J)ᵀ·(J·L⁻¹·J), and J·L⁻¹·J is
 * upper triangular: one factorisation and one triangular inverse suffice.
 */
export function inverseUpperFactor(a: Float64Array, n: number): Float64Array {
  const reverse = (x: Float64Array) => x.slice().reverse(); // J·x·J, row-major
  return reverse(invertLower(cholesky(reverse(a), n), n));
}
