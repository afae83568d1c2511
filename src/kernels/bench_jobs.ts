/**
 * Benchmark jobs: kernels, shapes and calls.
 * @module
 */
import { hadamardMatrix, hadamardOrder } from "../tensor/hadamard.ts";
import {
  attentionItems,
  attentionScratchBytes,
  cacheBytes,
  groupedBytes,
  packHadamard,
  paddedK,
  roundUp,
  weightBytes,
} from "./layout.ts";
import {
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
} from "./load.ts";
import {
  type Call,
  type KernelFunction,
  type Operands,
  positional,
  type Signature,
} from "./signature.ts";
import { signatures } from "./signatures/mod.ts";

/** One implementation at one shape. */
export interface Job {
  readonly entry: string;
  readonly shape: string;
  readonly unit: string;
  /** Work of one call, in 10⁹ of the unit's numerator. */
  readonly work: number;
  readonly call: () => void;
}

const MiB = 1 << 20;
const gemmShapes = [
  [5, 576, 1536],
  [20, 576, 1536],
  [60, 576, 1000],
  [128, 576, 1536],
  [196, 320, 1280],
  [512, 2048, 512],
  [1024, 768, 3072],
];
/** Pointwise layers of EfficientNet-Lite2: expansions go to int8, projections to float. */
const pointwiseShapes = [
  [20736, 32, 96],
  [5184, 32, 144],
  [5184, 160, 24],
  [1296, 64, 288],
  [1296, 288, 48],
  [324, 128, 720],
  [324, 736, 120],
  [81, 224, 1248],
  [81, 1248, 208],
];
const gemvShapes = [[576, 1536], [2048, 8192]];
/** Columns of a quantization group. */
const GROUP = 64;
/** pixels a side, channels, window, stride: of EfficientNet-Lite2 */
const depthwiseShapes = [
  [144, 32, 3, 1],
  [144, 96, 3, 2],
  [72, 144, 3, 1],
  [36, 288, 5, 1],
  [18, 720, 5, 1],
  [9, 1248, 5, 1],
];
const rowShapes = [[196, 1280], [64, 1024], [64, 1536], [64, 3072]];
/** rows, keys, heads, kvHeads, headDim */
const attentionShapes = [
  [196, 196, 5, 5, 64],
  [1024, 1024, 2, 2, 64],
  [1, 1024, 9, 3, 64],
];

/** Addresses: inputs are small and reused; weights have 256 MiB for cold sweeps. */
const at = {
  scratch: 1 * MiB,
  x: 4 * MiB,
  sums: 10 * MiB,
  alpha: 11 * MiB,
  bias: 12 * MiB,
  floats: 16 * MiB,
  y: 32 * MiB,
  w: 64 * MiB,
};
const COLD_BYTES = 256 * MiB; // larger than any L3 cache here

/** Adds a job for each implementation of a kernel. */
type Add = <O extends Operands>(
  kernel: Signature<O>,
  shape: string,
  unit: string,
  work: number,
  call: Call<O> | (() => Call<O>),
) => void;

/** Benchmark jobs of a build; with `only`, those whose implementation's name contains one of its strings. */
export function jobs(build: Build, only: readonly string[]): Job[] {
  const memory = kernelMemory(320 * 16, false);
  const f32 = new Float32Array(memory.buffer);
  const module = kernelModule(build, false);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  new Uint32Array(memory.buffer).forEach((_, i, all) =>
    all[i] = Math.imul(i, 0x9e3779b1)
  );
  for (let i = at.alpha >> 2; i < at.w >> 2; i++) f32[i] = Math.sin(i);
  const all: Job[] = [];
  const add: Add = (kernel, shape, unit, work, call) => {
    for (const entry of implementations(module, kernel.name)) {
      if (only.length && !only.some((o) => `${entry} ${shape}`.includes(o))) {
        continue;
      }
      const f = exports[entry] as KernelFunction;
      const parameters = typeof call === "function"
        ? undefined
        : positional(kernel, call);
      const run = parameters
        ? () => f(...parameters)
        : () => f(...positional(kernel, (call as () => Call<never>)()));
      all.push({ entry, shape, unit, work: work / 1e9, call: run });
    }
  };
  matmuls(add);
  convolutions(add);
  rows(add, new Int32Array(memory.buffer));
  attention(add);
  for (const bits of [4, 8] as const) {
    const values = at.w, w = at.w + 16 * MiB, k = 2048;
    const bytes = weightBytes(bits, 512, paddedK(k));
    const call = { values, w, rows: 512, k };
    add(signatures[`pack_w${bits}`], "512×2048", "GB/s", bytes, call);
  }
  return all;
}

/** A call that walks through cold weights, or reads the same ones again. */
function sweep<C extends { readonly w: number }>(
  call: C,
  bytes: number,
  span: number,
): () => C {
  let place = 0;
  return () => {
    const now = { ...call, w: at.w + place };
    place = place + 2 * bytes > span ? 0 : place + bytes;
    return now;
  };
}

