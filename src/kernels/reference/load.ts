/**
 * References of the packers and of the barrier.
 * @module
 */
import { paddedK, valueAt, weightBytes, weightOffset } from "../layout.ts";
import type {
  barrier as barrierSignature,
  pack_w4,
} from "../signatures/load.ts";
import type { Reference } from "./views.ts";

/** Reference of the packers: row-major values to panels. */
export const pack = (bits: 4 | 8): Reference<typeof pack_w4> =>
(v) =>
(
  { values, w, rows, k },
) => {
  const kp = paddedK(k), zero = bits === 8 ? 0 : 8;
  const stored = v.u8.subarray(values);
  v.u8.fill(bits === 4 ? 0x88 : 0, w, w + weightBytes(bits, rows, k));
  for (let n = 0; n < rows; n++) {
    for (let j = 0; j < k; j++) {
      const at = w + weightOffset(bits, n, j, kp);
      const q = valueAt(bits, stored, n * k + j) + zero;
      if (bits === 8) v.u8[at] = q;
      else v.u8[at] = n & 4 ? v.u8[at] & 15 | q << 4 : v.u8[at] & 240 | q;
    }
  }
};

/** Reference of `barrier`: a single thread never waits. */
export const barrier: Reference<typeof barrierSignature> = () => () => {};
