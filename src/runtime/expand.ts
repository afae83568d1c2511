/**
 * Weights in groups: 4-bit codes in the file, multiplied by the integer scale
 * of their group while they are loaded, so that products see 8-bit codes.
 * @module
 */
import { quoted } from "../format/error.ts";
import { groupScale } from "../graph/names.ts";
import { RuntimeError } from "./error.ts";
import type { StaticModel } from "./static_model.ts";

/** Largest group scale: −8 · 15 and 7 · 15 are int8. */
const MOST = 15;

/**
 * Fills `codes` with rows of a weight [n, k] in groups, from `row` on.
 * @throws {RuntimeError} where a group scale is not 1 to 15
 */
export function groupedRows(
  { file }: StaticModel,
  tensor: string,
  k: number,
  group: number,
): (row: number, codes: Uint8Array) => void {
  const scales = file.tensor(groupScale(tensor)).read() as Uint8Array;
  const bad = scales.findIndex((s) => s < 1 || s > MOST);
  if (bad >= 0) {
    throw new RuntimeError(
      "codes",
      `Cannot load ${
        quoted(tensor)
      }: the scales of its groups must be from 1 to ${MOST}: scale ${bad} is ${
        scales[bad]
      }`,
    );
  }
  const stored = file.tensor(tensor);
  return (row, codes) => {
    const nibbles = new Uint8Array(codes.length / 2);
    stored.readSlice(row * k / 2, nibbles);
    for (let i = 0; i < codes.length; i++) {
      const nibble = (nibbles[i >> 1] >> (i & 1 ? 4 : 0)) & 15;
      const scale = scales[Math.floor((row * k + i) / group)];
      codes[i] = (nibble << 28 >> 28) * scale;
    }
  };
}
