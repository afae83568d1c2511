/**
 * Window attention (src/graph/windows.ts) at run time. The patches of an image are
 * permuted to window order, each window has registers, and the resulting image rows
 * are permuted back. So the rows of a window are contiguous for every kernel.
 * @module
 */
import type { Grid } from "../graph/grid.ts";
import type { Windows } from "../graph/windows.ts";
import type { Image } from "../image/image.ts";
import { windowRegister } from "./step.ts";

/** Cache slots of one window. */
export const windowSlots = (side: number): number =>
  Math.ceil(side * side / 8) * 8;

/** Permutes the patches of an image: patch i of the result is patch order[i]. */
export function reorderPatches(
  { width, data }: Image,
  patch: number,
  order: Int32Array,
): Uint8Array {
  const out = new Uint8Array(data.length), cols = width / patch;
  const line = patch * 3,
    corner = (p: number) =>
      (Math.floor(p / cols) * patch * width + p % cols * patch) * 3;
  order.forEach((from, to) => {
    for (let y = 0; y < patch; y++) {
      const at = corner(from) + y * width * 3;
      out.set(data.subarray(at, at + line), corner(to) + y * width * 3);
    }
  });
  return out;
}

/** Row-major index of the token whose first patch is `patch`. */
export function tokenIndex(
  patch: number,
  { cols }: Grid,
  merge: number,
): number {
  const row = Math.floor(patch / cols) / merge, column = patch % cols / merge;
  return row * (cols / merge) + column;
}

/** Sets the registers of an image's windows; unused windows are empty. */
export function setWindows(
  registers: Int32Array,
  { sizes }: Windows,
  { side, most }: { readonly side: number; readonly most: number },
): void {
  let start = 0;
  for (let w = 0; w < most; w++) {
    const rows = sizes[w] ?? 0;
    registers[windowRegister(w, "start")] = start;
    registers[windowRegister(w, "end")] = start + rows;
    registers[windowRegister(w, "rows")] = rows;
    registers[windowRegister(w, "slot")] = w * windowSlots(side) - start;
    registers[windowRegister(w, "items")] = Math.ceil(rows / 4);
    start += rows;
  }
}
