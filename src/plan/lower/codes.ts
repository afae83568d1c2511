/**
 * Values as int8 codes on their static scales, once per modality (MSQ). This is
 * where a norm, an activation or a rotation becomes one call with the rounding.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { siteScale } from "../../graph/names.ts";
import {
  type ActivationNode,
  imageInfoOf,
  type LinearNode,
} from "../../graph/node.ts";
import { paddedK, roundUp, rowScratchBytes } from "../../kernels/layout.ts";
import { ACTIVATIONS } from "../../kernels/quantize.ts";
import type { Rotation } from "../../tensor/rotation.ts";
import { type Arg, type Buffer, ref } from "../buffer.ts";
import { type Form, packedRows, type Segment } from "../form.ts";
import { REGISTER, type StepKernel } from "../step.ts";
import {
  additions,
  diagonalBuffer,
  isFast,
  matricesOf,
  signsBuffer,
} from "./constants.ts";
import type { Lowering } from "./context.ts";
import { actInputs, floatsOf } from "./floats.ts";
import type { Codes, NormValue } from "./value.ts";

/** Emits one kernel call per segment; `lo` is the index of its row0 argument. */
type PerSegment = (
  kernel: StepKernel,
  workPerRow: number,
  lo: number,
  args: (s: Segment) => readonly Arg[],
) => void;

/** What all kernels that end in codes are told about them, segment by segment. */
interface Target {
  readonly id: string;
  readonly form: Form;
  /** Length of a row. */
  readonly k: number;
  /** 1 / the segment's static scale. */
  inv(s: Segment): number;
  /** Where channel 0 goes in float; 0 where it stays. */
  outlier(s: Segment): Arg;
  /** The last arguments of most: codes, sums, k, rows from, to, group. */
  tail(s: Segment): readonly Arg[];
  readonly call: PerSegment;
}

