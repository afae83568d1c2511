/**
 * Values as rows of floats.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { ActNode } from "../../graph/node.ts";
import { rowScratchBytes } from "../../kernels/layout.ts";
import { ACTIVATIONS } from "../../kernels/quantize.ts";
import type { Rotation } from "../../tensor/rotation.ts";
import { ref } from "../buffer.ts";
import { diagonalBuffer, matrixOf, signsBuffer } from "./constants.ts";
import type { Lowering } from "./context.ts";
import type { Diagonal, Floats } from "./value.ts";

/** The value as float rows. */
export function floatsOf(l: Lowering, id: string, diagonal = false): Floats {
  const v = l.value(id);
  let f: Floats;
  switch (v.kind) {
    case "floats":
      f = v;
      break;
    case "read": {
      const stream = l.current(v, id);
      f = l.rows(id, v.form, v.node.width);
      l.emit(
        "rmsnorm_f32",
        id,
        [
          l.pointer({
            ...f,
            buffer: stream.buffer,
            stride: stream.stride,
            ...(v.last ? { last: true } : {}),
          }),
          stream.stride,
          v.node.eps,
          v.gain === undefined ? 0 : ref(diagonalBuffer(l, [{ gain: v.gain }])),
          ref(f.buffer),
          f.stride,
          v.node.width,
          0,
          v.form.rows,
        ],
        v.form.rows,
        v.node.width,
        { split: { lo: 7, hi: 8, unit: 1 } },
      );
      break;
    }
    case "act": {
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
    case "rotate": {
      const x = floatsOf(l, v.x, true);
      f = rotated(l, id, x, v.rotation, x.diagonal, false);
      break;
    }
    case "patches":
      throw l.error(`${quoted(id)}: pixels can enter a linear only`);
  }
  if (f.diagonal && !diagonal) {
    throw l.error(
      `${
        quoted(id)
      }: a gain or inverse rotation must be followed by a rotation`,
    );
  }
  l.values.set(id, f);
  return f;
}

/** x through a rotation in float: a copy, then block after block in place. */
export function rotated(
  l: Lowering,
  id: string,
  x: Floats,
  r: Rotation,
  diagonal: readonly Diagonal[] | undefined,
  inverse: boolean,
): Floats {
  const y = l.rows(id, x.form, r.n);
  const { rows } = x.form;
  l.emit(
    "copy_f32",
    id,
    [ref(y.buffer), y.stride, l.pointer(x), x.stride, r.n, 0, rows],
    rows,
    r.n,
    { split: { lo: 5, hi: 6, unit: 1 } },
  );
  const signs = inverse
    ? undefined
    : diagonal
    ? diagonalBuffer(l, [...diagonal, { signs: r }])
    : signsBuffer(l, r);
  for (let from = 0; from < r.n; from += r.block) {
    l.emit(
      "hadamard_f32",
      id,
      [
        ref(y.buffer, from * 4),
        y.stride,
        signs ? ref(signs, from * 4) : 0,
        matrixOf(l, r.order, inverse),
        r.order,
        1 / Math.sqrt(r.block),
        r.block,
        0,
        rows,
        { scratch: rowScratchBytes(r.block) },
      ],
      rows,
      r.block * (Math.log2(r.block / r.order) + r.order),
      { split: { lo: 7, hi: 8, unit: 1 }, sync: from + r.block === r.n },
    );
  }
  return y;
}

/** Inputs of an activation: fn(g)·u, or fn(g). */
export function actInputs(
  l: Lowering,
  node: ActNode,
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
