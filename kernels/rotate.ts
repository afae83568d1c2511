// One row through (N ⊗ M ⊗ S)·diag(signs), unnormalised: k = outer · order · 2^p seen as
//
//             2^p = width
//          ┌──────────────────┐   `outer` such blocks, one behind the other
//          │                  │   1. every row of this view: fast Walsh–Hadamard,
//    order │ x[a, b]          │      butterflies at distance 1, 2, 4, … width/2
//          └──────────────────┘   2. every column: the dense ±1 matrix M, in the
//                                    order of c: y[a,b] = Σ_c M[a,c]·x[c,b]
//                                 3. the same with N over the blocks, each a row of its view
//
//   M as sign masks [order/4][order c][4 a]: 0 or 2^31, to be xored; N alike behind it.
//   Butterflies give the same bits in any radix, so passes may be merged freely.
import { lane0, lane1, lane2, lane3 } from "./vector";

/** Butterflies at distance 1 and 2, within a vector. */
@inline function within(v: v128, s1: v128, s2: v128): v128 {
  v = f32x4.add(v128.shuffle<i32>(v, v, 0, 0, 2, 2), v128.xor(v128.shuffle<i32>(v, v, 1, 1, 3, 3), s1));
  return f32x4.add(v128.shuffle<i32>(v, v, 0, 1, 0, 1), v128.xor(v128.shuffle<i32>(v, v, 2, 3, 2, 3), s2));
}

@inline function signedLoad(x: usize, signs: usize): v128 {
  const v = v128.load(x);
  return signs ? f32x4.mul(v, v128.load(signs)) : v;
}

/** y ← every row of the view of x·signs, transformed. signs may be 0 (none), y may be x. */
function walsh(x: usize, signs: usize, y: usize, k: i32, width: i32): void {
  const end = y + (<usize>k << 2), bytes = <usize>width << 2;
  const s1 = i32x4(0, 0x80000000, 0, 0x80000000), s2 = i32x4(0, 0, 0x80000000, 0x80000000);
  const step: usize = signs ? 16 : 0;
  let h: usize = 64;
  if (width >= 16) { // distances 1, 2, 4, 8 in one pass
    for (let p = y; p < end; p += 64, x += 64, signs += 4 * step) {
      const v0 = within(signedLoad(x, signs), s1, s2);
      const v1 = within(signedLoad(x + 16, signs + step), s1, s2);
      const v2 = within(signedLoad(x + 32, signs + 2 * step), s1, s2);
      const v3 = within(signedLoad(x + 48, signs + 3 * step), s1, s2);
      const a0 = f32x4.add(v0, v1), a1 = f32x4.sub(v0, v1), a2 = f32x4.add(v2, v3), a3 = f32x4.sub(v2, v3);
      v128.store(p, f32x4.add(a0, a2)); v128.store(p, f32x4.add(a1, a3), 16);
      v128.store(p, f32x4.sub(a0, a2), 32); v128.store(p, f32x4.sub(a1, a3), 48);
    }
  } else {
    for (let p = y; p < end; p += 16, x += 16, signs += step) {
      v128.store(p, within(signedLoad(x, signs), s1, s2));
    }
    h = 16;
  }
  x = y;
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

/** y ← M·x, 4 rows a and two vectors of columns at a time, so that a mask serves twice. */
function dense(x: usize, y: usize, matrix: usize, order: i32, width: i32): void {
  const row = <usize>width << 2, next: usize = width > 4 ? 16 : 0; // width 4: the same vector twice
  for (let a = 0; a < order; a += 4) {
    const masks = matrix + (<usize>a * <usize>order << 2), out = y + <usize>a * row;
    for (let b: usize = 0; b < row; b += 32) {
      let m = v128.load(masks), v = v128.load(x + b), w = v128.load(x + b + next), s = lane0(m);
      let s0 = v128.xor(v, s), t0 = v128.xor(w, s);
      s = lane1(m);
      let s1 = v128.xor(v, s), t1 = v128.xor(w, s);
      s = lane2(m);
      let s2 = v128.xor(v, s), t2 = v128.xor(w, s);
      s = lane3(m);
      let s3 = v128.xor(v, s), t3 = v128.xor(w, s);
      let p = masks + 16, from = x + b + row;
      for (let c = 1; c < order; c++, p += 16, from += row) {
        m = v128.load(p); v = v128.load(from); w = v128.load(from + next);
        s = lane0(m); s0 = signed(s0, v, s); t0 = signed(t0, w, s);
        s = lane1(m); s1 = signed(s1, v, s); t1 = signed(t1, w, s);
        s = lane2(m); s2 = signed(s2, v, s); t2 = signed(t2, w, s);
        s = lane3(m); s3 = signed(s3, v, s); t3 = signed(t3, w, s);
      }
      let to = out + b;
      v128.store(to, s0); v128.store(to + next, t0); to += row;
      v128.store(to, s1); v128.store(to + next, t1); to += row;
      v128.store(to, s2); v128.store(to + next, t2); to += row;
      v128.store(to, s3); v128.store(to + next, t3);
    }
  }
}

/**
 * Transforms the row x of k floats, times signs where there are any, in `scratch` (2·k
 * floats; x may be its first half) and returns where in it the result stands.
 */
export function rotate(
  x: usize, signs: usize, scratch: usize, matrix: usize, order: i32, outer: i32, k: i32,
): usize {
  const block = k / outer, width = block / order, y = scratch + (<usize>k << 2);
  walsh(x, signs, scratch, k, width);
  if (order == 1) return scratch;
  for (let from: usize = 0, end = <usize>k << 2; from < end; from += <usize>block << 2) {
    dense(scratch + from, y + from, matrix, order, width);
  }
  if (outer == 1) return y;
  dense(y, scratch, matrix + (<usize>(order * order) << 2), outer, block);
  return scratch;
}
