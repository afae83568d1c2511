/**
 * An op is one record: its fields, what it takes and makes, the tensors it names,
 * what must hold of it, and its meaning in float. The type of its node follows
 * from the record; the reader, the importer, the writer, the interpreter and the
 * table in docs/format.md read it. Only its lowering to kernels stands elsewhere
 * (src/plan/lower/).
 * @module
 */
import type { Floats } from "./executor.ts";
import type { Fields, ObjectOf } from "./field.ts";
import type { ModelInfo } from "./info.ts";
import type { Phase } from "./phase.ts";
import type { Runner } from "./runner.ts";

/** What every node has. */
export interface BaseNode {
  readonly op: string;
  /** Names its value, and begins the names of what quantization adds to it. */
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
    /** A weight that becomes integers with one scale per row, of `bits` only where that is given; in groups of columns, too, where `grouped`. */
    | {
      readonly kind: "weight";
      readonly grouped: boolean;
      readonly bits?: number;
    }
    /** A parameter that stays float. */
    | { readonly kind: "parameter" }
    /** Floats that quantization fixes: scales, a weight's column. */
    | { readonly kind: "static" }
    /** int8 keys or values of the prefix tokens, on the scales called `scale`. */
    | {
      readonly kind: "prefix";
      readonly scale: string;
      readonly part: "k" | "v";
      readonly node: string;
    }
  );

/** What the shapes of tensors depend on beside their node. */
export interface ModelSizes {
  readonly vocabulary: number;
  /** Rows of an image of the tower's own size at the start of the vision phase. */
  readonly rows: number;
  /** Prefix tokens. */
  readonly prefix: number;
}

/** What a check may ask, and how it refuses. */
export interface Checker {
  readonly info: ModelInfo;
  /** Channels of the node's inputs, in the order of its fields. */
  readonly widths: readonly number[];
  /** Residual streams written so far. */
  readonly streams: Map<
    string,
    { readonly width: number; readonly phase: Phase }
  >;
  /** Refuses the node where the two differ. */
  expect(want: number, got: number, what: string): void;
  /** Refuses the node; `problem` follows its name. */
  fail(problem: string): never;
}

/** What the rows of a value per image depend on. */
export interface RowCounts {
  /** Of a value. */
  value(id: string): number | undefined;
  /** Of a residual stream: those of what is added first. */
  stream(name: string): number | undefined;
}

/** An op. */
export interface Op<
  N extends string = string,
  F extends Fields = Fields,
  H = object,
> {
  readonly op: N;
  /** What it computes: the first sentence of its entry in docs/format.md. */
  readonly about: string;
  readonly fields: F;
  /** The only phase it runs in; both where absent. */
  readonly phase?: Phase;
  /** Each row of its value is made of the same row of its first input alone: it may take the rows of one modality. */
  readonly rowwise?: true;
  /** Channels of its value; its field `width` where absent. Undefined where it makes none. */
  width?(
    node: OpNode<N, F>,
    width: (id: string) => number,
  ): number | undefined;
  /** Rows of its value per image where they do not follow from the patches; those of its first input where absent. */
  rows?(node: OpNode<N, F>, rows: RowCounts): number | undefined;
  /** Tensors it names, in the order of the file. */
  tensors?(node: OpNode<N, F>, sizes: ModelSizes): readonly TensorUse[];
  /** Refuses what its fields alone do not. */
  check?(node: OpNode<N, F>, checker: Checker): void;
  /** Its value, [rows, width] in row-major order; undefined where it makes none. */
  run(node: OpNode<N, F>, runner: Runner<H>): Floats | undefined;
}

/** A record; `H` are the hooks that its `run` calls. */
export function op<const N extends string, F extends Fields, H = object>(
  record: Op<N, F, H>,
): Op<N, F, H> {
  return record;
}

/** A check: the inputs of a node have its `width`. */
export function inputsHave(
  { width }: { readonly width: number },
  { widths, expect }: Checker,
): void {
  for (const w of widths) expect(width, w, "the width of its input");
}

/** Floats that quantization fixes. */
export function fixed(name: string, ...shape: number[]): TensorUse[] {
  return [{ kind: "static", name, shape }];
}

/** A parameter that stays float; none where it has no name. */
export function parameter(
  name: string | undefined,
  ...shape: number[]
): TensorUse[] {
  return name === undefined ? [] : [{ kind: "parameter", name, shape }];
}
