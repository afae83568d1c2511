/**
 * Lowers attention: q, k and v are quantized to int8 on their static scales, keys and
 * values are written to the cache, and one kernel computes the attention.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { headScale } from "../../graph/names.ts";
import type { AttentionNode } from "../../graph/node.ts";
import { cacheBytes, roundUp } from "../../kernels/layout.ts";
import {
  attention_s8,
  keys_f32_s8,
  queries_f32_s8,
  values_f32_s8,
} from "../../kernels/signatures/attention.ts";
import { type Amount, ref } from "../buffer.ts";
import type { RowLayout } from "../row_layout.ts";
import { itemsRegister, REGISTER, windowRegister } from "../step.ts";
import { windowSlots } from "../windows.ts";
import { all } from "./call.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { keepsLastRowOnly, lastRowOf } from "./keep_last_row.ts";
import { prefixFill } from "./prefix.ts";
import { maskEnd, orderBuffer, rotaryArgs, tokenOrder } from "./rotary.ts";
import type { Floats } from "./value.ts";

/** Maximum slots of a cache (kernel attention_s8). */
const MOST_SLOTS = 65536;

// long because its steps share buffers, scales and registers
/** Lowers attention within an image (where q may have other rows than k and v), or over the KV cache. */
export function lowerAttention(l: Lowering, node: AttentionNode): Floats {
  const { heads, kvHeads, headDim, id } = node;
  const text = l.options.phase === "text";
  checkAttention(l, node, text);
  const [q, k, v] = [node.q, node.k, node.v].map((x) => floatsOf(l, x));
  const { layout } = k, { capacity } = l.options;
  checkRows(l, node, text, [q, k, v]);
  const cut = node.windowSize === undefined ? undefined : l.options.windows;
  const each = cut ? windowSlots(cut.side) : 0;
  const slots = text
    ? capacity
    : cut
    ? cut.most * each
    : roundUp(layout.maxRows, 8);
  if (slots > MOST_SLOTS) {
    throw l.error(
      `${
        quoted(id)
      }: attention must have at most ${MOST_SLOTS} keys: it has ${slots}; choose a shorter context or smaller images`,
    );
  }
  const bytes = cacheBytes(kvHeads, slots, headDim);
  const cache = (name: string, part: "k" | "v") =>
    text
      ? l.store.cache(`${id} ${name}`, bytes, prefixFill(l, node, part, slots))
      : l.temporary(`${id} ${name}`, bytes);
  const keys = cache("keys", "k"), values = cache("values", "v");
  const scales = (part: "q" | "k" | "v") =>
    l.model.scales(headScale(node, part));
  const inverse = (part: "q" | "k" | "v", n: number) =>
    ref(
      l.store.constant(`1/scale ${id} ${part}`, n * 4, () =>
        scales(part).map((s) =>
          1 / s
        )),
    );
  const rotary = rotaryArgs(l, node);
  const slot: Amount = text ? { register: REGISTER.slot } : 0;
  const { rows } = layout;
  const ranges: readonly AttentionRange[] = cut
    ? Array.from({ length: cut.most }, (_, w) => windowRange(w, w * each, each))
    : [{ slot, row0: 0, row1: rows, at: 0 }];
  // One row: every thread writes the same bytes, which is cheaper than a barrier.
  const once = (of: RowLayout) =>
    of.maxRows === 1 ? { each: true, sync: false } : {};
  for (const range of ranges) {
    const { slot, row0, row1, when } = range, count = range.rows ?? rows;
    // No barrier here: it follows the queries.
    const options = {
      ...once(layout),
      ...(when === undefined ? {} : { when }),
      sync: false,
    };
    const common = {
      capacity: slots,
      slot,
      rows: { from: row0, to: row1 },
      heads: kvHeads,
      headDim,
    };
    const cost = [count, 4 * kvHeads * headDim] as const;
    l.emit(
      keys_f32_s8,
      id,
      {
        x: l.pointer(k),
        ldx: k.stride,
        ...rotary,
        inv: inverse("k", kvHeads),
        cache: ref(keys),
        ...common,
      },
      cost,
      options,
    );
    l.emit(
      values_f32_s8,
      id,
      {
        x: l.pointer(v),
        ldx: v.stride,
        inv: inverse("v", kvHeads),
        cache: ref(values),
        ...common,
      },
      cost,
      options,
    );
  }

  const oneRow = keepsLastRowOnly(l, node);
  const query = oneRow ? lastRowOf(l, node, q) : q, { maxRows } = query.layout;
  const queries = l.temporary(
    `${id} queries int8`,
    maxRows * heads * headDim,
    maxRows === 1,
  );
  l.emit(
    queries_f32_s8,
    id,
    {
      x: l.pointer(query),
      ldx: q.stride,
      ...rotaryArgs(l, node, oneRow),
      inv: inverse("q", heads),
      q: ref(queries),
      rows: all(query.layout.rows),
      heads,
      headDim,
    },
    [query.layout.rows, 4 * heads * headDim],
    once(query.layout),
  );
  const y = l.rows(id, query.layout, heads * headDim);
  const score = l.store.constant(`score scale ${id}`, heads * 4, () => {
    const qs = scales("q"), ks = scales("k"), ratio = heads / kvHeads;
    return qs.map((s, h) => s * ks[Math.floor(h / ratio)] / Math.sqrt(headDim));
  });
  const value = l.store.constant(
    `value scale ${id}`,
    kvHeads * 4,
    () => scales("v"),
  );
  const window = node.slidingWindow ?? 0;
  const masked = text && (maxRows > 1 || window > 0);
  const visible = text ? capacity : cut ? each : layout.maxRows;
  const items: Amount = typeof query.layout.rows === "number"
    ? kvHeads * Math.ceil(maxRows * (heads / kvHeads) / 4)
    : { register: itemsRegister(heads / kvHeads), scale: kvHeads };
  for (const [i, range] of ranges.entries()) {
    const { row0, at, when } = range;
    const count = range.rows ?? query.layout.rows;
    const queryOrder = maxRows === 1 ? tokenOrder(l, oneRow) : maskEnd(l);
    l.emit(
      attention_s8,
      id,
      {
        q: ref(queries, 0, row0, heads * headDim),
        k: ref(keys, at * headDim), // panels of 8 keys
        v: ref(values, at * 8), // panels of 8 channels
        y: ref(y.buffer, 0, row0, y.stride * 4),
        ldy: y.stride,
        scoreScale: ref(score),
        valueScale: ref(value),
        queryOrder: masked ? queryOrder : 0,
        keyOrder: masked ? ref(orderBuffer(l)) : 0,
        queryPosition: window > 0 ? tokenOrder(l, oneRow) : 0,
        window,
        rows: count,
        keys: text
          ? { register: REGISTER.keys, most: capacity }
          : range.rows ?? rows,
        capacity: slots,
        heads,
        kvHeads,
        headDim,
        items: all(range.items ? { ...range.items, scale: kvHeads } : items),
      },
      [count, heads * headDim * visible], // half of it: causal
      {
        ...(when === undefined ? {} : { when }),
        sync: i === ranges.length - 1,
      },
    );
  }
  return y;
}

