/**
 * Attention: heads to int8 on their static scales, keys and values into the
 * cache, the rest in one kernel.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { headScale } from "../../graph/names.ts";
import type { AttendNode } from "../../graph/node.ts";
import {
  attendScratchBytes,
  cacheBytes,
  roundUp,
} from "../../kernels/layout.ts";
import { type Amount, type Arg, ref } from "../buffer.ts";
import type { Form } from "../form.ts";
import { quadRegister, REGISTER } from "../step.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { narrowed, narrows } from "./narrow.ts";
import { prefixFill } from "./prefix.ts";
import { orderBuffer, tokenOrder, turnsOf } from "./turns.ts";
import type { Floats } from "./value.ts";

/** Attention within an image, whose queries may be others than its keys and values, or through the cache. */
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
  const { form } = k, { capacity } = l.options;
  if (text || turned) l.expectRows(id, l.options.form, q, k, v);
  else if (k.form.most !== v.form.most) {
    throw l.error(
      `${
        quoted(id)
      } must get as many values as keys: it gets ${v.form.most} and ${k.form.most}`,
    );
  }
  const slots = text ? capacity : roundUp(form.most, 8);
  const bytes = cacheBytes(kvHeads, slots, d);
  const cache = (name: string, part: "k" | "v") =>
    text
      ? l.store.cache(`${id} ${name}`, bytes, prefixFill(l, node, part, slots))
      : l.temporary(`${id} ${name}`, bytes);
  const keys = cache("keys", "k"), values = cache("values", "v");
  const vectors = (part: "q" | "k" | "v") =>
    l.model.scales(headScale(node, part));
  const inverse = (part: "q" | "k" | "v", n: number) =>
    ref(
      l.store.constant(`1/scale ${id} ${part}`, n * 4, () =>
        vectors(part).map((s) =>
          1 / s
        )),
    );
  const { positions, cos, sin } = turnsOf(l, node);
  const slot: Arg = text ? { register: REGISTER.slot } : 0;
  const { rows } = form;
  // One row: every thread writes the same, which is cheaper than to meet. Keys
  // and values are not waited for: behind the queries all meet.
  const share = (lo: number, { most }: Form) =>
    most === 1
      ? { each: true, sync: false }
      : { split: { lo, hi: lo + 1, unit: 1 } };
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
    { ...share(9, form), sync: false },
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
    { ...share(6, form), sync: false },
  );

  const narrow = narrows(l, node), asked = narrow ? narrowed(l, q) : q;
  const { most } = asked.form, one = most === 1;
  const codes = l.temporary(`${id} query codes`, most * heads * d, one);
  const turns = turnsOf(l, node, narrow);
  l.emit(
    "queries_f32_s8",
    id,
    [
      l.pointer(asked),
      q.stride,
      turns.positions,
      turns.cos,
      turns.sin,
      inverse("q", heads),
      ref(codes),
      0,
      asked.form.rows,
      heads,
      d,
    ],
    asked.form.rows,
    4 * heads * d,
    share(7, asked.form),
  );
  const y = l.rows(id, asked.form, heads * d);
  const score = l.store.constant(`score scale ${id}`, heads * 4, () => {
    const qs = vectors("q"), ks = vectors("k"), group = heads / kvHeads;
    return qs.map((s, h) => s * ks[Math.floor(h / group)] / Math.sqrt(d));
  });
  const value = l.store.constant(
    `value scale ${id}`,
    kvHeads * 4,
    () => vectors("v"),
  );
  const masked = text && !one;
  const seen = text ? capacity : form.most;
  const items: Amount = typeof asked.form.rows === "number"
    ? kvHeads * Math.ceil(most * (heads / kvHeads) / 4)
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
      masked ? tokenOrder(l, false) : 0,
      masked ? ref(orderBuffer(l)) : 0,
      asked.form.rows,
      text ? { register: REGISTER.keys } : rows,
      slots,
      heads,
      kvHeads,
      d,
      0,
      items,
      { scratch: attendScratchBytes(seen, d) },
    ],
    asked.form.rows,
    heads * d * seen, // half of it: causal
    { split: { lo: 15, hi: 16, unit: 1 } },
  );
  return y;
}