/** The value that enters `linear`, as codes on its static scales; made once for all who share it. */
export function codesFor(l: Lowering, linear: LinearNode): Codes {
  const id = linear.x, v = l.value(id), { form } = v, { k } = linear;
  const key = `${id}${linear.floatChannel0 ? " split" : ""}`;
  const known = l.codes.get(key);
  if (known) return known;
  if (k % 4 !== 0) {
    throw l.error(
      `${quoted(linear.id)}: k must be a multiple of 4: current value is ${k}`,
    );
  }
  const kp = paddedK(k), packed = roundUp(packedRows(form), form.group);
  const each = form.most === 1; // one row: every thread makes its own codes
  const codes: Codes = {
    a: l.temporary(`${id} codes`, packed * kp, each),
    sums: l.temporary(`${id} sums`, packed * 4, each),
    kp,
    form,
    ...(linear.floatChannel0
      ? { outlier: l.temporary(`${id} channel 0`, form.most * 4, each) }
      : {}),
  };
  l.codes.set(key, codes);
  const scales = l.model.scales(siteScale(linear));
  const target: Target = {
    id,
    form,
    k,
    inv: (s) => 1 / scales[Math.min(s.modality, scales.length - 1)],
    outlier: (s) => codes.outlier ? ref(codes.outlier, 0, s.start, 4) : 0,
    tail: (s) => [
      ref(codes.a, 0, s.packed, kp),
      ref(codes.sums, 0, s.packed, 4),
      k,
      0,
      s.rows,
      form.group,
    ],
    call: (kernel, work, lo, args) =>
      l.perSegment(
        form,
        (s, sync) =>
          l.emit(kernel, id, args(s), s.rows, work, {
            ...(each
              ? { each }
              : { split: { lo, hi: lo + 1, unit: form.group } }),
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
      }: channel 0 can go its own way only behind a rotation of the whole row`,
    );
  }
  if (
    v.kind === "norm" && v.gain === undefined && v.node.bias === undefined &&
    v.node.kind === "rms"
  ) {
    normCodes(l, target, v);
  } else if (v.kind === "patches") pixelCodes(l, target, codes, scales[0]);
  else if (v.kind === "activation") actCodes(l, target, v.node);
  else if (whole) rotatedCodes(l, target, v.x, v.rotation);
  else plainCodes(l, target);
  return codes;
}

function plainCodes(l: Lowering, t: Target): void {
  const x = floatsOf(l, t.id);
  t.call("quantize_f32_s8", t.k, 6, (s) => [
    l.pointer(x, s.start),
    x.stride,
    t.inv(s),
    ...t.tail(s),
  ]);
}

function normCodes(l: Lowering, t: Target, v: NormValue): void {
  const { buffer, stride } = l.current(v, t.id);
  t.call("rmsnorm_f32_s8", 2 * t.k, 7, (s) => [
    ref(buffer, 0, v.last ? { register: REGISTER.last } : s.start, stride * 4),
    stride,
    v.node.eps,
    t.inv(s),
    ...t.tail(s),
  ]);
}

function pixelCodes(l: Lowering, t: Target, codes: Codes, scale: number): void {
  const { width, patchSize, nativeResolution } = imageInfoOf(l.model.info);
  const { patches } = l.options;
  const table = l.store.constant(
    `pixel codes ${t.id}`,
    768,
    () => {
      const { pixelCodes } = l.options;
      if (pixelCodes) return pixelCodes(scale);
      throw l.error("it takes images, and nothing says what a pixel is worth");
    },
  );
  const pixels = l.store.state("pixels", patches * patchSize * patchSize * 3);
  const { rows } = t.form;
  l.emit(
    "patchify_u8_s8",
    t.id,
    [
      ref(pixels),
      nativeResolution ? { register: REGISTER.cols, scale: patchSize } : width,
      patchSize,
      ref(table),
      ref(codes.a),
      ref(codes.sums),
      0,
      rows,
      t.form.group,
    ],
    rows,
    t.k,
    t.form.most === 1
      ? { each: true, sync: false }
      : { split: { lo: 6, hi: 7, unit: t.form.group } },
  );
}

function actCodes(l: Lowering, t: Target, node: ActivationNode): void {
  const { g, u, stride } = actInputs(l, node);
  t.call("activate_f32_s8", 8 * t.k, 8, (s) => [
    ACTIVATIONS[node.fn],
    l.pointer(g, s.start),
    u ? l.pointer(u, s.start) : 0,
    stride,
    t.inv(s),
    ...t.tail(s),
    { scratch: rowScratchBytes(t.k) },
  ]);
}

/** A rotation of the whole row; an activation in front of it comes along. */
function rotatedCodes(l: Lowering, t: Target, id: string, r: Rotation): void {
  const inner = l.value(id), { k } = t;
  const work = k * additions(r);
  const common = (signs: Buffer | undefined, s: Segment): Arg[] => [
    signs ? ref(signs) : 0,
    matricesOf(l, r, false),
    r.order,
    r.outer ?? 1,
    t.inv(s) / Math.sqrt(r.n),
    t.outlier(s),
    ...t.tail(s),
    { scratch: rowScratchBytes(k) },
  ];
  if (inner.kind === "activation") {
    const { g, u, stride } = actInputs(l, inner.node);
    t.call("activate_hadamard_f32_s8", work + 8 * k, 13, (s) => [
      ACTIVATIONS[inner.node.fn],
      l.pointer(g, s.start),
      u ? l.pointer(u, s.start) : 0,
      stride,
      ...common(signsBuffer(l, r), s),
    ]);
    return;
  }
  const x = floatsOf(l, id, true);
  const signs = x.diagonal
    ? diagonalBuffer(l, [...x.diagonal, { signs: r }])
    : signsBuffer(l, r);
  t.call("hadamard_f32_s8", work, 11, (s) => [
    l.pointer(x, s.start),
    x.stride,
    ...common(signs, s),
  ]);
}
