/**
 * State of the interpreter: the context that ops run in, and the caches of a sequence
 * between its chunks.
 * @module
 */
import type { Executor, Floats } from "./executor.ts";
import type { Grid } from "./grid.ts";
import type { ModelInfo } from "./info.ts";
import { MODALITIES, type Modality } from "./phase.ts";
import {
  newPositionCounter,
  type PositionCounter,
  type PositionId,
} from "./position_ids.ts";
import type { RopeTables } from "./rope.ts";

/** Keys (after the rotary embedding) and values of tokens, by attention node: [tokens, kvHeads·headDim] each. */
export type Prefix = Map<string, { k: Floats; v: Floats }>;

/** A sequence: its KV cache and positions. */
export interface Sequence {
  /** Number of cached tokens, prefix tokens included. */
  length: number;
  /** State of its position ids. */
  readonly at: PositionCounter;
  /** Grids of its images; default: the model's image size. */
  readonly grids: Grid[];
  /** KV cache, by attention node. */
  readonly cache: Prefix;
  /** The last inputs of each causal convolution, [kernelSize − 1, width]. */
  readonly past: Map<string, Floats>;
}

/** An empty sequence. */
export function newSequence(): Sequence {
  return {
    length: 0,
    at: newPositionCounter(),
    grids: [],
    cache: new Map(),
    past: new Map(),
  };
}

/** A range of rows of a batch. */
export interface Rows {
  readonly start: number;
  readonly count: number;
}

/** Rows of one image, or of one sequence's chunk, in a batch. */
export interface Segment extends Rows {
  /** Grid of the image, in the vision phase. */
  readonly grid?: Grid;
  readonly sequence?: Sequence;
  readonly positions?: readonly PositionId[];
  /** Last row of the chunk that each row attends to, in the text phase. */
  readonly maskEnds?: Int32Array;
  /** Rotary tables of its rows, by rotary parameters. */
  readonly tables: Map<string, RopeTables>;
}

/** Context of an op's `run`; `H` is the type of the hooks that the op calls. */
export interface Runner<H = object> {
  readonly executor: Executor;
  readonly hooks: H;
  readonly info: ModelInfo;
  /** Images, or chunks of sequences, in the order of their rows. */
  readonly segments: readonly Segment[];
  /** One entry per row: 0 vision, 1 text. */
  modality: Uint8Array;
  /** Token id of each row, in the text phase. */
  readonly ids: readonly number[];
  /** Id of the node that computes the logits. */
  readonly head: string;
  /** Residual streams so far, by name. */
  readonly streams: Map<string, Floats>;
  /** Values replaced by `hooks.input`, by id. */
  readonly quantized: Map<string, Floats>;
  /** Keys and values of the prefix tokens. */
  readonly prefix: Prefix | undefined;
  /** A parameter in the executor's precision. */
  param(name: string): Floats;
  /** A value by id; throws where it does not exist. */
  value(id: string): Floats;
  /** A value by id; undefined where it does not exist: image rows of a prompt without images. */
  given(id: string): Floats | undefined;
  /** Channels of a value. */
  width(id: string): number;
  /** Channels of a stream. */
  streamWidth(name: string): number;
  /** The modality of a value that has only the rows of one modality. */
  modalityOf(id: string): Modality | undefined;
  /** Rows per image of a vision-phase value; undefined where they follow from the patches of the image. */
  rowsPerImage(id: string): number | undefined;
}

/** Indices of the rows of one modality. */
export function rowsOf(modality: Uint8Array, only: Modality): number[] {
  const wanted = MODALITIES.indexOf(only);
  return [...modality.keys()].filter((row) => modality[row] === wanted);
}
