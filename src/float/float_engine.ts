/**
 * Float32 linear algebra for calibration and GPTQ: JavaScript arrays in and out,
 * computed in wasm on all threads of a pool. One memory, grown to the largest call.
 * @module
 */
import type { AttentionShape } from "../graph/executor.ts";
import {
  BLOCK as GPTQ_BLOCK,
  type IntegerWeight,
  type PreparedHessian,
} from "../quantize/gptq.ts";
import {
  cholesky,
  diagonalBlock,
  invertLower,
  NotPositiveDefinite,
} from "../tensor/linalg.ts";
import { singleThread, type ThreadPool } from "./thread_pool.ts";
import { roundUp } from "../kernels/layout.ts";
import { attentionViews, gptqViews } from "./task.ts";
import {
  check,
  matmulAt,
  matmulBytes,
  type MatmulTransposed,
} from "./matmul.ts";

/** Float32 linear algebra. */
export interface FloatEngine {
  /**
   * `x·wᵀ + bias` in float32, each sum in the order of k.
   * @param x [m, k] row-major
   * @param w [n, k] row-major
   * @param bias [n], default zeros
   * @returns [m, n] row-major
   */
  readonly matmulTransposed: MatmulTransposed;
  /**
   * xᵀ·x: blocks of 256 rows in float32, blocks summed in float64, the sum
   * rounded to float32.
   * @param x [m, k] row-major
   * @returns [k, k] row-major, symmetric
   */
  gram(x: Float32Array, m: number, k: number): Float32Array;
  /**
   * Upper factor U with Uᵀ·U = a⁻¹ in float32 (`inverseUpperFactor`).
   * @param a [n, n] row-major, symmetric
   * @throws {NotPositiveDefinite}
   */
  inverseUpperFactor(a: ArrayLike<number>, n: number): Float32Array;
  /** `attendHeads`, the heads shared among threads. */
  attend(
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    shape: AttentionShape,
    keyRange: Int32Array,
  ): Float32Array;
  /** GPTQ, its rows shared among threads. */
  gptq(
    w: Float64Array,
    n: number,
    k: number,
    bits: number,
    hessian: PreparedHessian,
  ): IntegerWeight;
}

const BLOCK_ROWS = 256; // sums of 256 rows in float32, sums of blocks in float64
const START = 1024; // below it lies the data segment of the wasm module
/** Multiply-adds of a matmul that is faster on one thread than waking the others. */
const SMALL = 1e6;
/** Columns factored at a time. */
const BLOCK = 64;

/** A float engine; its memory is that of its pool. */
export function floatEngine(pool: ThreadPool = singleThread()): FloatEngine {
  const { memory } = pool;
  const matmulTransposed = matmulAt(
    memory,
    START,
    (x, w, bias, y, rows, k, n) =>
      pool.run(
        { task: "gemm", x, w, bias, y, rows, k, ldx: k, ldy: n, n },
        rows * k * n < SMALL,
      ),
    (end) => reserve(memory, end),
  );
  return {
    matmulTransposed,
    gram: (x, m, k) => gram(pool, x, m, k),
    inverseUpperFactor: (a, n) => inverseUpperFactor(pool, a, n),
    attend: (...args) => attend(pool, ...args),
    gptq: (...args) => gptqAll(pool, ...args),
  };
}

/** Grows `memory` to at least `end` bytes. */
function reserve(memory: WebAssembly.Memory, end: number): void {
  const missing = end - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
}

/** memory │ sums │ a block of xᵀ │ the same in panels │ zeros │ y of each thread │ */
function gram(
  pool: ThreadPool,
  x: Float32Array,
  m: number,
  k: number,
): Float32Array {
  const { memory, threads } = pool;
  check("x", x.length, [m, k]);
  const k8 = roundUp(k, 8), sum = START, t = sum + roundUp(k * k * 8, 16);
  const p = t + k * BLOCK_ROWS * 4, zeros = p + k8 * BLOCK_ROWS * 4;
  const y = zeros + k8 * 4;
  reserve(memory, y + threads * 64 * k8 * 4);
  const f32 = new Float32Array(memory.buffer);
  const sums = new Float64Array(memory.buffer, sum, k * k).fill(0);
  f32.fill(0, p >> 2, y >> 2);
  for (let r0 = 0; r0 < m; r0 += BLOCK_ROWS) {
    const rows = Math.min(BLOCK_ROWS, m - r0);
    const block = x.subarray(r0 * k, (r0 + rows) * k);
    // xᵀ once as rows [k][rows] and once as panels [k8/8][rows][8]
    for (let j = 0; j < k; j++) {
      const tj = (t >> 2) + j * rows;
      const pj = (p >> 2) + (j >> 3) * 8 * rows + (j & 7);
      for (let r = 0; r < rows; r++) {
        f32[pj + r * 8] = f32[tj + r] = block[r * k + j];
      }
    }
    pool.run({ task: "gram", t, p, zeros, y, rows, k, sum });
  }
  const h = new Float32Array(k * k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      h[i * k + j] = h[j * k + i] = sums[i * k + j];
    }
  }
  return h;
}

/**
 * By blocks of 64 columns; all but the diagonal blocks on all threads. With J the
 * reversal, J·a·J = L·Lᵀ gives U = J·L⁻¹·J.
 *
 *   memory │ L [n, n] │ L⁻¹ in panels │ a block's w in panels │ its y │
 */
