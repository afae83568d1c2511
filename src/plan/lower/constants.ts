/**
 * Constants of rotations and gains.
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

/** f32 [n]: the signs of a rotation; undefined if all are +1. */
export function signsBuffer(l: Lowering, r: Rotation): Buffer | undefined {
  if (r.seed === 0) return undefined;
  return diagonalBuffer(l, [{ signs: r }]);
}

/** f32 [n]: the product of per-channel factors. */
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

/**
 * Whether the Hadamard kernels support a rotation: 2^p must be at least the
 * vector length.
 */
export const isFast = (r: Rotation): boolean =>
  r.block / (r.outer ?? 1) / r.order >= 4;

/**
 * A rotation that is too short for the kernels, as a packed float matrix [n,
 * n].
 */
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
    const rows = new Float64Array(n * n); // row i: what the unit vector i becomes
    for (let i = 0; i < n; i++) rows[i * n + i] = diagonal[i];
    transform(rows, r.block, r.order, inverse, r.outer);
    const w = new Float32Array(n * n);
    for (let i = 0; i < n * n; i++) {
      w[(i % n) * n + Math.floor(i / n)] = rows[i];
    }
    return packFloats(w, n, n);
  });
}

/** f32 [n] of zeros. */
export function zeros(l: Lowering, n: number, memory = 0): Buffer {
  const make = () => new Float32Array(n);
  return l.store.constant(`zeros ${n}`, n * 4, make, memory);
}

/**
 * The dense factors of a Hadamard transform in the layout of the kernels, inner
 * first; 0 if absent.
 */
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

/** Additions per value of a transform. */
export const additions = ({ block, order, outer = 1 }: Rotation): number =>
  Math.log2(block / outer / order) + order + (outer > 1 ? outer : 0);
