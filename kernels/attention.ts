// Integer attention (attention_item.ts) in int16 products, for every machine.
import { attend } from "./attention_item";

export function attention_s8__simd_4x8(
  q: usize, k: usize, v: usize, y: usize, ldy: i32, scoreScale: usize, valueScale: usize,
  queryOrder: usize, keyOrder: usize, queryPlace: usize, reach: i32, rows: i32, keys: i32, capacity: i32,
  heads: i32, kvHeads: i32, headDim: i32, item0: i32, item1: i32, scratch: usize,
): void {
  attend(false, q, k, v, y, ldy, scoreScale, valueScale, queryOrder, keyOrder, queryPlace, reach,
    rows, keys, capacity, heads, kvHeads, headDim, item0, item1, scratch);
}
