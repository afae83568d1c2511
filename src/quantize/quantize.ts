/**
 * Quantizes a float model in one run over the graph with all samples in one
 * batch. At each site, calibration fixes the static scale from the rows that are
 * computed there; at each linear, GPTQ rounds the weight against inputs that are
 * already quantized, and the run goes on with the rounded weight. Both are hooks
 * of the interpreter, so no layer is described twice. With GPTAQ (gptaq.ts), every
 * sample is in the batch twice: quantized in the first half of the rows, in float
 * in the second half.
 * @module
 */
import { encodeAll, splitRows } from "../graph/generate.ts";
import { load, runText } from "../graph/run.ts";
import { newSequence, type Prefix } from "../graph/runner.ts";
import type { LinearNode, Model } from "../graph/node.ts";
import type { Phase } from "../graph/phase.ts";
import { memoryRecords, type Records } from "../format/records.ts";
import { bitsOf } from "./bits.ts";
import type { Engine, Progress, Sample } from "./engine.ts";
import { findings } from "./findings.ts";
import { Quantizer } from "./quantizer.ts";
import type { IntegerWeight } from "./gptq.ts";
import { chooseBits, sensitivities } from "./mixed.ts";
import { findPrefix, withPrefix } from "./prefix.ts";
import type { Recipe } from "./recipe.ts";

export type { Engine, Progress, Sample } from "./engine.ts";

/** A quantized model: the transformed graph, its integer weights, and every static scale. */
export interface Quantized {
  readonly model: Model;
  readonly recipe: Recipe;
  /** Integer weights by parameter name. */
  readonly weights: ReadonlyMap<string, IntegerWeight>;
  /** Static scales and split columns by tensor name (src/graph/names.ts). */
  readonly vectors: ReadonlyMap<string, Float32Array>;
  /** Keys and values of the prefix tokens, quantized with their head scales; absent without prefix. */
  readonly prefix?: Prefix;
}

/**
 * Quantizes a model. Results in `records` are not computed again, so an interrupted
 * run continues where it stopped.
 * @param model of the checkpoint, before the recipe's passes
 * @param records store scales and weights when they are computed; default: in memory
 * @throws {RangeError} without samples
 */
export function quantize(
  model: Model,
  samples: readonly Sample[],
  recipe: Recipe,
  engine: Engine,
  progress: (p: Progress) => void = () => {},
  records: Records = memoryRecords(),
): Quantized {
  if (samples.length === 0) {
    throw new RangeError(
      "Cannot quantize: calibration needs at least one sample",
    );
  }
  const found = findings(records);
  const passed = recipe.passes.reduce((m, pass) => pass.apply(m), model);
  const bare = load(passed, engine);
  const ids = [...found.vector(
    "prefix",
    () => findPrefix(bare, samples, recipe.prefix ?? []),
  )];
  const loaded = withPrefix(bare, ids), changed = loaded.model;
  const bits = (node: LinearNode) => bitsOf(changed.nodes, node, recipe);
  const more = recipe.mixed
    ? chooseBits(
      changed,
      found.vector(
        "sensitivities",
        () => sensitivities(loaded, samples[0], bits),
      ),
      recipe.mixed,
      bits,
    )
    : new Map<string, number>();
  const quantizer = new Quantizer(
    loaded,
    recipe,
    engine,
    progress,
    found,
    more,
  );
  const inputsOf = (phase: Phase) =>
    quantizer.asymmetryOf(phase) > 0 ? [...samples, ...samples] : samples;
  const seen = inputsOf("vision");
  const rows = splitRows(
    changed.info,
    seen,
    found.rows("image", () => encodeAll(loaded, seen, quantizer.hooks)),
  );
  const chunks = inputsOf("text").map((s, i) => ({
    sequence: newSequence(),
    ids: [...s.ids, ...s.answer],
    image: rows[i % rows.length],
    ...(s.grids ? { grids: s.grids } : {}),
  }));
  runText(
    {
      ...loaded,
      param: (name) => quantizer.table(name) ?? loaded.param(name),
    },
    chunks,
    quantizer.hooks,
  );
  const { prefix } = loaded;
  const all = { model: changed, recipe, ...found.all() };
  return prefix ? { ...all, prefix } : all;
}
