/**
 * References of attention and of the K/V cache.
 * @module
 */
import { keyOffset, valueOffset } from "../layout.ts";
import {
  type attention_s8,
  type keys_f32_s8,
  type queries_f32_s8,
  SOFTMAX_ONE,
  type values_f32_s8,
} from "../signatures/attention.ts";
import { exp2_32, LOG2E, rne8, type Views } from "./views.ts";
import type { Reference } from "./views.ts";

const f = Math.fround;

/** Shared operands of the kernels over heads; the rotary tables may be absent. */
interface Heads {
  readonly x: number;
  readonly ldx: number;
  readonly positions?: number;
  readonly cos?: number;
  readonly sin?: number;
  readonly inv: number;
  readonly rows: readonly [number, number];
  readonly heads: number;
  readonly headDim: number;
}

/** Element d of a head that begins at the f32 index `at`, rotated by the table's row. */
function rotated(
  v: Views,
  at: number,
  d: number,
  row: number,
  { headDim, cos = 0, sin = 0 }: Heads,
): number {
  if (!cos) return v.f32[at + d];
  const half = headDim >> 1, i = d % half;
  const c = v.f32[(cos >> 2) + row + i], s = v.f32[(sin >> 2) + row + i];
  const low = v.f32[at + i], high = v.f32[at + half + i];
  return d < half ? f(f(low * c) - f(high * s)) : f(f(high * c) + f(low * s));
}

function eachElement(
  v: Views,
  h: Heads,
  write: (row: number, head: number, d: number, value: number) => void,
): void {
  const { x, ldx, positions = 0, cos = 0, inv, heads, headDim } = h;
  for (let r = h.rows[0]; r < h.rows[1]; r++) {
    const row = cos ? v.i32[(positions >> 2) + r] * (headDim >> 1) : 0;
    for (let head = 0; head < heads; head++) {
      const at = (x >> 2) + r * ldx + head * headDim;
      const scale = v.f32[(inv >> 2) + head];
      for (let d = 0; d < headDim; d++) {
        write(r, head, d, rne8(f(rotated(v, at, d, row, h) * scale)));
      }
    }
  }
}

/** Reference of `queries_f32_s8`. */
export const queries: Reference<typeof queries_f32_s8> = (v) => (c) =>
  eachElement(
    v,
    c,
    (r, h, d, value) => v.i8[c.q + (r * c.heads + h) * c.headDim + d] = value,
  );

/** Reference of `keys_f32_s8`. */
export const keys: Reference<typeof keys_f32_s8> = (v) => (c) =>
  eachElement(v, c, (r, h, d, value) => {
    const head = c.cache + h * c.capacity * c.headDim;
    v.i8[head + keyOffset(c.slot + r, d, c.headDim)] = value;
  });

/** Reference of `values_f32_s8`. */
export const values: Reference<typeof values_f32_s8> = (v) => (c) =>
  eachElement(v, c, (r, h, d, value) => {
    const head = c.cache + h * c.capacity * c.headDim;
    v.i8[head + valueOffset(c.slot + r, d, c.capacity)] = value;
  });

/** Reference of `attention_s8`. */
export const attention: Reference<typeof attention_s8> = (v) => (c) => {
  const { rows, keys, capacity, heads, kvHeads, headDim } = c;
  const ratio = heads / kvHeads, perHead = Math.ceil(rows * ratio / 4);
  for (let item = c.items[0]; item < c.items[1]; item++) {
    const kv = Math.floor(item / perHead), first = item % perHead * 4;
    const cache = kv * capacity * headDim;
    for (let u = first; u < Math.min(first + 4, rows * ratio); u++) {
      const row = Math.floor(u / ratio), h = kv * ratio + u % ratio;
      const s = new Float32Array(keys), p = new Float64Array(keys);
      for (let j = 0; j < keys; j++) {
        let sum = 0;
        for (let d = 0; d < headDim; d++) {
          sum += v.i8[c.q + (row * heads + h) * headDim + d] *
            v.i8[c.k + cache + keyOffset(j, d, headDim)];
        }
        const at = v.i32[(c.keyOrder >> 2) + j];
        const visible = !c.queryOrder ||
          at <= v.i32[(c.queryOrder >> 2) + row] &&
            (c.window === 0 ||
              at > v.i32[(c.queryPosition >> 2) + row] - c.window);
        s[j] = visible ? f(sum) * v.f32[(c.scoreScale >> 2) + h] : -Infinity;
      }
      const max = s.reduce((a, b) => Math.max(a, b), -Infinity);
      let total = 0;
      for (let j = 0; j < keys; j++) {
        const e = f(exp2_32(f(f(s[j] - max) * LOG2E)) * SOFTMAX_ONE);
        p[j] = f(f(e + 12582912) - 12582912);
        total += p[j];
      }
      const scale = f(v.f32[(c.valueScale >> 2) + kv] / f(total));
      for (let d = 0; d < headDim; d++) {
        let sum = 0;
        for (let j = 0; j < keys; j++) {
          sum += p[j] * v.i8[c.v + cache + valueOffset(j, d, capacity)];
        }
        v.f32[(c.y >> 2) + row * c.ldy + h * headDim + d] = f(sum) * scale;
      }
    }
  }
};
