/**
 * Float32 matmul of JavaScript arrays in wasm memory.
 *
 * ```text
 *   at │ w in panels, a block of columns │ x, a block of rows │ bias │ y of both │
 * ```
 *
 * @module
 */
import { packFloats, roundUp, weightFloats } from "../kernels/layout.ts";

/** `y = x·wᵀ + bias` over addresses: rows of x are k long, those of y n. */
export type Gemm = (
  x: number,
  w: number,
  bias: number,
  y: number,
  rows: number,
  k: number,
  n: number,
) => void;

/** `x·wᵀ + bias`: x [m, k], w [n, k], bias [n], default zeros; → [m, n]. */
export type MatmulTransposed = (
  x: Float32Array,
  m: number,
  k: number,
  w: Float32Array,
  n: number,
  bias?: Float32Array,
) => Float32Array;

/** Bytes of x and y at a time, so that a large batch needs little memory. */
const BLOCK_BYTES = 1 << 25;
/** Bytes of w at a time, so that a large vocabulary needs little memory. */
const PANEL_BYTES = 1 << 28;

/** Rows of a block. */
function blockRows(m: number, k: number, n8: number): number {
  return Math.min(m, Math.max(4, Math.floor(BLOCK_BYTES / 4 / (k + n8))));
}

/** Columns of a block, a multiple of 8 or all. */
function blockColumns(k: number, n: number, panelBytes: number): number {
  return Math.min(n, 8 * Math.max(1, Math.floor(panelBytes / 32 / k)));
}

/** Memory of one matmul, in bytes. */
export function matmulBytes(
  m: number,
  k: number,
  n: number,
  panelBytes = PANEL_BYTES,
): number {
  const columns = blockColumns(k, n, panelBytes), n8 = roundUp(columns, 8);
  const rows = blockRows(m, k, n8);
  return 4 * (weightFloats(columns, k) + rows * (k + n8) + n8);
}

/** Matmuls in `memory` at byte `at`, a multiple of 16; `reserve` grows the memory to an end. */
export function matmulAt(
  memory: WebAssembly.Memory,
  at: number,
  gemm: Gemm,
  reserve: (end: number) => void,
  panelBytes = PANEL_BYTES,
): MatmulTransposed {
  return (x, m, k, w, n, bias) => {
    check("x", x.length, [m, k]);
    check("w", w.length, [n, k]);
    if (bias) check("bias", bias.length, [n]);
    reserve(at + matmulBytes(m, k, n, panelBytes));
    const f32 = new Float32Array(memory.buffer), y = new Float32Array(m * n);
    const step = blockColumns(k, n, panelBytes);
    const block = blockRows(m, k, roundUp(step, 8));
    for (let n0 = 0; n0 < n; n0 += step) {
      const columns = Math.min(step, n - n0), n8 = roundUp(columns, 8);
      const xAt = at + 4 * weightFloats(columns, k), bAt = xAt + block * k * 4;
      const yAt = bAt + n8 * 4;
      const part = w.subarray(n0 * k, (n0 + columns) * k);
      packFloats(part, columns, k, f32.subarray(at >> 2, xAt >> 2));
      f32.fill(0, bAt >> 2, yAt >> 2);
      if (bias) f32.set(bias.subarray(n0, n0 + columns), bAt >> 2);
      for (let r0 = 0; r0 < m; r0 += block) {
        const rows = Math.min(block, m - r0);
        f32.set(x.subarray(r0 * k, (r0 + rows) * k), xAt >> 2);
        gemm(xAt, at, bAt, yAt, rows, k, n8);
        for (let r = 0; r < rows; r++) {
          const from = (yAt >> 2) + r * n8;
          y.set(f32.subarray(from, from + columns), (r0 + r) * n + n0);
        }
      }
    }
    return y;
  };
}

/** Throws `RangeError` where an array has another size than `shape`. */
export function check(what: string, length: number, shape: number[]): void {
  const size = shape.reduce((a, b) => a * b, 1);
  if (shape.some((s) => !Number.isInteger(s) || s < 1) || length !== size) {
    throw new RangeError(
      `Cannot multiply: ${what} must hold [${
        shape.join(", ")
      }] = ${size} floats: current length is ${length}`,
    );
  }
}
