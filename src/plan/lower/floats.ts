/**
 * Computes values as float rows.
 * @module
 */
import { quoted } from "../../format/error.ts";
import type { ActivationNode } from "../../graph/node.ts";
import { gemm_f32 } from "../../kernels/signatures/matmul.ts";
import {
  activation_f32,
  ACTIVATIONS,
  hadamard_f32,
  rmsnorm_f32,
} from "../../kernels/signatures/quantize.ts";
import { add_f32, scale_f32 } from "../../kernels/signatures/rows.ts";
import { type Rotation, wholeRotation } from "../../tensor/rotation.ts";
import { ref } from "../buffer.ts";
import type { RowLayout } from "../row_layout.ts";
import { REGISTER } from "../step.ts";
import { all } from "./call.ts";
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

/** Computes a value as float rows; with `diagonal` its pending factors may remain. */
export function floatsOf(l: Lowering, id: string, diagonal = false): Floats {
  const v = l.value(id);
  let f: Floats;
  switch (v.kind) {
    case "floats":
      f = v;
      break;
    case "deferred":
      f = v.floats();
      break;
    case "norm":
      f = normalized(l, id, v);
      break;
    case "activation":
      f = activated(l, id, v.node, v.layout);
      break;
    case "hadamard": {
      const x = floatsOf(l, v.x, true);
      f = rotated(l, id, x, v.rotation, x.diagonal, false);
      break;
    }
    case "patches":
      throw l.error(`${quoted(id)}: only a linear can use pixels`);
  }
  if (f.diagonal && !diagonal) f = scaled(l, id, f, f.diagonal);
  l.values.set(id, f);
  return f;
}

function activated(
  l: Lowering,
  id: string,
  node: ActivationNode,
  layout: RowLayout,
): Floats {
  const { g, u, stride } = activationInputs(l, node);
  const y = l.rows(id, layout, node.width);
  l.emit(
    activation_f32,
    id,
    {
      fn: ACTIVATIONS[node.fn],
      g: l.pointer(g),
      u: u ? l.pointer(u) : 0,
      ldx: stride,
      y: ref(y.buffer),
      ldy: y.stride,
      k: node.width,
      rows: all(layout.rows),
    },
    [layout.rows, 8 * node.width],
  );
  return y;
}

/** x ⊙ diagonal, where no following rotation includes the factors. */
function scaled(
  l: Lowering,
  id: string,
  x: Floats,
  diagonal: readonly Diagonal[],
): Floats {
  const { last, layout } = x, factor = diagonalBuffer(l, diagonal);
  const k = factor.bytes / 4, y = l.rows(id, layout, k);
  l.emit(
    scale_f32,
    id,
    {
      y: ref(y.buffer),
      ldy: y.stride,
      x: l.pointer(last ? { ...x, last } : x),
      ldx: x.stride,
      factor: ref(factor),
      k,
      rows: all(layout.rows),
    },
    [layout.rows, k],
  );
  return y;
}

/** A norm as float rows. */
function normalized(l: Lowering, id: string, v: NormValue): Floats {
  const { buffer, stride } = l.current(v, id), { width, eps, bias } = v.node;
  const start = v.last ? { register: REGISTER.last } : 0;
  const { layout } = v;
  let x = ref(buffer, 0, start, stride * 4), ldx = stride;
  if (v.node.kind === "layer") {
    const whole: Floats = { kind: "floats", buffer, column: 0, stride, layout };
    const c = centered(l, id, v.last ? { ...whole, last: true } : whole, width);
    x = ref(c.buffer), ldx = c.stride;
  }
  const y = l.rows(id, layout, width), rows = all(layout.rows);
  const cost = [layout.rows, width] as const;
  l.emit(
    rmsnorm_f32,
    id,
    {
      x,
      ldx,
      eps,
      gain: v.gain === undefined
        ? 0
        : ref(diagonalBuffer(l, [{ gain: v.gain }])),
      y: ref(y.buffer),
      ldy: y.stride,
      k: width,
      rows,
    },
    cost,
  );
  if (bias !== undefined) {
    l.emit(
      add_f32,
      id,
      {
        y: ref(y.buffer),
        ldy: y.stride,
        x: ref(diagonalBuffer(l, [{ gain: bias }])),
        ldx: 0, // one row for all
        k: width,
        rows,
      },
      cost,
    );
  }
  return y;
}

/**
 * x − mean(x) by a Hadamard transform, whose channel 0 is proportional to the mean:
 * transform, set channel 0 to 0, transform back.
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
  const transformed = rotated(l, id, x, h, undefined, false);
  return rotated(l, id, transformed, h, [{ mean: width }], true);
}

/** The rotation of x ⊙ diagonal in float; or its inverse, without the final signs. */
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
  const y = l.rows(id, x.layout, r.n), { rows } = x.layout;
  if (!isFast(r)) {
    l.emit(
      gemm_f32,
      id,
      {
        x: l.pointer(x),
        w: ref(denseRotation(l, r, factors, inverse)),
        bias: ref(zeros(l, y.stride)),
        y: ref(y.buffer),
        rows,
        k: r.n,
        ldx: x.stride,
        ldy: y.stride,
        n: all(y.stride),
      },
      [rows, r.n * r.n],
    );
    return y;
  }
  l.copy(id, ref(y.buffer), y.stride, l.pointer(x), x.stride, r.n, rows);
  const signs = factors.length > 0 ? diagonalBuffer(l, factors) : undefined;
  for (let from = 0; from < r.n; from += r.block) {
    l.emit(
      hadamard_f32,
      id,
      {
        x: ref(y.buffer, from * 4),
        ldx: y.stride,
        signs: signs ? ref(signs, from * 4) : 0,
        matrix: matricesOf(l, r, inverse),
        order: r.order,
        outer: r.outer ?? 1,
        scale: 1 / Math.sqrt(r.block),
        k: r.block,
        rows: all(rows),
      },
      [rows, r.block * additions(r)],
      { sync: from + r.block === r.n },
    );
  }
  return y;
}

/** Inputs of an activation fn(g)·u or fn(g). */
export function activationInputs(
  l: Lowering,
  node: ActivationNode,
): { g: Floats; u: Floats | undefined; stride: number } {
  const x = floatsOf(l, node.x);
  if (node.gate === undefined) {
    return { g: x, u: undefined, stride: x.stride };
  }
  const g = floatsOf(l, node.gate);
  l.expectRows(node.id, x.layout, g);
  if (g.stride !== x.stride) {
    throw l.error(
      `${
        quoted(node.id)
      }: gate and x must have the same row stride: they have ${g.stride} and ${x.stride}; quantize both to the same bits`,
    );
  }
  return { g, u: x, stride: x.stride };
}
