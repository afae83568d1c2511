/**
 * Lowers linears to integer matmuls. Linears with the same input are fused, and a
 * linear whose only consumer is a residual addition accumulates into the stream.
 * @module
 */
import { channel0Weight, siteScale, weightScale } from "../../graph/names.ts";
import {
  type LinearNode,
  modalityOf,
  type ResidualAddNode,
} from "../../graph/node.ts";
import { packedBits, roundUp } from "../../kernels/layout.ts";
import {
  gemm_w4a8,
  gemm_w4a8_s8,
  gemm_w4ga8,
  gemm_w8a7,
  gemm_w8a8,
  gemm_w8a8_s8,
  gemv_w4a8,
  gemv_w4ga8,
  gemv_w8a8,
  rank1_f32,
} from "../../kernels/signatures/matmul.ts";
import { type Buffer, packedBytes, type Packing, ref } from "../buffer.ts";
import type { RowLayout } from "../row_layout.ts";
import { all, type Span } from "./call.ts";
import { quantizedInput } from "./quantized.ts";
import { zeros } from "./constants.ts";
import { copyOperands, copyResultBack } from "./cross_memory.ts";
import type { Lowering } from "./context.ts";
import type { Deferred, Floats, Quantized } from "./value.ts";

/** Most multiply-adds of one step; larger ones are split, because an abort waits for the end of a step. */
const MOST_WORK = 1.5e9;

/** The residual addition that is the only consumer of a linear, if the matmul can do it. */
export function fusedAdd(
  l: Lowering,
  node: LinearNode,
): ResidualAddNode | undefined {
  const users = l.consumers(node.id);
  const only = users.length === 1 ? users[0] : undefined;
  return only?.op === "residual_add" && only.phase === node.phase &&
      only.modality === modalityOf(node, l.byId) && only.columns === undefined
    ? only
    : undefined;
}

function packingOf({ model }: Lowering, { weight }: LinearNode): Packing {
  const bits = packedBits(model.bits.get(weight)!);
  const group = model.groups.get(weight);
  return group === undefined ? { bits } : { bits, group };
}

function samePacking(a: Packing, b: Packing): boolean {
  return a.bits === b.bits && a.group === b.group;
}

/** Lowers a linear together with those that share its input. */
export function lowerLinear(l: Lowering, node: LinearNode): void {
  if (l.emitted.has(node.id)) return;
  const input = quantizedInput(l, node);
  if (fusedAdd(l, node)) return; // the residual addition emits it
  if (feedsConvolution(l, node)) {
    l.values.set(node.id, deferred(l, node, input));
    l.emitted.add(node.id);
    return;
  }
  const fused = node.floatChannel0
    ? [node]
    : l.nodes.filter((n) =>
      n.op === "linear" && n.x === node.x && !n.floatChannel0 &&
      n.modality === node.modality &&
      samePacking(packingOf(l, n), packingOf(l, node)) && !fusedAdd(l, n) &&
      !feedsConvolution(l, n)
    ) as LinearNode[];
  const width = fused.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
  const layout = l.outputLayout(node, input.layout);
  const out = l.rows(fused.map((n) => n.id).join("+"), layout, width);
  emitMatmul(l, fused, { ...input, layout }, out, () => 0);
  let column = 0;
  for (const n of fused) {
    l.values.set(n.id, { ...out, column });
    l.emitted.add(n.id);
    column += roundUp(n.n, 8);
  }
}

/** Whether a convolution is the only consumer of a linear, directly or through an activation, and a kernel can write the linear's output as int8. */
function feedsConvolution(l: Lowering, node: LinearNode): boolean {
  const only = (id: string) => {
    const users = l.consumers(id);
    return users.length === 1 ? users[0] : undefined;
  };
  const user = only(node.id);
  const reader = user?.op === "activation" ? only(user.id) : user;
  const packing = packingOf(l, node);
  return reader?.op === "depthwise_conv2d" && !node.floatChannel0 &&
    packing.group === undefined && l.value(node.x).layout.rowBlock === 4 &&
    packedWeights(l, [node], packing).memory === undefined;
}

/** A matmul that runs when its consumer needs float or int8 rows. */
function deferred(l: Lowering, node: LinearNode, input: Quantized): Deferred {
  const { layout, kp } = input, width = roundUp(node.n, 8);
  return {
    kind: "deferred",
    layout,
    floats() {
      const out = l.rows(node.id, layout, width);
      emitMatmul(l, [node], input, out, () => 0);
      return out;
    },
    int8({ q, kp: ldq, inv, low, high, each }) {
      const packing = packingOf(l, node);
      const { alpha, bias } = columnsOf(l, [node], node.id, width, 0);
      const operands = {
        x: ref(input.values),
        sums: ref(input.sums),
        w: ref(packedWeights(l, [node], packing)),
        alpha: ref(alpha(0)),
        bias: ref(bias),
        q,
        rows: layout.rows,
        k: kp,
        ldq,
        inv,
        low,
        high,
      };
      const kernel = packing.bits === 4 ? gemm_w4a8_s8 : gemm_w8a8_s8;
      for (const n of columnRanges(layout, kp, width)) {
        const cost = [layout.rows, kp * (n.to - n.from)] as const;
        l.emit(kernel, node.id, { ...operands, n }, cost, {
          each,
          sync: !each,
        });
      }
    },
  };
}

/** Column ranges of a matmul of at most MOST_WORK each. */
function columnRanges(
  { maxRows }: RowLayout,
  kp: number,
  width: number,
): { readonly from: number; readonly to: number }[] {
  const ranges = Math.ceil(maxRows * kp * width / MOST_WORK);
  const step = roundUp(Math.ceil(width / ranges), 8);
  return Array.from({ length: Math.ceil(width / step) }, (_, i) => ({
    from: i * step,
    to: Math.min(width, (i + 1) * step),
  }));
}

