/**
 * From a float model to integers, in one walk over the graph with all samples
 * side by side: at each site the static scale is fixed from what arrives there,
 * at each linear the weight is rounded against inputs that are already
 * quantized, and the walk goes on with the rounded ones. Calibration (MSQ) and
 * GPTQ are thus two hooks of the interpreter, and no layer is described twice.
 * Where weights are drawn towards what float has (aim.ts), every sample walks
 * twice, in the first half of the rows as integers and in the second as float.
 * @module
 */
import { encodeAll, rowsOfEach } from "../graph/generate.ts";
import { load, runText } from "../graph/run.ts";
import { newSequence, type Prefix } from "../graph/runner.ts";
import type { LinearNode, Model } from "../graph/node.ts";
import type { Phase } from "../graph/phase.ts";
import { memoryRecords, type Records } from "../format/records.ts";
import { bitsOf } from "./bits.ts";
import type { Engine, Progress, Sample } from "./engine.ts";
import { findings } from "./findings.ts";
import { Fold } from "./fold.ts";
import type { IntegerWeight } from "./gptq.ts";
import { chooseBits, sensitivities } from "./mixed.ts";
import { findPrefix, withPrefix } from "./prefix.ts";
import type { Recipe } from "./recipe.ts";

export type { Engine, Progress, Sample } from "./engine.ts";

/** A model in integers: the transformed graph, its codes, and every static scale. */
export interface Quantized {
  readonly model: Model;
  readonly recipe: Recipe;
  /** Integer weights by parameter name. */
  readonly weights: ReadonlyMap<string, IntegerWeight>;
  /** Static scales and split columns by tensor name (src/graph/names.ts). */
  readonly vectors: ReadonlyMap<string, Float32Array>;
  /** Keys and values of the tokens in front, on the grid of their head scales; absent where there are none. */
  readonly prefix?: Prefix;
}

/**
 * Quantizes a model. What `records` hold is not worked out again: a walk that
 * was cut short repeats its products, the same on every walk, and goes on.
 * @param model as the checkpoint describes it; the recipe's passes are applied here
 * @param records keep scales and codes as they come; default: in memory
 * @throws {RangeError} where there is no sample
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
  const fold = new Fold(
    loaded,
    recipe,
    engine,
    progress,
    found,
    more,
  );
  const walking = (phase: Phase) =>
    fold.aimOf(phase) > 0 ? [...samples, ...samples] : samples;
  const seen = walking("vision");
  const rows = rowsOfEach(
    changed.info,
    seen,
    found.rows("image", () => encodeAll(loaded, seen, fold.hooks)),
  );
  const chunks = walking("text").map((s, i) => ({
    sequence: newSequence(),
    ids: [...s.ids, ...s.answer],
    image: rows[i % rows.length],
    ...(s.grids ? { grids: s.grids } : {}),
  }));
  runText(
    {
      ...loaded,
      param: (name) => fold.table(name) ?? loaded.param(name),
    },
    chunks,
    fold.hooks,
  );
  const { prefix } = loaded;
  const all = { model: changed, recipe, ...found.all() };
  return prefix ? { ...all, prefix } : all;
}
