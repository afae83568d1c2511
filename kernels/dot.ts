// 32-bit dot products of 8-bit numbers, for machines where they are one instruction.

/** s[i] + Σ of 4 products a·w per lane. w up to 7 bits is the same everywhere; see `flipOf`. */
@inline export function dotAdd(s: v128, a: v128, w: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, w, s);
}

/**
 * What turns signed bytes into what this machine takes for the second operand: it reads
 * bytes above 127 as unsigned (x86: 128, w + 128 is used and 128·Σa taken off) or as
 * signed (ARM: 0). Every lane of a relaxed instruction does the same in one process.
 * Where it adds products with saturation, kernels that ask here (`dot8`) are not offered
 * (load.ts).
 */
@inline export function flipOf(): i32 {
  const probe = dotAdd(i32x4.splat(0), i8x16.splat(1), i8x16.splat(-1));
  return i32x4.extract_lane(probe, 0) > 0 ? 128 : 0;
}
