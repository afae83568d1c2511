/**
 * The value of a node during lowering: float rows, or a description of how to
 * compute them when they are needed.
 * @module
 */
import type {
  ActivationNode,
  NormNode,
  PatchInputNode,
} from "../../graph/node.ts";
import type { Rotation } from "../../tensor/rotation.ts";
import type { Buffer, Ref } from "../buffer.ts";
import type { RowLayout } from "../row_layout.ts";

/** Float rows. */
export interface Floats {
  readonly kind: "floats";
  readonly buffer: Buffer;
  /** First column. */
  readonly column: number;
  /** Elements from row to row. */
  readonly stride: number;
  readonly layout: RowLayout;
  /** Only the chunk's last row is valid; it is row `last` of the buffer. */
  readonly last?: true;
  /** Factors that are still to be applied; no kernel does only that. */
  readonly diagonal?: readonly Diagonal[];
}

/**
 * Factors per channel: the signs of a rotation, a learned gain, or 0 for
 * channel 0 (the mean after a Hadamard transform) and 1 for the rest.
 */
export type Diagonal =
  | { readonly signs: Rotation }
  | { readonly gain: string }
  | { readonly mean: number };

/** A value: computed, or deferred. */
export type Value =
  | Floats
  | NormValue
  | Deferred
  | {
    readonly kind: "activation";
    readonly node: ActivationNode;
    readonly layout: RowLayout;
  }
  | {
    readonly kind: "hadamard";
    readonly x: string;
    readonly rotation: Rotation;
    readonly layout: RowLayout;
  }
  | {
    readonly kind: "patches";
    readonly node: PatchInputNode;
    readonly layout: RowLayout;
  };

/** Target of int8 rows and their quantization: round(clamp(x·inv, low, high)). */
export interface Levels {
  readonly q: Ref;
  readonly sums: Ref;
  /** Bytes per row, if rows are not in row blocks. */
  readonly kp: number;
  readonly rowBlock: number;
  readonly inv: number;
  readonly low: number;
  readonly high: number;
  /** Every thread writes all of it, into its own memory. */
  readonly each: boolean;
}

/**
 * The rows of a kernel that can write floats or int8; it runs when they are
 * needed.
 */
export interface Deferred {
  readonly kind: "deferred";
  readonly layout: RowLayout;
  /** Writes floats. */
  floats(): Floats;
  /** Writes int8. */
  levels(to: Levels): void;
}

/** A norm that is not computed yet. */
export interface NormValue {
  readonly kind: "norm";
  readonly node: NormNode;
  /** Version of the stream, which must not change until the norm is computed. */
  readonly version: number;
  readonly layout: RowLayout;
  /** Only the chunk's last row is valid. */
  readonly last?: true;
  /** Gain to apply after the norm. */
  readonly gain?: string;
}

/** A quantized value: packed int8, with row sums. */
export interface Quantized {
  /** No value is negative. */
  readonly nonNegative?: true;
  readonly values: Buffer;
  readonly sums: Buffer;
  readonly kp: number;
  readonly layout: RowLayout;
  /** Channel 0 in float, if it is kept separately. */
  readonly outlier?: Buffer;
}

/** A residual stream. */
export interface StreamState {
  readonly buffer: Buffer;
  readonly stride: number;
  /** Row layout of its first residual_add. */
  readonly layout: RowLayout;
  /** Modalities whose rows are written. */
  readonly written: Set<number>;
  /** Number of residual_adds so far. */
  version: number;
}
