/**
 * Integer attention over a static int8 K/V cache: scores, a softmax with
 * fixed-point weights, and the weighted sum of values.
 * @module
 */
import { type Contract, contract } from "./contract.ts";
import {
  attendItems,
  attendScratchBytes,
  cacheBytes,
  keyOffset,
  valueOffset,
} from "./layout.ts";
import { exp2_32, LOG2E } from "./views.ts";

const f = Math.fround;

/** Fixed point of the softmax weights: what 1.0 is. 14 bits: one int16, or two numbers of 7 bits. */
export const SOFTMAX_ONE = 16383;

/**
 * Attention of `rows` queries over `keys` cached keys, grouped heads allowed
 * (query head h reads kv head h / (heads/kvHeads)).
 *
 * score = f32(q·k)·scoreScale[h]; p = rne(16383·e^(score − max));
 * out = f32(Σ p·v)·(valueScale[kv] / f32(Σ p)), both sums exact.
 * @param q int8 [row][heads·headDim]
 * @param k K cache of all kv heads
 * @param v V cache of all kv heads
 * @param y f32 [row][heads·headDim], row stride `ldy`
 * @param scoreScale f32 [heads]: q scale · k scale / √headDim
 * @param valueScale f32 [kvHeads]
 * @param queryOrder int32 per row, or 0: every key is seen by every row
 * @param keyOrder int32 per key, readable up to a multiple of 8: key j is seen by row i iff keyOrder[j] ≤ queryOrder[i]
 *   (each row must see at least one key)
 * @param queryPlace int32 per row, where `reach` is not 0
 * @param reach row i sees only keys with keyOrder[j] > queryPlace[i] − reach, too; 0: however far back
 * @param keys keys in the cache, 1 to capacity
 * @param capacity a multiple of 8, at most 65536
 * @param headDim a multiple of 8
 * @param item0 first work item of attendItems(rows, heads, kvHeads)
 * @param item1 end of work items
 * @param scratch 16-byte aligned, attendScratchBytes(keys, headDim), one per thread
 */
export type AttendS8 = (
  q: number,
  k: number,
  v: number,
  y: number,
  ldy: number,
  scoreScale: number,
  valueScale: number,
  queryOrder: number,
  keyOrder: number,
  queryPlace: number,
  reach: number,
  rows: number,
  keys: number,
  capacity: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  item0: number,
  item1: number,
  scratch: number,
) => void;

interface AttendShape {
  rows: number;
  keys: number;
  capacity: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  causal: boolean;
  reach?: number;
  why: string;
}

const attendShapes: AttendShape[] = [
  {
    rows: 1,
    keys: 1,
    capacity: 8,
    heads: 1,
    kvHeads: 1,
    headDim: 8,
    causal: false,
    why: "one of everything",
  },
  {
    rows: 3,
    keys: 7,
    capacity: 16,
    heads: 2,
    kvHeads: 1,
    headDim: 16,
    causal: true,
    why: "grouped",
  },
  {
    rows: 9,
    keys: 9,
    capacity: 16,
    heads: 1,
    kvHeads: 1,
    headDim: 64,
    causal: true,
    why: "partial groups",
  },
  {
    rows: 1,
    keys: 83,
    capacity: 96,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    causal: true,
    why: "SmolVLM-256M decode",
  },
  {
    rows: 13,
    keys: 65,
    capacity: 80,
    heads: 6,
    kvHeads: 6,
    headDim: 64,
    causal: true,
    why: "flickr-mini text",
  },
  {
    rows: 10,
    keys: 196,
    capacity: 200,
    heads: 5,
    kvHeads: 5,
    headDim: 64,
    causal: false,
    why: "flickr-mini vision",
  },
  {
    rows: 4,
    keys: 196,
    capacity: 200,
    heads: 2,
    kvHeads: 2,
    headDim: 72,
    causal: false,
    why: "heads of 72",
  },
  {
    rows: 2,
    keys: 1030,
    capacity: 1032,
    heads: 1,
    kvHeads: 1,
    headDim: 80,
    causal: false,
    why: "more than one block of keys",
  },
  {
    rows: 13,
    keys: 65,
    capacity: 80,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    causal: true,
    reach: 20,
    why: "sliding window",
  },
  {
    rows: 1,
    keys: 1500,
    capacity: 1504,
    heads: 2,
    kvHeads: 1,
    headDim: 256,
    causal: true,
    reach: 1024,
    why: "Gemma 3 decode",
  },
  {
    rows: 1,
    keys: 8190,
    capacity: 8192,
    heads: 2,
    kvHeads: 1,
    headDim: 16,
    causal: false,
    why: "longest text",
  },
];