function matmuls(add: Add): void {
  const { x, sums, w, alpha, bias, y, scratch } = at;
  const common = { x, sums, w, alpha, bias, y, accumulate: 0 };
  for (const [rows, k, n] of gemmShapes) {
    const shape = `${rows}×${k}→${n}`, work = 2 * rows * k * n;
    const call = { ...common, rows, k, ldy: n, n: [0, n] as const, scratch };
    for (const bits of [4, 8] as const) {
      add(signatures[`gemm_w${bits}a8`], shape, "GOPS", work, call);
    }
    const grouped = { ...call, group: GROUP };
    add(signatures.gemm_w4ga8, shape, "GOPS", work, grouped);
  }
  for (const [rows, k, n] of pointwiseShapes) {
    const shape = `${rows}×${k}→${n}`, work = 2 * rows * k * n;
    const call = { ...common, rows, k, ldy: n, n: [0, n] as const, scratch };
    for (const bits of [4, 8] as const) {
      add(signatures[`gemm_w${bits}a8`], shape, "GOPS", work, call);
      if (bits === 8) add(signatures.gemm_w8a7, shape, "GOPS", work, call);
      add(signatures[`gemm_w${bits}a8_s8`], shape, "GOPS", work, {
        ...call,
        q: y,
        ldq: n,
        inv: 20,
        low: 0,
        high: 127,
      });
    }
  }
  for (const [k, n] of gemvShapes) {
    const call = { ...common, k, n: [0, n] as const };
    const grouped = { ...call, group: GROUP, scratch };
    for (const where of ["cold", "warm"]) {
      const span = (bytes: number) => where === "cold" ? COLD_BYTES : bytes;
      for (const bits of [4, 8] as const) {
        const bytes = weightBytes(bits, n, k);
        add(
          signatures[`gemv_w${bits}a8`],
          `${k}→${n} ${where}`,
          "GB/s",
          bytes,
          sweep(call, bytes, span(bytes)),
        );
      }
      const bytes = groupedBytes(n, k, GROUP);
      add(
        signatures.gemv_w4ga8,
        `${k}→${n} ${where}`,
        "GB/s",
        bytes,
        sweep(grouped, bytes, span(bytes)),
      );
    }
  }
  const [rows, k, n] = [128, 576, 1536];
  add(signatures.gemm_f32, `${rows}×${k}→${n}`, "GOPS", 2 * rows * k * n, {
    x: at.floats,
    w,
    bias,
    y,
    rows,
    k,
    ldx: k,
    ldy: n,
    n: [0, n],
  });
}

function rows(add: Add, i32: Int32Array): void {
  const { floats: x, x: q, sums, w: matrix, scratch } = at;
  for (const [rows, k] of rowShapes) {
    const shape = `${rows}×${k}`, work = rows * k, unit = "Gelements/s";
    const target = { q, sums, k, rows: [0, rows] as const, rowBlock: 4 };
    const order = hadamardOrder(k)!, factor = hadamardMatrix(order);
    add(signatures.quantize_f32_s8, shape, unit, work, {
      x,
      ldx: k,
      inv: 40,
      ...target,
    });
    add(signatures.rmsnorm_f32_s8, shape, unit, work, {
      x,
      ldx: k,
      eps: 1e-6,
      inv: 40,
      ...target,
    });
    add(signatures.hadamard_f32_s8, shape, unit, work, () => {
      i32.set(packHadamard(factor, order), matrix >> 2); // others write there
      return {
        x,
        ldx: k,
        signs: 0,
        matrix,
        order,
        outer: 1,
        inv: 1,
        outlier: 0,
        ...target,
        scratch,
      };
    });
    for (const fn of [0, 1, 2]) {
      add(signatures.activation_f32_s8, `${shape} fn ${fn}`, unit, work, {
        fn,
        g: x,
        u: 0,
        ldx: k,
        inv: 40,
        ...target,
        scratch,
      });
    }
  }
}

function convolutions(add: Add): void {
  for (const [pixels, k, side, stride] of depthwiseShapes) {
    const columns = Math.ceil(pixels / stride), rows = columns ** 2;
    const window = { height: pixels, width: pixels, side, stride, columns };
    const corner = (Math.max((columns - 1) * stride + side - pixels, 0)) >> 1;
    const call = {
      x: at.w,
      w: at.floats,
      alpha: at.alpha,
      bias: at.bias,
      ...window,
      top: corner,
      left: corner,
      k,
      rows: [0, rows] as const,
      scratch: at.scratch,
    };
    const shape = `${pixels}×${pixels}×${k}, ${side}×${side} by ${stride}`;
    const work = 2 * rows * k * side * side;
    add(signatures.depthwise_w8a8, shape, "GOPS", work, {
      ...call,
      y: at.y,
      ldy: k,
    });
    add(signatures.depthwise_w8a8_s8, shape, "GOPS", work, {
      ...call,
      nonNegative: 1,
      inv: 20,
      low: 0,
      high: 127,
      q: at.y,
      sums: at.sums,
      rowBlock: 4,
    });
  }
}

function attention(add: Add): void {
  for (const [rows, keys, heads, kvHeads, headDim] of attentionShapes) {
    const capacity = roundUp(keys, 8);
    if (attentionScratchBytes(keys, headDim) > at.x - at.scratch) {
      throw new RangeError("Cannot measure attention: scratch is too small");
    }
    add(
      signatures.attention_s8,
      `${rows}×${keys}, ${heads}/${kvHeads} heads of ${headDim}`,
      "GOPS",
      4 * rows * keys * heads * headDim,
      {
        q: at.x,
        k: at.w,
        v: at.w + roundUp(cacheBytes(kvHeads, capacity, headDim), 64),
        y: at.y,
        ldy: heads * headDim,
        scoreScale: at.alpha,
        valueScale: at.alpha,
        queryOrder: 0,
        keyOrder: 0,
        queryPosition: 0,
        window: 0,
        rows,
        keys,
        capacity,
        heads,
        kvHeads,
        headDim,
        items: [0, attentionItems(rows, heads, kvHeads)],
        scratch: at.scratch,
      },
    );
  }
}
