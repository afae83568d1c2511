import { assert, assertEquals } from "@std/assert";
import { float64 } from "../graph/executor.ts";
import { normal, random } from "../tensor/random.ts";
import { coordinateDescent } from "./coordinate_descent.ts";
import {
  dequantize,
  gptq,
  type IntegerWeight,
  prepareHessian,
} from "./gptq.ts";

const N = 5, K = 96, ROWS = 400, { matmul, zeros } = float64;

function gaussian(seed: number, size: number): Float64Array {
  const next = random(seed);
  return Float64Array.from({ length: size }, () => normal(next));
}

/** A weight, and the Hessian of inputs whose neighbours go together. */
function problem() {
  const x = gaussian(2, ROWS * K), h = new Float64Array(K * K);
  for (let r = 0; r < ROWS; r++) {
    for (let c = 1; c < K; c++) x[r * K + c] += 0.8 * x[r * K + c - 1];
    for (let i = 0; i < K; i++) {
      for (let j = 0; j < K; j++) h[i * K + j] += x[r * K + i] * x[r * K + j];
    }
  }
  return { w: gaussian(7, N * K), h };
}

/** (w − v)·H·(w − v)ᵀ of each row. */
function errors(w: Float64Array, weight: IntegerWeight, h: Float64Array) {
  const v = dequantize(weight), left = w.map((x, i) => x - v[i]);
  const pull = matmul(left, N, K, h, K);
  return Array.from({ length: N }, (_, r) => {
    let sum = 0;
    for (let i = r * K; i < (r + 1) * K; i++) sum += left[i] * pull[i];
    return sum;
  });
}

const total = (xs: number[]) => xs.reduce((a, b) => a + b, 0);

for (const group of [0, 32]) {
  Deno.test(`coordinate descent: less error than GPTQ, the less the more rounds, ${group ? "groups" : "rows"}`, () => {
    const { w, h } = problem();
    const prepared = prepareHessian(h, K, { keepDamped: true })!;
    const hessian = prepared.damped as Float64Array;
    const start = gptq(w, N, K, 4, prepared, matmul, zeros, undefined, group);
    const before = start.values.slice();
    const of = (rounds: number) =>
      total(
        errors(
          w,
          coordinateDescent(w, start, hessian, rounds, float64),
          hessian,
        ),
      );
    const steps = [
      total(errors(w, start, hessian)),
      of(0),
      of(1),
      of(2),
      of(8),
    ];
    for (let i = 1; i < steps.length; i++) {
      assert(steps[i] <= steps[i - 1] * (1 + 1e-6), steps.join(" "));
    }
    assert(steps[3] < 0.97 * steps[0], steps.join(" "));
    assertEquals(start.values, before, "what it starts from stays");
  });
}

Deno.test("coordinate descent: in the end no single value can be moved to less error", () => {
  const { w, h } = problem();
  const prepared = prepareHessian(h, K, { keepDamped: true })!;
  const hessian = prepared.damped as Float64Array;
  const start = gptq(w, N, K, 4, prepared, matmul, zeros);
  const end = coordinateDescent(w, start, hessian, 40, float64);
  const least = errors(w, end, hessian);
  for (let i = 0; i < N * K; i++) {
    for (const by of [-1, 1]) {
      const q = end.values[i] + by;
      if (q < -8 || q > 7) continue;
      const values = end.values.slice();
      values[i] = q;
      const r = Math.floor(i / K);
      const error = errors(w, { ...end, values }, hessian)[r];
      assert(
        error >= least[r] * (1 - 1e-6),
        `code ${i}: ${error} < ${least[r]}`,
      );
    }
  }
});