function checkAttention(
  l: Lowering,
  node: AttentionNode,
  text: boolean,
): void {
  const rotated = node.ropeTheta !== undefined;
  if (
    (node.mask === "causal") !== text || (!text && rotated && !node.rope2d)
  ) {
    throw l.error(
      `${
        quoted(node.id)
      }: attention must be causal in the text phase and full in the vision phase, where rotary embedding needs rope2d`,
    );
  }
  if (node.headDim % 8 !== 0) {
    throw l.error(
      `${
        quoted(node.id)
      }: headDim must be a multiple of 8: current value is ${node.headDim}`,
    );
  }
}

function checkRows(
  l: Lowering,
  node: AttentionNode,
  text: boolean,
  [q, k, v]: readonly Floats[],
): void {
  if (text || node.ropeTheta !== undefined) {
    l.expectRows(node.id, l.options.layout, q, k, v);
  } else if (k.layout.maxRows !== v.layout.maxRows) {
    throw l.error(
      `${
        quoted(node.id)
      }: v must have as many rows as k: they have ${v.layout.maxRows} and ${k.layout.maxRows}`,
    );
  }
}

/** Rows that attend to each other: all, or those of a window. */
interface AttentionRange {
  /** Cache slot of row 0. */
  readonly slot: Amount;
  readonly row0: Amount;
  readonly row1: Amount;
  /** Its first cache slot. */
  readonly at: number;
  /** Number of rows; default all. */
  readonly rows?: Amount;
  readonly items?: { readonly register: number };
  readonly when?: number;
}

function windowRange(w: number, at: number, most: number): AttentionRange {
  const of = (field: Parameters<typeof windowRegister>[1]) => ({
    register: windowRegister(w, field),
  });
  const rows = { ...of("rows"), most };
  return {
    slot: of("slot"),
    row0: of("start"),
    row1: of("end"),
    at,
    rows,
    items: of("items"),
    when: rows.register,
  };
}
