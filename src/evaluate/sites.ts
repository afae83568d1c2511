/**
 * Error per quantization site: the value in the quantized model compared with
 * the value in float, on samples that calibration has not seen, and the
 * fraction of clipped values.
 * @module
 */
import type { Floats } from "../graph/executor.ts";
import { encodeImages } from "../graph/generate.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";
import { siteScale } from "../graph/names.ts";
import { channelsIn, type SiteNode, splitsChannel0 } from "../graph/node.ts";
import { MODALITIES, type Modality, type Phase } from "../graph/phase.ts";
import type { Sample } from "../quantize/quantize.ts";

/** The error of one site and modality. */
export interface SiteRow {
  /** Name of the activation. */
  readonly site: string;
  readonly phase: Phase;
  readonly modality: Modality;
  /** Signal-to-noise ratio of the quantized value against float, dB. */
  readonly sqnr: number;
  /** Fraction of clipped values. */
  readonly saturated: number;
  /** Number of compared values. */
  readonly count: number;
}

/** Sums of one site. */
interface Sums {
  signal: number;
  noise: number;
  beyond: number;
  count: number;
}

/** The float and the quantized model of one graph, and the static scales. */
export interface Pair {
  readonly float: Loaded;
  readonly quantized: Loaded;
  /**
   * Hooks that quantize the activations of the second model
   * (quantize/simulate.ts).
   */
  readonly hooks: Hooks;
  readonly scales: ReadonlyMap<string, Float32Array>;
}

/** Runs both models on each sample; keeps all values of one sample in memory. */
export function siteRows(
  pair: Pair,
  samples: readonly Sample[],
  step: (done: number) => void = () => {},
): SiteRow[] {
  const sums = new Map<string, Sums>();
  samples.forEach((sample, i) => {
    watch(pair, sample, sums);
    step(i + 1);
  });
  return [...sums].map(([key, s]) => {
    const [site, phase, modality] = key.split(" ") as [string, Phase, Modality];
    return {
      site,
      phase,
      modality,
      sqnr: 10 * Math.log10(s.signal / s.noise),
      saturated: s.beyond / s.count,
      count: s.count,
    };
  });
}

function watch(
  { float, quantized, hooks, scales }: Pair,
  sample: Sample,
  sums: Map<string, Sums>,
): void {
  const truth = new Map<string, Floats>();
  watchSites(float, sample, {
    input: (node, x) => (truth.set(node.x, x), x),
  });
  watchSites(quantized, sample, {
    ...hooks,
    input(node, x, modality) {
      const seen = hooks.input!(node, x, modality);
      compare(node, truth.get(node.x)!, x, seen, modality, scales, sums);
      truth.delete(node.x);
      return seen;
    },
  });
}

/** Runs a model on one sample (prompt and answer) for its hooks. */
export function watchSites(
  loaded: Loaded,
  sample: Sample,
  hooks: Hooks,
): void {
  const watching = { ...hooks, calibrating: true };
  const [image] = encodeImages(loaded, [sample], watching);
  const ids = [...sample.ids, ...sample.answer];
  runText(loaded, [{
    sequence: newSequence(),
    ids,
    ...(image ? { image } : {}),
    ...(sample.grids ? { grids: sample.grids } : {}),
  }], watching);
}

function compare(
  node: SiteNode,
  want: Floats,
  arrived: Floats,
  got: Floats,
  modality: Uint8Array,
  scales: ReadonlyMap<string, Float32Array>,
  sums: Map<string, Sums>,
): void {
  const steps = scales.get(siteScale(node))!;
  const width = channelsIn(node);
  const skip = splitsChannel0(node) ? 1 : 0; // channel 0 goes its own way
  for (let row = 0; row < modality.length; row++) {
    const kind = node.phase === "vision" ? 0 : modality[row];
    const key = `${node.x} ${node.phase} ${MODALITIES[kind]}`;
    let s = sums.get(key);
    if (!s) sums.set(key, s = { signal: 0, noise: 0, beyond: 0, count: 0 });
    const edge = 127.5 * steps[kind];
    for (let i = row * width + skip; i < (row + 1) * width; i++) {
      s.signal += want[i] ** 2;
      s.noise += (got[i] - want[i]) ** 2;
      if (Math.abs(arrived[i]) > edge) s.beyond++;
    }
    s.count += width - skip;
  }
}
