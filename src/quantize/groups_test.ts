import { assert, assertEquals, assertThrows } from "@std/assert";
import { float64 } from "../graph/executor.ts";
import { normal, random } from "../tensor/random.ts";
import { dequantize, gptq, prepareHessian, roundToNearest } from "./gptq.ts";
import { groupScales } from "./groups.ts";

const N = 8, K = 128, GROUP = 32;

/** Rows whose groups differ in width, as a trained matrix's do. */
function uneven(): Float64Array {
  const next = random(5);
  return Float64Array.from(
    { length: N * K },
    (_, i) => normal(next) * (1 + Math.floor(i / GROUP) % 4),
  );
}

function error(w: Float64Array, q: Float64Array): number {
  return w.reduce((sum, v, i) => sum + (v - q[i]) ** 2, 0);
}

Deno.test("groups: values times group scales are int8, and lose less than one scale per row", () => {
  const w = uneven();
  const rows = roundToNearest(w, N, K, 4);
  const groups = roundToNearest(w, N, K, 4, { group: GROUP });
  assertEquals(groups.groupScale!.length, N * K / GROUP);
  assertEquals(Math.max(...groups.groupScale!), 15);
  groups.values.forEach((c, i) => {
    const product = c * groups.groupScale![Math.floor(i / GROUP)];
    assert(c >= -8 && c <= 7 && product >= -128 && product <= 127);
  });
  const [one, many] = [rows, groups].map((q) => error(w, dequantize(q)));
  assert(many < 0.7 * one, `${many} against ${one}`);
});

Deno.test("groups: gptq with H = I is rounding to nearest in groups", () => {
  const w = uneven(), identity = new Float64Array(K * K);
  for (let i = 0; i < K; i++) identity[i * K + i] = 1;
  const hessian = prepareHessian(identity, K)!;
  const { matmul, zeros } = float64;
  const got = gptq(w, N, K, 4, hessian, matmul, zeros, undefined, GROUP);
  const want = roundToNearest(w, N, K, 4, { group: GROUP });
  assertEquals(got.values, want.values);
  assertEquals(got.groupScale, want.groupScale);
});

Deno.test("groups: a row of zeros has scales, groups must divide a row", () => {
  const { scale, groupScale } = groupScales(
    new Float64Array(2 * K),
    2,
    K,
    4,
    GROUP,
  );
  assert(scale.every((s) => s > 0) && groupScale.every((g) => g === 1));
  assertThrows(
    () => groupScales(new Float64Array(K), 1, K, 4, 48),
    RangeError,
    "48 columns must divide",
  );
});
