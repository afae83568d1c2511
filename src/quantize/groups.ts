/**
 * Two-level scales (QServe's progressive quantization, arXiv 2405.04532): a row has
 * a float scale, each group of its columns an integer scale, 1 to 15. A 4-bit value
 * times its group scale fits int8, so a dot product stays one exact integer sum,
 * and the row's scale is applied once at the end.
 * @module
 */
import { MOST_GROUP } from "../kernels/layout.ts";
import { roundEven } from "../tensor/round.ts";

/** Scales of rows, and of groups where there are any. */
export interface Scales {
  readonly scale: Float32Array;
  readonly group?: number;
  readonly groupScale?: Uint8Array;
}

/** Function of (r, c): the scale of one level in row r, column c. */
export function stepOf(
  { scale, group, groupScale }: Scales,
  k: number,
): (r: number, c: number) => number {
  if (!group || !groupScale) return (r) => scale[r];
  const groups = k / group;
  return (r, c) => scale[r] * groupScale[r * groups + Math.floor(c / group)];
}

/**
 * Scales of W [n, k]. The row scale gives the group with the largest range the
 * scale 15; each group scale is the integer with the least squared error.
 * @param weight importance of each column
 * @throws {RangeError} where groups do not divide a row
 */
export function groupScales(
  w: Float64Array,
  n: number,
  k: number,
  bits: number,
  group: number,
  weight?: Float64Array,
): Required<Scales> {
  if (k % group !== 0) {
    throw new RangeError(
      `Cannot make groups: ${group} columns must divide a row: it has ${k}`,
    );
  }
  const top = 2 ** (bits - 1) - 1, bottom = -top - 1;
  const scale = new Float32Array(n), groupScale = new Uint8Array(n * k / group);
  for (let r = 0; r < n; r++) {
    let most = 0;
    for (let i = r * k; i < (r + 1) * k; i++) {
      most = Math.max(most, Math.abs(w[i]));
    }
    const s = scale[r] = most === 0 ? 1 : most / (top * MOST_GROUP);
    for (let from = 0; from < k; from += group) {
      const part = w.subarray(r * k + from, r * k + from + group);
      let wide = 0;
      for (const x of part) wide = Math.max(wide, Math.abs(x));
      const whole = Math.min(
        MOST_GROUP,
        Math.max(1, Math.ceil(wide / (top * s) - 1e-6)),
      );
      let best = whole, least = Infinity;
      for (let g = whole; g >= 1 && g >= whole / 2; g--) {
        let error = 0;
        for (let c = 0; c < group && error < least; c++) {
          const q = Math.min(
            top,
            Math.max(bottom, roundEven(part[c] / (g * s))),
          );
          const e = part[c] - q * g * s;
          error += (weight ? weight[from + c] : 1) * e * e;
        }
        if (error < least) least = error, best = g;
      }
      groupScale[(r * k + from) / group] = best;
    }
  }
  return { scale, group, groupScale };
}
