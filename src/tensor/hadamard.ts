/**
 * Hadamard matrices, constructed rather than tabulated, and the fast transform
 * for n = K·2^p (MQuant §5; orders and constructions as in Sylvester 1867 and
 * Paley 1933).
 *
 * Convention: rows are vectors. `transform` maps a row x to
 * `y = (M_K ⊗ S) · x / √n` with S the Sylvester matrix of order 2^p, that is
 * `y[a, b] = Σ M_K[a, a'] · S[b, b'] · x[a', b'] / √n`. M_K is normalised so
 * that its row 0 is all ones: channel 0 of y then holds √n · mean(x) exactly,
 * which Rotation Magnitude Suppression relies on (the order-52, 156 and 172
 * tables of released code put 1–2 % of the mean there).
 * @module
 */

function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}

/** Legendre symbols χ(0..q−1) of an odd prime q. */
function legendre(q: number): Int8Array {
  const chi = new Int8Array(q).fill(-1);
  chi[0] = 0;
  for (let i = 1; i < q; i++) chi[(i * i) % q] = 1;
  return chi;
}

/** Paley I: order q + 1 for a prime q ≡ 3 (mod 4). H = I + S, S skew. */
function paley1(q: number): Int8Array {
  const n = q + 1, chi = legendre(q), h = new Int8Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const s = i === 0
        ? (j === 0 ? 0 : 1)
        : j === 0
        ? -1
        : chi[((i - j) % q + q) % q];
      h[i * n + j] = i === j ? 1 : s;
    }
  }
  return h;
}

/** Paley II: order 2(q + 1) for a prime q ≡ 1 (mod 4). */
function paley2(q: number): Int8Array {
  const m = q + 1, n = 2 * m, chi = legendre(q), h = new Int8Array(n * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      const c = i === j
        ? 0
        : i === 0 || j === 0
        ? 1
        : chi[((i - j) % q + q) % q];
      // 0 → [[1,−1],[−1,−1]], ±1 → ±[[1,1],[1,−1]]
      const block = c === 0 ? [1, -1, -1, -1] : [c, c, c, -c];
      for (let e = 0; e < 4; e++) {
        h[(2 * i + (e >> 1)) * n + 2 * j + (e & 1)] = block[e];
      }
    }
  }
  return h;
}

const matrices = new Map<number, Int8Array>();

/**
 * A Hadamard matrix of the given order: ±1, row-major, row 0 all ones.
 * @throws {RangeError} if neither Sylvester's nor Paley's construction applies
 */
export function hadamardMatrix(order: number): Int8Array {
  const known = matrices.get(order);
  if (known) return known;
  let h: Int8Array;
  if (order === 1) h = Int8Array.of(1);
  else if (order % 4 === 0 && isPrime(order - 1)) h = paley1(order - 1);
  else if (
    order % 4 === 0 && (order / 2 - 1) % 4 === 1 && isPrime(order / 2 - 1)
  ) h = paley2(order / 2 - 1);
  else if (order % 2 === 0) {
    const half = hadamardMatrix(order / 2), m = order / 2;
    h = new Int8Array(order * order);
    for (let i = 0; i < order; i++) {
      for (let j = 0; j < order; j++) {
        const s = i >= m && j >= m ? -1 : 1;
        h[i * order + j] = s * half[(i % m) * m + (j % m)];
      }
    }
  } else {
    throw new RangeError(
      `Cannot construct a Hadamard matrix of order ${order}: it must be 1, or a multiple of 4 reached by doubling from q + 1 or 2(q + 1), q prime`,
    );
  }
  for (let j = 0; j < order; j++) { // make row 0 all ones: M ← M · diag(row 0)
    if (h[j] < 0) {
      for (let i = 0; i < order; i++) h[i * order + j] *= -1;
    }
  }
  matrices.set(order, h);
  return h;
}

/**
 * The smallest K such that n = K·2^p and a matrix of order K exists; undefined
 * if there is none with K ≤ 256.
 */
export function hadamardOrder(n: number): number | undefined {
  for (let k = oddPart(n); k <= Math.min(n, 256); k *= 2) {
    if (exists(k)) return k;
  }
  return undefined;
}

/**
 * Orders [outer, inner] with n = outer·inner·2^p, 2^p ≥ 4, both at most `most`
 * and with the smallest sum: the cheapest transform if no single order is small
 * enough. Undefined if there is none.
 */
export function hadamardPair(
  n: number,
  most: number,
): [number, number] | undefined {
  let best: [number, number] | undefined;
  for (let outer = 12; outer <= most; outer += 4) {
    if (n % outer !== 0 || oddPart(outer) === 1 || !exists(outer)) continue;
    const inner = hadamardOrder(n / outer);
    if (inner === undefined || inner > most || n / outer / inner < 4) continue;
    if (inner === 1 || (best && best[0] + best[1] <= outer + inner)) continue;
    best = [outer, inner];
  }
  return best;
}

function exists(order: number): boolean {
  try {
    hadamardMatrix(order);
    return true;
  } catch {
    return false;
  }
}

function oddPart(n: number): number {
  while (n % 2 === 0) n /= 2;
  return n;
}

/**
 * Transforms each row of `x` [rows, n] in place, n = outer·order·2^p, scaled by
 * 1/√n (orthonormal); `inverse` applies the transpose. With an outer factor N:
 * y = (M_N ⊗ M_K ⊗ S)·x / √n.
 */
export function transform(
  x: Float64Array | Float32Array,
  n: number,
  order: number,
  inverse = false,
  outer = 1,
): void {
  const block = n / outer, width = block / order, scale = 1 / Math.sqrt(n);
  for (let row = 0; row < x.length; row += n) {
    for (let h = 1; h < width; h *= 2) {
      for (let a = row; a < row + n; a += 2 * h) {
        for (let i = a; i < a + h; i++) {
          const u = x[i], v = x[i + h];
          x[i] = u + v;
          x[i + h] = u - v;
        }
      }
    }
  }
  dense(x, block, order, inverse, outer === 1 ? scale : 1);
  if (outer > 1) dense(x, n, outer, inverse, scale);
}

/**
 * Multiplies each block of n values, as a matrix of `order` rows, by the dense
 * matrix of that order or its transpose, scaled.
 */
function dense(
  x: Float64Array | Float32Array,
  n: number,
  order: number,
  inverse: boolean,
  scale: number,
): void {
  const width = n / order;
  const matrix = hadamardMatrix(order), column = new Float64Array(order);
  const m = Float64Array.from(
    matrix,
    (_, i) =>
      inverse ? matrix[(i % order) * order + Math.floor(i / order)] : matrix[i],
  );
  for (let row = 0; row < x.length; row += n) {
    for (let b = 0; b < width; b++) {
      for (let a = 0; a < order; a++) column[a] = x[row + a * width + b];
      for (let a = 0; a < order; a++) {
        let sum = 0;
        for (let c = 0; c < order; c++) {
          sum += m[a * order + c] * column[c];
        }
        x[row + a * width + b] = sum * scale;
      }
    }
  }
}
