// Small vector helpers all kernels share. Everything here is @inline: a kernel
// is a leaf, it calls nothing while it loops.

// 32-bit lane i of v in all four lanes (one pshufd); shuffle wants literal lanes.
@inline export function lane0(v: v128): v128 { return v128.shuffle<i32>(v, v, 0, 0, 0, 0); }
@inline export function lane1(v: v128): v128 { return v128.shuffle<i32>(v, v, 1, 1, 1, 1); }
@inline export function lane2(v: v128): v128 { return v128.shuffle<i32>(v, v, 2, 2, 2, 2); }
@inline export function lane3(v: v128): v128 { return v128.shuffle<i32>(v, v, 3, 3, 3, 3); }

/** Address of 32-bit element i. */
@inline export function word(base: usize, i: i32): usize {
  return base + (<usize>i << 2);
}

/** Address of row r of 32-bit elements, rows `ld` elements apart. */
@inline export function rowAt(base: usize, r: i32, ld: i32): usize {
  return base + (<usize>r * <usize>ld << 2);
}

@inline export function roundUp(x: i32, step: i32): i32 {
  return (x + step - 1) & -step;
}
