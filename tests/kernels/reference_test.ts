/** The kernel references against textbook formulas in float64. */
import { assert, assertEquals } from "@std/assert";
import { hadamardMatrix, transform } from "../../src/tensor/hadamard.ts";
import { packHadamard } from "../../src/kernels/layout.ts";
import { activate, hadamard } from "../../src/kernels/reference/quantize.ts";
import {
  exp2_32,
  LOG2E,
  rne8,
  viewsOf,
} from "../../src/kernels/reference/views.ts";
import { ACTIVATIONS } from "../../src/kernels/signatures/quantize.ts";

Deno.test("exp2_32 gives e^x within (3 + |x|)·2^−24", () => {
  for (let x = -80; x <= 80; x += 0.00731) {
    const want = Math.exp(x),
      got = exp2_32(Math.fround(Math.fround(x) * LOG2E));
    const bound = (3 + 2 * Math.abs(x)) * 2 ** -24; // rounding x itself costs |x|·2^−24 more
    assert(
      Math.abs(got - want) <= bound * want,
      `e^${x}: ${got}, want ${want}`,
    );
  }
  assertEquals(exp2_32(0), 1);
  assert(exp2_32(-Infinity) < 1e-37 && exp2_32(NaN) < 1e-37);
});

/** erf by its series: exact to float64 for the arguments here. */
function erf(x: number): number {
  let term = x, sum = x;
  for (let n = 1; n < 200; n++) sum += (term *= -x * x / n) / (2 * n + 1);
  return Math.abs(x) > 5 ? Math.sign(x) : sum * 2 / Math.sqrt(Math.PI);
}

Deno.test("activations agree with their formulas", () => {
  const formulas = {
    silu: (x: number) => x / (1 + Math.exp(-x)),
    gelu_tanh: (x: number) =>
      0.5 * x *
      (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    gelu: (x: number) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    quick_gelu: (x: number) => x / (1 + Math.exp(-1.702 * x)),
    relu6: (x: number) => x < 0 ? 0 : x > 6 ? 6 : x,
  };
  for (const [name, act] of Object.entries(ACTIVATIONS)) {
    for (let x = -12; x <= 12; x += 0.0137) {
      const y = Math.fround(x), got = activate(act, y);
      const want = formulas[name as keyof typeof formulas](y);
      assert(
        Math.abs(got - want) < 2e-6 * Math.max(1, Math.abs(y)),
        `${name}(${y}): ${got}, want ${want}`,
      );
    }
  }
});

Deno.test("rne8 rounds half to even and saturates", () => {
  const pairs = [[0.5, 0], [1.5, 2], [-2.5, -2], [127.4, 127], [1e9, 127], [
    -128.5,
    -128,
  ], [-1e9, -128]];
  for (const [x, want] of pairs) assertEquals(rne8(x) + 0, want);
  assertEquals(rne8(NaN), 127);
});

Deno.test("hadamard_f32 is the transform of src/tensor/hadamard.ts", () => {
  for (const [n, order] of [[16, 1], [48, 12], [320, 20]]) {
    const buffer = new ArrayBuffer(65536), f32 = new Float32Array(buffer);
    const x = Float64Array.from({ length: n }, (_, i) => Math.sin(i * i));
    f32.set(x, 1024);
    if (order > 1) {
      new Int32Array(buffer).set(
        packHadamard(hadamardMatrix(order), order),
        4096,
      );
    }
    hadamard(viewsOf(buffer))({
      x: 4096,
      ldx: n,
      signs: 0,
      matrix: 16384,
      order,
      outer: 1,
      scale: 1 / Math.sqrt(n),
      k: n,
      rows: [0, 1],
      scratch: 0,
    });
    transform(x, n, order);
    x.forEach((want, i) => assert(Math.abs(f32[1024 + i] - want) < 1e-5));
  }
});
