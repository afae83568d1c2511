/**
 * What an op's float meaning may ask for while a graph runs, and what a sequence
 * remembers between its chunks.
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

/** Keys and values of the tokens a sequence has seen, per attention node. */
export interface Sequence {
  /** Tokens seen, prefix tokens included. */
  length: number;
  /** Position ids given so far. */
  readonly at: PositionCounter;
  /** Grids of its images; the tower's own where none are noted. */
  readonly grids: Grid[];
  readonly cache: Prefix;
  /** The last values that entered each convolution, [kernelSize − 1, width]. */
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

/** A range of rows. */
export interface Rows {
  readonly start: number;
  readonly count: number;
}

/** Rows of one image, or of one sequence's chunk. */
export interface Segment extends Rows {
  /** Of the image, in the vision phase. */
  readonly grid?: Grid;
  readonly sequence?: Sequence;
  readonly positions?: readonly PositionId[];
  /** Last row of the chunk that each attends to, in the text phase. */
  readonly maskEnds?: Int32Array;
  /** Rotary tables of its rows, by what makes them. */
  readonly tables: Map<string, RopeTables>;
}

/** A phase under way, as an op sees it; `H` is the hooks the op calls. */
export interface Runner<H = object> {
  readonly executor: Executor;
  readonly hooks: H;
  readonly info: ModelInfo;
  /** Images, or chunks of sequences, in the order of their rows. */
  readonly segments: readonly Segment[];
  /** One entry per row: 0 vision, 1 text. */
  modality: Uint8Array;
  /** Token of each row, in the text phase. */
  readonly ids: readonly number[];
  /** Id of the node that makes the logits. */
  readonly head: string;
  /** Residual streams, as far as they are written. */
  readonly streams: Map<string, Floats>;
  /** What `hooks.input` made of values, by value. */
  readonly quantized: Map<string, Floats>;
  /** Keys and values of the prefix tokens. */
  readonly prefix: Prefix | undefined;
  /** A parameter in the executor's precision. */
  param(name: string): Floats;
  /** A value; throws where none is there. */
  value(id: string): Floats;
  /** A value, or none: rows of images of a prompt that has none. */
  given(id: string): Floats | undefined;
  /** Channels of a value. */
  width(id: string): number;
  /** Channels of a stream. */
  streamWidth(name: string): number;
  /** The modality whose rows alone a value has. */
  modalityOf(id: string): Modality | undefined;
  /** Rows that a value of the vision phase has for each image, where they do not follow from its patches. */
  rowsPerImage(id: string): number | undefined;
}

/** The rows of one modality. */
export function rowsOf(modality: Uint8Array, only: Modality): number[] {
  const wanted = MODALITIES.indexOf(only);
  return [...modality.keys()].filter((row) => modality[row] === wanted);
}
