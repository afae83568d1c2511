/**
 * Convolution along the tokens of a conversation. What enters is kept in float
 * for the whole context, by a token's place and not by its slot: so image rows
 * may come first, prompts in several chunks, and tokens be forgotten, as with
 * keys and values.
 * @module
 */
import type { ConvolveNode } from "../../graph/node.ts";
import { type Arg, ref } from "../buffer.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { narrowed, narrows } from "./narrow.ts";
import { tokenOrder } from "./turns.ts";
import type { Floats } from "./value.ts";

/** Kept, all threads met, summed; behind the last one only for the chunk's last row. */
export function lowerConvolve(l: Lowering, node: ConvolveNode): Floats {
  const { id, width, taps } = node;
  const x = floatsOf(l, node.x), { form } = x;
  const gate = (id: string | undefined) =>
    id === undefined ? undefined : floatsOf(l, id);
  const before = gate(node.before), behind = gate(node.behind);
  l.expectRows(
    id,
    l.options.form,
    x,
    ...[before, behind].filter((v) => v !== undefined),
  );
  const given = (v: Floats | undefined): [Arg, Arg] =>
    v ? [l.pointer(v), v.stride] : [0, 0];
  const row = width * 4;
  const cache = l.store.cache(
    `${id} past`,
    (l.options.capacity + taps - 1) * row,
  );
  l.emit(
    "place_f32",
    id,
    [
      ...given(x),
      ...given(before),
      tokenOrder(l, false),
      ref(cache, (taps - 1) * row),
      width,
      0,
      form.rows,
    ],
    form.rows,
    width,
    { split: { lo: 7, hi: 8, unit: 1 } },
  );
  const narrow = narrows(l, node);
  const last = narrow ? narrowed(l, node, behind ?? x) : behind ?? x;
  const y = l.rows(id, last.form, width);
  const bias = node.bias;
  const constant = (param: string, rows: number) =>
    ref(
      l.store.constant(`convolve ${param}`, rows * row, () =>
        l.model.floats(param)),
    );
  l.emit(
    "convolve_f32",
    id,
    [
      ref(cache),
      tokenOrder(l, narrow),
      taps,
      constant(node.param, taps),
      bias === undefined ? 0 : constant(bias, 1),
      ...given(behind && last),
      ref(y.buffer),
      y.stride,
      width,
      0,
      last.form.rows,
    ],
    last.form.rows,
    (taps + 1) * width,
    { split: { lo: 10, hi: 11, unit: 1 } },
  );
  return y;
}
