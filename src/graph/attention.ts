/**
 * Float attention of one sequence or image. Heads are independent, so an engine may
 * divide them among threads.
 * @module
 */
import type { AttentionShape, Executor, Floats } from "./executor.ts";

/**
 * softmax(q·kᵀ/√d)·v of heads [from, to).
 * @param q [rows, heads·d]
 * @param k [keys, kvHeads·d]
 * @param v as k
 * @param keyRange first key that each row attends to and the end of its range (exclusive), [rows, 2]
 * @param out as q; only the columns of these heads are written
 */
export function attendHeads(
  { zeros, matmul }: Pick<Executor, "zeros" | "matmul">,
  q: Floats,
  k: Floats,
  v: Floats,
  { rows, keys, heads, kvHeads, headDim: d }: AttentionShape,
  keyRange: Int32Array,
  out: Floats,
  from = 0,
  to = heads,
): void {
  const scale = 1 / Math.sqrt(d), wide = heads * d, width = kvHeads * d;
  const columns = (x: Floats, stride: number, at: number) => {
    const y = zeros(x.length / stride * d);
    for (let r = 0; r < x.length / stride; r++) {
      y.set(x.subarray(r * stride + at, r * stride + at + d), r * d);
    }
    return y;
  };
  for (let h = from; h < to; h++) {
    const kv = Math.floor(h * kvHeads / heads) * d;
    const own = columns(q, wide, h * d), vals = columns(v, width, kv);
    const p = matmul(own, rows, d, columns(k, width, kv), keys);
    for (let r = 0; r < rows; r++) {
      const row = p.subarray(r * keys, (r + 1) * keys);
      softmax(row, keyRange[2 * r], keyRange[2 * r + 1], scale);
    }
    const transposed = zeros(d * keys);
    for (let j = 0; j < keys; j++) {
      for (let c = 0; c < d; c++) transposed[c * keys + j] = vals[j * d + c];
    }
    const y = matmul(p, rows, keys, transposed, d);
    for (let r = 0; r < rows; r++) {
      out.set(y.subarray(r * d, r * d + d), r * wide + h * d);
    }
  }
}

/** Softmax of the scaled scores [first, end), in place; the others become 0. */
function softmax(row: Floats, first: number, end: number, scale: number): void {
  let max = -Infinity, sum = 0;
  for (let j = first; j < end; j++) max = Math.max(max, row[j]);
  for (let j = first; j < end; j++) {
    sum += row[j] = Math.exp((row[j] - max) * scale);
  }
  for (let j = first; j < end; j++) row[j] /= sum;
  row.fill(0, 0, first);
  row.fill(0, end);
}
