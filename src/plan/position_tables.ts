/**
 * Rotary tables for M-RoPE position ids: one row per token of the conversation,
 * written when the token is processed. Kernels look up rows by token index, as
 * in constant tables.
 * @module
 */
import type { AttentionNode } from "../graph/node.ts";
import type { ModelInfo } from "../graph/info.ts";
import { newPositionCounter, positionIds } from "../graph/position_ids.ts";
import {
  mropeAxes,
  positionTables,
  type Rotary,
  rotaryKey,
} from "../graph/rope.ts";
import type { Grid } from "../graph/grid.ts";

/** Tables of all attention nodes that share θ, width and sections. */
export interface PositionTable {
  /** Address of [context, headDim/2] cosines. */
  readonly cos: number;
  /** Address of as many sines. */
  readonly sin: number;
  /** Rotary settings. */
  readonly rotary: Rotary;
  /** Position axis (time, row or column) of each pair of channels. */
  readonly axes: readonly number[];
}

/** Name of a node's table in the plan's memory. */
export function positionTableKey(
  node: AttentionNode,
  part: "cos" | "sin",
): string {
  return `${part} ${rotaryKey(node)} ${mropeAxes(node)}`;
}

/** Writes the rows of tokens; a class because it remembers the current position. */
export class PositionTableWriter {
  #at = newPositionCounter();
  #counted = 0;

  /** Starts at the beginning of a conversation. */
  constructor(
    private readonly tables: readonly PositionTable[],
    private readonly info: ModelInfo,
    private readonly memory: ArrayBufferLike,
  ) {}

  /** Writes the rows of `ids`, which follow `seen` tokens. */
  write(
    { ids: seen, grids }: {
      readonly ids: readonly number[];
      readonly grids: readonly Grid[];
    },
    ids: readonly number[],
  ): void {
    if (this.tables.length === 0) return;
    if (this.#counted !== seen.length) {
      this.#at = newPositionCounter();
      positionIds(this.#at, seen, this.info, grids);
    }
    const places = positionIds(this.#at, ids, this.info, grids);
    this.#counted = seen.length + ids.length;
    for (const { cos, sin, rotary, axes } of this.tables) {
      const rows = positionTables(rotary, axes, places);
      const at = seen.length * rotary.headDim / 2 * 4;
      const part = (from: number) =>
        new Float32Array(this.memory, from + at, rows.cos.length);
      part(cos).set(rows.cos);
      part(sin).set(rows.sin);
    }
  }
}
