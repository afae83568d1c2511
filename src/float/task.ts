/**
 * Tasks of the float thread pool as plain data, and each thread's part of them.
 * Addresses are byte offsets in the pool's memory.
 * @module
 */
import { attendHeads } from "../graph/attention.ts";
import type { AttentionShape, Executor } from "../graph/executor.ts";
import { gptq } from "../quantize/gptq.ts";
import type { KernelFunction } from "../kernels/signature.ts";
import { matmulAt } from "./matmul.ts";

/** Memory and kernel of a thread. */
export interface WorkerContext {
  readonly memory: WebAssembly.Memory;
  readonly gemm: KernelFunction;
}

/** The message that starts a worker. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** [finished parts, failed parts]. */
  readonly done: Int32Array;
  readonly thread: number;
  readonly threads: number;
}

/** y = x·wᵀ + bias: parts are columns, or rows where there are few columns. */
interface Gemm {
  readonly task: "gemm";
  readonly x: number;
  readonly w: number;
  readonly bias: number;
  readonly y: number;
  readonly rows: number;
  readonly k: number;
  readonly ldx: number;
  readonly ldy: number;
  /** Columns, a multiple of 8. */
  readonly n: number;
}

/** sum += xᵀ·x below the diagonal, for one block of rows that lies transposed at t and in panels at p. */
interface Gram {
  readonly task: "gram";
  readonly t: number;
  readonly p: number;
  readonly zeros: number;
  readonly y: number;
  readonly rows: number;
  readonly k: number;
  /** [k, k] float64. */
  readonly sum: number;
}

/** The rows below a factored diagonal block of L, [n, n] at l: columns [from, to) become L's. */
interface Solve {
  readonly task: "solve";
  readonly l: number;
  readonly n: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Rows [from, to) of the inverse X of L, which lies in panels of 8 columns,
 * [n/8][n rows][8], at x: X[i, j] = −D·L[i, j…i)·X[j…i), j], D the inverse of L's
 * diagonal block.
 */
interface InverseRows {
  readonly task: "inverse";
  readonly l: number;
  readonly x: number;
  readonly zeros: number;
  /** Room for 64 rows of 8 per thread. */
  readonly y: number;
  readonly n: number;
  readonly from: number;
  readonly to: number;
  /** Inverse of L's diagonal block, [to − from, to − from]. */
  readonly blockInverse: Float64Array;
}

