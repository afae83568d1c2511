/**
 * The table of docs/models.md with the accuracy of each family's toy: errors of the
 * float interpreter against the golden values, changes by the passes, errors with 8
 * and 4 bits. `deno task families` writes it, in minutes; the tests of tests/golden
 * check the limits.
 * @module
 */
import { float64 } from "../src/graph/executor.ts";
import type { Hooks } from "../src/graph/ops/mod.ts";
import { load, runText } from "../src/graph/run.ts";
import { newSequence } from "../src/graph/runner.ts";
import type { Model } from "../src/graph/node.ts";
import { float32Engine } from "../src/float/engine.ts";
import { RECIPES } from "../src/quantize/recipe.ts";
import { simulate } from "../src/quantize/simulate.ts";
import {
  FAMILIES,
  type Family,
  look,
  off,
  openFamily,
  pixelsOf,
} from "../tests/golden/family.ts";
import { quantizeFamily } from "../tests/golden/quantized.ts";
import { between } from "./docs.ts";
import { markdown } from "./models.ts";

const HEAD = [
  "toy",
  "prompts",
  "image rows",
  "logits",
  "passes",
  "W8A8 (dB)",
  "W4A8 (dB)",
];

/** Largest errors of image rows and logits, as shares of their spread. */
function golden(family: Family): [number | undefined, number] {
  const loaded = load(family.files.model, float32Engine());
  let rows: number | undefined, logits = 0;
  for (const item of family.items) {
    const seen = look(family, loaded, pixelsOf(family, item));
    if ("image" in seen) {
      rows = Math.max(rows ?? 0, off(seen.image, item.connector!));
    }
    const sequence = newSequence();
    let ids: readonly number[] = item.input_ids;
    for (const [i, step] of item.steps.entries()) {
      const got = runText(loaded, [
        i === 0 ? { sequence, ids, ...seen } : { sequence, ids },
      ]);
      const spread = Math.max(...step.logits.map(Math.abs));
      for (const [j, id] of step.ids.entries()) {
        logits = Math.max(logits, Math.abs(got[id] - step.logits[j]) / spread);
      }
      ids = [step.ids[0]];
    }
  }
  return [rows, logits];
}

/** How far the recipe's passes move the logits of the longest prompt, in float64. */
function passes(family: Family): number {
  const logits = (model: Model) => {
    const loaded = load(model, float64), { longest } = family;
    const seen = look(family, loaded, pixelsOf(family, longest));
    const ids = longest.input_ids;
    return runText(loaded, [{ sequence: newSequence(), ids, ...seen }]);
  };
  const { model } = family.files, before = logits(model);
  const after = logits(
    RECIPES.w4a8.passes.reduce((m, pass) => pass.apply(m), model),
  );
  let moved = 0, largest = 0;
  for (let i = 0; i < before.length; i++) {
    moved = Math.max(moved, Math.abs(after[i] - before[i]));
    largest = Math.max(largest, Math.abs(before[i]));
  }
  return moved / largest;
}

/** Signal to noise of the logits of all prompts under a recipe. */
function sqnr(family: Family, recipe: string): number {
  const engine = float32Engine(), exact = load(family.files.model, engine);
  const { loaded, hooks } = simulate(quantizeFamily(family, recipe), engine);
  let signal = 0, noise = 0;
  for (const item of family.items) {
    const pixels = pixelsOf(family, item), ids = item.input_ids;
    const run = (l: typeof exact, h: Hooks = {}) =>
      runText(l, [
        { sequence: newSequence(), ids, ...look(family, l, pixels, h) },
      ], h);
    const want = run(exact), got = run(loaded, hooks);
    for (let i = 0; i < want.length; i++) {
      signal += want[i] ** 2;
      noise += (want[i] - got[i]) ** 2;
    }
  }
  return 10 * Math.log10(signal / noise);
}

function row(name: string): string[] {
  using family = openFamily(name);
  const [rows, logits] = golden(family);
  const small = (x: number) => x.toExponential(0);
  const cells = [
    name.replace(/-toy$/, ""),
    `${family.items.length}`,
    rows === undefined ? "–" : small(rows),
    small(logits),
    small(passes(family)),
    sqnr(family, "w8a8").toFixed(1),
    sqnr(family, "w4a8").toFixed(1),
  ];
  console.error(cells.join("  "));
  return cells;
}

if (import.meta.main) {
  const path = new URL("../docs/models.md", import.meta.url);
  const table = markdown([HEAD, ...FAMILIES.map(row)]);
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, between(text, "families", table));
}
