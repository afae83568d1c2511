import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { float64 } from "../graph/executor.ts";
import { normal, random } from "../tensor/random.ts";
import {
  dequantize,
  gptq,
  prepareHessian,
  roundToNearest,
  rowRoots,
  rowScale,
  type RowWeights,
  weighRows,
} from "./gptq.ts";

const N = 6, K = 40;

function gaussian(seed: number, size: number): Float64Array {
  const next = random(seed);
  return Float64Array.from({ length: size }, () => normal(next));
}

/** Σ xᵀx of `rows` correlated rows. */
function correlated(rows: number): { x: Float64Array; h: Float64Array } {
  const x = gaussian(2, rows * K), h = new Float64Array(K * K);
  for (let r = 0; r < rows; r++) {
    for (let c = 1; c < K; c++) x[r * K + c] += 0.8 * x[r * K + c - 1];
    for (let i = 0; i < K; i++) {
      for (let j = 0; j < K; j++) h[i * K + j] += x[r * K + i] * x[r * K + j];
    }
  }
  return { x, h };
}

function outputError(
  x: Float64Array,
  w: Float64Array,
  q: Float64Array,
): number {
  const rows = x.length / K;
  const want = float64.matmul(x, rows, K, w, N);
  const got = float64.matmul(x, rows, K, q, N);
  let sum = 0;
  for (let i = 0; i < want.length; i++) sum += (want[i] - got[i]) ** 2;
  return sum;
}

const quantized = (
  w: Float64Array,
  h: Float64Array,
  block?: number,
  actOrder = true,
) =>
  gptq(
    w,
    N,
    K,
    4,
    prepareHessian(h, K, { actOrder })!,
    float64.matmul,
    float64.zeros,
    block,
  );

Deno.test("gptq with H = I is rounding to nearest", () => {
  const w = gaussian(1, N * K), identity = new Float64Array(K * K);
  for (let i = 0; i < K; i++) identity[i * K + i] = 1;
  assertEquals(
    quantized(w, identity).values,
    roundToNearest(w, N, K, 4).values,
  );
});

Deno.test("gptq loses less than rounding on correlated inputs", () => {
  const w = gaussian(1, N * K), { x, h } = correlated(200);
  const ours = outputError(x, w, dequantize(quantized(w, h)));
  const nearest = outputError(x, w, dequantize(roundToNearest(w, N, K, 4)));
  assert(ours < 0.6 * nearest, `${ours} against ${nearest}`);
});

Deno.test("gptq: the block size does not change the values, and values stay in storage order", () => {
  const w = gaussian(1, N * K), { h } = correlated(200);
  assertEquals(quantized(w, h, 1).values, quantized(w, h, 128).values);
  assertEquals(quantized(w, h, 7).values, quantized(w, h, 128).values);
  const q = dequantize(quantized(w, h));
  const error = w.reduce((s, v, i) => s + (v - q[i]) ** 2, 0);
  assert(error < 0.1 * w.reduce((s, v) => s + v * v, 0));
});

Deno.test("gptq: a dead column and a singular Hessian are survived", () => {
  const w = gaussian(1, N * K), { h } = correlated(3); // rank 3 of 40
  for (let i = 0; i < K; i++) h[5 * K + i] = h[i * K + 5] = 0;
  const q = quantized(w, h);
  assert(q.values.every((c) => c >= -8 && c <= 7));
  assert(q.scale.every((s) => s > 0 && Number.isFinite(s)));
});

Deno.test("rowScale: keeps the range of an even row, clips one outlier away", () => {
  const even = Float64Array.from({ length: 15 }, (_, i) => i - 7);
  assertAlmostEquals(rowScale(even, 4), 1);
  const spiked = gaussian(4, 400);
  spiked[0] = 12;
  assert(rowScale(spiked, 4) < 12 / 7);
});

Deno.test("weighRows: the Gram matrix becomes the weighted one; an even row weighs what any other does", () => {
  const x = Float64Array.from([3, 4, 30, 40, 1, 0]), k = 2;
  const modality = Uint8Array.from([1, 1, 0]);
  const weighed = (weights: RowWeights) =>
    weighRows(x, k, rowRoots(x, k, modality, weights), float64.zeros);
  const image = weighed({ image: 0.25 });
  assertEquals([...image], [3, 4, 30, 40, 0.5, 0]);
  const even = weighed({ even: true });
  for (let r = 0; r < 3; r++) {
    assertAlmostEquals(even[r * k] ** 2 + even[r * k + 1] ** 2, k, 1e-12);
  }
});
