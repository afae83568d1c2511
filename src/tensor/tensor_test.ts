import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertThrows,
} from "@std/assert";
import { hadamardMatrix, hadamardOrder, transform } from "./hadamard.ts";
import { cholesky, inverseUpperFactor, NotPositiveDefinite } from "./linalg.ts";
import { exp, ln, pow, sincos } from "./math.ts";
import { normal, random } from "./random.ts";
import { rotate, rotation, unrotate } from "./rotation.ts";

Deno.test("hadamardMatrix: M·Mᵀ = K·I exactly, row 0 all ones", () => {
  for (
    const k of [1, 2, 4, 12, 20, 28, 36, 40, 44, 60, 76, 108, 140, 148, 256]
  ) {
    const m = hadamardMatrix(k);
    for (let i = 0; i < k; i++) {
      assertEquals(m[i], 1);
      for (let j = 0; j < k; j++) {
        let dot = 0;
        for (let c = 0; c < k; c++) dot += m[i * k + c] * m[j * k + c];
        assertEquals(dot, i === j ? k : 0, `order ${k}, rows ${i}, ${j}`);
      }
    }
  }
  assertThrows(
    () => hadamardMatrix(52),
    RangeError,
    "Hadamard matrix of order",
  );
  assertEquals(hadamardOrder(8960), 140);
  assertEquals(hadamardOrder(576), 36);
  assertEquals(hadamardOrder(4304), undefined);
});

Deno.test("transform: channel 0 is √n·mean, the inverse undoes it, norms stay", () => {
  for (const n of [1, 2, 64, 96, 320, 384, 576, 1024, 1280, 4480]) {
    const k = hadamardOrder(n)!, next = random(n);
    const x = Float64Array.from({ length: 2 * n }, () => normal(next) + 1);
    const y = x.slice();
    transform(y, n, k);
    const mean = x.subarray(0, n).reduce((a, b) => a + b) / n;
    assertAlmostEquals(y[0], Math.sqrt(n) * mean, 1e-10);
    const norm = (v: Float64Array) => v.reduce((a, b) => a + b * b, 0);
    assertAlmostEquals(norm(y), norm(x), 1e-9 * norm(x));
    transform(y, n, k, true);
    y.forEach((v, i) => assertAlmostEquals(v, x[i], 1e-11));
  }
});

Deno.test("rotation: falls back to blocks where n has no transform", () => {
  const r = rotation(4864, 7, "ffn");
  assert(r.block < 4864 && 4864 % r.block === 0);
  const next = random(3);
  const x = Float64Array.from({ length: r.n }, () => normal(next)),
    y = x.slice();
  rotate(y, r);
  unrotate(y, r);
  y.forEach((v, i) => assertAlmostEquals(v, x[i], 1e-11));
});

Deno.test("rotation: two dense factors where one would be too large, all of a row mixed", () => {
  for (const [n, outer, order] of [[8960, 20, 28], [1344, 12, 28]]) {
    const r = rotation(n, 7, "ffn"), next = random(3);
    assertEquals([r.block, r.outer, r.order], [n, outer, order]);
    const x = Float64Array.from({ length: n }, () => normal(next) + 1);
    const y = x.slice();
    rotate(y, r);
    unrotate(y, r);
    y.forEach((v, i) => assertAlmostEquals(v, x[i], 1e-11));
    // (N ⊗ M ⊗ S) as it is defined, one output.
    const plain = rotation(n, 0), z = x.slice();
    rotate(z, plain);
    const N = hadamardMatrix(outer), M = hadamardMatrix(order);
    const width = n / outer / order;
    const walsh = (i: number, j: number) =>
      [...(i & j).toString(2)].filter((b) => b === "1").length % 2 ? -1 : 1;
    const at = (i: number) => [
      Math.floor(i / width / order),
      Math.floor(i / width) % order,
      i % width,
    ];
    for (const i of [0, 1, width, 5 * width + 3, n - 1]) {
      const [a, b, c] = at(i);
      let sum = 0;
      for (let j = 0; j < n; j++) {
        const [d, e, f] = at(j);
        sum += N[a * outer + d] * M[b * order + e] * walsh(c, f) *
          x[j];
      }
      assertAlmostEquals(z[i], sum / Math.sqrt(n), 1e-9);
    }
  }
  assertEquals("outer" in rotation(1536, 7), false);
});

Deno.test("inverseUpperFactor: Uᵀ·U·A = I, and a singular matrix is refused", () => {
  const n = 9, next = random(1);
  const b = Float64Array.from({ length: n * n }, () => normal(next));
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < n; k++) a[i * n + j] += b[i * n + k] * b[j * n + k];
    }
  }
  const u = inverseUpperFactor(a, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) assertEquals(u[i * n + j], 0);
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        for (let c = 0; c < n; c++) {
          sum += u[k * n + i] * u[k * n + c] * a[c * n + j];
        }
      }
      assertAlmostEquals(sum, i === j ? 1 : 0, 1e-7);
    }
  }
  assertThrows(() => cholesky(new Float64Array(4), 2), NotPositiveDefinite);
});

Deno.test("math agrees with Math to a few ulp", () => {
  for (let x = -30; x < 30; x += 0.37) {
    assertAlmostEquals(exp(x), Math.exp(x), 1e-14 * Math.exp(x));
    const [s, c] = sincos(x * 97);
    assertAlmostEquals(s, Math.sin(x * 97), 1e-13);
    assertAlmostEquals(c, Math.cos(x * 97), 1e-13);
  }
  for (const x of [1e-9, 0.3, 1, 2.5, 1e4, 5e6]) {
    assertAlmostEquals(ln(x), Math.log(x), 1e-13);
  }
  assertAlmostEquals(pow(1e4, -0.40625), Math.pow(1e4, -0.40625), 1e-15);
});
