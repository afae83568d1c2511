// Integer attention (attention_item.ts) in products of bytes, where the machine takes whole ones.
import { attend } from "./attention_item";

export function attention_s8__relaxed_dot8_4x8(
  q: usize, k: usize, v: usize, y: usize, ldy: i32, scoreScale: usize, valueScale: usize,
  queryOrder: usize, keyOrder: usize, queryPlace: usize, reach: i32, rows: i32, keys: i32, capacity: i32,
  heads: i32, kvHeads: i32, headDim: i32, item0: i32, item1: i32, scratch: usize,
): void {
  attend(true, q, k, v, y, ldy, scoreScale, valueScale, queryOrder, keyOrder, queryPlace, reach,
    rows, keys, capacity, heads, kvHeads, headDim, item0, item1, scratch);
}
