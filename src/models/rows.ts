/**
 * Reorders rows of checkpoint tensors: head-wise fused projections,
 * neighbouring rotary pairs, matrices for x·W.
 * @module
 */
import { transpose } from "../tensor/rotation.ts";
import { mapTensor, reshape, sizeOf, type Tensor } from "../tensor/tensor.ts";

/**
 * Parts of a projection that is fused per head, with rows [heads, parts,
 * headDim].
 * @param t [heads·parts·headDim, ...]
 * @param count number of parts, from `part` on
 */
export function headRowsOf(
  t: Tensor,
  part: number,
  parts: number,
  headDim: number,
  count = 1,
): Tensor {
  const heads = t.shape[0] / parts / headDim, rows = heads * count * headDim;
  const width = sizeOf(t.shape) / t.shape[0], one = headDim * width;
  return {
    shape: [rows, ...t.shape.slice(1)],
    read() {
      const from = t.read(), to = new Float64Array(rows * width);
      for (let h = 0; h < heads; h++) {
        const at = (h * parts + part) * one;
        to.set(from.subarray(at, at + count * one), h * count * one);
      }
      return to;
    },
  };
}

/**
 * Reorders the rows of heads with `rotary` rotated channels, neighbouring or
 * half-split, so that pair i is channels i and i + headDim/2; other channels
 * fill the rest.
 */
export function halfSplitPairs(
  t: Tensor,
  headDim: number,
  rotary: number,
  pairs: "neighbours" | "half-split" = "neighbours",
): Tensor {
  const flat = t.shape.length === 1 ? reshape(t, [t.shape[0], 1]) : t;
  const [rows, width] = flat.shape, half = headDim / 2, turning = rotary / 2;
  const order = Array.from({ length: headDim }, (_, i) => {
    const pair = i % half, second = i >= half ? 1 : 0;
    return pair < turning
      ? pairs === "neighbours" ? 2 * pair + second : pair + second * turning
      : rotary + second * (half - turning) + pair - turning;
  });
  return {
    shape: t.shape,
    read() {
      const from = flat.read(), to = new Float64Array(from.length);
      for (let r = 0; r < rows; r++) {
        const at = (r - r % headDim + order[r % headDim]) * width;
        to.set(from.subarray(at, at + width), r * width);
      }
      return to;
    },
  };
}

/** A table with some of its rows replaced. */
export function withRows(
  table: Tensor,
  at: readonly number[],
  rows: readonly Tensor[],
): Tensor {
  return mapTensor(table, (t) => {
    for (const [i, row] of rows.entries()) {
      t.set(row.read(), at[i] * table.shape[1]);
    }
    return t;
  });
}

/** A tensor times a number. */
export function scaled(t: Tensor, factor: number): Tensor {
  return mapTensor(t, (values) => values.map((x) => x * factor));
}

/** Transposes a matrix [k, n] for x·W to that of a linear: [n, k]. */
export function transposed(t: Tensor): Tensor {
  const [rows, columns] = t.shape;
  return {
    shape: [columns, rows],
    read: () => transpose(t.read(), rows, columns),
  };
}
