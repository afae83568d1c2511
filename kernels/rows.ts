// Rows moved and added: residuals, embeddings, patches.
import { padRows, rowOf } from "./codes";
import { roundUp, rowAt, word } from "./vector";

export function add_f32__simd(
  y: usize, ldy: i32, x: usize, ldx: i32, k: i32, row0: i32, row1: i32,
): void {
  const bytes = <usize>k << 2;
  for (let r = row0; r < row1; r++) {
    const to = rowAt(y, r, ldy), from = rowAt(x, r, ldx);
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(to + j, f32x4.add(v128.load(to + j), v128.load(from + j)));
    }
  }
}

/** y = x ⊙ g. */
export function scale_f32__simd(
  y: usize, ldy: i32, x: usize, ldx: i32, g: usize, k: i32, row0: i32, row1: i32,
): void {
  const bytes = <usize>k << 2;
  for (let r = row0; r < row1; r++) {
    const to = rowAt(y, r, ldy), from = rowAt(x, r, ldx);
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(to + j, f32x4.mul(v128.load(from + j), v128.load(g + j)));
    }
  }
}

export function copy_f32__simd(
  y: usize, ldy: i32, x: usize, ldx: i32, k: i32, row0: i32, row1: i32,
): void {
  for (let r = row0; r < row1; r++) memory.copy(rowAt(y, r, ldy), rowAt(x, r, ldx), <usize>k << 2);
}

export function rank1_f32__simd(
  y: usize, x0: usize, w0: usize, rows: i32, n0: i32, n1: i32, ldy: i32,
): void {
  for (let m = 0; m < rows; m++) {
    const row = rowAt(y, m, ldy), x = v128.load32_splat(word(x0, m));
    for (let n = n0; n < n1; n += 4) {
      const to = word(row, n);
      v128.store(to, f32x4.add(v128.load(to), f32x4.mul(x, v128.load(word(w0, n)))));
    }
  }
}

/**
 * Codes of a row lie four by four in the panels that a tied head reads, too: 32 bytes
 * apart, or 16 where two columns share a byte. All are brought to w + zero, unsigned.
 */
export function embedding_f32__simd(
  codes: usize, bits: i32, scale: usize, ids: usize, y: usize, ldy: i32, k: i32, row0: i32, row1: i32,
): void {
  const step: usize = bits == 4 ? 16 : 32, panel = step * <usize>(roundUp(k, 32) >> 2);
  const zero = i32x4.splat(1 << (bits - 1)), flips = i8x16.splat(bits == 8 ? -128 : 0);
  const mask = i8x16.splat(bits == 4 ? 15 : -1), columns: i32 = bits == 4 ? 3 : 7;
  for (let r = row0; r < row1; r++) {
    const id = load<i32>(word(ids, r)), s = v128.load32_splat(word(scale, id));
    const shift = bits == 4 ? id & 4 : 0; // the upper four columns are the high nibbles
    let from = codes + <usize>(id >> 3) * panel + (<usize>(id & columns) << 2), to = rowAt(y, r, ldy);
    for (const end = to + (<usize>k << 2); to < end; from += step, to += 16) {
      const t = v128.xor(v128.and(i32x4.shr_u(v128.load32_zero(from), shift), mask), flips);
      const q = i32x4.sub(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(t)), zero);
      v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(q), s));
    }
  }
}

/** y[(Y,X)][(dy,dx,c)] = x[(Y·f+dy, X·f+dx)][c]: dx and c together are one run. */
export function pixel_shuffle_f32__simd(
  x: usize, y: usize, grid: i32, dim: i32, factor: i32, row0: i32, row1: i32,
): void {
  const side = grid / factor, run = <usize>(factor * dim) << 2;
  let to = y + <usize>row0 * <usize>factor * run;
  for (let r = row0; r < row1; r++) {
    for (let dy = 0; dy < factor; dy++, to += run) {
      const from = (r / side * factor + dy) * grid + r % side * factor;
      memory.copy(to, x + (<usize>from * <usize>dim << 2), run);
    }
  }
}

/** Pixels [line][column][3] → one row per window, (c, y, x), through a table per channel; 0 outside of the picture. */
export function patchify_u8_s8__simd(
  image: usize, height: i32, width: i32, patch: i32, side: i32, top: i32, left: i32, lut: usize,
  a: usize, sums: usize, row0: i32, row1: i32, group: i32,
): void {
  const k = roundUp(3 * side * side, 4), kp = roundUp(k, 32), grid = width / patch;
  const skip: usize = group == 1 ? 0 : 12; // from 4 codes of a row to its next 4
  for (let r = row0; r < row1; r++) {
    const y = r / grid * patch - top, x = r % grid * patch - left;
    let to = rowOf(a, r, k, group), sum = 0, j = 0;
    for (let c = 0; c < 3; c++) {
      const table = lut + <usize>(c << 8);
      for (let py = y; py < y + side; py++) {
        let from = image + <usize>((py * width + x) * 3 + c);
        for (let px = x; px < x + side; px++, from += 3) {
          const inside = <u32>py < <u32>height && <u32>px < <u32>width;
          const q = inside ? load<i8>(table + load<u8>(from)) : 0;
          store<i8>(to++, q);
          sum += q;
          if ((++j & 3) == 0) to += skip;
        }
      }
    }
    for (; (j & 3) != 0; j++) {
      store<i8>(to++, 0);
      if ((j & 3) == 3) to += skip;
    }
    for (; j < kp; j += 4, to += 4 + skip) store<i32>(to, 0);
    store<i32>(word(sums, r), sum);
  }
  padRows(a, sums, k, row1, group);
}
