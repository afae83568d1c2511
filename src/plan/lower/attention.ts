/**
 * Attention: heads to int8 on their static scales, keys and values into the
 * cache, the rest in one kernel.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { headScale } from "../../graph/names.ts";
import type { AttentionNode } from "../../graph/node.ts";
import {
  attendScratchBytes,
  cacheBytes,
  roundUp,
} from "../../kernels/layout.ts";
import { type Amount, ref } from "../buffer.ts";
import type { Form } from "../form.ts";
import { quadRegister, REGISTER, windowRegister } from "../step.ts";
import { windowSlots } from "../windows.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { narrowed, narrows } from "./narrow.ts";
import { prefixFill } from "./prefix.ts";
import { maskEnd, orderBuffer, rotaryArgs, tokenOrder } from "./rotary.ts";
import type { Floats } from "./value.ts";

/** Largest capacity of a cache (src/kernels/attend.ts). */
const MOST_SLOTS = 65536;

/** Attention within an image, whose queries may be others than its keys and values, or through the cache. */
export function lowerAttention(l: Lowering, node: AttentionNode): Floats {
  const { heads, kvHeads, headDim: d, id } = node;
  const text = l.options.phase === "text";
  const turned = node.ropeTheta !== undefined;
  if ((node.mask === "causal") !== text || (!text && turned && !node.rope2d)) {
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
  const cut = node.windowSize === undefined ? undefined : l.options.windows;
  const each = cut ? windowSlots(cut.side) : 0;
  const slots = text ? capacity : cut ? cut.most * each : roundUp(form.most, 8);
  if (slots > MOST_SLOTS) {
    throw l.error(
      `${
        quoted(id)
      }: attention is over at most ${MOST_SLOTS} keys: there are ${slots}; choose a shorter context or smaller pictures`,
    );
  }
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
  const { positions, cos, sin } = rotaryArgs(l, node);
  const slot: Amount = text ? { register: REGISTER.slot } : 0;
  const { rows } = form;
  const pieces: readonly Piece[] = cut
    ? Array.from({ length: cut.most }, (_, w) => windowPiece(w, w * each))
    : [{ slot, row0: 0, row1: rows, at: 0 }];
  // One row: every thread writes the same, which is cheaper than to meet. Keys
  // and values are not waited for: behind the queries all meet.
  const share = (lo: number, { most }: Form) =>
    most === 1
      ? { each: true, sync: false }
      : { split: { lo, hi: lo + 1, unit: 1 } };
  for (const piece of pieces) {
    const { slot, row0, row1, when } = piece, count = piece.rows ?? rows;
    const only = when === undefined ? {} : { when };
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
        row0,
        row1,
        kvHeads,
        d,
      ],
      count,
      4 * kvHeads * d,
      { ...share(9, form), ...only, sync: false },
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
        row0,
        row1,
        kvHeads,
        d,
      ],
      count,
      4 * kvHeads * d,
      { ...share(6, form), ...only, sync: false },
    );
  }

  const narrow = narrows(l, node), asked = narrow ? narrowed(l, node, q) : q;
  const { most } = asked.form, one = most === 1;
  const codes = l.temporary(`${id} query codes`, most * heads * d, one);
  const turns = rotaryArgs(l, node, narrow);
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
  const reach = node.slidingWindow ?? 0, masked = text && (!one || reach > 0);
  const seen = text ? capacity : cut ? each : form.most;
  const items: Amount = typeof asked.form.rows === "number"
    ? kvHeads * Math.ceil(most * (heads / kvHeads) / 4)
    : { register: quadRegister(heads / kvHeads), scale: kvHeads };
  for (const [i, piece] of pieces.entries()) {
    const { row0, at, when } = piece;
    const count = piece.rows ?? asked.form.rows;
    l.emit(
      "attend_s8",
      id,
      [
        ref(codes, 0, row0, heads * d),
        ref(keys, at * d), // panels of 8 keys
        ref(values, at * 8), // panels of 8 channels
        ref(y.buffer, 0, row0, y.stride * 4),
        y.stride,
        ref(score),
        ref(value),
        masked ? one ? tokenOrder(l, narrow) : maskEnd(l) : 0,
        masked ? ref(orderBuffer(l)) : 0,
        reach > 0 ? tokenOrder(l, narrow) : 0,
        reach,
        count,
        text ? { register: REGISTER.keys } : piece.rows ?? rows,
        slots,
        heads,
        kvHeads,
        d,
        0,
        piece.quads ? { ...piece.quads, scale: kvHeads } : items,
        { scratch: attendScratchBytes(seen, d) },
      ],
      count,
      heads * d * seen, // half of it: causal
      {
        split: { lo: 17, hi: 18, unit: 1 },
        ...(when === undefined ? {} : { when }),
        sync: i === pieces.length - 1,
      },
    );
  }
  return y;
}

/** Rows that see each other: all, or those of a window. */
interface Piece {
  /** What a row's number lacks to its slot. */
  readonly slot: Amount;
  readonly row0: Amount;
  readonly row1: Amount;
  /** Its first slot. */
  readonly at: number;
  /** How many rows, where not all. */
  readonly rows?: Amount;
  readonly quads?: { readonly register: number };
  readonly when?: number;
}

function windowPiece(w: number, at: number): Piece {
  const of = (field: Parameters<typeof windowRegister>[1]) => ({
    register: windowRegister(w, field),
  });
  const rows = of("rows");
  return {
    slot: of("slot"),
    row0: of("start"),
    row1: of("end"),
    at,
    rows,
    quads: of("quads"),
    when: rows.register,
  };
}
