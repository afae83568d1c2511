import { assert, assertEquals, assertThrows } from "@std/assert";
import { floatEngine } from "./float_engine.ts";

const f = Math.fround;
const wave = (n: number, step: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * step));

Deno.test("matmulTransposed sums in the order of k, bit for bit", () => {
  const engine = floatEngine();
  for (const [m, k, n] of [[1, 1, 1], [5, 37, 11], [9, 320, 33]]) {
    const x = wave(m * k, 1.7), w = wave(n * k, 0.3), bias = wave(n, 2.1);
    const want = new Float32Array(m * n);
    for (let r = 0; r < m; r++) {
      for (let c = 0; c < n; c++) {
        let acc = 0;
        for (let j = 0; j < k; j++) {
          acc = f(acc + f(x[r * k + j] * w[c * k + j]));
        }
        want[r * n + c] = acc + bias[c];
      }
    }
    assertEquals(engine.matmulTransposed(x, m, k, w, n, bias), want);
  }
});

Deno.test("gram is symmetric and agrees with float64", () => {
  const m = 600,
    k = 70,
    x = wave(m * k, 1.3),
    got = floatEngine().gram(x, m, k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < k; j++) {
      let sum = 0;
      for (let r = 0; r < m; r++) sum += x[r * k + i] * x[r * k + j];
      // 256 float32 roundings per block of at most 256 of sum
      assert(Math.abs(got[i * k + j] - sum) < 3 * 256 * 256 * 2 ** -24);
      assertEquals(got[i * k + j], got[j * k + i]);
    }
  }
});

Deno.test("matmulTransposed refuses shapes that do not fit", () => {
  assertThrows(
    () => floatEngine().matmulTransposed(wave(6, 1), 2, 3, wave(5, 1), 2),
    RangeError,
    "w must hold [2, 3]",
  );
});
