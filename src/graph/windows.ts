/**
 * Attention windows of a grid (Qwen2.5-VL): squares of patches from the top left,
 * smaller at the right and bottom edges. Window order groups the patches by window,
 * and within a window by token.
 * Source: transformers, vision_utils.py, get_vision_window_index.
 * @module
 */
import { type Grid, patchesIn } from "./grid.ts";

/** The windows of a grid. */
export interface Windows {
  /** Row-major patch index at each position of the window order. */
  readonly order: Int32Array;
  /** Patches of each window. */
  readonly sizes: readonly number[];
}

/**
 * The windows of a grid.
 * @param window side of a window, in patches
 * @param merge side of a token, in patches
 */
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

/** Largest number of windows of an image of at most `patches` patches. */
export function maxWindows(
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
