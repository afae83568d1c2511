// Packed panels → the panels a tile loop reads, into scratch in L1.
//
//   w4, 16 B per 4 k            byte = column n (low nibble), column n + 4 (high)
//   ┌──────────────┐            ┌──────────────┬──────────────┐
//   │ n0…n3 × 4 k  │ ─────────▶ │ n0…n3 × 4 k  │ n4…n7 × 4 k  │  u8, 32 B (= w5…w7)
//   └──────────────┘            └──────────────┴──────────────┘
//                                      │ − zero, int16, pairs of k
//                                      ▼
//   ┌───────────────────────────┬───────────────────────────┐
//   │ n0…n7 × k0 k1 (32 B)      │ n0…n7 × k2 k3 (32 B)      │  int16, 64 B (tile_i16.ts)
//   └───────────────────────────┴───────────────────────────┘

/** w4 → bytes w + 8, for `steps` steps of 4 k (an even number). */
export function unpackNibbles(w: usize, p: usize, steps: i32): void {
  const mask = i8x16.splat(15);
  for (const end = w + (<usize>steps << 4); w < end; w += 32, p += 64) {
    const t = v128.load(w), u = v128.load(w, 16);
    v128.store(p, v128.and(t, mask));
    v128.store(p, v128.and(i16x8.shr_u(t, 4), mask), 16);
    v128.store(p, v128.and(u, mask), 32);
    v128.store(p, v128.and(i16x8.shr_u(u, 4), mask), 48);
  }
}

/** w8 → bytes w + 128, for `steps` steps of 4 k. */
export function flipBytes(w: usize, p: usize, steps: i32): void {
  const flip = i8x16.splat(-128);
  for (const end = w + (<usize>steps << 5); w < end; w += 32, p += 32) {
    v128.store(p, v128.xor(v128.load(w), flip));
    v128.store(p, v128.xor(v128.load(w, 16), flip), 16);
  }
}

/** 8 columns × 4 k of offset bytes, as two vectors of 4 columns → int16 pairs. */
@inline function spread(p: usize, left: v128, right: v128, zero: v128): void {
  const a = i16x8.sub(i16x8.extend_low_i8x16_u(left), zero);   // n0k0–3 n1k0–3
  const b = i16x8.sub(i16x8.extend_high_i8x16_u(left), zero);  // n2k0–3 n3k0–3
  const c = i16x8.sub(i16x8.extend_low_i8x16_u(right), zero);
  const d = i16x8.sub(i16x8.extend_high_i8x16_u(right), zero);
  v128.store(p, v128.shuffle<i32>(a, b, 0, 2, 4, 6));
  v128.store(p, v128.shuffle<i32>(c, d, 0, 2, 4, 6), 16);
  v128.store(p, v128.shuffle<i32>(a, b, 1, 3, 5, 7), 32);
  v128.store(p, v128.shuffle<i32>(c, d, 1, 3, 5, 7), 48);
}

/** w4…w8 → int16 pairs of signed weights, for `steps` steps of 4 k. */
export function unpackPairs(bits: i32, w: usize, p: usize, steps: i32): void {
  const offset: i32 = 1 << (bits - 1), zero = i16x8.splat(<i16>offset);
  if (bits == 4) {
    const mask = i8x16.splat(15);
    for (const end = w + (<usize>steps << 4); w < end; w += 16, p += 64) {
      const t = v128.load(w);
      spread(p, v128.and(t, mask), v128.and(i16x8.shr_u(t, 4), mask), zero);
    }
  } else if (bits == 8) {
    const flip = i8x16.splat(-128);
    for (const end = w + (<usize>steps << 5); w < end; w += 32, p += 64) {
      spread(p, v128.xor(v128.load(w), flip), v128.xor(v128.load(w, 16), flip), zero);
    }
  } else {
    for (const end = w + (<usize>steps << 5); w < end; w += 32, p += 64) {
      spread(p, v128.load(w), v128.load(w, 16), zero);
    }
  }
}
