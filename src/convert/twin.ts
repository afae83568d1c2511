/**
 * A model file and its float checkpoint as two models of one graph, so that
 * their values can be compared at the same sites.
 * @module
 */
import { fromFile } from "../evaluate/file_model.ts";
import { type SiteRow, siteRows } from "../evaluate/sites.ts";
import { generate } from "../graph/generate.ts";
import { load, type Loaded } from "../graph/run.ts";
import type { Model } from "../graph/node.ts";
import type { Engine, Sample } from "../quantize/quantize.ts";
import { type Recipe, RECIPES } from "../quantize/recipe.ts";
import { simulate } from "../quantize/simulate.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { FloatCheckpoint } from "./checkpoint.ts";
import { readPrompts } from "./calibration.ts";

/**
 * The float model after the passes of the recipe: the graph of the file,
 * without quantization.
 */
export interface Twin {
  readonly recipe: Recipe;
  readonly model: Model;
}

/** The float twin of a file; undefined if the checkpoint leads to another graph. */
export function twinOf(
  file: StaticModel,
  checkpoint: FloatCheckpoint,
): Twin | undefined {
  const { name } = JSON.parse(file.file.metadata.get("recipe") ?? "{}");
  if (!Object.hasOwn(RECIPES, name)) return undefined;
  const recipe = RECIPES[name];
  const model = recipe.passes.reduce((m, p) => p.apply(m), checkpoint.model);
  const shape = (nodes: Model["nodes"]) =>
    nodes.map((n) => `${n.op} ${n.id}`).join();
  return shape(model.nodes) === shape(file.nodes)
    ? { recipe, model }
    : undefined;
}

/** Prompts with the float model's greedy answers. */
export async function samplesOf(
  checkpoint: FloatCheckpoint,
  loaded: Loaded,
  asks: readonly { readonly path: string; readonly prompt: string }[],
  maxTokens: number,
): Promise<Sample[]> {
  const { prompts } = await readPrompts(
    checkpoint,
    asks.map((a) => a.path),
    asks.map((a) => a.prompt),
  );
  const answers = generate(loaded, prompts, maxTokens);
  return prompts.map((p, i) => ({ ...p, answer: answers[i] }));
}

/**
 * Compares every site of the file with its twin; `report` is called with the
 * number of finished samples.
 */
export function compareSites(
  file: StaticModel,
  { recipe, model }: Twin,
  samples: readonly Sample[],
  engine: Engine,
  report: (done: number) => void,
): SiteRow[] {
  const quantized = fromFile(file, recipe);
  const { loaded, hooks } = simulate(quantized, engine);
  return siteRows(
    {
      float: load(model, engine),
      quantized: loaded,
      hooks,
      scales: quantized.vectors,
    },
    samples,
    report,
  );
}
