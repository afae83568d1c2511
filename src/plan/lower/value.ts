/**
 * What a node of the graph is while it is lowered: rows of floats somewhere, or a
 * recipe for them that is followed when someone needs them.
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
  /** Only the chunk's last row counts; it is row `last` of the buffer. */
  readonly last?: true;
  /** Channels still to be multiplied by this: no kernel does only that. */
  readonly diagonal?: readonly Diagonal[];
}

/** Factors per channel: signs of a rotation, a learned gain, or 0 for channel 0 (where a plain Hadamard puts the mean) and 1 for the rest. */
export type Diagonal =
  | { readonly signs: Rotation }
  | { readonly gain: string }
  | { readonly mean: number };

/** A value: there, or how to get it. */
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

/** Where int8 rows go, and how floats become them: round(clamp(x·inv, low, high)). */
export interface Levels {
  readonly q: Ref;
  readonly sums: Ref;
  /** Bytes from row to row where rows are not in blocks. */
  readonly kp: number;
  readonly rowBlock: number;
  readonly inv: number;
  readonly low: number;
  readonly high: number;
  /** Every thread writes all of it, into memory of its own. */
  readonly each: boolean;
}

/** Rows of a kernel that can write floats or int8: it runs when someone needs them. */
export interface Deferred {
  readonly kind: "deferred";
  readonly layout: RowLayout;
  /** Writes floats. */
  floats(): Floats;
  /** Writes int8. */
  levels(to: Levels): void;
}

/** A norm of a stream, not taken yet. */
export interface NormValue {
  readonly kind: "norm";
  readonly node: NormNode;
  /** Of the stream: it must not be written until the norm is taken. */
  readonly version: number;
  readonly layout: RowLayout;
  /** Only the chunk's last row counts. */
  readonly last?: true;
  /** Gain to apply behind the norm. */
  readonly gain?: string;
}

/** A value as packed int8, with its row sums. */
export interface Quantized {
  /** No value is negative. */
  readonly nonNegative?: true;
  readonly values: Buffer;
  readonly sums: Buffer;
  readonly kp: number;
  readonly layout: RowLayout;
  /** Channel 0 in float, where it is kept apart. */
  readonly outlier?: Buffer;
}

/** A residual stream. */
export interface StreamState {
  readonly buffer: Buffer;
  readonly stride: number;
  /** Of its first write. */
  readonly layout: RowLayout;
  /** Modalities that hold something already. */
  readonly written: Set<number>;
  /** Counts its writes. */
  version: number;
}