function inverseUpperFactor(
  pool: ThreadPool,
  a: ArrayLike<number>,
  n: number,
): Float32Array {
  const { memory, threads } = pool;
  check("a", a.length, [n, n]);
  const n8 = roundUp(n, 8), l = START, x = l + roundUp(n * n, 4) * 4;
  const panels = x + n8 * n * 4, zeros = panels + n * BLOCK * 4;
  const y = zeros + BLOCK * 4;
  reserve(memory, y + Math.max(n, threads * 64) * BLOCK * 4);
  const f32 = new Float32Array(memory.buffer);
  const L = f32.subarray(l >> 2, (l >> 2) + n * n);
  for (let i = 0; i < n * n; i++) L[i] = a[n * n - 1 - i];
  f32.fill(0, x >> 2, panels >> 2);
  f32.fill(0, zeros >> 2, y >> 2);
  for (let from = 0; from < n; from += BLOCK) {
    const to = Math.min(n, from + BLOCK), size = to - from;
    if (from > 0) { // subtract the product of earlier columns
      for (let r = 0; r < BLOCK; r++) {
        const at = (panels >> 2) + (r >> 3) * 8 * from + (r & 7);
        for (let c = 0; c < from; c++) {
          f32[at + c * 8] = r < size ? L[(from + r) * n + c] : 0;
        }
      }
      pool.run({
        task: "gemm",
        x: l + from * n * 4,
        w: panels,
        bias: zeros,
        y,
        rows: n - from,
        k: from,
        ldx: n,
        ldy: BLOCK,
        n: BLOCK,
      });
      for (let i = from; i < n; i++) {
        const taken = (y >> 2) + (i - from) * BLOCK;
        for (let j = 0; j < Math.min(size, i - from + 1); j++) {
          L[i * n + from + j] -= f32[taken + j];
        }
      }
    }
    const blockInverse = factorDiagonalBlock(L, n, from, to);
    pool.run({ task: "solve", l, n, from, to });
    pool.run({ task: "inverse", l, x, zeros, y, n, from, to, blockInverse });
    for (let r = 0; r < size; r++) { // the diagonal block's inverse
      for (let c = 0; c <= r; c++) {
        const j = from + c;
        f32[(x >> 2) + (j >> 3) * n * 8 + (from + r) * 8 + (j & 7)] =
          blockInverse[r * size + c];
      }
    }
  }
  const u = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = n - 1 - i;
    for (let j = i; j < n; j++) {
      const c = n - 1 - j;
      u[i * n + j] = f32[(x >> 2) + (c >> 3) * n * 8 + row * 8 + (c & 7)];
    }
  }
  return u;
}

/** memory │ q │ k │ v │ mask of each row │ y │ scratch of each thread │ */
function attend(
  pool: ThreadPool,
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  shape: AttentionShape,
  keyRange: Int32Array,
): Float32Array {
  const { memory, threads } = pool;
  const { rows, keys, headDim: d } = shape;
  const scratchBytes = roundUp(
    Math.max(matmulBytes(rows, d, keys), matmulBytes(rows, keys, d)),
    16,
  );
  const kAt = START + q.length * 4, vAt = kAt + k.length * 4;
  const rangeAt = vAt + v.length * 4, y = rangeAt + keyRange.length * 4;
  const scratch = roundUp(y + q.length * 4, 16);
  reserve(memory, scratch + threads * scratchBytes);
  const at = { q: START, k: kAt, v: vAt, keyRange: rangeAt, y };
  const views = attentionViews(memory.buffer, at, shape);
  views.q.set(q);
  views.k.set(k);
  views.v.set(v);
  views.keyRange.set(keyRange);
  pool.run(
    { task: "attend", shape, scratch, scratchBytes, ...at },
    q.length * keys < SMALL,
  );
  return views.y.slice();
}

/** memory │ inputs and outputs of GPTQ │ scratch of each thread │ */
function gptqAll(
  pool: ThreadPool,
  weight: Float64Array,
  n: number,
  k: number,
  bits: number,
  hessian: PreparedHessian,
): IntegerWeight {
  const { memory, threads } = pool;
  const scratchBytes = roundUp(
    matmulBytes(Math.ceil(n / threads), GPTQ_BLOCK, k),
    16,
  );
  const w = START, diagonal = w + n * k * 8, order = diagonal + k * 8;
  const factor = order + k * 4, scale = factor + k * k * 4;
  const values = scale + n * 4, scratch = roundUp(values + n * k, 16);
  reserve(memory, scratch + threads * scratchBytes);
  const at = { w, diagonal, order, factor, scale, values };
  const views = gptqViews(memory.buffer, at, n, k);
  views.w.set(weight);
  views.diagonal.set(hessian.diagonal);
  views.order.set(hessian.order);
  views.factor.set(hessian.factor);
  pool.run({ task: "gptq", n, k, bits, scratch, scratchBytes, ...at });
  return {
    bits,
    n,
    k,
    values: views.values.slice(),
    scale: views.scale.slice(),
  };
}

/**
 * Factors the block [from, to) of L in place and returns its inverse, [size,
 * size], lower triangular.
 */
function factorDiagonalBlock(
  L: Float32Array,
  n: number,
  from: number,
  to: number,
): Float64Array {
  const size = to - from, c = diagonalBlock(L, n, from, to);
  let factor: Float64Array;
  try {
    factor = cholesky(c, size);
  } catch (error) {
    if (!(error instanceof NotPositiveDefinite)) throw error;
    throw new NotPositiveDefinite(from + error.pivot);
  }
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      L[(from + i) * n + from + j] = factor[i * size + j];
    }
  }
  return invertLower(factor, size);
}
