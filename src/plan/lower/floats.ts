/**
 * Values as rows of floats.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { ActivationNode } from "../../graph/node.ts";
import { rowScratchBytes } from "../../kernels/layout.ts";
import { ACTIVATIONS } from "../../kernels/quantize.ts";
import { type Rotation, wholeRotation } from "../../tensor/rotation.ts";
import { ref } from "../buffer.ts";
import { REGISTER } from "../step.ts";
import {
  additions,
  denseRotation,
  diagonalBuffer,
  isFast,
  matricesOf,
  zeros,
} from "./constants.ts";
import type { Lowering } from "./context.ts";
import type { Diagonal, Floats, NormValue } from "./value.ts";

/** The value as float rows. */
export function floatsOf(l: Lowering, id: string, diagonal = false): Floats {
  const v = l.value(id);
  let f: Floats;
  switch (v.kind) {
    case "floats":
      f = v;
      break;
    case "norm":
      f = normed(l, id, v);
      break;
    case "activation": {
      const { g, u, stride } = actInputs(l, v.node);
      f = l.rows(id, v.form, v.node.width);
      l.emit(
        "activate_f32",
        id,
        [
          ACTIVATIONS[v.node.fn],
          l.pointer(g),
          u ? l.pointer(u) : 0,
          stride,
          ref(f.buffer),
          f.stride,
          v.node.width,
          0,
          v.form.rows,
        ],
        v.form.rows,
        8 * v.node.width,
        { split: { lo: 7, hi: 8, unit: 1 } },
      );
      break;
    }
    case "hadamard": {
      const x = floatsOf(l, v.x, true);
      f = rotated(l, id, x, v.rotation, x.diagonal, false);
      break;
    }
    case "patches":
      throw l.error(`${quoted(id)}: pixels can enter a linear only`);
  }
  if (f.diagonal && !diagonal) f = multiplied(l, id, f, f.diagonal);
  l.values.set(id, f);
  return f;
}

/** x ⊙ diagonal, where no rotation behind it takes that along. */
function multiplied(
  l: Lowering,
  id: string,
  x: Floats,
  diagonal: readonly Diagonal[],
): Floats {
  const { last, form } = x, gain = diagonalBuffer(l, diagonal);
  const k = gain.bytes / 4, y = l.rows(id, form, k);
  l.emit(
    "gain_f32",
    id,
    [
      ref(y.buffer),
      y.stride,
      l.pointer(last ? { ...x, last } : x),
      x.stride,
      ref(gain),
      k,
      0,
      form.rows,
    ],
    form.rows,
    k,
    { split: { lo: 6, hi: 7, unit: 1 } },
  );
  return y;
}

/** A norm in float. */
function normed(l: Lowering, id: string, v: NormValue): Floats {
  const { buffer, stride } = l.current(v, id), { width, eps, bias } = v.node;
  const start = v.last ? { register: REGISTER.last } : 0;
  let x = ref(buffer, 0, start, stride * 4), ldx = stride;
  if (v.node.kind === "layer") {
    const whole: Floats = {
      kind: "floats",
      buffer,
      column: 0,
      stride,
      form: v.form,
    };
    const c = centered(l, id, v.last ? { ...whole, last: true } : whole, width);
    x = ref(c.buffer), ldx = c.stride;
  }
  const y = l.rows(id, v.form, width);
  const gain = v.gain === undefined
    ? 0
    : ref(diagonalBuffer(l, [{ gain: v.gain }]));
  l.emit(
    "rmsnorm_f32",
    id,
    [x, ldx, eps, gain, ref(y.buffer), y.stride, width, 0, v.form.rows],
    v.form.rows,
    width,
    { split: { lo: 7, hi: 8, unit: 1 } },
  );
  if (bias !== undefined) {
    l.emit(
      "add_f32",
      id,
      // one row for all: 0 elements from row to row
      [
        ref(y.buffer),
        y.stride,
        ref(diagonalBuffer(l, [{ gain: bias }])),
        0,
        width,
        0,
        v.form.rows,
      ],
      v.form.rows,
      width,
      { split: { lo: 5, hi: 6, unit: 1 } },
    );
  }
  return y;
}

/**
 * x − mean(x), by way of a Hadamard transform: its channel 0 is the mean and
 * nothing else, so there, times 0, and back.
 */
function centered(l: Lowering, id: string, x: Floats, width: number): Floats {
  const h = wholeRotation(width);
  if (h.block !== width) {
    throw l.error(
      `${
        quoted(id)
      }: a LayerNorm's width must have a Hadamard transform in one block: current value is ${width}`,
    );
  }
  const there = rotated(l, id, x, h, undefined, false);
  return rotated(l, id, there, h, [{ mean: width }], true);
}

/** x · diagonal through a rotation in float, or through its inverse without the signs behind it. */
export function rotated(
  l: Lowering,
  id: string,
  x: Floats,
  r: Rotation,
  diagonal: readonly Diagonal[] | undefined,
  inverse: boolean,
): Floats {
  const factors: Diagonal[] = [...diagonal ?? []];
  if (!inverse && r.seed !== 0) factors.push({ signs: r });
  const y = l.rows(id, x.form, r.n), { rows } = x.form;
  if (!isFast(r)) {
    l.emit(
      "gemm_f32",
      id,
      [
        l.pointer(x),
        ref(denseRotation(l, r, factors, inverse)),
        ref(zeros(l, y.stride)),
        ref(y.buffer),
        rows,
        r.n,
        x.stride,
        y.stride,
        0,
        y.stride,
      ],
      rows,
      r.n * r.n,
      { split: { lo: 8, hi: 9, unit: 8 } },
    );
    return y;
  }
  l.emit(
    "copy_f32",
    id,
    [ref(y.buffer), y.stride, l.pointer(x), x.stride, r.n, 0, rows],
    rows,
    r.n,
    { split: { lo: 5, hi: 6, unit: 1 } },
  );
  const signs = factors.length > 0 ? diagonalBuffer(l, factors) : undefined;
  for (let from = 0; from < r.n; from += r.block) {
    l.emit(
      "hadamard_f32",
      id,
      [
        ref(y.buffer, from * 4),
        y.stride,
        signs ? ref(signs, from * 4) : 0,
        matricesOf(l, r, inverse),
        r.order,
        r.outer ?? 1,
        1 / Math.sqrt(r.block),
        r.block,
        0,
        rows,
        { scratch: rowScratchBytes(r.block) },
      ],
      rows,
      r.block * additions(r),
      { split: { lo: 8, hi: 9, unit: 1 }, sync: from + r.block === r.n },
    );
  }
  return y;
}

/** Inputs of an activation: fn(g)·u, or fn(g). */
export function actInputs(
  l: Lowering,
  node: ActivationNode,
): { g: Floats; u: Floats | undefined; stride: number } {
  const x = floatsOf(l, node.x);
  if (node.gate === undefined) {
    return { g: x, u: undefined, stride: x.stride };
  }
  const g = floatsOf(l, node.gate);
  l.expectRows(node.id, x.form, g);
  if (g.stride !== x.stride) {
    throw l.error(
      `${
        quoted(node.id)
      }: gate and x must have the same bits: their rows are ${g.stride} and ${x.stride} apart`,
    );
  }
  return { g, u: x, stride: x.stride };
}
