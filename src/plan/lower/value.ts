/**
 * Values of nodes during lowering: float rows in a buffer, or a description from
 * which they are computed when a node uses them.
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

/** Float rows in a buffer. */
export interface Floats {
  readonly kind: "floats";
  readonly buffer: Buffer;
  /** First column. */
  readonly column: number;
  /** Row stride in elements. */
  readonly stride: number;
  readonly layout: RowLayout;
  /** Only the chunk's last row is used, row `last` (a register) of the buffer. */
  readonly last?: true;
  /** Pending factors per channel, to fuse with a following rotation. */
  readonly diagonal?: readonly Diagonal[];
}

/** Factors per channel: the signs of a rotation, a learned gain, or 0 for channel 0 and 1 for the others, which removes the mean after a Hadamard transform. */
export type Diagonal =
  | { readonly signs: Rotation }
  | { readonly gain: string }
  | { readonly mean: number };

/** The value of a node: computed, or how to compute it. */
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

/** Destination of int8 rows, and their quantization: round(clamp(x·inv, low, high)). */
export interface Int8Output {
  readonly q: Ref;
  readonly sums: Ref;
  /** Row stride in bytes, where the rows are not in row blocks. */
  readonly kp: number;
  readonly rowBlock: number;
  readonly inv: number;
  readonly low: number;
  readonly high: number;
  /** Every thread writes all of it, into its own memory. */
  readonly each: boolean;
}

/** The output of a kernel that can write float or int8 rows; it runs when a node uses the value. */
export interface Deferred {
  readonly kind: "deferred";
  readonly layout: RowLayout;
  /** Emits the kernel with float output. */
  floats(): Floats;
  /** Emits the kernel with int8 output. */
  int8(to: Int8Output): void;
}

/** A norm of a stream that is not computed yet. */
export interface NormValue {
  readonly kind: "norm";
  readonly node: NormNode;
  /** Version of the stream; it must not change before the norm is computed. */
  readonly version: number;
  readonly layout: RowLayout;
  /** Only the chunk's last row is used. */
  readonly last?: true;
  /** Gain to apply after the norm. */
  readonly gain?: string;
}

/** A quantized value: packed int8 and row sums. */
export interface Quantized {
  /** Whether no value is negative. */
  readonly nonNegative?: true;
  readonly values: Buffer;
  /** Sum of each row's int8 values, int32. */
  readonly sums: Buffer;
  /** Row length, padded for the kernels. */
  readonly kp: number;
  readonly layout: RowLayout;
  /** Float channel 0, where it is kept in float. */
  readonly outlier?: Buffer;
}

/** A residual stream. */
export interface StreamState {
  readonly buffer: Buffer;
  readonly stride: number;
  /** Layout of its first addition. */
  readonly layout: RowLayout;
  /** Modalities whose rows are written. */
  readonly written: Set<number>;
  /** Number of additions. */
  version: number;
}