/**
 * Emits one matmul with the concatenated weights of `linears`.
 * @param out output rows, padded to 8 columns per linear
 * @param accumulate whether it adds to the rows of a modality (1) or overwrites them (0)
 */
export function emitMatmul(
  l: Lowering,
  linears: readonly LinearNode[],
  input: Quantized,
  out: Pick<Floats, "buffer" | "stride">,
  accumulate: (modality: number) => 0 | 1,
): void {
  const [first] = linears, { layout, kp } = input;
  const packing = packingOf(l, first);
  const label = linears.map((n) => n.id).join("+");
  const width = linears.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
  const weights = packedWeights(l, linears, packing);
  const memory = weights.memory ?? 0;
  const { alpha, bias } = columnsOf(l, linears, label, width, memory);
  l.barrierBefore(out.buffer);
  // The rows of the other modality are copied too, and back unchanged.
  const adds = layout.of !== undefined ||
    layout.segments.some((s) => accumulate(s.modality) === 1);
  const copies = memory === 0
    ? undefined
    : copyOperands(l, label, input, out, memory, adds);
  const here = copies ??
    { values: input.values, sums: input.sums, y: out.buffer };
  for (const n of columnRanges(layout, kp, width)) {
    l.perSegment(layout, (s, sync) => {
      const operands = {
        x: ref(here.values, 0, s.packed, kp),
        sums: ref(here.sums, 0, s.packed, 4),
        w: ref(weights),
        alpha: ref(alpha(s.modality)),
        bias: ref(bias),
        y: ref(here.y, 0, s.start, out.stride * 4),
        k: kp,
        n,
        accumulate: accumulate(s.modality),
      };
      const cost = [s.rows, kp * (n.to - n.from)] as const;
      const options = {
        sync,
        ...(s.when === undefined ? {} : { when: s.when }),
        memory,
      };
      const { bits, group } = packing;
      if (layout.rowBlock === 1) {
        if (group === undefined) {
          l.emit(
            bits === 4 ? gemv_w4a8 : gemv_w8a8,
            label,
            operands,
            cost,
            options,
          );
        } else l.emit(gemv_w4ga8, label, { ...operands, group }, cost, options);
        return;
      }
      const several = { ...operands, rows: s.rows, ldy: out.stride };
      if (group === undefined) {
        l.emit(
          bits === 4 ? gemm_w4a8 : input.nonNegative ? gemm_w8a7 : gemm_w8a8,
          label,
          several,
          cost,
          options,
        );
      } else l.emit(gemm_w4ga8, label, { ...several, group }, cost, options);
    });
  }
  if (copies) copyResultBack(l, label, input, out, copies, memory);
  if (input.outlier) emitRank1(l, first, input, input.outlier, out, width);
}

/** One buffer with the packed weights of `linears`. */
function packedWeights(
  l: Lowering,
  linears: readonly LinearNode[],
  packing: Packing,
): Buffer {
  let offset = 0;
  const parts = linears.map((n) => {
    const part = { tensor: n.weight, n: n.n, k: n.k, offset };
    offset += packedBytes(packing, n.n, n.k);
    return part;
  });
  const key = `panels ${linears.map((n) => n.weight).join("+")}`;
  return l.store.weight(key, offset, { packing, parts });
}

/** Factors (weight scale · activation scale) and biases of all output columns, padding included. */
function columnsOf(
  l: Lowering,
  linears: readonly LinearNode[],
  label: string,
  width: number,
  memory: number,
) {
  const column = (
    key: string,
    values: (n: LinearNode) => Float32Array | undefined,
  ) =>
    l.store.constant(`${key} ${label}`, width * 4, () => {
      const all = new Float32Array(width);
      let at = 0;
      for (const n of linears) {
        const v = values(n);
        if (v) all.set(v, at);
        at += roundUp(n.n, 8);
      }
      return all;
    }, memory);
  const bias = linears.some((n) => n.bias !== undefined)
    ? column(
      "bias",
      (n) => n.bias === undefined ? undefined : l.model.floats(n.bias),
    )
    : zeros(l, width, memory);
  const alpha = (modality: number) =>
    column(`alpha ${modality}`, (n) => {
      const scales = l.model.scales(siteScale(n));
      const s = scales[Math.min(modality, scales.length - 1)];
      return l.model.scales(weightScale(n.weight)).map((w) => s * w);
    });
  return { alpha, bias };
}

/** y += x₀·w₀ᵀ: the float channel 0 of rotation magnitude suppression. */
function emitRank1(
  l: Lowering,
  node: LinearNode,
  { layout }: Quantized,
  outlier: Buffer,
  out: Pick<Floats, "buffer" | "stride">,
  width: number,
): void {
  const w0 = l.store.constant(`channel 0 ${node.id}`, width * 4, () => {
    const all = new Float32Array(width), root = Math.sqrt(node.k);
    all.set(l.model.floats(channel0Weight(node)).map((w) => w / root)); // x₀ is not normalised
    return all;
  });
  const n: Span = all(width);
  l.perSegment(layout, (s, sync) =>
    l.emit(
      rank1_f32,
      node.id,
      {
        y: ref(out.buffer, 0, s.start, out.stride * 4),
        x0: ref(outlier, 0, s.start, 4),
        w0: ref(w0),
        rows: s.rows,
        n,
        ldy: out.stride,
      },
      [s.rows, width],
      { sync, ...(s.when === undefined ? {} : { when: s.when }) },
    ));
}
