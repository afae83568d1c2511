// Canonical row-major codes → panels, while weights are loaded.
//
//   file: row n, 4 k ─▶ one 32-bit word of offset codes ─▶ panel [k/4][8 n][4 k]
//   w4:   2 bytes, nibbles k0 k1 | k2 k3;  two columns n, n + 4 share a word
//   w8:   signed, [k/2][8 n][2 k]
//   Missing rows and k get weight 0.
import { roundUp } from "./vector";

/** 4 codes of 4 bits, two's complement → bytes w + 8. */
@inline function nibbles(row: usize, j: i32, valid: bool): u32 {
  if (!valid) return 0x08080808;
  let x = <u32>load<u16>(row + <usize>(j >> 1));
  x = (x | x << 8) & 0x00ff00ff;
  x = (x | x << 4) & 0x0f0f0f0f;
  return x ^ 0x08080808;
}

export function pack_w4__simd(codes: usize, w: usize, rows: i32, k: i32): void {
  const rowBytes = <usize>(k >> 1);
  for (let n0 = 0; n0 < rows; n0 += 8) {
    for (let j = 0, kp = roundUp(k, 32); j < kp; j += 4) {
      for (let n = n0; n < n0 + 4; n++, w += 4) {
        const low = nibbles(codes + <usize>n * rowBytes, j, n < rows && j < k);
        const high = nibbles(codes + <usize>(n + 4) * rowBytes, j, n + 4 < rows && j < k);
        store<u32>(w, low | high << 4);
      }
    }
  }
}

/** w5…w7: w + 2^(bits−1) is the low `bits` bits with the top one flipped. */
@inline function packBytes(bits: i32, codes: usize, w: usize, rows: i32, k: i32): void {
  const flip: u32 = 0x01010101 << (bits - 1), mask: u32 = 0x01010101 * ((1 << bits) - 1);
  for (let n0 = 0; n0 < rows; n0 += 8) {
    for (let j = 0, kp = roundUp(k, 32); j < kp; j += 4) {
      for (let n = n0; n < n0 + 8; n++, w += 4) {
        const x = n < rows && j < k ? load<u32>(codes + <usize>n * <usize>k + <usize>j) : 0;
        store<u32>(w, (x ^ flip) & mask);
      }
    }
  }
}

export function pack_w5__simd(codes: usize, w: usize, rows: i32, k: i32): void { packBytes(5, codes, w, rows, k); }
export function pack_w6__simd(codes: usize, w: usize, rows: i32, k: i32): void { packBytes(6, codes, w, rows, k); }
export function pack_w7__simd(codes: usize, w: usize, rows: i32, k: i32): void { packBytes(7, codes, w, rows, k); }

export function pack_w8__simd(codes: usize, w: usize, rows: i32, k: i32): void {
  for (let n0 = 0; n0 < rows; n0 += 8) {
    for (let j = 0, kp = roundUp(k, 32); j < kp; j += 2) {
      for (let n = n0; n < n0 + 8; n++, w += 2) {
        store<u16>(w, n < rows && j < k ? load<u16>(codes + <usize>n * <usize>k + <usize>j) : 0);
      }
    }
  }
}
