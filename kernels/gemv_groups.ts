// What products of one row with weights in groups share: the sum over a group of columns,
// an exact integer, times the group's scales, added up as integers.
//
//   scratch  ┌──────────────────────────────┬────────────────────────────┐
//            │ totals: 4 panels × 8 int32   │ 8·Σa of each group, int32  │
//            └──────────────────────────────┴────────────────────────────┘
//   Codes are stored as w + 8, so 8·Σa comes off. Totals lie in memory where four panels
//   of them would leave no registers for the sums.

/** Bytes of the totals. */
export const TOTALS: i32 = 128;

/** 8·Σa of each group of a row. */
export function groupSums(a: usize, k: i32, group: i32, to: usize): void {
  for (const end = a + <usize>k; a < end; to += 4) {
    let s = i32x4.splat(0);
    for (const last = a + <usize>group; a < last; a += 16) {
      s = i32x4.add(s, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v128.load(a))));
    }
    s = i32x4.add(s, v128.shuffle<i32>(s, s, 2, 3, 0, 1));
    s = i32x4.add(s, v128.shuffle<i32>(s, s, 1, 0, 3, 2));
    store<i32>(to, i32x4.extract_lane(s, 0) << 3);
  }
}

/** total + sums · scales, columns 0–3 of a panel; its 8 scales lie at `scales`. */
@inline export function lowGroup(total: v128, sums: v128, scales: usize): v128 {
  return i32x4.add(total, i32x4.mul(sums, i32x4.extend_low_i16x8_u(v128.load8x8_u(scales))));
}

/** The same for columns 4–7. */
@inline export function highGroup(total: v128, sums: v128, scales: usize): v128 {
  return i32x4.add(total, i32x4.mul(sums, i32x4.extend_high_i16x8_u(v128.load8x8_u(scales))));
}
