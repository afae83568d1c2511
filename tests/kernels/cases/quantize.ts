/**
 * Cases of the kernels that quantize rows, normalise, activate or rotate.
 * @module
 */
import {
  activationBytes,
  packHadamard,
  type RowBlock,
  rowScratchBytes,
  rowSumCount,
} from "../../../src/kernels/layout.ts";
import { ACTIVATIONS } from "../../../src/kernels/signatures/quantize.ts";
import { hadamardMatrix } from "../../../src/tensor/hadamard.ts";
import { rotation } from "../../../src/tensor/rotation.ts";
import type { Arena, CasesOf } from "../case.ts";

/** Rows × k. */
interface Shape {
  readonly rows: number;
  readonly k: number;
  readonly rowBlock: RowBlock;
  readonly why: string;
}

const shapes: readonly Shape[] = [
  { rows: 1, k: 4, rowBlock: 1, why: "shortest" },
  { rows: 1, k: 36, rowBlock: 1, why: "padding" },
  { rows: 3, k: 28, rowBlock: 4, why: "partial row block" },
  { rows: 9, k: 100, rowBlock: 4, why: "rows and k uneven" },
  { rows: 8, k: 320, rowBlock: 4, why: "a small ViT" },
  { rows: 53, k: 384, rowBlock: 4, why: "photo-mini text" },
  { rows: 1, k: 576, rowBlock: 1, why: "SmolVLM-256M decode" },
];

const rotations: readonly Shape[] = [
  { rows: 1, k: 4, rowBlock: 1, why: "one vector" },
  { rows: 2, k: 8, rowBlock: 4, why: "two vectors" },
  { rows: 2, k: 16, rowBlock: 4, why: "four vectors" },
  { rows: 3, k: 48, rowBlock: 4, why: "12·4" },
  { rows: 5, k: 96, rowBlock: 4, why: "12·8" },
  { rows: 1, k: 320, rowBlock: 1, why: "20·16, a small ViT" },
  { rows: 2, k: 576, rowBlock: 4, why: "36·16" },
  { rows: 2, k: 960, rowBlock: 4, why: "60·16" },
  { rows: 9, k: 1024, rowBlock: 4, why: "2^10, photo-mini text down" },
  { rows: 6, k: 1280, rowBlock: 4, why: "20·64, a ViT's down" },
  { rows: 1, k: 1536, rowBlock: 1, why: "12·128, SmolVLM-256M text down" },
  { rows: 3, k: 1344, rowBlock: 4, why: "12·28·4" },
  { rows: 4, k: 2048, rowBlock: 4, why: "2^11" },
  { rows: 5, k: 3072, rowBlock: 4, why: "12·256, SmolVLM-256M vision down" },
  { rows: 2, k: 8960, rowBlock: 4, why: "20·28·16, Qwen2-VL-2B text down" },
];

const nameOf = ({ rows, k, rowBlock, why }: Shape) =>
  `${rows}×${k} A${rowBlock} (${why})`;

/** A case for each shape. */
const over = <C>(
  shapes: readonly Shape[],
  call: (arena: Arena, s: Shape & { readonly ldx: number }) => C,
) =>
  shapes.map((s) => ({
    name: nameOf(s),
    build: (arena: Arena) => call(arena, { ...s, ldx: s.k + 4 }),
  }));

/** Where quantized rows go. */
function target(arena: Arena, s: Shape, first = 0) {
  return {
    q: arena.int8s(activationBytes(s.rows, s.k, s.rowBlock)),
    sums: arena.ints(rowSumCount(s.rows), (i) => i),
    k: s.k,
    rows: [first, s.rows] as const,
    rowBlock: s.rowBlock,
  };
}

/** Signs and matrices of the transform of length k. */
function transform(arena: Arena, k: number) {
  const { order, outer = 1 } = rotation(k, 0);
  const signs = Float32Array.from(
    { length: k },
    (_, i) => Math.imul(i, 0x9e3779b1) & 64 ? 1 : -1,
  );
  const matrices = [order, outer].flatMap((n) => [
    ...packHadamard(hadamardMatrix(n), n),
  ]);
  return {
    signs: arena.place(signs),
    matrix: arena.place(Int32Array.from(matrices)),
    order,
    outer,
  };
}

