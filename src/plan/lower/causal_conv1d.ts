/**
 * Lowers the causal convolution along the tokens of a conversation. Its inputs are
 * cached in float for the whole context, by a token's position and not by its slot. So
 * image rows may come first, prompts may run in several chunks, and tokens may be
 * removed, as in the KV cache.
 * @module
 */
import type { CausalConv1dNode } from "../../graph/node.ts";
import {
  causal_conv1d_f32,
  conv_state_f32,
} from "../../kernels/signatures/rows.ts";
import { ref } from "../buffer.ts";
import { all } from "./call.ts";
import type { Lowering } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { keepsLastRowOnly, lastRowOf } from "./keep_last_row.ts";
import { tokenOrder } from "./rotary.ts";
import type { Floats } from "./value.ts";

/** Stores the inputs and, after a barrier, computes the sums; the last convolution computes only the chunk's last row. */
export function lowerCausalConv1d(l: Lowering, node: CausalConv1dNode): Floats {
  const { id, width, kernelSize } = node;
  const x = floatsOf(l, node.x), { layout } = x;
  const gateOf = (id: string | undefined) =>
    id === undefined ? undefined : floatsOf(l, id);
  const before = gateOf(node.inputGate), behind = gateOf(node.outputGate);
  l.expectRows(
    id,
    l.options.layout,
    x,
    ...[before, behind].filter((v) => v !== undefined),
  );
  const row = width * 4;
  const state = l.store.cache(
    `${id} state`,
    (l.options.capacity + kernelSize - 1) * row,
  );
  l.emit(
    conv_state_f32,
    id,
    {
      x: l.pointer(x),
      ldx: x.stride,
      gate: before ? l.pointer(before) : 0,
      ldg: before ? before.stride : 0,
      positions: tokenOrder(l, false),
      state: ref(state, (kernelSize - 1) * row),
      k: width,
      rows: all(layout.rows),
    },
    [layout.rows, width],
  );
  const oneRow = keepsLastRowOnly(l, node);
  const last = oneRow ? lastRowOf(l, node, behind ?? x) : behind ?? x;
  const y = l.rows(id, last.layout, width);
  const { bias } = node;
  const constant = (param: string, rows: number) =>
    ref(
      l.store.constant(`convolution ${param}`, rows * row, () =>
        l.model.floats(param)),
    );
  const gate = behind && last;
  l.emit(
    causal_conv1d_f32,
    id,
    {
      state: ref(state),
      positions: tokenOrder(l, oneRow),
      taps: kernelSize,
      w: constant(node.weight, kernelSize),
      bias: bias === undefined ? 0 : constant(bias, 1),
      gate: gate ? l.pointer(gate) : 0,
      ldg: gate ? gate.stride : 0,
      y: ref(y.buffer),
      ldy: y.stride,
      k: width,
      rows: all(last.layout.rows),
    },
    [last.layout.rows, (kernelSize + 1) * width],
  );
  return y;
}
