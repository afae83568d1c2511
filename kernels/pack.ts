// Canonical row-major codes → panels, while weights are loaded.
//
//   file: row n, 4 k ─▶ one 32-bit word of offset codes ─▶ panel [k/4][8 n][4 k]
//   w4:   2 bytes, nibbles k0 k1 | k2 k3;  two columns n, n + 4 share a word
//   w8:   signed
//   Missing rows and k get weight 0.
//
// Blocks of 8 rows × 32 (w4) or 16 k go by vectors, the rest word by word. (Most
// weights are packed before V8 has optimised anything: few wide instructions help.)
import { roundUp } from "./vector";

/** 4 codes of 4 bits, two's complement → bytes w + 8. */
@inline function nibbles(row: usize, j: i32, valid: bool): u32 {
  if (!valid) return 0x08080808;
  let x = <u32>load<u16>(row + <usize>(j >> 1));
  x = (x | x << 8) & 0x00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f;
  return x ^ 0x08080808;
}

/** Every 4 bytes of v to a 16-byte step of the panel. */
@inline function spread4(w: usize, v: v128): void {
  v128.store32_lane(w, v, 0); v128.store32_lane(w, v, 1, 16);
  v128.store32_lane(w, v, 2, 32); v128.store32_lane(w, v, 3, 48);
}

/** 32 k of columns n and n + 4. */
@inline function nibbleBlock(low: usize, high: usize, w: usize): void {
  const a = v128.load(low), b = v128.load(high);
  const fifteen = i8x16.splat(15), top = i8x16.splat(-16), flip = i8x16.splat(-120); // 0x0f 0xf0 0x88
  const even = v128.xor(v128.or(v128.and(a, fifteen), i16x8.shl(v128.and(b, fifteen), 4)), flip);
  const odd = v128.xor(v128.or(v128.and(i16x8.shr_u(a, 4), fifteen), v128.and(b, top)), flip);
  spread4(w, v128.shuffle<i8>(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  spread4(w + 64, v128.shuffle<i8>(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
}

export function pack_w4__simd(codes: usize, w: usize, rows: i32, k: i32): void {
  const rowBytes = <usize>(k >> 1);
  for (let n0 = 0; n0 < rows; n0 += 8, codes += rowBytes << 3) {
    for (let j = 0, kp = roundUp(k, 32); j < kp; j += 32, w += 128) {
      const whole = n0 + 8 <= rows && j + 32 <= k;
      for (let n = 0; n < 4; n++) {
        const low = codes + <usize>n * rowBytes, high = low + (rowBytes << 2), to = w + (<usize>n << 2);
        if (whole) {
          nibbleBlock(low + <usize>(j >> 1), high + <usize>(j >> 1), to);
          continue;
        }
        for (let i = j; i < j + 32; i += 4) {
          const inK = i < k;
          const a = nibbles(low, i, inK && n0 + n < rows), b = nibbles(high, i, inK && n0 + n + 4 < rows);
          store<u32>(to + (<usize>(i - j) << 2), a | b << 4);
        }
      }
    }
  }
}

export function pack_w8__simd(codes: usize, w: usize, rows: i32, k: i32): void {
  for (let n0 = 0; n0 < rows; n0 += 8) {
    for (let j = 0, kp = roundUp(k, 32); j < kp; j += 16, w += 128) {
      for (let n = 0; n < 8; n++) {
        const from = codes + <usize>(n0 + n) * <usize>k + <usize>j, to = w + (<usize>n << 2);
        if (n0 + n < rows && j + 16 <= k) {
          const v = v128.load(from);
          v128.store32_lane(to, v, 0); v128.store32_lane(to, v, 1, 32);
          v128.store32_lane(to, v, 2, 64); v128.store32_lane(to, v, 3, 96);
          continue;
        }
        for (let i = 0; i < 16; i += 4) {
          const x = n0 + n < rows && j + i < k ? load<u32>(from + <usize>i) : 0;
          store<u32>(to + (<usize>i << 3), x);
        }
      }
    }
  }
}

