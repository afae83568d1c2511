/**
 * Typed views of one memory, and the few float operations every reference
 * shares. A reference is the kernel's meaning in plain TypeScript: it takes the
 * same pointers as the kernel and must leave the same bytes behind.
 * @module
 */

/** All typed views of one buffer. Pointers are byte offsets; `f32[p >> 2]`. */
export interface Views {
  /** Unsigned bytes. */
  readonly u8: Uint8Array;
  /** Signed bytes: codes. */
  readonly i8: Int8Array;
  /** Row sums, positions, order. */
  readonly i32: Int32Array;
  /** Floats. */
  readonly f32: Float32Array;
}

/** Views of a buffer; make new ones after a memory grew. */
export function viewsOf(buffer: ArrayBufferLike): Views {
  return {
    u8: new Uint8Array(buffer),
    i8: new Int8Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
  };
}

const f = Math.fround;

/** Round half to even to int8, saturating; NaN gives 127 (as the min comes first). */
export function rne8(x: number): number {
  x = x < 127 ? x : 127;
  if (x < -128) x = -128;
  return f(f(x + 12582912) - 12582912); // 1.5·2^23: the ulp there is 1
}

const magic = f(12582912), log2e = f(1.4426950408889634);
const ln2Hi = f(0.693359375), ln2Lo = f(-2.12194440e-4); // hi has 9 bits: n·hi is exact
const poly = [
  1.9875691500e-4,
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
].map(f);
const bits = new Int32Array(1), float = new Float32Array(bits.buffer);

/**
 * exp in float32, the one all kernels use (Cephes' expf: ≤ 1 ulp or so over the
 * range). x is clamped to [−87, 88]; every operation rounds to float32.
 */
export function exp32(x: number): number {
  x = x > -87 ? x : -87; // NaN gives the lower end
  x = x < 88 ? x : 88;
  const n = f(f(f(x * log2e) + magic) - magic);
  const r = f(f(x - f(n * ln2Hi)) - f(n * ln2Lo));
  let p = poly[0];
  for (let i = 1; i < 6; i++) p = f(f(p * r) + poly[i]);
  p = f(f(f(p * f(r * r)) + r) + 1);
  bits[0] = (n + 127) << 23;
  return f(p * float[0]);
}
