/**
 * Transformations of patch weights and position tables at import.
 * @module
 */
import { sizeOf, type Tensor } from "../tensor/tensor.ts";

/**
 * Sums patch weights [n, 3, frames, patch, patch] over the frames, for towers
 * that repeat each image as two frames: [n, 3·patch²].
 */
export function sumFrames(w: Tensor, frames: number, pixels: number): Tensor {
  const k = sizeOf(w.shape) / frames / w.shape[0];
  return {
    shape: [w.shape[0], k],
    read() {
      const from = w.read(), to = new Float64Array(from.length / frames);
      for (let i = 0; i < from.length; i++) {
        const block = Math.floor(i / (frames * pixels)); // one channel of one output
        to[block * pixels + i % pixels] += from[i];
      }
      return to;
    },
  };
}

/**
 * Reorders patch weights from interleaved channels [n, patch²·3] to planar
 * channels [n, 3·patch²].
 */
export function pixelsByChannel(w: Tensor, patch: number): Tensor {
  const [n, k] = w.shape, pixels = patch * patch;
  return {
    shape: [n, k],
    read() {
      const from = w.read(), to = new Float64Array(from.length);
      for (let i = 0; i < from.length; i++) {
        const row = i - i % k, at = i - row;
        to[row + (at % 3) * pixels + Math.floor(at / 3)] = from[i];
      }
      return to;
    },
  };
}

/**
 * Weights of the four neighbours at a fraction t between the second and the
 * third (Keys 1981, a = −0.75).
 */
function cubic(t: number): number[] {
  const a = -0.75;
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/**
 * Resizes a square position table, bicubic without antialiasing (torch,
 * interpolate with mode bicubic and align_corners false): [side², width].
 */
export function resizeTableCubic(table: Tensor, side: number): Tensor {
  const [rows, width] = table.shape, from = Math.round(Math.sqrt(rows));
  if (from === side) return table;
  return {
    shape: [side * side, width],
    read() {
      const t = table.read(), out = new Float64Array(side * side * width);
      const at = Array.from({ length: side }, (_, i) => {
        const x = (i + 0.5) * from / side - 0.5, low = Math.floor(x);
        return cubic(x - low).map((weight, n) => ({
          cell: Math.min(Math.max(low - 1 + n, 0), from - 1),
          weight,
        }));
      });
      for (let r = 0; r < side * side; r++) {
        for (const y of at[Math.floor(r / side)]) {
          for (const x of at[r % side]) {
            const cell = (y.cell * from + x.cell) * width;
            const weight = y.weight * x.weight;
            for (let c = 0; c < width; c++) {
              out[r * width + c] += weight * t[cell + c];
            }
          }
        }
      }
      return out;
    },
  };
}

/**
 * Patch positions, then the class token plus its position as the last row:
 * [patches + 1, width].
 */
export function classTokenLast(position: Tensor, token: Tensor): Tensor {
  const [rows, width] = position.shape.slice(-2);
  return {
    shape: [rows, width],
    read() {
      const p = position.read(), c = token.read();
      const out = new Float64Array(p.length);
      out.set(p.subarray(width));
      for (let i = 0; i < width; i++) out[(rows - 1) * width + i] = p[i] + c[i];
      return out;
    },
  };
}

/**
 * A convolution [n, c, h, w] whose stride equals its size, as a linear over
 * squares (rows of a pixel shuffle): [n, h·w·c].
 */
export function convolutionRows(w: Tensor): Tensor {
  const [n, channels, ...square] = w.shape, cells = sizeOf(square);
  return {
    shape: [n, channels * cells],
    read() {
      const from = w.read(), to = new Float64Array(from.length);
      for (let i = 0; i < from.length; i++) {
        const row = i - i % (channels * cells), at = i - row;
        to[row + (at % cells) * channels + Math.floor(at / cells)] = from[i];
      }
      return to;
    },
  };
}
