// One row through (M ⊗ S)·diag(signs), unnormalised: k = order · 2^p seen as
//
//             2^p = width
//          ┌──────────────────┐   1. every row of this view: fast Walsh–Hadamard,
//    order │ x[a, b]          │      butterflies at distance 1, 2, 4, … width/2
//          └──────────────────┘   2. every column: the dense ±1 matrix M, in the
//                                    order of c: y[a,b] = Σ_c M[a,c]·x[c,b]
//
//   M as sign masks [order/4][order c][4 a]: 0 or 2^31, to be xored.
//   Butterflies give the same bits in any radix, so passes may be merged freely.
import { lane0, lane1, lane2, lane3 } from "./vector";

/** Butterflies at distance 1 and 2, within a vector. */
@inline function within(v: v128, s1: v128, s2: v128): v128 {
  v = f32x4.add(v128.shuffle<i32>(v, v, 0, 0, 2, 2), v128.xor(v128.shuffle<i32>(v, v, 1, 1, 3, 3), s1));
  return f32x4.add(v128.shuffle<i32>(v, v, 0, 1, 0, 1), v128.xor(v128.shuffle<i32>(v, v, 2, 3, 2, 3), s2));
}

function walsh(x: usize, k: i32, width: i32): void {
  const end = x + (<usize>k << 2), bytes = <usize>width << 2;
  let h: usize = 64;
  const s1 = i32x4(0, 0x80000000, 0, 0x80000000), s2 = i32x4(0, 0, 0x80000000, 0x80000000);
  if (width >= 16) { // distances 1, 2, 4, 8 in one pass
    for (let p = x; p < end; p += 64) {
      const v0 = within(v128.load(p), s1, s2), v1 = within(v128.load(p, 16), s1, s2);
      const v2 = within(v128.load(p, 32), s1, s2), v3 = within(v128.load(p, 48), s1, s2);
      const a0 = f32x4.add(v0, v1), a1 = f32x4.sub(v0, v1), a2 = f32x4.add(v2, v3), a3 = f32x4.sub(v2, v3);
      v128.store(p, f32x4.add(a0, a2)); v128.store(p, f32x4.add(a1, a3), 16);
      v128.store(p, f32x4.sub(a0, a2), 32); v128.store(p, f32x4.sub(a1, a3), 48);
    }
  } else {
    for (let p = x; p < end; p += 16) v128.store(p, within(v128.load(p), s1, s2));
    h = 16;
  }
  for (; h * 4 <= bytes; h *= 4) { // two distances a pass
    for (let q = x; q < end; q += 4 * h) {
      for (let p = q; p < q + h; p += 16) {
        const p1 = p + h, p2 = p1 + h, p3 = p2 + h;
        const x0 = v128.load(p), x1 = v128.load(p1), x2 = v128.load(p2), x3 = v128.load(p3);
        const y0 = f32x4.add(x0, x1), y1 = f32x4.sub(x0, x1), y2 = f32x4.add(x2, x3), y3 = f32x4.sub(x2, x3);
        v128.store(p, f32x4.add(y0, y2)); v128.store(p1, f32x4.add(y1, y3));
        v128.store(p2, f32x4.sub(y0, y2)); v128.store(p3, f32x4.sub(y1, y3));
      }
    }
  }
  if (h < bytes) {
    for (let q = x; q < end; q += 2 * h) {
      for (let p = q; p < q + h; p += 16) {
        const u = v128.load(p), v = v128.load(p + h);
        v128.store(p, f32x4.add(u, v)); v128.store(p + h, f32x4.sub(u, v));
      }
    }
  }
}

@inline function signed(sum: v128, x: v128, mask: v128): v128 {
  return f32x4.add(sum, v128.xor(x, mask));
}

/** 4 rows a of M times one vector of columns. */
function dense(x: usize, y: usize, matrix: usize, order: i32, width: i32): void {
  const row = <usize>width << 2;
  for (let a = 0; a < order; a += 4) {
    const masks = matrix + (<usize>a * <usize>order << 2), out = y + <usize>a * row;
    for (let b: usize = 0; b < row; b += 16) {
      let m = v128.load(masks), v = v128.load(x + b);
      let s0 = v128.xor(v, lane0(m)), s1 = v128.xor(v, lane1(m));
      let s2 = v128.xor(v, lane2(m)), s3 = v128.xor(v, lane3(m));
      let p = masks + 16, from = x + b + row;
      for (let c = 1; c < order; c++, p += 16, from += row) {
        m = v128.load(p); v = v128.load(from);
        s0 = signed(s0, v, lane0(m)); s1 = signed(s1, v, lane1(m));
        s2 = signed(s2, v, lane2(m)); s3 = signed(s3, v, lane3(m));
      }
      v128.store(out + b, s0); v128.store(out + b + row, s1);
      v128.store(out + b + 2 * row, s2); v128.store(out + b + 3 * row, s3);
    }
  }
}

/** Transforms the row at `x` (k floats, k more free behind it); returns where the result is. */
export function rotate(x: usize, matrix: usize, order: i32, k: i32): usize {
  const width = k / order;
  walsh(x, k, width);
  if (order == 1) return x;
  const y = x + (<usize>k << 2);
  dense(x, y, matrix, order, width);
  return y;
}

/** to ← x · signs; signs may be 0 (none). */
export function loadSigned(x: usize, signs: usize, to: usize, k: i32): void {
  const bytes = <usize>k << 2;
  if (signs) {
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(to + j, f32x4.mul(v128.load(x + j), v128.load(signs + j)));
    }
  } else memory.copy(to, x, bytes);
}
