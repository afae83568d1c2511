/**
 * Computes values as int8 on their static scales, one kernel call per modality (MSQ).
 * A norm, an activation or a rotation is fused with the quantization.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { siteScale } from "../../graph/names.ts";
import type {
  ActivationNode,
  DepthwiseConv2dNode,
  LinearNode,
  PatchInputNode,
} from "../../graph/node.ts";
import { imageInfoOf } from "../../graph/info.ts";
import { paddedK, roundUp, type RowBlock } from "../../kernels/layout.ts";
import type { Operands, Signature } from "../../kernels/signature.ts";
import {
  activation_f32_s8,
  activation_hadamard_f32_s8,
  ACTIVATIONS,
  hadamard_f32_s8,
  quantize_f32_s8,
  rmsnorm_f32_s8,
} from "../../kernels/signatures/quantize.ts";
import { patchify_u8_s8 } from "../../kernels/signatures/rows.ts";
import type { Rotation } from "../../tensor/rotation.ts";
import { type Amount, type Buffer, type Ref, ref } from "../buffer.ts";
import { packedRows, type RowLayout, type Segment } from "../row_layout.ts";
import { REGISTER } from "../step.ts";
import { all, type PlannedCall, type Span } from "./call.ts";
import {
  additions,
  diagonalBuffer,
  isFast,
  matricesOf,
  signsBuffer,
} from "./constants.ts";
import type { Lowering } from "./context.ts";
import { activationInputs, floatsOf } from "./floats.ts";
import type { Deferred, NormValue, Quantized, Value } from "./value.ts";

/** Operands that all quantization kernels share. */
interface Output {
  readonly q: Ref;
  readonly sums: Ref;
  readonly k: number;
  readonly rows: Span;
  readonly rowBlock: number;
}

/** The value to quantize, and the output. */
interface Target {
  readonly id: string;
  readonly layout: RowLayout;
  /** Length of a row. */
  readonly k: number;
  /** 1 / the segment's static scale. */
  inv(s: Segment): number;
  /** Address of the float channel 0; 0 where it is quantized too. */
  outlier(s: Segment): Ref | 0;
  output(s: Segment): Output;
  /** Emits one call per segment. */
  emit<O extends Operands>(
    kernel: Signature<O>,
    workPerRow: number,
    call: (s: Segment) => PlannedCall<O>,
  ): void;
}

/** The input of `linear` as int8 on its static scales; linears with the same input share it. */
export function quantizedInput(l: Lowering, linear: LinearNode): Quantized {
  return quantized(l, linear, linear.k, l.value(linear.x).layout.rowBlock);
}

/** The quantized input of a convolution: one row per pixel. */
export function quantizedPixels(
  l: Lowering,
  node: DepthwiseConv2dNode,
): Quantized {
  return quantized(l, node, node.width, 1);
}

/** A user of a quantized value. */
interface Site {
  readonly id: string;
  readonly x: string;
  readonly floatChannel0?: boolean | undefined;
}

function quantized(
  l: Lowering,
  site: Site,
  k: number,
  rowBlock: RowBlock,
): Quantized {
  const id = site.x, v = l.value(id), { layout } = v;
  const key = `${id}${site.floatChannel0 ? " split" : ""}${
    rowBlock === layout.rowBlock ? "" : " pixels"
  }`;
  const known = l.quantized.get(key);
  if (known) return known;
  if (k % 4 !== 0) {
    throw l.error(
      `${quoted(site.id)}: k must be a multiple of 4: current value is ${k}`,
    );
  }
  const kp = paddedK(k);
  const packed = roundUp(packedRows(layout), rowBlock);
  const each = layout.maxRows === 1; // every thread quantizes a single row
  const made: Quantized = {
    values: l.temporary(`${id} int8`, packed * kp, each),
    sums: l.temporary(`${id} sums`, packed * 4, each),
    kp,
    layout,
    ...(isRelu6(v) ? { nonNegative: true as const } : {}),
    ...(site.floatChannel0
      ? { outlier: l.temporary(`${id} channel 0`, layout.maxRows * 4, each) }
      : {}),
  };
  l.quantized.set(key, made);
  const scales = l.model.scales(siteScale(site));
  const target: Target = {
    id,
    layout,
    k,
    inv: (s) => 1 / scales[Math.min(s.modality, scales.length - 1)],
    outlier: (s) => made.outlier ? ref(made.outlier, 0, s.start, 4) : 0,
    output: (s) => ({
      q: ref(made.values, 0, s.packed, kp),
      sums: ref(made.sums, 0, s.packed, 4),
      k,
      rows: all(s.rows),
      rowBlock,
    }),
    emit: (kernel, work, call) =>
      l.perSegment(
        layout,
        (s, sync) =>
          l.emit(kernel, id, call(s), [s.rows, work], {
            each,
            ...(s.when === undefined ? {} : { when: s.when }),
            sync: sync && !each,
          }),
      ),
  };
  write(l, target, v, site, made);
  return made;
}

