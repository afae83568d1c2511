import { assert, assertEquals, assertThrows } from "@std/assert";
import { attendHeads } from "../graph/attention.ts";
import type { Executor } from "../graph/executor.ts";
import { gptq, prepareHessian } from "../quantize/gptq.ts";
import { inverseUpperFactor, NotPositiveDefinite } from "../tensor/linalg.ts";
import { normal, random } from "../tensor/random.ts";
import { singleThread, startThreadPool } from "./thread_pool.ts";
import { floatEngine } from "./float_engine.ts";
import { matmulAt } from "./matmul.ts";

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

Deno.test("a product by blocks of columns has the bits of one at once, in less memory", () => {
  const [m, k, n] = [9, 37, 45];
  const x = wave(m * k, 1.7), w = wave(n * k, 0.3), bias = wave(n, 2.1);
  const ends: number[] = [], pool = singleThread();
  const by = (panelBytes?: number) =>
    matmulAt(
      pool.memory,
      1024,
      (x, w, bias, y, rows, k, n) =>
        pool.run(
          { task: "gemm", x, w, bias, y, rows, k, ldx: k, ldy: n, n },
        ),
      (end) => void ends.push(end),
      panelBytes,
    )(x, m, k, w, n, bias);
  assertEquals(by(2 * 8 * 4 * k), by()); // 16 columns at a time
  assert(ends[0] < ends[1]);
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

/** A Gram matrix of correlated rows, and a weight. */
function problem(k: number, n: number) {
  const next = random(5),
    x = Float32Array.from({ length: 600 * k }, () => {
      return normal(next);
    });
  for (let i = 1; i < x.length; i++) x[i] += 0.7 * x[i - 1];
  const w = Float64Array.from({ length: n * k }, () => normal(next));
  return { x, w };
}

Deno.test("the factor by blocks agrees with the plain one, at every size around a block", () => {
  const engine = floatEngine();
  for (const n of [1, 7, 64, 65, 150]) {
    const { x } = problem(n, 1), h = engine.gram(x, 600, n);
    const want = inverseUpperFactor(h, n),
      got = engine.inverseUpperFactor(h, n);
    const most = want.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    for (let i = 0; i < n * n; i++) {
      assert(Math.abs(want[i] - got[i]) < 1e-4 * most, `${n}: ${i}`);
    }
  }
  const h = new Float32Array(100 * 100); // positive up to pivot 30 from the end
  for (let i = 0; i < 100; i++) h[i * 101] = i === 30 ? 0 : 1;
  const error = assertThrows(
    () => engine.inverseUpperFactor(h, 100),
    NotPositiveDefinite,
  );
  assertEquals(error.pivot, 69);
});

Deno.test("one, two and three threads give the same bits, and GPTQ the values of its definition", async () => {
  const k = 150, n = 37, { x, w } = problem(k, n);
  const results = [];
  for (const threads of [1, 2, 3]) {
    using pool = await startThreadPool(threads);
    const engine = floatEngine(pool);
    const h = engine.gram(x, 600, k);
    const hessian = prepareHessian(h, k, {}, {
      zeros: (size) => new Float32Array(size),
      inverseUpperFactor: (a, size) => engine.inverseUpperFactor(a, size),
    })!;
    const y = engine.matmulTransposed(x, 600, k, Float32Array.from(w), n);
    const few = engine.matmulTransposed(
      x.subarray(0, k),
      1,
      k,
      Float32Array.from(w),
      n,
    );
    results.push({
      h,
      hessian,
      y,
      few,
      rounded: engine.gptq(w, n, k, 4, hessian),
    });
  }
  const [{ h, rounded }] = results;
  for (const other of results) assertEquals(other, results[0]);
  const product = floatEngine().matmulTransposed;
  const plain = gptq(
    w,
    n,
    k,
    4,
    prepareHessian(h, k)!,
    product as Parameters<typeof gptq>[5],
    (size) => new Float32Array(size),
  );
  assertEquals(rounded.scale, plain.scale);
  const differ = rounded.values.filter((c, i) => c !== plain.values[i]).length;
  assert(differ <= 5, `${differ} of ${n * k} values differ`); // ties within float32
});

Deno.test("attention shared among threads has the bits of its definition", async () => {
  const shape = { rows: 70, keys: 150, heads: 6, kvHeads: 2, headDim: 16 };
  const q = wave(70 * 96, 0.7),
    k = wave(150 * 32, 1.1),
    v = wave(150 * 32, 0.3);
  const seen = Int32Array.from(
    { length: 140 },
    (_, i) => i % 2 === 0 ? Math.max(0, i / 2 - 20) : 81 + (i >> 1),
  );
  const zeros = (n: number) => new Float32Array(n);
  const matmul = floatEngine().matmulTransposed as Executor["matmul"];
  const want = zeros(q.length);
  attendHeads({ zeros, matmul }, q, k, v, shape, seen, want);
  assert(want.every(Number.isFinite) && want.some((y) => y !== 0));
  for (const threads of [1, 2, 3]) {
    using pool = await startThreadPool(threads);
    assertEquals(floatEngine(pool).attend(q, k, v, shape, seen), want);
  }
});
