/**
 * References of the convolutions.
 * @module
 */
import {
  activationOffset,
  filterOffset,
  paddedK,
  roundUp,
  type RowBlock,
} from "../layout.ts";
import type { depthwise_w8a8, depthwise_w8a8_s8 } from "../signatures/conv.ts";
import { level, type Reference, type Views } from "./views.ts";

const f = Math.fround;

/** Position of a window. */
interface Window {
  readonly height: number;
  readonly width: number;
  readonly side: number;
  readonly stride: number;
  readonly top: number;
  readonly left: number;
  readonly columns: number;
}

/** Index of the pixel at tap t of an output row's window; undefined outside the image. */
function pixelAt(w: Window, row: number, t: number): number | undefined {
  const y = Math.floor(row / w.columns) * w.stride - w.top +
    Math.floor(t / w.side);
  const x = row % w.columns * w.stride - w.left + t % w.side;
  const inside = y >= 0 && y < w.height && x >= 0 && x < w.width;
  return inside ? y * w.width + x : undefined;
}

/** Operands of a depthwise convolution. */
interface Depthwise extends Window {
  readonly x: number;
  readonly w: number;
  readonly alpha: number;
  readonly bias: number;
  readonly k: number;
}

/** One channel of one row, in float. */
function convolved(v: Views, d: Depthwise, row: number, c: number): number {
  const { x, w, alpha, bias, k, side } = d;
  let sum = 0;
  for (let t = 0; t < side * side; t++) {
    const pixel = pixelAt(d, row, t);
    if (pixel === undefined) continue;
    sum += v.i8[x + pixel * paddedK(k) + c] *
      v.i8[w + filterOffset(c, t, side)];
  }
  return f(f(f(sum) * v.f32[(alpha >> 2) + c]) + v.f32[(bias >> 2) + c]);
}

/** Reference of `depthwise_w8a8`. */
export const depthwise: Reference<typeof depthwise_w8a8> = (v) => (c) => {
  for (let r = c.rows[0]; r < c.rows[1]; r++) {
    for (let j = 0; j < c.k; j++) {
      v.f32[(c.y >> 2) + r * c.ldy + j] = convolved(v, c, r, j);
    }
  }
};

/** Reference of `depthwise_w8a8_s8`. */
export const depthwiseS8: Reference<typeof depthwise_w8a8_s8> = (v) => (c) => {
  const [first, end] = c.rows, kp = paddedK(c.k);
  for (let r = first; r < roundUp(end, c.rowBlock); r++) {
    let sum = 0;
    for (let j = 0; j < kp; j++) {
      const value = j < c.k && r < end ? level(convolved(v, c, r, j), c) : 0;
      v.i8[c.q + activationOffset(r, j, kp, c.rowBlock as RowBlock)] = value;
      sum += value;
    }
    v.i32[(c.sums >> 2) + r] = sum;
  }
};
