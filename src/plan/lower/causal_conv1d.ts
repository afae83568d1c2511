/**
 * Convolution along the tokens of a conversation. What enters is kept in float
 * for the whole context, by a token's place and not by its slot: so image rows
 * may come first, prompts in several chunks, and tokens be forgotten, as with
 * keys and values.
 * @module
 */
import type { CausalConv1dNode } from "../../graph/node.ts";
import { type Arg, ref } from "../buffer.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { narrowed, narrows } from "./narrow.ts";
import { tokenOrder } from "./rotary.ts";
import type { Floats } from "./value.ts";

/** Kept, all threads met, summed; behind the last one only for the chunk's last row. */
export function lowerCausalConv1d(l: Lowering, node: CausalConv1dNode): Floats {
  const { id, width, kernelSize } = node;
  const x = floatsOf(l, node.x), { form } = x;
  const gate = (id: string | undefined) =>
    id === undefined ? undefined : floatsOf(l, id);
  const before = gate(node.inputGate), behind = gate(node.outputGate);
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
    (l.options.capacity + kernelSize - 1) * row,
  );
  l.emit(
    "place_f32",
    id,
    [
      ...given(x),
      ...given(before),
      tokenOrder(l, false),
      ref(cache, (kernelSize - 1) * row),
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
      kernelSize,
      constant(node.weight, kernelSize),
      bias === undefined ? 0 : constant(bias, 1),
      ...given(behind && last),
      ref(y.buffer),
      y.stride,
      width,
      0,
      last.form.rows,
    ],
    last.form.rows,
    (kernelSize + 1) * width,
    { split: { lo: 10, hi: 11, unit: 1 } },
  );
  return y;
}
