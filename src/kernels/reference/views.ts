/**
 * Typed views of one memory, and the few float operations every reference
 * shares. A reference is the kernel's meaning in plain TypeScript: it takes the
 * same pointers as the kernel and must leave the same bytes behind.
 * @module
 */
import type { Call, Operands } from "../signature.ts";

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

/** Quantizes x to an integer on a static scale, clamped. */
export function level(
  x: number,
  { inv, low, high }: { inv: number; low: number; high: number },
): number {
  return rne8(Math.max(f(low), Math.min(f(high), f(x * f(inv)))));
}

const magic = f(12582912), bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);
const q = [
  0.6931471824645996,
  0.24022647738456726,
  0.055503323674201965,
  0.00961843691766262,
  0.0013398875016719103,
  0.00015353361959569156,
].map(f); // 2^f = 1 + f·q(f), |f| ≤ 1/2, error 2e-9

/** log2 e in float32: e^x is exp2_32(x·LOG2E), with relative error (3 + |x|)·2^−24. */
export const LOG2E: number = f(Math.LOG2E);

/**
 * 2^y in float32, the one all kernels use; y is clamped to [−125, 126] and every
 * operation rounds to float32.
 */
export function exp2_32(y: number): number {
  y = y > -125 ? y : -125; // NaN gives the lower end
  y = y < 126 ? y : 126;
  const n = f(f(y + magic) - magic), r = f(y - n), rr = f(r * r);
  const [a, b, c] = [0, 2, 4].map((i) => f(q[i] + f(q[i + 1] * r)));
  const p = f(f(f(f(f(f(c * rr) + b) * rr) + a) * r) + 1);
  float[0] = p;
  bits[0] += n << 23;
  return float[0];
}

/** The obvious version of a kernel over one memory. */
export type Reference<S extends { readonly operands: Operands }> = (
  memory: Views,
) => (call: Call<S["operands"]>) => void;
