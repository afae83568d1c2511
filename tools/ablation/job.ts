/**
 * Shared parts of the ablations on text and on captions.
 * @module
 */
import type { FloatCheckpoint } from "../../src/convert/checkpoint.ts";
import type { Engine, Quantized, Sample } from "../../src/quantize/quantize.ts";
import type { Engine as Runtime } from "../../src/execute/engine.ts";

/** What to calibrate with, what to measure on, and how much of it. */
export interface Job {
  readonly checkpoint: FloatCheckpoint;
  /** A text, or a folder of photos. */
  readonly calibration: string;
  /** A text, or a folder of photos with references. */
  readonly evaluation: string;
  readonly samples: number;
  /** Windows or photos to measure on. */
  readonly count: number;
  /** Tokens of a window. */
  readonly length: number;
}

/** Numbers of a step. */
export type Measured = Readonly<Record<string, number | readonly number[]>>;

/** How to calibrate and measure one kind of model. */
export interface Side {
  samples(engine: Engine): Sample[] | Promise<Sample[]>;
  /** The float checkpoint. */
  float(engine: Engine): Measured | Promise<Measured>;
  /** Integer weights, activations rounded to a scale per row: a simulation. */
  dynamic(quantized: Quantized, engine: Engine): Measured | Promise<Measured>;
  /** The model file in the runtime. */
  static(runtime: Runtime, engine: Engine): Measured | Promise<Measured>;
}