/** Quantizes a value with the most fused kernel that supports it. */
function write(
  l: Lowering,
  target: Target,
  v: Value,
  site: Site,
  made: Quantized,
): void {
  const whole = v.kind === "hadamard" && isFast(v.rotation) &&
    v.rotation.block === v.rotation.n;
  if (site.floatChannel0 && !whole) {
    throw l.error(
      `${
        quoted(site.id)
      }: floatChannel0 needs an input that is rotated as a whole`,
    );
  }
  const from = deferredBy(l, v);
  if (from) {
    const [s] = v.layout.segments, inv = target.inv(s), relu6 = isRelu6(v);
    const { q, sums, rowBlock } = target.output(s);
    from.int8({
      q,
      sums,
      kp: made.kp,
      rowBlock,
      inv,
      low: relu6 ? 0 : -128,
      high: relu6 ? Math.min(127, Math.fround(6 * Math.fround(inv))) : 127,
      each: made.values.perThread !== undefined,
    });
  } else if (
    v.kind === "norm" && v.gain === undefined && v.node.bias === undefined &&
    v.node.kind === "rms"
  ) {
    quantizedNorm(l, target, v);
  } else if (v.kind === "patches") {
    quantizedPatches(
      l,
      target,
      v.node,
      made,
      l.model.scales(siteScale(site))[0],
    );
  } else if (v.kind === "activation") quantizedActivation(l, target, v.node);
  else if (whole) quantizedRotation(l, target, v.x, v.rotation);
  else quantizedFloats(l, target);
}

const isRelu6 = (v: Value): boolean =>
  v.kind === "activation" && v.node.fn === "relu6" &&
  v.node.gate === undefined;

/** The deferred kernel that can write the value as int8, if any; ReLU6 is a clamp. */
function deferredBy(l: Lowering, v: Value): Deferred | undefined {
  const from = v.kind === "activation" && isRelu6(v) ? l.value(v.node.x) : v;
  return from.kind === "deferred" ? from : undefined;
}

function quantizedFloats(l: Lowering, t: Target): void {
  const x = floatsOf(l, t.id);
  t.emit(quantize_f32_s8, t.k, (s) => ({
    x: l.pointer(x, s.start),
    ldx: x.stride,
    inv: t.inv(s),
    ...t.output(s),
  }));
}

function quantizedNorm(l: Lowering, t: Target, v: NormValue): void {
  const { buffer, stride } = l.current(v, t.id);
  const start = (s: Segment): Amount =>
    v.last ? { register: REGISTER.last } : s.start;
  t.emit(rmsnorm_f32_s8, 2 * t.k, (s) => ({
    x: ref(buffer, 0, start(s), stride * 4),
    ldx: stride,
    eps: v.node.eps,
    inv: t.inv(s),
    ...t.output(s),
  }));
}

function quantizedPatches(
  l: Lowering,
  t: Target,
  node: PatchInputNode,
  { values, sums }: Quantized,
  scale: number,
): void {
  const image = imageInfoOf(l.model.info), { patchSize } = image;
  const { patches } = l.options, { kernelSize, padding } = node;
  const [top, left] = padding ?? [0, 0];
  const table = l.store.constant(`pixel table ${t.id}`, 768, () => {
    const { pixelTable } = l.options;
    if (pixelTable) return pixelTable(scale);
    throw l.error(
      "it takes images, but the normalisation of pixels is missing",
    );
  });
  const pixels = l.store.state("pixels", patches * patchSize ** 2 * 3);
  const { rows, rowBlock, maxRows } = t.layout;
  l.emit(
    patchify_u8_s8,
    t.id,
    {
      image: ref(pixels),
      // With native resolution no window extends below the image.
      height: image.nativeResolution ? patches * patchSize : image.height,
      width: image.nativeResolution
        ? { register: REGISTER.cols, scale: patchSize }
        : image.width,
      patch: patchSize,
      side: kernelSize ?? patchSize,
      top,
      left,
      table: ref(table),
      q: ref(values),
      sums: ref(sums),
      rows: all(rows),
      rowBlock,
    },
    [rows, t.k],
    maxRows === 1 ? { each: true, sync: false } : {},
  );
}

function quantizedActivation(
  l: Lowering,
  t: Target,
  node: ActivationNode,
): void {
  const { g, u, stride } = activationInputs(l, node);
  t.emit(activation_f32_s8, 8 * t.k, (s) => ({
    fn: ACTIVATIONS[node.fn],
    g: l.pointer(g, s.start),
    u: u ? l.pointer(u, s.start) : 0,
    ldx: stride,
    inv: t.inv(s),
    ...t.output(s),
  }));
}

/** A rotation of the whole row, fused with an activation before it. */
function quantizedRotation(
  l: Lowering,
  t: Target,
  id: string,
  r: Rotation,
): void {
  const inner = l.value(id), { k } = t, work = k * additions(r);
  const rotation = (signs: Buffer | undefined, s: Segment) => ({
    signs: signs ? ref(signs) : 0 as const,
    matrix: matricesOf(l, r, false),
    order: r.order,
    outer: r.outer ?? 1,
    inv: t.inv(s) / Math.sqrt(r.n),
    outlier: t.outlier(s),
    ...t.output(s),
  });
  if (inner.kind === "activation") {
    const { g, u, stride } = activationInputs(l, inner.node);
    t.emit(activation_hadamard_f32_s8, work + 8 * k, (s) => ({
      fn: ACTIVATIONS[inner.node.fn],
      g: l.pointer(g, s.start),
      u: u ? l.pointer(u, s.start) : 0,
      ldx: stride,
      ...rotation(signsBuffer(l, r), s),
    }));
    return;
  }
  const x = floatsOf(l, id, true);
  const signs = x.diagonal
    ? diagonalBuffer(l, [...x.diagonal, { signs: r }])
    : signsBuffer(l, r);
  t.emit(hadamard_f32_s8, work, (s) => ({
    x: l.pointer(x, s.start),
    ldx: x.stride,
    ...rotation(signs, s),
  }));
}
