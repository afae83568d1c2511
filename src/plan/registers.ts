/**
 * Sets the registers of a plan before it runs (step.ts).
 * @module
 */
import { type Grid, patchesIn } from "../graph/grid.ts";
import { itemsRegister, MOST_RATIO, REGISTER } from "./step.ts";

/** Sets the registers for an image of `grid` with `tokens` image rows. */
export function setImage(
  registers: Int32Array,
  grid: Grid,
  tokens: number,
): void {
  registers[REGISTER.cols] = grid.cols;
  registers[REGISTER.tokens] = tokens;
  setRows(registers, patchesIn(grid));
}

/** A chunk of tokens: image rows, then text rows. */
export interface Chunk {
  readonly imageRows: number;
  readonly textRows: number;
  /** Cache slot of row 0. */
  readonly slot: number;
  /** Row of the chunk's last token. */
  readonly last: number;
}

/** Sets the registers for a chunk of tokens. */
export function setChunk(
  registers: Int32Array,
  { imageRows, textRows, slot, last }: Chunk,
): void {
  const rows = imageRows + textRows;
  registers[REGISTER.imageRows] = imageRows;
  registers[REGISTER.imageEnd] = Math.ceil(imageRows / 4) * 4;
  registers[REGISTER.textRows] = textRows;
  registers[REGISTER.slot] = slot;
  registers[REGISTER.keys] = slot + rows;
  registers[REGISTER.last] = last;
  registers[REGISTER.lastSlot] = slot + last;
  setRows(registers, rows);
}

function setRows(registers: Int32Array, rows: number): void {
  registers[REGISTER.rows] = rows;
  for (let ratio = 1; ratio <= MOST_RATIO; ratio++) {
    registers[itemsRegister(ratio)] = Math.ceil(rows * ratio / 4);
  }
}
