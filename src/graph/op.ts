/**
 * The record of an op: its fields, inputs, width, tensors, checks and float
 * implementation. The type of its node is derived from the record. The file reader
 * and writer, the importers, the interpreter and the table in docs/format.md use the
 * same record. The lowering to kernels is in src/plan/lower/.
 * @module
 */
import type { Floats } from "./executor.ts";
import type { Fields, ObjectOf } from "./field.ts";
import type { ModelInfo } from "./info.ts";
import type { Phase } from "./phase.ts";
import type { Runner } from "./runner.ts";

/** Fields of every node. */
export interface BaseNode {
  readonly op: string;
  /** Name of its value, and prefix of the tensors that quantization adds. */
  readonly id: string;
  readonly phase: Phase;
}

/** A node of the op called `N` with the fields `F`. */
export type OpNode<N extends string, F extends Fields> =
  & { readonly op: N; readonly id: string; readonly phase: Phase }
  & ObjectOf<F>;

/** The node of a record. */
export type NodeOf<O> = O extends Op<infer N, infer F> ? OpNode<N, F> : never;

/** A tensor that a node names. */
export type TensorUse =
  & {
    readonly name: string;
    /** Extents, outermost first. */
    readonly shape: readonly number[];
  }
  & (
    /** A weight that is quantized with a scale per row; `bits` where only one width is allowed; `grouped` where groups of columns are allowed. */
    | {
      readonly kind: "weight";
      readonly grouped: boolean;
      readonly bits?: number;
    }
    /** A parameter that stays float. */
    | { readonly kind: "parameter" }
    /** Floats computed by quantization: scales, a weight's column. */
    | { readonly kind: "static" }
    /** int8 keys or values of the prefix tokens, with the scales named `scale`. */
    | {
      readonly kind: "prefix";
      readonly scale: string;
      readonly part: "k" | "v";
      readonly node: string;
    }
  );

/** Sizes of the model that tensor shapes depend on. */
export interface ModelSizes {
  readonly vocabulary: number;
  /** Rows per image at the start of the vision phase, at the model's image size. */
  readonly rows: number;
  /** Prefix tokens. */
  readonly prefix: number;
}

/** Context of an op's check. */
export interface Checker {
  readonly info: ModelInfo;
  /** Channels of the node's inputs, in the order of its fields. */
  readonly widths: readonly number[];
  /** Residual streams written so far. */
  readonly streams: Map<
    string,
    { readonly width: number; readonly phase: Phase }
  >;
  /** Throws where the two differ. */
  expect(want: number, got: number, what: string): void;
  /** Throws; `problem` follows the node's name in the message. */
  fail(problem: string): never;
}

/** Rows per image of other values and streams; undefined where they follow from the patches of the image. */
export interface RowCounts {
  /** Of a value. */
  value(id: string): number | undefined;
  /** Of a residual stream: those of the first value added. */
  stream(name: string): number | undefined;
}

/** The record of an op. */
export interface Op<
  N extends string = string,
  F extends Fields = Fields,
  H = object,
> {
  readonly op: N;
  /** Definition: the first sentence of its entry in docs/format.md. */
  readonly about: string;
  readonly fields: F;
  /** The only phase it runs in; both where absent. */
  readonly phase?: Phase;
  /** Each row of its value depends only on the same row of its first input, so the input may have the rows of one modality. */
  readonly rowwise?: true;
  /** Channels of its value; default: its field `width`. Returns undefined where it has no value. */
  width?(
    node: OpNode<N, F>,
    width: (id: string) => number,
  ): number | undefined;
  /** Rows per image of its value; default: those of its first input. */
  rows?(node: OpNode<N, F>, rows: RowCounts): number | undefined;
  /** Its tensors, in the order of the file. */
  tensors?(node: OpNode<N, F>, sizes: ModelSizes): readonly TensorUse[];
  /** Checks beyond the allowed values of its fields. */
  check?(node: OpNode<N, F>, checker: Checker): void;
  /** Float implementation: its value, [rows, width] in row-major order; undefined where it has no value. */
  run(node: OpNode<N, F>, runner: Runner<H>): Floats | undefined;
}

/** Declares an op; `H` is the type of the hooks that its `run` calls. */
export function op<const N extends string, F extends Fields, H = object>(
  record: Op<N, F, H>,
): Op<N, F, H> {
  return record;
}

/** Checks that the inputs of a node have its `width`. */
export function inputsHave(
  { width }: { readonly width: number },
  { widths, expect }: Checker,
): void {
  for (const w of widths) expect(width, w, "the width of its input");
}

/** A tensor of floats that quantization computes. */
export function fixed(name: string, ...shape: number[]): TensorUse[] {
  return [{ kind: "static", name, shape }];
}

/** A parameter that stays float; an empty list for an absent name. */
export function parameter(
  name: string | undefined,
  ...shape: number[]
): TensorUse[] {
  return name === undefined ? [] : [{ kind: "parameter", name, shape }];
}
