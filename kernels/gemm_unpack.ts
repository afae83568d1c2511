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
//
//   w4 in groups of columns: code · scale of its group = w8, 32 B per 4 k
//   scales in front of the codes of a panel:  [k/group][8 n] u8, 1 to 15, whole 16 B

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

/** Bytes of the scales in front of a panel of w4 in groups. */
@inline export function scaleBytes(k: i32, group: i32): usize {
  return <usize>((k / group + 1) >> 1 << 4);
}

/** Bytes of such a panel. */
@inline export function groupedBytes(k: i32, group: i32): usize {
  return scaleBytes(k, group) + (<usize>k << 2);
}

/** 8·g of 8 int16, in both of their bytes. */
@inline function offset(g: v128): v128 {
  return v128.or(i16x8.shl(g, 3), i16x8.shl(g, 11));
}

/**
 * w4 in groups → bytes w8 xor `flip`, for steps [from, to) of 4 k, `run` steps a group.
 * A code and 8 more times up to 15 stays below 256: one int16 product makes both bytes.
 */
export function unpackGroups(w: usize, scales: usize, p: usize, from: i32, to: i32, run: i32, flip: i32): void {
  const mask = i8x16.splat(15), flips = i8x16.splat(<i8>flip);
  for (let s = from; s < to;) {
    const g = s / run, end = min(to, (g + 1) * run), scale = v128.load8x8_u(scales + (<usize>g << 3));
    const left = v128.shuffle<i16>(scale, scale, 0, 0, 1, 1, 2, 2, 3, 3), left8 = offset(left);
    const right = v128.shuffle<i16>(scale, scale, 4, 4, 5, 5, 6, 6, 7, 7), right8 = offset(right);
    for (; s < end; s++, p += 32) {
      const t = v128.load(w + (<usize>s << 4));
      const lo = i8x16.sub(i16x8.mul(v128.and(t, mask), left), left8);
      const hi = i8x16.sub(i16x8.mul(v128.and(i16x8.shr_u(t, 4), mask), right), right8);
      v128.store(p, v128.xor(lo, flips));
      v128.store(p, v128.xor(hi, flips), 16);
    }
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

/** w4 or w8 → int16 pairs of signed weights, for `steps` steps of 4 k. */
export function unpackPairs(bits: i32, w: usize, p: usize, steps: i32): void {
  const offset: i32 = 1 << (bits - 1), zero = i16x8.splat(<i16>offset);
  if (bits == 4) {
    const mask = i8x16.splat(15);
    for (const end = w + (<usize>steps << 4); w < end; w += 16, p += 64) {
      const t = v128.load(w);
      spread(p, v128.and(t, mask), v128.and(i16x8.shr_u(t, 4), mask), zero);
    }
  } else {
    const flip = i8x16.splat(-128);
    for (const end = w + (<usize>steps << 5); w < end; w += 32, p += 64) {
      spread(p, v128.xor(v128.load(w), flip), v128.xor(v128.load(w, 16), flip), zero);
    }
  }
}
