/**
 * Operands of the rotary embedding: tables of cosines and sines, and the table row
 * of each token.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { AttentionNode } from "../../graph/node.ts";
import { imageInfoOf } from "../../graph/info.ts";
import { defaultGrid, patchesIn } from "../../graph/grid.ts";
import {
  rope2dTables,
  type RopeTables,
  ropeTables,
  rotaryKey,
} from "../../graph/rope.ts";
import { type Buffer, type Ref, ref } from "../buffer.ts";
import { positionTableKey } from "../position_tables.ts";
import { REGISTER } from "../step.ts";
import type { Lowering } from "./context.ts";

const PARTS = ["cos", "sin"] as const;

/** Rotary operands of the kernels that quantize heads; all 0 without a rotary embedding. */
export interface RotaryArgs {
  /** Table row of each row of the value, int32. */
  readonly positions: Ref | 0;
  /** f32 [rows][headDim/2]. */
  readonly cos: Ref | 0;
  readonly sin: Ref | 0;
}

/** The rotary operands of a node; with `last`, for the row of the chunk's last token. */
export function rotaryArgs(
  l: Lowering,
  node: AttentionNode,
  last = false,
): RotaryArgs {
  if (node.ropeTheta === undefined) return { positions: 0, cos: 0, sin: 0 };
  const [cos, sin] = rotaryTables(l, node);
  return {
    positions: node.phase === "text"
      ? tokenOrder(l, last)
      : ref(identityOrder(l)),
    cos: ref(cos),
    sin: ref(sin),
  };
}

/** Original positions in cache order, int32, from the chunk's first token on; with `last` from its last. */
export function tokenOrder(l: Lowering, last: boolean): Ref {
  const register = last ? REGISTER.lastSlot : REGISTER.slot;
  return ref(orderBuffer(l), 0, { register }, 4);
}

/** Attention mask end of each row (last position it attends to), int32, from the chunk's first on: its own, or the end of its image. */
export function maskEnd(l: Lowering): Ref {
  if (!l.model.info.image?.bidirectional) return tokenOrder(l, false);
  const buffer = l.store.state("mask end", l.options.capacity * 4);
  return ref(buffer, 0, { register: REGISTER.slot }, 4);
}

/** Original position of every cached token, in cache order, int32. */
export function orderBuffer(l: Lowering): Buffer {
  return l.store.state("order", l.options.capacity * 4);
}

/** [cos, sin] by position, by M-RoPE position, or by a patch's row and column: [rows, headDim/2] each. */
function rotaryTables(l: Lowering, node: AttentionNode): Buffer[] {
  const { ropeTheta: theta, headDim: d, rope2d, mropeSection } = node;
  const { capacity } = l.options;
  const bytes = (rows: number) => rows * d / 2 * 4;
  const both = (key: string, rows: number, compute: () => RopeTables) => {
    let tables: RopeTables | undefined; // computed once for both
    return PARTS.map((part) =>
      l.store.constant(
        `${part} ${key} ${rotaryKey(node)}`,
        bytes(rows),
        () => (tables ??= compute())[part],
      )
    );
  };
  if (mropeSection) {
    return PARTS.map((part) =>
      l.store.state(positionTableKey(node, part), bytes(capacity))
    );
  }
  if (!rope2d) {
    return both("tokens", capacity, () => ropeTables(node, capacity));
  }
  const image = imageInfoOf(l.model.info), { patches, layout } = l.options;
  if (patches !== layout.maxRows) {
    throw l.error(`${quoted(node.id)}: rope2d must come without extra rows`);
  }
  if (!image.nativeResolution) {
    const own = defaultGrid(image);
    return both("grid", patchesIn(own), () => rope2dTables(theta!, d, own));
  }
  const key = `grid ${theta} ${d}`;
  const [cos, sin] = PARTS.map((part) =>
    l.store.state(`${part} ${key}`, bytes(patches))
  );
  l.grid(key, () => ({
    kind: "rotary",
    cos: cos.at,
    sin: sin.at,
    theta: theta!,
    headDim: d,
  }));
  return [cos, sin];
}

/** 0, 1, 2 …: the patches are in the order of the table rows. */
function identityOrder(l: Lowering): Buffer {
  const rows = l.options.layout.maxRows;
  return l.store.constant(
    `raster ${rows}`,
    rows * 4,
    () => Int32Array.from({ length: rows }, (_, i) => i),
  );
}
