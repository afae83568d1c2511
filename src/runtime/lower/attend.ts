/**
 * Attention: heads to int8 on their static scales, keys and values into the
 * cache, the rest in one kernel.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { headScale } from "../../graph/names.ts";
import type { AttendNode } from "../../graph/node.ts";
import { gridTables, ropeTables } from "../../graph/rope.ts";
import {
  attendScratchBytes,
  cacheBytes,
  roundUp,
} from "../../kernels/layout.ts";
import { type Amount, type Arg, type Buffer, ref } from "../buffer.ts";
import { placeKey } from "../places.ts";
import { quadRegister, REGISTER } from "../step.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import type { Floats } from "./value.ts";

/** cos or sin by a token's index, by its place, or by a patch's row and column: [rows, headDim/2]. */
function rotaryTable(
  l: Lowering,
  node: AttendNode,
  part: "cos" | "sin",
): Buffer {
  const { theta, headDim: d, grid, sections } = node, { capacity } = l.options;
  const bytes = (rows: number) => rows * d / 2 * 4;
  if (sections) return l.store.state(placeKey(node, part), bytes(capacity));
  if (grid) {
    const { height, width, patch } = l.model.info.image;
    const rows = height / patch, columns = width / patch;
    if (rows * columns !== l.options.form.most) {
      throw l.error(`${quoted(node.id)}: a grid cannot have extra rows`);
    }
    return l.store.constant(
      `${part} grid ${theta} ${d}`,
      bytes(rows * columns),
      () => gridTables(theta!, d, rows, columns)[part],
    );
  }
  return l.store.constant(
    `${part} ${theta} ${d}`,
    bytes(capacity),
    () => ropeTables(theta!, d, capacity)[part],
  );
}

/** 0, 1, 2 …: patches stand in the order of their table's rows. */
function rasterBuffer(l: Lowering): Buffer {
  const rows = l.options.form.most;
  return l.store.constant(
    `raster ${rows}`,
    rows * 4,
    () => Int32Array.from({ length: rows }, (_, i) => i),
  );
}

/** Attention within an image, or through the cache. */
export function lowerAttend(l: Lowering, node: AttendNode): Floats {
  const { heads, kvHeads, headDim: d, id } = node;
  const text = l.options.phase === "text";
  const turned = node.theta !== undefined;
  if ((node.mask === "causal") !== text || (!text && turned && !node.grid)) {
    throw l.error(
      `${
        quoted(id)
      }: attention must be causal in the text phase, and in the vision phase full, with rotary embedding only on a grid`,
    );
  }
  if (d % 8 !== 0) {
    throw l.error(
      `${quoted(id)}: headDim must be a multiple of 8: current value is ${d}`,
    );
  }
  const [q, k, v] = [node.q, node.k, node.v].map((x) => floatsOf(l, x));
  const { form } = q, { capacity } = l.options;
  l.expectRows(id, l.options.form, q, k, v);
  const slots = text ? capacity : roundUp(form.most, 8);
  const bytes = cacheBytes(kvHeads, slots, d);
  const cache = (part: string) =>
    text
      ? l.store.cache(`${id} ${part}`, bytes)
      : l.temporary(`${id} ${part}`, bytes);
  const keys = cache("keys"), values = cache("values");
  const each = form.most === 1; // one row: every thread makes its own queries, and writes the same keys and values
  const codes = l.temporary(`${id} query codes`, form.most * heads * d, each);
  const vectors = (part: "q" | "k" | "v") =>
    l.model.scales(headScale(node, part));
  const inverse = (part: "q" | "k" | "v", n: number) =>
    ref(
      l.store.constant(`1/scale ${id} ${part}`, n * 4, () =>
        vectors(part).map((s) =>
          1 / s
        )),
    );
  const positions = text
    ? ref(orderBuffer(l), 0, { register: REGISTER.slot }, 4)
    : turned
    ? ref(rasterBuffer(l))
    : 0;
  const [cos, sin] = (["cos", "sin"] as const).map((part) =>
    turned ? ref(rotaryTable(l, node, part)) : 0
  );
  const slot: Arg = text ? { register: REGISTER.slot } : 0;
  const { rows } = form;
  const share = (lo: number) =>
    each ? { each } : { split: { lo, hi: lo + 1, unit: 1 } };
  l.emit(
    "queries_f32_s8",
    id,
    [
      l.pointer(q),
      q.stride,
      positions,
      cos,
      sin,
      inverse("q", heads),
      ref(codes),
      0,
      rows,
      heads,
      d,
    ],
    rows,
    4 * heads * d,
    { ...share(7), sync: false },
  );
  l.emit(
    "keys_f32_s8",
    id,
    [
      l.pointer(k),
      k.stride,
      positions,
      cos,
      sin,
      inverse("k", kvHeads),
      ref(keys),
      slots,
      slot,
      0,
      rows,
      kvHeads,
      d,
    ],
    rows,
    4 * kvHeads * d,
    { ...share(9), sync: false },
  );
  l.emit(
    "values_f32_s8",
    id,
    [
      l.pointer(v),
      v.stride,
      inverse("v", kvHeads),
      ref(values),
      slots,
      slot,
      0,
      rows,
      kvHeads,
      d,
    ],
    rows,
    4 * kvHeads * d,
    { ...share(6), sync: !each },
  );

  const y = l.rows(id, form, heads * d);
  const score = l.store.constant(`score scale ${id}`, heads * 4, () => {
    const qs = vectors("q"), ks = vectors("k"), group = heads / kvHeads;
    return qs.map((s, h) => s * ks[Math.floor(h / group)] / Math.sqrt(d));
  });
  const value = l.store.constant(
    `value scale ${id}`,
    kvHeads * 4,
    () => vectors("v"),
  );
  const one = form.most === 1;
  const masked = text && !one;
  const most = text ? capacity : form.most;
  const items: Amount = one || !text
    ? kvHeads * Math.ceil(form.most * (heads / kvHeads) / 4)
    : { register: quadRegister(heads / kvHeads), scale: kvHeads };
  l.emit(
    "attend_s8",
    id,
    [
      ref(codes),
      ref(keys),
      ref(values),
      ref(y.buffer),
      y.stride,
      ref(score),
      ref(value),
      masked ? positions : 0,
      masked ? ref(orderBuffer(l)) : 0,
      rows,
      text ? { register: REGISTER.keys } : form.most,
      slots,
      heads,
      kvHeads,
      d,
      0,
      items,
      { scratch: attendScratchBytes(most, d) },
    ],
    rows,
    heads * d * most, // half of it: causal
    { split: { lo: 15, hi: 16, unit: 1 } },
  );
  return y;
}

/** Original position of every cached token, in cache order. */
function orderBuffer(l: Lowering): Buffer {
  return l.store.state("order", l.options.capacity * 4);
}
