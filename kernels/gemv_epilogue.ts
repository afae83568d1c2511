// 8 int32 sums of one row → y: f32(acc − offset)·alpha + bias, stored or added.

@inline function scaled(acc: v128, offset: v128, alpha: usize, bias: usize): v128 {
  const exact = f32x4.convert_i32x4_s(i32x4.sub(acc, offset));
  return f32x4.add(f32x4.mul(exact, v128.load(alpha)), v128.load(bias));
}

@inline export function store8(
  c0: v128, c1: v128, offset: i32, alpha: usize, bias: usize, y: usize, accumulate: i32,
): void {
  const z = i32x4.splat(offset);
  let lo = scaled(c0, z, alpha, bias), hi = scaled(c1, z, alpha + 16, bias + 16);
  if (accumulate) {
    lo = f32x4.add(v128.load(y), lo);
    hi = f32x4.add(v128.load(y, 16), hi);
  }
  v128.store(y, lo);
  v128.store(y, hi, 16);
}