/** Static scale. */
export const quantize: CasesOf<"quantize_f32_s8"> = over(
  shapes,
  (arena, s) => ({
    x: arena.floats(s.rows * s.ldx, 4),
    ldx: s.ldx,
    inv: 40, // ±160: both ends saturate
    ...target(arena, s, s.rows > 8 ? 4 : 0),
  }),
);

/** RMS norm, then int8. */
export const rmsnormS8: CasesOf<"rmsnorm_f32_s8"> = over(
  shapes,
  (arena, s) => ({
    x: arena.floats(s.rows * s.ldx, 4),
    ldx: s.ldx,
    eps: 1e-6,
    inv: 50,
    ...target(arena, s, s.rows > 8 ? 4 : 0),
  }),
);

/** RMS norm in float. */
export const rmsnorm: CasesOf<"rmsnorm_f32"> = [false, true].flatMap((gain) =>
  over(shapes, (arena, s) => ({
    x: arena.floats(s.rows * s.ldx, 4),
    ldx: s.ldx,
    eps: 1e-5,
    gain: gain ? arena.floats(s.k, 2) : 0,
    y: arena.floats(s.rows * s.k),
    ldy: s.k,
    k: s.k,
    rows: [0, s.rows] as const,
  }))
);

/** The transform in float. */
export const hadamard: CasesOf<"hadamard_f32"> = over(
  rotations,
  (arena, s) => ({
    x: arena.floats(s.rows * s.ldx),
    ldx: s.ldx,
    ...transform(arena, s.k),
    scale: 1 / Math.sqrt(s.k),
    k: s.k,
    rows: [s.rows > 4 ? 1 : 0, s.rows] as const,
    scratch: arena.scratch(rowScratchBytes(s.k)),
  }),
);

/** The transform, then int8. */
export const hadamardS8: CasesOf<"hadamard_f32_s8"> = [false, true].flatMap(
  (split) =>
    over(rotations, (arena, s) => ({
      x: arena.floats(s.rows * s.ldx),
      ldx: s.ldx,
      ...transform(arena, s.k),
      inv: 50 / Math.sqrt(s.k),
      outlier: split ? arena.floats(s.rows) : 0,
      ...target(arena, s, s.rows > 8 ? 4 : 0),
      scratch: arena.scratch(rowScratchBytes(s.k)),
    })),
);

/** Activation in float. */
export const activation: CasesOf<"activation_f32"> = Object.values(ACTIVATIONS)
  .flatMap((fn) =>
    over(shapes, (arena, s) => ({
      fn,
      g: arena.floats(s.rows * s.ldx, 12),
      u: s.rows > 1 ? arena.floats(s.rows * s.ldx, 3) : 0,
      ldx: s.ldx,
      y: arena.floats(s.rows * s.k),
      ldy: s.k,
      k: s.k,
      rows: [0, s.rows] as const,
    }))
  );

/** Activation, then int8. */
export const activationS8: CasesOf<"activation_f32_s8"> = Object.values(
  ACTIVATIONS,
).flatMap((fn) =>
  over(shapes, (arena, s) => ({
    fn,
    g: arena.floats(s.rows * s.ldx, 12),
    u: s.rows > 1 ? arena.floats(s.rows * s.ldx, 3) : 0,
    ldx: s.ldx,
    inv: 20,
    ...target(arena, s),
    scratch: arena.scratch(rowScratchBytes(s.k)),
  }))
);

/** Activation, the transform, then int8. */
export const activationHadamardS8: CasesOf<"activation_hadamard_f32_s8"> =
  Object.values(ACTIVATIONS).flatMap((fn) =>
    over(rotations, (arena, s) => ({
      fn,
      g: arena.floats(s.rows * s.ldx, 6),
      u: fn === 0 ? arena.floats(s.rows * s.ldx, 3) : 0,
      ldx: s.ldx,
      ...transform(arena, s.k),
      inv: 30 / Math.sqrt(s.k),
      outlier: fn % 2 ? arena.floats(s.rows) : 0,
      ...target(arena, s),
      scratch: arena.scratch(rowScratchBytes(s.k)),
    }))
  );
