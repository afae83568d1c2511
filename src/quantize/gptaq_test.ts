import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { float64 } from "../graph/executor.ts";
import { normal, random } from "../tensor/random.ts";
import { asymmetricTarget, targetCorrection } from "./gptaq.ts";
import { prepareHessian } from "./gptq.ts";

const M = 1500, N = 5, K = 24;

function gaussian(seed: number, size: number): Float64Array {
  const next = random(seed);
  return Float64Array.from({ length: size }, () => normal(next));
}

/** What enters in float, and the same with an error that goes along with it, as rounding before leaves one. */
function inputs() {
  const x = gaussian(1, M * K), noise = gaussian(2, M * K);
  const quantized = x.map((v, i) => 0.9 * v + 0.05 * noise[i]);
  const h = new Float64Array(K * K);
  for (let r = 0; r < M; r++) {
    for (let i = 0; i < K; i++) {
      for (let j = 0; j < K; j++) {
        h[i * K + j] += quantized[r * K + i] * quantized[r * K + j];
      }
    }
  }
  const hessian = prepareHessian(h, K, { damping: 1e-9 })!;
  const gap = x.map((v, i) => v - quantized[i]);
  return {
    x,
    quantized,
    correction: targetCorrection(gap, quantized, hessian, float64),
  };
}

/** w·x − a·x̂, [M, N]. */
function gap(
  x: Float64Array,
  q: Float64Array,
  w: Float64Array,
  a: Float64Array,
) {
  const want = float64.matmul(x, M, K, w, N),
    got = float64.matmul(q, M, K, a, N);
  return want.map((v, i) => v - got[i]);
}

const square = (x: ArrayLike<number>) =>
  Array.from(x).reduce((sum, v) => sum + v * v, 0);

Deno.test("an aimed weight leaves nothing that goes along with its inputs: the least squares of float's product", () => {
  const { x, quantized, correction } = inputs(), w = gaussian(3, N * K);
  const left = gap(
    x,
    quantized,
    w,
    asymmetricTarget(w, N, correction, 1, float64),
  );
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < K; c++) {
      let along = 0;
      for (let r = 0; r < M; r++) {
        along += left[r * N + n] * quantized[r * K + c];
      }
      assertAlmostEquals(along, 0, 1e-5);
    }
  }
  assert(square(left) < 0.4 * square(gap(x, quantized, w, w)));
});

Deno.test("half of the correction moves a weight half as far, and inputs without error move none", () => {
  const { quantized, correction } = inputs(), w = gaussian(3, N * K);
  const whole = asymmetricTarget(w, N, correction, 1, float64);
  const half = asymmetricTarget(w, N, correction, 0.5, float64);
  for (let i = 0; i < w.length; i++) {
    assertAlmostEquals(half[i] - w[i], (whole[i] - w[i]) / 2, 1e-12);
  }
  const nothing = quantized.map(() => 0);
  const still = targetCorrection(
    nothing,
    quantized,
    correction.hessian,
    float64,
  );
  assertEquals(asymmetricTarget(w, N, still, 1, float64), w);
});
