/**
 * Constants of rotations and gains.
 * @module
 */
import { packHadamard } from "../../kernels/layout.ts";
import { hadamardMatrix } from "../../tensor/hadamard.ts";
import { type Rotation, signsOf } from "../../tensor/rotation.ts";
import { type Arg, type Buffer, ref } from "../buffer.ts";
import type { Lowering } from "./context.ts";
import type { Diagonal } from "./value.ts";

/** f32 [n] signs of a rotation; none where all are +1. */
export function signsBuffer(l: Lowering, r: Rotation): Buffer | undefined {
  if (r.seed === 0) return undefined;
  return diagonalBuffer(l, [{ signs: r }]);
}

/** f32 [n]: the product of signs and gains. */
export function diagonalBuffer(
  l: Lowering,
  parts: readonly Diagonal[],
): Buffer {
  const key = parts.map((d) =>
    "gain" in d ? `gain ${d.gain}` : `signs ${d.signs.n} ${d.signs.seed}`
  ).join(" · ");
  const width = (d: Diagonal) =>
    "gain" in d ? l.model.file.tensor(d.gain).shape[0] : d.signs.n;
  return l.store.constant(key, width(parts[0]) * 4, () => {
    const out = new Float32Array(width(parts[0])).fill(1);
    for (const d of parts) {
      const factor = "gain" in d ? l.model.floats(d.gain) : signsOf(d.signs);
      for (let i = 0; i < out.length; i++) out[i] *= factor[i];
    }
    return out;
  });
}

/** The dense factor of a Hadamard transform, as the kernels read it; 0 for order 1. */
export function matrixOf(l: Lowering, order: number, transposed: boolean): Arg {
  if (order === 1) return 0;
  const key = `hadamard ${order}${transposed ? " transposed" : ""}`;
  return ref(l.store.constant(key, order * order * 4, () => {
    let m = hadamardMatrix(order);
    if (transposed) {
      const t = new Int8Array(m.length);
      for (let i = 0; i < m.length; i++) {
        t[i] = m[(i % order) * order + Math.floor(i / order)];
      }
      m = t;
    }
    return packHadamard(m, order);
  }));
}
