/**
 * Kernel signatures: named, typed operands in the order of the WebAssembly function's
 * parameters. Positional calls, thread slices, scratch sizes, bounds checks,
 * references, test cases and the table of docs/kernels.md follow from them.
 *
 * | operand   | parameters | value                                                       |
 * | --------- | ---------- | ----------------------------------------------------------- |
 * | pointer   | 1          | address in bytes; an optional one may be 0                  |
 * | size      | 1          | a whole number                                              |
 * | float     | 1          | a float32                                                   |
 * | range     | 2          | first and end of the rows, columns or items to work on      |
 * | scratch   | 1          | address of a thread's own working memory                    |
 *
 * @module
 */

/** Values of sizes and of ranges (their ends), by the operand's name. */
export type Sizes = Readonly<Record<string, number>>;

/** Element types that pointers point to, with their bytes. */
export const ELEMENTS = { i8: 1, u8: 1, i32: 4, f32: 4 } as const;

/** An address of elements. */
export interface Pointer<Optional extends boolean = boolean> {
  readonly kind: "pointer";
  readonly element: keyof typeof ELEMENTS;
  /** Shape in words, such as "[rows][k]". */
  readonly shape: string;
  /** Whether the kernel writes there. */
  readonly writes: boolean;
  /** Whether 0 means "none". */
  readonly optional: Optional;
  /** Bytes that the kernel may access; undefined where they depend on more than sizes. */
  readonly bytes: (sizes: Sizes) => number | undefined;
}

/** A whole number, or a float32 constant of the call. */
export interface Scalar {
  readonly kind: "size" | "float";
}

/** Two parameters: start and end of the work of one call. */
export interface Range {
  readonly kind: "range";
  /** Slice bounds are multiples of this number, or of this operand's value. */
  readonly unit: number | string;
}

/** Working memory of one thread. */
export interface Scratch {
  readonly kind: "scratch";
  readonly bytes: (sizes: Sizes) => number;
}

/** Any operand. */
export type Operand = Pointer | Scalar | Range | Scratch;

/** Operands by name, in the order of the parameters. */
export type Operands = Readonly<Record<string, Operand>>;

/** When a kernel runs: in a plan's steps, while weights are loaded, or between steps. */
export type Stage = "step" | "load" | "sync";

/** A kernel's name and operands. */
export interface Signature<O extends Operands = Operands> {
  /** Left of `__` in the names of its implementations. */
  readonly name: string;
  /** The result in one line. */
  readonly meaning: string;
  readonly operands: O;
  readonly stage: Stage;
}

/** Values of one call, by name: addresses, numbers, and ranges as [first, end]. */
export type Call<O extends Operands> = {
  readonly [K in keyof O]: O[K] extends Range ? readonly [number, number]
    : number;
};

/** A kernel as WebAssembly exports it: every parameter is a number. */
export type KernelFunction = (...parameters: number[]) => void;

/** Creates a signature. */
export function kernel<O extends Operands>(
  name: string,
  meaning: string,
  operands: O,
  stage: Stage = "step",
): Signature<O> {
  return { name, meaning, operands, stage };
}

/** Number of parameters of an operand. */
export const parametersOf = ({ kind }: Operand): number =>
  kind === "range" ? 2 : 1;

/** Values of a call in the order of the parameters. */
export function positional<O extends Operands>(
  { operands }: Signature<O>,
  call: Call<O>,
): number[] {
  return Object.keys(operands).flatMap((name) =>
    call[name] as number | [number, number]
  );
}

/** Values by name: the inverse of `positional`. */
export function named<O extends Operands>(
  { operands }: Signature<O>,
  parameters: readonly number[],
): Call<O> {
  const call: Record<string, number | readonly [number, number]> = {};
  let at = 0;
  for (const [name, operand] of Object.entries(operands)) {
    call[name] = operand.kind === "range"
      ? [parameters[at], parameters[at + 1]]
      : parameters[at];
    at += parametersOf(operand);
  }
  return call as Call<O>;
}

/** Sizes and ends of ranges of a call. */
export function sizesOf<O extends Operands>(
  { operands }: Signature<O>,
  call: Call<O>,
): Sizes {
  const sizes: Record<string, number> = {};
  for (const [name, { kind }] of Object.entries(operands)) {
    const value = call[name] as number | readonly [number, number];
    if (kind === "size") sizes[name] = value as number;
    if (kind === "range") sizes[name] = (value as readonly number[])[1];
  }
  return sizes;
}

const words = (dims: readonly string[]) => dims.map((d) => `[${d}]`).join("");

/** A pointer whose bytes are the product of named sizes; unknown where a name is no size. */
function dense(
  element: keyof typeof ELEMENTS,
  dims: readonly string[],
): Pointer<false> {
  return {
    kind: "pointer",
    element,
    shape: words(dims),
    writes: false,
    optional: false,
    bytes: (sizes) => {
      const extents = dims.map((d) => sizes[d] ?? Number(d));
      return extents.some(Number.isNaN)
        ? undefined
        : extents.reduce((a, b) => a * b, ELEMENTS[element]);
    },
  };
}

/** Pointer operand: float32 elements, dense, outermost dimension first. */
export const f32 = (...dims: string[]): Pointer<false> => dense("f32", dims);

/** Pointer operand: int32 elements. */
export const i32 = (...dims: string[]): Pointer<false> => dense("i32", dims);

/** Pointer operand: uint8 elements. */
export const u8 = (...dims: string[]): Pointer<false> => dense("u8", dims);

/** Pointer operand: int8 elements. */
export const i8 = (...dims: string[]): Pointer<false> => dense("i8", dims);

function strided(
  element: keyof typeof ELEMENTS,
  rows: string,
  stride: string,
  width: string,
): Pointer<false> {
  return {
    ...dense(element, [rows, width]),
    shape: `[${rows}][${width}], ${stride} apart`,
    bytes: (s) =>
      s[rows] > 0
        ? ELEMENTS[element] * ((s[rows] - 1) * s[stride] + s[width])
        : 0,
  };
}

/** Pointer operand: float32 rows of `width` elements that begin `stride` elements apart. */
export const rowsF32 = (
  rows: string,
  stride: string,
  width: string,
): Pointer<false> => strided("f32", rows, stride, width);

/** Pointer operand: int8 rows of `width` elements that begin `stride` bytes apart. */
export const rowsI8 = (
  rows: string,
  stride: string,
  width: string,
): Pointer<false> => strided("i8", rows, stride, width);

/** Pointer operand: elements in a packed layout of layout.ts. */
export function packed(
  element: keyof typeof ELEMENTS,
  shape: string,
  bytes: (sizes: Sizes) => number,
): Pointer<false> {
  return { ...dense(element, []), shape, bytes };
}

/** Marks a pointer operand that the kernel writes to. */
export const out = (p: Pointer<false>): Pointer<false> => ({
  ...p,
  writes: true,
});

/** Marks a pointer operand that may be absent (address 0). */
export const optional = (p: Pointer<false>): Pointer<true> => ({
  ...p,
  optional: true,
});

/** Operand: an integer. */
export const size: Scalar = { kind: "size" };

/** Operand: a float32 constant of the call. */
export const float: Scalar = { kind: "float" };

/** Operand: a range [first, end), which threads divide at multiples of `unit`. */
export const range = (unit: number | string = 1): Range => ({
  kind: "range",
  unit,
});

/** Operand: scratch memory of one thread, 16-byte aligned. */
export const scratch = (bytes: (sizes: Sizes) => number): Scratch => ({
  kind: "scratch",
  bytes,
});
