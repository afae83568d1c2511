/**
 * Float32 matrix work for calibration and GPTQ: JavaScript arrays in, JavaScript
 * arrays out, the work in wasm. One memory, grown to the largest call.
 * @module
 */
import { instantiateSync } from "@assemblyscript/loader";
import { packFloats, roundUp } from "./layout.ts";
import { kernelMemory, kernelModule } from "./load.ts";
import type { GemmF32 } from "./gemm_f32.ts";

/** Float matrix products over a private wasm memory. */
export interface FloatEngine {
  /**
   * `x·wᵀ + bias` in float32, each sum in the order of k.
   * @param x [m, k] row-major
   * @param w [n, k] row-major
   * @param bias [n], default zeros
   * @returns [m, n] row-major
   */
  matmulTransposed(
    x: Float32Array,
    m: number,
    k: number,
    w: Float32Array,
    n: number,
    bias?: Float32Array,
  ): Float32Array;
  /**
   * xᵀ·x: blocks of 256 rows in float32, blocks summed in float64.
   * @param x [m, k] row-major
   * @returns [k, k] row-major, symmetric
   */
  gram(x: Float32Array, m: number, k: number): Float64Array;
}

const BLOCK_ROWS = 256; // a row of 256 floats is summed in float32, then float64 takes over

/** A float engine of its own; its memory is freed with it. */
export function floatEngine(): FloatEngine {
  const memory = kernelMemory(1, false);
  const { exports } = instantiateSync(kernelModule("simd", false), {
    env: { memory },
  });
  const gemm = (exports as unknown as { gemm_f32__simd_4x8: GemmF32 })
    .gemm_f32__simd_4x8;

  function reserve(bytes: number): void {
    const missing = bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  }

  function matmulTransposed(
    x: Float32Array,
    m: number,
    k: number,
    w: Float32Array,
    n: number,
    bias?: Float32Array,
  ): Float32Array {
    check("x", x.length, [m, k]);
    check("w", w.length, [n, k]);
    if (bias) check("bias", bias.length, [n]);
    const n8 = roundUp(n, 8);
    const wAt = 1024, xAt = wAt + n8 * k * 4, bAt = xAt + m * k * 4;
    const yAt = bAt + n8 * 4;
    reserve(yAt + m * n8 * 4);
    const f32 = new Float32Array(memory.buffer);
    f32.set(packFloats(w, n, k), wAt >> 2);
    f32.set(x, xAt >> 2);
    f32.fill(0, bAt >> 2, yAt >> 2);
    if (bias) f32.set(bias, bAt >> 2);
    gemm(xAt, wAt, bAt, yAt, m, k, k, n8, 0, n8);
    const y = new Float32Array(m * n);
    for (let r = 0; r < m; r++) {
      const from = (yAt >> 2) + r * n8;
      y.set(f32.subarray(from, from + n), r * n);
    }
    return y;
  }

  function gram(x: Float32Array, m: number, k: number): Float64Array {
    check("x", x.length, [m, k]);
    const sum = new Float64Array(k * k), k8 = roundUp(k, 8);
    const tAt = 1024, pAt = tAt + k * BLOCK_ROWS * 4;
    const bAt = pAt + k8 * BLOCK_ROWS * 4, yAt = bAt + k8 * 4;
    reserve(yAt + k * k8 * 4);
    const f32 = new Float32Array(memory.buffer);
    f32.fill(0, pAt >> 2, yAt >> 2);
    for (let r0 = 0; r0 < m; r0 += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, m - r0);
      const block = x.subarray(r0 * k, (r0 + rows) * k);
      // xᵀ once as rows [k][rows] and once as panels [k8/8][rows][8]
      for (let j = 0; j < k; j++) {
        const t = (tAt >> 2) + j * rows;
        const p = (pAt >> 2) + (j >> 3) * 8 * rows + (j & 7);
        for (let r = 0; r < rows; r++) {
          f32[p + r * 8] = f32[t + r] = block[r * k + j];
        }
      }
      // y[i, j] for j ≤ i only, 64 rows i at a time; the rest is its mirror
      for (let i = 0; i < k; i += 64) {
        const count = Math.min(64, k - i), end = Math.min(k8, i + 64);
        gemm(
          tAt + i * rows * 4,
          pAt,
          bAt,
          yAt + i * k8 * 4,
          count,
          rows,
          rows,
          k8,
          0,
          end,
        );
        for (let r = i; r < i + count; r++) {
          const y = (yAt >> 2) + r * k8;
          for (let j = 0; j <= r; j++) sum[r * k + j] += f32[y + j];
        }
      }
    }
    for (let i = 0; i < k; i++) {
      for (let j = i + 1; j < k; j++) sum[i * k + j] = sum[j * k + i];
    }
    return sum;
  }

  return { matmulTransposed, gram };
}

function check(what: string, length: number, shape: number[]): void {
  const size = shape.reduce((a, b) => a * b, 1);
  if (shape.some((s) => !Number.isInteger(s) || s < 1) || length !== size) {
    throw new RangeError(
      `Cannot multiply: ${what} must hold [${
        shape.join(", ")
      }] = ${size} floats: current length is ${length}`,
    );
  }
}
