/**
 * Values as int8 on their static scales, one call per modality (MSQ). A norm, an
 * activation or a rotation becomes one kernel with the quantization behind it.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { siteScale } from "../../graph/names.ts";
import type {
  ActivationNode,
  LinearNode,
  PatchInputNode,
} from "../../graph/node.ts";
import { imageInfoOf } from "../../graph/info.ts";
import { paddedK, roundUp } from "../../kernels/layout.ts";
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
import type { NormValue, Quantized } from "./value.ts";

/** Operands that all quantizing kernels share. */
interface Output {
  readonly q: Ref;
  readonly sums: Ref;
  readonly k: number;
  readonly rows: Span;
  readonly rowBlock: number;
}

/** What is quantized, and where to. */
interface Target {
  readonly id: string;
  readonly layout: RowLayout;
  /** Length of a row. */
  readonly k: number;
  /** 1 / the segment's static scale. */
  inv(s: Segment): number;
  /** Where channel 0 goes in float; 0 if it stays. */
  outlier(s: Segment): Ref | 0;
  output(s: Segment): Output;
  /** Emits one call per segment. */
  emit<O extends Operands>(
    kernel: Signature<O>,
    workPerRow: number,
    call: (s: Segment) => PlannedCall<O>,
  ): void;
}

/** The input of `linear` as int8 on its static scales; shared by all linears that read it. */
export function quantizedInput(l: Lowering, linear: LinearNode): Quantized {
  const id = linear.x, v = l.value(id), { layout } = v, { k } = linear;
  const key = `${id}${linear.floatChannel0 ? " split" : ""}`;
  const known = l.quantized.get(key);
  if (known) return known;
  if (k % 4 !== 0) {
    throw l.error(
      `${quoted(linear.id)}: k must be a multiple of 4: current value is ${k}`,
    );
  }
  const kp = paddedK(k), { rowBlock } = layout;
  const packed = roundUp(packedRows(layout), rowBlock);
  const each = layout.maxRows === 1; // every thread quantizes one row by itself
  const quantized: Quantized = {
    values: l.temporary(`${id} int8`, packed * kp, each),
    sums: l.temporary(`${id} sums`, packed * 4, each),
    kp,
    layout,
    ...(linear.floatChannel0
      ? { outlier: l.temporary(`${id} channel 0`, layout.maxRows * 4, each) }
      : {}),
  };
  l.quantized.set(key, quantized);
  const scales = l.model.scales(siteScale(linear));
  const target: Target = {
    id,
    layout,
    k,
    inv: (s) => 1 / scales[Math.min(s.modality, scales.length - 1)],
    outlier: (s) =>
      quantized.outlier ? ref(quantized.outlier, 0, s.start, 4) : 0,
    output: (s) => ({
      q: ref(quantized.values, 0, s.packed, kp),
      sums: ref(quantized.sums, 0, s.packed, 4),
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
  const whole = v.kind === "hadamard" && isFast(v.rotation) &&
    v.rotation.block === v.rotation.n;
  if (linear.floatChannel0 && !whole) {
    throw l.error(
      `${
        quoted(linear.id)
      }: channel 0 can stay in float only behind a rotation of the whole row`,
    );
  }
  if (
    v.kind === "norm" && v.gain === undefined && v.node.bias === undefined &&
    v.node.kind === "rms"
  ) {
    quantizedNorm(l, target, v);
  } else if (v.kind === "patches") {
    quantizedPixels(l, target, v.node, quantized, scales[0]);
  } else if (v.kind === "activation") quantizedActivation(l, target, v.node);
  else if (whole) quantizedRotation(l, target, v.x, v.rotation);
  else quantizedFloats(l, target);
  return quantized;
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

function quantizedPixels(
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
      "it takes images, and the settings of its pixels are missing",
    );
  });
  const pixels = l.store.state("pixels", patches * patchSize ** 2 * 3);
  const { rows, rowBlock, maxRows } = t.layout;
  l.emit(
    patchify_u8_s8,
    t.id,
    {
      image: ref(pixels),
      // A picture that keeps its shape has no windows that reach below it.
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

/** A rotation of the whole row, together with an activation in front of it. */
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
