/**
 * What towers do to their patch weights and position tables before the graph.
 * @module
 */
import { sizeOf, type Tensor } from "../tensor/tensor.ts";

/** [n, 3, frames, patch, patch] summed over the frames, for towers that see each picture twice: [n, 3·patch²]. */
export function sumFrames(w: Tensor, frames: number, pixels: number): Tensor {
  const k = sizeOf(w.shape) / frames / w.shape[0];
  return {
    shape: [w.shape[0], k],
    read() {
      const from = w.read(), to = new Float64Array(from.length / frames);
      for (let i = 0; i < from.length; i++) {
        const block = Math.floor(i / (frames * pixels)); // one channel of one output
        to[block * pixels + i % pixels] += from[i];
      }
      return to;
    },
  };
}

/**
 * A square table of positions at another size, bilinear with the corners in
 * place (transformers, vision_utils.py, align_corners true): [side², width].
 */
export function resizeTable(table: Tensor, side: number): Tensor {
  const [rows, width] = table.shape, from = Math.round(Math.sqrt(rows));
  return {
    shape: [side * side, width],
    read() {
      const t = table.read(), out = new Float64Array(side * side * width);
      const at = Array.from({ length: side }, (_, i) => {
        const x = side === 1 ? 0 : i * (from - 1) / (side - 1);
        const low = Math.min(Math.floor(x), from - 1);
        return { low, high: Math.min(low + 1, from - 1), share: x - low };
      });
      let to = 0;
      for (const y of at) {
        for (const x of at) {
          for (let c = 0; c < width; c++) {
            const cell = (r: number, col: number) =>
              t[(r * from + col) * width + c];
            const top = cell(y.low, x.low) * (1 - x.share) +
              cell(y.low, x.high) * x.share;
            const bottom = cell(y.high, x.low) * (1 - x.share) +
              cell(y.high, x.high) * x.share;
            out[to++] = top * (1 - y.share) + bottom * y.share;
          }
        }
      }
      return out;
    },
  };
}
