/**
 * Constants of rotations and gains: signs, matrices, factors per channel.
 * @module
 */
import {
  packFloats,
  packHadamard,
  weightFloats,
} from "../../kernels/layout.ts";
import { hadamardMatrix, transform } from "../../tensor/hadamard.ts";
import { type Rotation, signsOf } from "../../tensor/rotation.ts";
import { type Buffer, type Ref, ref } from "../buffer.ts";
import type { Lowering } from "./context.ts";
import type { Diagonal } from "./value.ts";

/** Signs of a rotation, f32 [n]; undefined where all are +1. */
export function signsBuffer(l: Lowering, r: Rotation): Buffer | undefined {
  if (r.seed === 0) return undefined;
  return diagonalBuffer(l, [{ signs: r }]);
}

/** The product of factors, f32 [n]. */
export function diagonalBuffer(
  l: Lowering,
  parts: readonly Diagonal[],
): Buffer {
  const n = widthOfDiagonal(l, parts[0]);
  return l.store.constant(keyOf(parts), n * 4, () => {
    const out = new Float32Array(n).fill(1);
    multiply(l, out, parts);
    return out;
  });
}

const keyOf = (parts: readonly Diagonal[]): string =>
  parts.map((d) =>
    "gain" in d
      ? `gain ${d.gain}`
      : "mean" in d
      ? `mean ${d.mean}`
      : `signs ${d.signs.n} ${d.signs.seed}`
  ).join(" · ");

function widthOfDiagonal(l: Lowering, d: Diagonal): number {
  if ("mean" in d) return d.mean;
  return "gain" in d ? l.model.file.tensor(d.gain).shape[0] : d.signs.n;
}

function multiply(
  l: Lowering,
  x: Float32Array | Float64Array,
  parts: readonly Diagonal[],
): void {
  for (const d of parts) {
    if ("mean" in d) {
      x[0] = 0;
      continue;
    }
    const factor = "gain" in d ? l.model.floats(d.gain) : signsOf(d.signs);
    for (let i = 0; i < x.length; i++) x[i] *= factor[i];
  }
}

/** Whether the Hadamard kernels support a rotation: its factor 2^p must fill a SIMD vector. */
export const isFast = (r: Rotation): boolean =>
  r.block / (r.outer ?? 1) / r.order >= 4;

/** A rotation without kernel support as a packed float matrix [n, n]. */
export function denseRotation(
  l: Lowering,
  r: Rotation,
  factors: readonly Diagonal[],
  inverse: boolean,
): Buffer {
  const { n } = r;
  const key = `dense ${n} ${r.block} ${inverse} ${keyOf(factors)}`;
  return l.store.constant(key, weightFloats(n, n) * 4, () => {
    const diagonal = new Float64Array(n).fill(1);
    multiply(l, diagonal, factors);
    const rows = new Float64Array(n * n); // row i: the image of unit vector i
    for (let i = 0; i < n; i++) rows[i * n + i] = diagonal[i];
    transform(rows, r.block, r.order, inverse, r.outer);
    const w = new Float32Array(n * n);
    for (let i = 0; i < n * n; i++) {
      w[(i % n) * n + Math.floor(i / n)] = rows[i];
    }
    return packFloats(w, n, n);
  });
}

/** Zeros, f32 [n]. */
export function zeros(l: Lowering, n: number, memory = 0): Buffer {
  const fill = () => new Float32Array(n);
  return l.store.constant(`zeros ${n}`, n * 4, fill, memory);
}

/** The packed dense factors of a Hadamard transform, inner factor first; 0 where there are none. */
export function matricesOf(
  l: Lowering,
  { order, outer = 1 }: Rotation,
  transposed: boolean,
): Ref | 0 {
  if (order === 1) return 0;
  const key = `hadamard ${outer} ${order}${transposed ? " transposed" : ""}`;
  const sizes = [order, outer].filter((n) => n > 1);
  const bytes = 4 * sizes.reduce((sum, n) => sum + n * n, 0);
  return ref(
    l.store.constant(key, bytes, () =>
      Int32Array.from(sizes.flatMap((n) => [
        ...packHadamard(matrixOf(n, transposed), n),
      ]))),
  );
}

function matrixOf(order: number, transposed: boolean): Int8Array {
  const m = hadamardMatrix(order);
  return transposed
    ? m.map((_, i) => m[(i % order) * order + Math.floor(i / order)])
    : m;
}

/** Additions per element of a transform. */
export const additions = ({ block, order, outer = 1 }: Rotation): number =>
  Math.log2(block / outer / order) + order + (outer > 1 ? outer : 0);
