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

/** Σ x[k]·y[at + k] over k < n, in four sums: a single one waits for every addition (3× slower). */
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

/** y = x·wᵀ: x [m, k], w [n, k], y [m, n], in float32 or better. */
export type Product = (
  x: Float32Array,
  m: number,
  k: number,
  w: Float32Array,
  n: number,
) => ArrayLike<number>;

const BLOCK = 64;

/** Rows [r0, r1) × columns [c0, c1) of a matrix of n columns, as float32. */
function part(
  a: Float64Array,
  n: number,
  [r0, r1]: [number, number],
  [c0, c1]: [number, number],
): Float32Array {
  const out = new Float32Array((r1 - r0) * (c1 - c0));
  for (let r = r0; r < r1; r++) {
    out.set(a.subarray(r * n + c0, r * n + c1), (r - r0) * (c1 - c0));
  }
  return out;
}

/**
 * `cholesky` by blocks: blocks in float64 here, what they take from the rest by
 * `product`. With damping of 1 % of the mean diagonal the pivots stand far
 * above float32's rounding.
 */
export function choleskyBlocked(
  a: Float64Array,
  n: number,
  product: Product,
): Float64Array {
  const l = a.slice();
  for (let from = 0; from < n; from += BLOCK) {
    const to = Math.min(n, from + BLOCK);
    for (let i = from; i < n; i++) { // columns [from, to) of every row below
      const row = l.subarray(i * n + from, i * n + to);
      for (let j = from; j < Math.min(i + 1, to); j++) {
        const sum = row[j - from] - dot(row, l, j * n + from, j - from);
        if (i === j && !(sum > 0)) throw new NotPositiveDefinite(i);
        row[j - from] = i === j ? Math.sqrt(sum) : sum / l[j * n + j];
      }
    }
    for (let i = from; i < to; i++) l.fill(0, i * n + i + 1, (i + 1) * n);
    if (to === n) break;
    const panel = part(l, n, [to, n], [from, to]), rest = n - to;
    const taken = product(panel, rest, to - from, panel, rest);
    for (let i = 0; i < rest; i++) {
      for (let j = 0; j <= i; j++) {
        l[(to + i) * n + to + j] -= taken[i * rest + j];
      }
    }
  }
  return l;
}

/** `invertLower` by blocks of rows. */
export function invertLowerBlocked(
  l: Float64Array,
  n: number,
  product: Product,
): Float64Array {
  const x = new Float64Array(n * n), t = new Float64Array(n * n); // t = xᵀ
  for (let from = 0; from < n; from += BLOCK) {
    const to = Math.min(n, from + BLOCK), size = to - from;
    const corner = new Float64Array(size * size);
    for (let r = 0; r < size; r++) {
      corner.set(
        l.subarray((from + r) * n + from, (from + r) * n + to),
        r * size,
      );
    }
    const inverse = invertLower(corner, size);
    const above = from === 0 ? [] : product(
      part(l, n, [from, to], [0, from]),
      size,
      from,
      part(t, n, [0, from], [0, from]),
      from,
    );
    for (let r = 0; r < size; r++) {
      const row = x.subarray((from + r) * n, (from + r + 1) * n);
      for (let k = 0; k <= r; k++) {
        const f = inverse[r * size + k];
        for (let j = 0; j < from; j++) row[j] -= f * above[k * from + j];
        row[from + k] = f;
      }
      for (let j = 0; j < to; j++) t[j * n + from + r] = row[j];
    }
  }
  return x;
}

/**
 * Upper factor U with Uᵀ·U = a⁻¹, which GPTQ walks down row by row. With J the
 * reversal, a' = J·a·J = L·Lᵀ gives a⁻¹ = (J·L⁻¹·J)ᵀ·(J·L⁻¹·J), and J·L⁻¹·J is
 * upper triangular: one factorisation and one triangular inverse suffice.
 * @param product does the bulk of the work by blocks where given
 */
export function inverseUpperFactor(
  a: Float64Array,
  n: number,
  product?: Product,
): Float64Array {
  const reversed = a.slice().reverse(); // J·a·J, row-major
  const inverse = product
    ? invertLowerBlocked(choleskyBlocked(reversed, n, product), n, product)
    : invertLower(cholesky(reversed, n), n);
  return inverse.reverse();
}
