/**
 * Windows of a grid (Qwen2.5-VL): squares of so many tokens a side, counted from
 * the top left, smaller at the right and at the bottom. In window order the
 * patches of a window stand together, those of a token side by side.
 * Source: transformers, vision_utils.py, get_vision_window_index.
 * @module
 */
import { type Grid, patchesIn } from "./grid.ts";

/** A grid in windows. */
export interface Windows {
  /** Patch of the grid, row by row, at each place of the window order. */
  readonly order: Int32Array;
  /** Patches of each window. */
  readonly sizes: readonly number[];
}

/** The windows of a grid whose tokens are squares of `merge` patches; `window` patches a side. */
export function windowsOf(
  { rows, cols }: Grid,
  window: number,
  merge: number,
): Windows {
  const order = new Int32Array(patchesIn({ rows, cols })), sizes: number[] = [];
  let at = 0;
  for (let top = 0; top < rows; top += window) {
    for (let left = 0; left < cols; left += window) {
      const before = at;
      const [bottom, right] = [
        Math.min(rows, top + window),
        Math.min(cols, left + window),
      ];
      for (let y = top; y < bottom; y += merge) {
        for (let x = left; x < right; x += merge) {
          for (let i = 0; i < merge ** 2; i++) {
            order[at++] = (y + Math.floor(i / merge)) * cols + x + i % merge;
          }
        }
      }
      sizes.push(at - before);
    }
  }
  return { order, sizes };
}

/** Most windows of a picture of so many patches, whatever its shape. */
export function mostWindows(
  patches: number,
  window: number,
  merge: number,
): number {
  const tokens = patches / merge ** 2, side = window / merge;
  let most = 1;
  for (let rows = 1; rows <= tokens; rows++) {
    const cols = Math.floor(tokens / rows);
    most = Math.max(most, Math.ceil(rows / side) * Math.ceil(cols / side));
  }
  return most;
}
