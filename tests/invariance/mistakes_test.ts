/**
 * Likely mistakes in the method, made deliberately: passes in another order, a missing
 * fold, a modality boundary one row off. Each must be refused or detected.
 */
import { assert, assertEquals } from "@std/assert";
import { float64 } from "../../src/graph/executor.ts";
import type { Hooks } from "../../src/graph/ops/mod.ts";
import { load, runText, runVision } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import type { Model } from "../../src/graph/node.ts";
import { centerWriters } from "../../src/quantize/center_writers.ts";
import { foldNorms } from "../../src/quantize/fold_norms.ts";
import type { Pass } from "../../src/quantize/pass.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { rotateStreams } from "../../src/quantize/rotate.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import {
  toy,
  toyPatches as patchesOf,
  toyPixels,
} from "../agreement/toy_file.ts";
import { PROMPT, simulatedLogits } from "../agreement/toy_file.ts";
import { TOY_PROMPT, toyModel, toyPatches } from "../toy.ts";

function logits(model: Model): Float64Array {
  const loaded = load(model, float64);
  const image = runVision(loaded, toyPatches());
  const chunk = { sequence: newSequence(), ids: TOY_PROMPT, image };
  return Float64Array.from(runText(loaded, [chunk]));
}

/** Largest change of a logit, as a share of the largest; undefined where a pass refuses. */
function after(passes: readonly Pass[]): number | undefined {
  const before = logits(toyModel());
  let model = toyModel();
  try {
    for (const pass of passes) model = pass.apply(model);
  } catch (error) {
    assert(error instanceof RangeError, `${error}`);
    return undefined;
  }
  const scale = Math.max(...before.map(Math.abs));
  const got = logits(model);
  return Math.max(...before.map((v, i) => Math.abs(v - got[i]))) / scale;
}

Deno.test("a flipped pass order is refused, or moves no logit", () => {
  const { passes } = RECIPES.w4a8, refused: string[] = [];
  for (let i = 0; i + 1 < passes.length; i++) {
    const flipped = [...passes];
    [flipped[i], flipped[i + 1]] = [passes[i + 1], passes[i]];
    const change = after(flipped);
    const name = `${passes[i + 1].name} before ${passes[i].name}`;
    if (change === undefined) refused.push(name);
    else assert(change < 1e-9, `${name} moved the logits by ${change}`);
  }
  assertEquals(refused, ["rotate-streams before fold-norms"]);
});

Deno.test("a left-out fold is refused", () => {
  const all = [centerWriters, foldNorms, rotateStreams(1)];
  assert(after(all)! < 1e-9);
  for (const [i, pass] of all.slice(0, 2).entries()) {
    const change = after(all.toSpliced(i, 1));
    assertEquals(change, undefined, `without ${pass.name}`);
  }
});

Deno.test("a fold that forgets one reader, its gain or its bias, moves the logits", () => {
  const before = logits(toyModel()), folded = foldNorms.apply(toyModel());
  const forget = (name: string) => {
    const params = new Map(folded.params);
    const own = toyModel().params.get(name);
    const zeros = { ...params.get(name)!, read: () => new Float64Array(40) };
    params.set(name, own ?? zeros);
    const got = logits({ ...folded, params });
    return Math.max(...before.map((v, i) => Math.abs(v - got[i])));
  };
  for (
    const name of ["vision.0.up.weight", "vision.0.q.bias", "text.1.v.weight"]
  ) {
    assert(forget(name) > 1e-3, name);
  }
});

Deno.test("a wrong modality boundary, one row early or late, moves the logits", () => {
  const made = toy(), right = simulatedLogits(made, 9);
  const { loaded, hooks } = simulate(made.quantized, float64);
  const first = PROMPT.indexOf(300), last = PROMPT.lastIndexOf(300);
  const said = (flip: number | undefined) => {
    const shifted: Hooks = {
      ...hooks,
      input(node, x, modality) {
        const rows = modality.slice();
        if (flip !== undefined && node.phase === "text" && rows.length > 1) {
          rows[flip] = 1 - rows[flip];
        }
        return hooks.input!(node, x, rows);
      },
    };
    const image = runVision(loaded, patchesOf(toyPixels(9)), shifted);
    const chunk = { sequence: newSequence(), ids: PROMPT, image };
    return Float64Array.from(runText(loaded, [chunk], shifted));
  };
  assertEquals(said(undefined), right);
  for (const row of [first - 1, first, last, last + 1]) {
    const got = said(row);
    let moved = 0, energy = 0;
    right.forEach((v, i) => (moved += (v - got[i]) ** 2, energy += v * v));
    assert(moved > 1e-6 * energy, `row ${row}: ${moved / energy}`);
  }
});