/** The attention itself. */
export const attend_s8: Contract<AttendS8> = contract({
  meaning: "y = softmax(q·kᵀ·scoreScale)·v·valueScale, exact integer sums",
  reference: (m) =>
  (
    q,
    k,
    v,
    y,
    ldy,
    scoreScale,
    valueScale,
    queryOrder,
    keyOrder,
    queryPlace,
    reach,
    rows,
    keys,
    capacity,
    heads,
    kvHeads,
    headDim,
    item0,
    item1,
  ) => {
    const group = heads / kvHeads, perHead = Math.ceil(rows * group / 4);
    for (let item = item0; item < item1; item++) {
      const kv = Math.floor(item / perHead), first = item % perHead * 4;
      for (let u = first; u < Math.min(first + 4, rows * group); u++) {
        const row = Math.floor(u / group), h = kv * group + u % group;
        const s = new Float32Array(keys), p = new Float64Array(keys);
        for (let j = 0; j < keys; j++) {
          let acc = 0;
          for (let d = 0; d < headDim; d++) {
            acc += m.i8[q + (row * heads + h) * headDim + d] *
              m.i8[k + kv * capacity * headDim + keyOffset(j, d, headDim)];
          }
          const at = m.i32[(keyOrder >> 2) + j];
          const seen = !queryOrder || at <= m.i32[(queryOrder >> 2) + row] &&
              (reach === 0 || at > m.i32[(queryPlace >> 2) + row] - reach);
          s[j] = seen ? f(acc) * m.f32[(scoreScale >> 2) + h] : -Infinity;
        }
        const max = s.reduce((a, b) => Math.max(a, b), -Infinity);
        let total = 0;
        for (let j = 0; j < keys; j++) {
          const e = f(exp2_32(f(f(s[j] - max) * LOG2E)) * SOFTMAX_ONE);
          p[j] = f(f(e + 12582912) - 12582912);
          total += p[j];
        }
        const scale = f(m.f32[(valueScale >> 2) + kv] / f(total));
        for (let d = 0; d < headDim; d++) {
          let acc = 0;
          for (let j = 0; j < keys; j++) {
            acc += p[j] *
              m.i8[v + kv * capacity * headDim + valueOffset(j, d, capacity)];
          }
          m.f32[(y >> 2) + row * ldy + h * headDim + d] = f(acc) * scale;
        }
      }
    }
  },
  cases: attendShapes.flatMap((s) =>
    [false, true].map((uniform) => ({
      name:
        `${s.rows} rows × ${s.keys} keys, ${s.heads}/${s.kvHeads} heads of ${s.headDim}` +
        `${s.causal ? ", causal" : ""}${s.reach ? `, ${s.reach} back` : ""}${
          uniform ? ", equal scores, v = −128" : ""
        } (${s.why})`,
      build(arena) {
        const wide = s.heads * s.headDim, ldy = wide + 8;
        const cache = cacheBytes(s.kvHeads, s.capacity, s.headDim);
        const items = attendItems(s.rows, s.heads, s.kvHeads);
        return [
          uniform
            ? arena.codes(s.rows * wide, 0, 0)
            : arena.codes(s.rows * wide),
          arena.codes(cache),
          uniform ? arena.codes(cache, -128, -128) : arena.codes(cache),
          arena.floats(s.rows * ldy),
          ldy,
          arena.place(new Float32Array(s.heads).map((_, i) => 1e-4 * (1 + i))),
          arena.floats(s.kvHeads, 0.1),
          s.causal ? arena.ints(s.rows, (i) => s.keys - s.rows + i) : 0,
          s.causal
            ? arena.ints(
              s.keys,
              (i) => (i * 7 + 2) % s.keys === 0 ? 0 : i % (s.keys - 1 || 1),
            )
            : 0,
          s.reach ? arena.ints(s.rows, (i) => s.keys - s.rows + i - i % 3) : 0,
          s.reach ?? 0,
          s.rows,
          s.keys,
          s.capacity,
          s.heads,
          s.kvHeads,
          s.headDim,
          items > 4 ? 1 : 0,
          items,
          arena.scratch(attendScratchBytes(s.keys, s.headDim)),
        ];
      },
    }))
  ),
});
