/**
 * Rotary tables of M-RoPE: one row per token of the conversation, written when the
 * token is added. Kernels read rows by token index, as in constant tables.
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

/** Rotary tables of all attention nodes with the same rotary parameters. */
export interface PositionTable {
  /** Address of [context, headDim/2] cosines. */
  readonly cos: number;
  /** Address of the sines, likewise. */
  readonly sin: number;
  /** Rotary parameters. */
  readonly rotary: Rotary;
  /** Axis of each pair: 0 time, 1 row, 2 column. */
  readonly axes: readonly number[];
}

/** Key of a node's table in the plan's store. */
export function positionTableKey(
  node: AttentionNode,
  part: "cos" | "sin",
): string {
  return `${part} ${rotaryKey(node)} ${mropeAxes(node)}`;
}

/** Writes the table rows of tokens and keeps the position counter. */
export class PositionTableWriter {
  #at = newPositionCounter();
  #counted = 0;

  /** At the start of a conversation. */
  constructor(
    private readonly tables: readonly PositionTable[],
    private readonly info: ModelInfo,
    private readonly memory: ArrayBufferLike,
  ) {}

  /** Writes the rows of `ids`, which follow the cached tokens. */
  write(
    { ids: cached, grids }: {
      readonly ids: readonly number[];
      readonly grids: readonly Grid[];
    },
    ids: readonly number[],
  ): void {
    if (this.tables.length === 0) return;
    if (this.#counted !== cached.length) {
      this.#at = newPositionCounter();
      positionIds(this.#at, cached, this.info, grids);
    }
    const positions = positionIds(this.#at, ids, this.info, grids);
    this.#counted = cached.length + ids.length;
    for (const { cos, sin, rotary, axes } of this.tables) {
      const rows = positionTables(rotary, axes, positions);
      const at = cached.length * rotary.headDim / 2 * 4;
      const part = (from: number) =>
        new Float32Array(this.memory, from + at, rows.cos.length);
      part(cos).set(rows.cos);
      part(sin).set(rows.sin);
    }
  }
}
