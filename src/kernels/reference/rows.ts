/**
 * References of the kernels over float rows.
 * @module
 */
import {
  activationOffset,
  paddedK,
  roundUp,
  type RowBlock,
} from "../layout.ts";
import type {
  add_f32,
  causal_conv1d_f32,
  conv_state_f32,
  embedding_f32,
  patchify_u8_s8,
  pixel_shuffle_f32,
  scale_f32,
} from "../signatures/rows.ts";
import { storedColumn } from "./matmul.ts";
import type { Reference, Views } from "./views.ts";

const f = Math.fround;

function eachElement(
  run: (v: Views, to: number, from: number) => void,
): Reference<typeof add_f32> {
  return (v) => ({ y, ldy, x, ldx, k, rows: [first, end] }) => {
    for (let r = first; r < end; r++) {
      for (let j = 0; j < k; j++) {
        run(v, (y >> 2) + r * ldy + j, (x >> 2) + r * ldx + j);
      }
    }
  };
}

/** y = y + x. */
export const add = eachElement((v, to, from) => v.f32[to] += v.f32[from]);

/** y = x. */
export const copy = eachElement((v, to, from) => v.f32[to] = v.f32[from]);

/** y = x ⊙ factor. */
export const scale: Reference<typeof scale_f32> =
  (v) => ({ y, ldy, x, ldx, factor, k, rows: [first, end] }) => {
    for (let r = first; r < end; r++) {
      for (let j = 0; j < k; j++) {
        v.f32[(y >> 2) + r * ldy + j] = v.f32[(x >> 2) + r * ldx + j] *
          v.f32[(factor >> 2) + j];
      }
    }
  };

/** Reference of `embedding_f32`. */
export const embedding: Reference<typeof embedding_f32> =
  (v) => ({ w, bits, scale, ids, y, ldy, k, rows: [first, end] }) => {
    for (let r = first; r < end; r++) {
      const id = v.i32[(ids >> 2) + r], s = v.f32[(scale >> 2) + id];
      const row = storedColumn(v, bits as 4 | 8, w, id, paddedK(k));
      for (let j = 0; j < k; j++) v.f32[(y >> 2) + r * ldy + j] = row[j] * s;
    }
  };

/** Reference of `pixel_shuffle_f32`. */
export const pixelShuffle: Reference<typeof pixel_shuffle_f32> =
  (v) => ({ x, y, grid, dim, factor, rows: [first, end] }) => {
    const side = grid / factor, wide = factor * factor * dim;
    for (let r = first; r < end; r++) {
      for (let j = 0; j < wide; j++) {
        const c = j % dim, dx = Math.floor(j / dim) % factor;
        const dy = Math.floor(j / dim / factor);
        const from = (Math.floor(r / side) * factor + dy) * grid +
          (r % side) * factor + dx;
        v.f32[(y >> 2) + r * wide + j] = v.f32[(x >> 2) + from * dim + c];
      }
    }
  };

/** Reference of `patchify_u8_s8`. */
export const patchify: Reference<typeof patchify_u8_s8> = (v) => (c) => {
  const { image, height, width, patch, side, table, q, sums } = c;
  const { rows: [first, end], rowBlock } = c;
  const area = side * side, kp = paddedK(3 * area), grid = width / patch;
  for (let r = first; r < roundUp(end, rowBlock); r++) {
    let sum = 0;
    for (let j = 0; j < kp; j++) {
      const y = Math.floor(r / grid) * patch - c.top +
        Math.floor(j % area / side);
      const x = r % grid * patch - c.left + j % side;
      const channel = Math.floor(j / area);
      const inside = y >= 0 && y < height && x >= 0 && x < width;
      const value = channel < 3 && r < end && inside
        ? v
          .i8[
            table + channel * 256 + v.u8[image + (y * width + x) * 3 + channel]
          ]
        : 0;
      v.i8[q + activationOffset(r, j, kp, rowBlock as RowBlock)] = value;
      sum += value;
    }
    v.i32[(sums >> 2) + r] = sum;
  }
};

/** Inputs of a convolution to their positions. */
export const convState: Reference<typeof conv_state_f32> =
  (v) => ({ x, ldx, gate, ldg, positions, state, k, rows: [first, end] }) => {
    for (let r = first; r < end; r++) {
      const to = (state >> 2) + v.i32[(positions >> 2) + r] * k;
      for (let i = 0; i < k; i++) {
        const value = v.f32[(x >> 2) + r * ldx + i];
        v.f32[to + i] = gate ? value * v.f32[(gate >> 2) + r * ldg + i] : value;
      }
    }
  };

/** The convolution. */
export const causalConv1d: Reference<typeof causal_conv1d_f32> = (v) => (c) => {
  const [first, end] = c.rows, { k } = c;
  for (let r = first; r < end; r++) {
    const from = (c.state >> 2) + v.i32[(c.positions >> 2) + r] * k;
    for (let i = 0; i < k; i++) {
      let sum = c.bias ? v.f32[(c.bias >> 2) + i] : 0;
      for (let t = 0; t < c.taps; t++) {
        const term = f(
          v.f32[(c.w >> 2) + t * k + i] * v.f32[from + t * k + i],
        );
        sum = f(sum + term);
      }
      v.f32[(c.y >> 2) + r * c.ldy + i] = c.gate
        ? sum * v.f32[(c.gate >> 2) + r * c.ldg + i]
        : sum;
    }
  }
};