/** GPTQ of a weight: parts are rows. */
interface Gptq extends GptqAddresses {
  readonly task: "gptq";
  readonly n: number;
  readonly k: number;
  readonly bits: number;
  /** Scratch for the matmuls of each thread, `scratchBytes` each. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** w [n, k], diagonal [k] in float64; order [k] int32; factor [k, k], scale [n] in float32; values [n, k] int8. */
export interface GptqAddresses {
  readonly w: number;
  readonly diagonal: number;
  readonly order: number;
  readonly factor: number;
  readonly scale: number;
  readonly values: number;
}

/** Attention: parts are heads. */
interface Attend extends AttentionAddresses {
  readonly task: "attend";
  readonly shape: AttentionShape;
  /** Scratch for the matmuls of each thread, `scratchBytes` each. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/** Addresses of an attention's operands: q, y [rows, heads·d], k, v [keys, kvHeads·d] in float32; keyRange [rows, 2] int32 (graph/attention.ts). */
export interface AttentionAddresses {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly keyRange: number;
  readonly y: number;
}

/** One task. */
export type Task = Gemm | Gram | Solve | InverseRows | Gptq | Attend;

/** A thread's range [from, to) of 0 … n; bounds are multiples of `unit`. */
function share(
  n: number,
  unit: number,
  thread: number,
  threads: number,
): [number, number] {
  const units = Math.ceil(n / unit);
  const cut = (t: number) =>
    Math.min(n, Math.floor(units * t / threads) * unit);
  return [cut(thread), cut(thread + 1)];
}

/** Runs one thread's part of a task. */
export function runPart(
  context: WorkerContext,
  task: Task,
  thread: number,
  threads: number,
): void {
  switch (task.task) {
    case "gemm":
      return gemmPart(context, task, thread, threads);
    case "gram":
      return gramPart(context, task, thread, threads);
    case "solve":
      return solvePart(context, task, thread, threads);
    case "inverse":
      return inversePart(context, task, thread, threads);
    case "gptq":
      return gptqPart(context, task, thread, threads);
    case "attend":
      return attendPart(context, task, thread, threads);
  }
}

function gemmPart(
  { gemm }: WorkerContext,
  { x, w, bias, y, rows, k, ldx, ldy, n }: Gemm,
  thread: number,
  threads: number,
): void {
  if (rows <= n) {
    const [n0, n1] = share(n, 8, thread, threads);
    if (n1 > n0) gemm(x, w, bias, y, rows, k, ldx, ldy, n0, n1);
  } else {
    const [r0, r1] = share(rows, 4, thread, threads);
    if (r1 === r0) return;
    gemm(
      x + r0 * ldx * 4,
      w,
      bias,
      y + r0 * ldy * 4,
      r1 - r0,
      k,
      ldx,
      ldy,
      0,
      n,
    );
  }
}

/** Rows of the result at a time. */
const STRIP = 64;

function gramPart(
  { gemm, memory }: WorkerContext,
  { t, p, zeros, y, rows, k, sum: at }: Gram,
  thread: number,
  threads: number,
): void {
  const k8 = Math.ceil(k / 8) * 8, f32 = new Float32Array(memory.buffer);
  const sum = new Float64Array(memory.buffer, at, k * k);
  // y[i, j] for j ≤ i only; strips in turn, because later ones are longer
  for (let i = thread * STRIP; i < k; i += threads * STRIP) {
    const count = Math.min(STRIP, k - i), end = Math.min(k8, i + STRIP);
    const out = y + thread * STRIP * k8 * 4;
    gemm(t + i * rows * 4, p, zeros, out, count, rows, rows, k8, 0, end);
    for (let r = i; r < i + count; r++) {
      const from = (out >> 2) + (r - i) * k8;
      for (let j = 0; j <= r; j++) sum[r * k + j] += f32[from + j];
    }
  }
}

function solvePart(
  { memory }: WorkerContext,
  { l, n, from, to }: Solve,
  thread: number,
  threads: number,
): void {
  const a = new Float32Array(memory.buffer, l, n * n), size = to - from;
  const [r0, r1] = share(n - to, 1, thread, threads);
  // Copies: reads of wasm memory are several times slower. By columns, so that no
  // subtraction waits for the previous one.
  const columns = new Float64Array(size * size), row = new Float64Array(size);
  for (let j = 0; j < size; j++) {
    for (let c = 0; c <= j; c++) {
      columns[c * size + j] = a[(from + j) * n + from + c];
    }
  }
  for (let i = to + r0; i < to + r1; i++) {
    const at = i * n + from;
    for (let j = 0; j < size; j++) row[j] = a[at + j];
    for (let c = 0; c < size; c++) {
      const x = a[at + c] = row[c] /= columns[c * size + c];
      for (let j = c + 1; j < size; j++) row[j] -= x * columns[c * size + j];
    }
  }
}

function inversePart(
  { gemm, memory }: WorkerContext,
  { l, x, zeros, y, n, from, to, blockInverse }: InverseRows,
  thread: number,
  threads: number,
): void {
  const f32 = new Float32Array(memory.buffer), size = to - from;
  const out = y + thread * 64 * 8 * 4;
  const products = new Float64Array(size * 8), sums = new Float64Array(8);
  for (let panel = thread; panel * 8 < from; panel += threads) {
    const j = panel * 8; // the first row of X that is not 0 in these columns
    const at = x + panel * n * 32;
    gemm(
      l + (from * n + j) * 4,
      at + j * 32,
      zeros,
      out,
      size,
      from - j,
      n,
      8,
      0,
      8,
    );
    for (let i = 0; i < size * 8; i++) products[i] = f32[(out >> 2) + i];
    for (let r = 0; r < size; r++) {
      sums.fill(0);
      for (let i = 0; i <= r; i++) {
        const m = blockInverse[r * size + i];
        for (let c = 0; c < 8; c++) sums[c] -= m * products[i * 8 + c];
      }
      f32.set(sums, (at >> 2) + (from + r) * 8);
    }
  }
}

/** Matmuls of one thread, in its own scratch memory. */
function matmulIn({ gemm, memory }: WorkerContext, scratch: number) {
  return matmulAt(
    memory,
    scratch,
    (x, w, bias, y, rows, k, n) => gemm(x, w, bias, y, rows, k, k, n, 0, n),
    () => {},
  ) as Executor["matmul"];
}

const zeros = (n: number) => new Float32Array(n);

function attendPart(
  context: WorkerContext,
  { shape, scratch, scratchBytes, ...at }: Attend,
  thread: number,
  threads: number,
): void {
  const [from, to] = share(shape.heads, 1, thread, threads);
  if (to === from) return;
  const matmul = matmulIn(context, scratch + thread * scratchBytes);
  const { q, k, v, keyRange, y } = attentionViews(
    context.memory.buffer,
    at,
    shape,
  );
  attendHeads({ zeros, matmul }, q, k, v, shape, keyRange, y, from, to);
}

/**
 * The arrays of an attention task as views of the memory
 * (`AttentionAddresses`).
 */
export function attentionViews(
  buffer: ArrayBufferLike,
  at: AttentionAddresses,
  { rows, keys, heads, kvHeads, headDim }: AttentionShape,
) {
  const wide = rows * heads * headDim, width = keys * kvHeads * headDim;
  return {
    q: new Float32Array(buffer, at.q, wide),
    k: new Float32Array(buffer, at.k, width),
    v: new Float32Array(buffer, at.v, width),
    keyRange: new Int32Array(buffer, at.keyRange, 2 * rows),
    y: new Float32Array(buffer, at.y, wide),
  };
}

function gptqPart(
  context: WorkerContext,
  { n, k, bits, scratch, scratchBytes, ...at }: Gptq,
  thread: number,
  threads: number,
): void {
  const [r0, r1] = share(n, 1, thread, threads);
  if (r1 === r0) return;
  const matmul = matmulIn(context, scratch + thread * scratchBytes);
  const views = gptqViews(context.memory.buffer, at, n, k);
  const { values, scale } = gptq(
    views.w.subarray(r0 * k, r1 * k),
    r1 - r0,
    k,
    bits,
    views,
    matmul,
    zeros,
  );
  views.values.set(values, r0 * k);
  views.scale.set(scale, r0);
}

/** The arrays of a GPTQ task as views of the memory (`GptqAddresses`). */
export function gptqViews(
  buffer: ArrayBufferLike,
  at: GptqAddresses,
  n: number,
  k: number,
) {
  return {
    w: new Float64Array(buffer, at.w, n * k),
    diagonal: new Float64Array(buffer, at.diagonal, k),
    order: new Int32Array(buffer, at.order, k),
    factor: new Float32Array(buffer, at.factor, k * k),
    scale: new Float32Array(buffer, at.scale, n),
    values: new Int8Array(buffer, at.values, n * k),
  };
}
