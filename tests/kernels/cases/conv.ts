/**
 * Cases of the convolutions.
 * @module
 */
import {
  activationBytes,
  depthwiseScratchBytes,
  packFilters,
  paddedK,
  roundUp,
  type RowBlock,
  rowSumCount,
} from "../../../src/kernels/layout.ts";
import type { Arena, CasesOf } from "../case.ts";

/** A picture, its channels and a window. */
interface Shape {
  readonly height: number;
  readonly width: number;
  readonly k: number;
  readonly side: number;
  readonly stride: number;
  /** Padding in all, as TensorFlow's SAME has it: the odd pixel below and to the right. */
  readonly pad: number;
  readonly why: string;
}

const shapes: readonly Shape[] = [
  { height: 1, width: 1, k: 4, side: 3, stride: 1, pad: 2, why: "one pixel" },
  {
    height: 9,
    width: 9,
    k: 48,
    side: 5,
    stride: 1,
    pad: 4,
    why: "Lite2's end",
  },
  { height: 12, width: 9, k: 20, side: 3, stride: 1, pad: 2, why: "a tail" },
  { height: 10, width: 8, k: 32, side: 3, stride: 2, pad: 1, why: "SAME" },
  { height: 11, width: 13, k: 24, side: 5, stride: 2, pad: 4, why: "odd" },
  { height: 8, width: 9, k: 96, side: 7, stride: 1, pad: 6, why: "FastViT" },
  { height: 9, width: 8, k: 36, side: 7, stride: 2, pad: 5, why: "7, SAME" },
  { height: 6, width: 20, k: 16, side: 3, stride: 1, pad: 0, why: "valid" },
  {
    height: 3,
    width: 4,
    k: 8,
    side: 5,
    stride: 1,
    pad: 4,
    why: "a low picture",
  },
  { height: 5, width: 6, k: 44, side: 1, stride: 1, pad: 0, why: "one tap" },
];

const windowOf = ({ height, width, side, stride, pad }: Shape) => {
  const outputs = (size: number) =>
    Math.floor((size + pad - side) / stride) + 1;
  const columns = outputs(width);
  const at = { top: pad >> 1, left: pad >> 1, columns };
  return {
    window: { height, width, side, stride, ...at },
    rows: outputs(height) * columns,
  };
};

const nameOf = ({ height, width, k, side, stride, pad, why }: Shape) =>
  `${height}×${width}×${k}, ${side}×${side} by ${stride}, padding ${pad} (${why})`;

/** Operands of both depthwise kernels. */
function operands(arena: Arena, shape: Shape, least = -128) {
  const { height, width, k, side } = shape;
  const count = height * width * paddedK(k), channels = roundUp(k, 16);
  const seed = Int8Array.from(
    { length: k * side * side },
    (_, i) => i % 5 === 0 ? (i % 2 ? 127 : -127) : (i * 37) % 255 - 127,
  );
  const perChannel = (of: (c: number) => number) =>
    arena.place(
      Float32Array.from({ length: channels }, (_, c) => c < k ? of(c) : 0),
    );
  return {
    x: arena.int8s(count, least),
    w: arena.place(packFilters(seed, k, side)),
    alpha: perChannel((c) => 0.001 + 0.0003 * (c % 7)),
    bias: perChannel((c) => Math.sin(c) * 3),
    scratch: arena.scratch(depthwiseScratchBytes(k, side)),
  };
}

/** To float rows. */
export const depthwise: CasesOf<"depthwise_w8a8"> = shapes.map((shape) => ({
  name: nameOf(shape),
  build: (arena) => {
    const { window, rows } = windowOf(shape), { k } = shape;
    return {
      ...operands(arena, shape),
      ...window,
      y: arena.floats(rows * (k + 4)),
      ldy: k + 4,
      k,
      rows: [rows > 4 ? 3 : 0, rows],
    };
  },
}));

/** To int8 rows, those of A1 from values that are nowhere negative. */
export const depthwiseS8: CasesOf<"depthwise_w8a8_s8"> = shapes.flatMap((
  shape,
) =>
  ([1, 4] as RowBlock[]).map((rowBlock) => ({
    name: `${nameOf(shape)}, A${rowBlock}`,
    build: (arena: Arena) => {
      const { window, rows } = windowOf(shape), { k } = shape;
      return {
        ...operands(arena, shape, rowBlock === 1 ? 0 : -128),
        nonNegative: rowBlock === 1 ? 1 : 0,
        ...window,
        inv: 0.37,
        low: rowBlock === 1 ? 0 : -128,
        high: rowBlock === 1 ? 101.4 : 127,
        q: arena.int8s(activationBytes(rows, k, rowBlock)),
        sums: arena.ints(rowSumCount(rows), (i) => i),
        k,
        rows: [rows > 4 ? 4 : 0, rows] as const,
        rowBlock,
      };
    },
  }))
);
