// The 4×8 tile of int16 products, plain SIMD128: integer matrices of the `simd`
// builds, and both halves of attention in all builds.
//
//            panel, 2 k per step: 8 columns × 2 k
//            ┌───────────┬───────────┐
//   row 0    │    c0     │    c1     │   i32x4.dot_i16x8_s: 4 columns × 2 k at once,
//   row 1    │    c2     │    c3     │   the row's two k broadcast to all columns.
//   row 2    │    c4     │    c5     │   int32 all the way: exact while
//   row 3    │    c6     │    c7     │   Σ |a·w| < 2^31.
//            └───────────┴───────────┘
//
//   A: groups of 4 rows × 4 k, int8 (16 B) or int16 (32 B);  P: [k/4][8][4] int8
//   or, spread already, [k/2][8][2] int16 (gemm_unpack.ts)
import { lane0, lane1, lane2, lane3 } from "./vector";

@inline function mac(c: v128, a: v128, w: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(a, w));
}

// 4 columns × 4 k of int8 → int16 at k, k + 1 or at k + 2, k + 3. Loads that extend, twice:
// extend_high takes two instructions, and there is no register to keep the other half in.
@inline function even(p: usize): v128 {
  return v128.shuffle<i32>(v128.load8x8_s(p), v128.load8x8_s(p, 8), 0, 2, 4, 6);
}

@inline function odd(p: usize): v128 {
  return v128.shuffle<i32>(v128.load8x8_s(p), v128.load8x8_s(p, 8), 1, 3, 5, 7);
}

/** tile [4][8] int32 = (or += where `add`) A group (T) · panel (P) over k, a multiple of 4. */
export function tile4x8<T, P>(a: usize, p: usize, tile: usize, k: i32, add: bool): void {
  let c0 = i32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  if (add) {
    c0 = v128.load(tile); c1 = v128.load(tile, 16); c2 = v128.load(tile, 32); c3 = v128.load(tile, 48);
    c4 = v128.load(tile, 64); c5 = v128.load(tile, 80); c6 = v128.load(tile, 96); c7 = v128.load(tile, 112);
  }
  for (let j = 0; j < k; j += 4) {
    let x: v128, z: v128; // rows 0–1 and rows 2–3, int16
    if (sizeof<T>() == 1) {
      x = v128.load8x8_s(a);
      z = v128.load8x8_s(a, 8);
      a += 16;
    } else {
      x = v128.load(a);
      z = v128.load(a, 16);
      a += 32;
    }
    let lo: v128, hi: v128; // columns 0–3 and 4–7, at k and k + 1
    if (sizeof<P>() == 1) {
      lo = even(p); hi = even(p + 16);
    } else {
      lo = v128.load(p); hi = v128.load(p, 16);
    }
    let r = lane0(x);
    c0 = mac(c0, r, lo); c1 = mac(c1, r, hi);
    r = lane2(x);
    c2 = mac(c2, r, lo); c3 = mac(c3, r, hi);
    r = lane0(z);
    c4 = mac(c4, r, lo); c5 = mac(c5, r, hi);
    r = lane2(z);
    c6 = mac(c6, r, lo); c7 = mac(c7, r, hi);
    if (sizeof<P>() == 1) { // … at k + 2 and k + 3; only now, for want of registers
      lo = odd(p); hi = odd(p + 16);
      p += 32;
    } else {
      lo = v128.load(p, 32); hi = v128.load(p, 48);
      p += 64;
    }
    r = lane1(x);
    c0 = mac(c0, r, lo); c1 = mac(c1, r, hi);
    r = lane3(x);
    c2 = mac(c2, r, lo); c3 = mac(c3, r, hi);
    r = lane1(z);
    c4 = mac(c4, r, lo); c5 = mac(c5, r, hi);
    r = lane3(z);
    c6 = mac(c6, r, lo); c7 = mac(c7, r, hi);
  }
  v128.store(tile, c0); v128.store(tile, c1, 16); v128.store(tile, c2, 32); v128.store(tile, c3, 48);
  v128.store(tile, c4, 64); v128.store(tile, c5, 80); v128.store(tile, c6, 96); v128.store(tile, c7, 112);
}
