/**
 * The float interpreter against values that transformers' own code computed in
 * fp32 (tools/golden): token ids and greedy captions equal, vision output,
 * connector output and logits within 2e-4 of their spread. The toy checkpoint
 * and the trained one stand in the repository; the photos do not, so items on
 * photos run where the folder is.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { openFloatCheckpoint } from "../../src/convert/checkpoint.ts";
import { patchesOf } from "../../src/convert/calibration.ts";
import { generate } from "../../src/graph/generate.ts";
import { load, runText, runVision } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import { formulaImageOf } from "../formula_image.ts";
import { readImagePlan } from "../../src/image/processors.ts";
import { float32Engine } from "../../src/float/engine.ts";

const root = new URL("../../", import.meta.url);
const SUITES = [
  {
    name: "smolvlm-toy",
    checkpoint: "tests/golden/smolvlm-toy/",
    golden: "tests/golden/smolvlm-toy/golden.json",
  },
  {
    name: "flickr-mini",
    checkpoint: "models/checkpoints/flickr-mini/",
    golden: "models/checkpoints/flickr-mini/golden.json",
  },
];

interface Summary {
  mean: number;
  std: number;
  first8: number[];
  last8: number[];
}

interface Item {
  image: string;
  prompt: string;
  input_ids: number[];
  vision: Summary;
  connector: Summary;
  steps: { ids: number[]; logits: number[] }[];
  generated_ids: number[];
}

/** Largest difference from a summary, as a share of its spread. */
function off(values: ArrayLike<number>, want: Summary): number {
  const n = values.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += values[i] / n;
  const pairs = [
    [mean, want.mean],
    ...want.first8.map((v, i) => [values[i], v]),
    ...want.last8.map((v, i) => [values[n - 8 + i], v]),
  ];
  return Math.max(...pairs.map(([a, b]) => Math.abs(a - b))) / want.std;
}

for (const { name, checkpoint, golden } of SUITES) {
  Deno.test({
    name: `golden: ${name}`,
    async fn(t) {
      using files = openFloatCheckpoint(new URL(checkpoint, root).pathname);
      const loaded = load(files.model, float32Engine());
      const { info } = files.model;
      const plan = readImagePlan(JSON.stringify(files.processor));
      const { items } = JSON.parse(
        Deno.readTextFileSync(new URL(golden, root)),
      ) as { items: Item[] };
      // Pictures made by a formula; photos of the data set are not shipped.
      const made = items.filter((i) => i.image.startsWith("formula:"));
      assert(made.length > 0);
      for (const item of made) {
        await t.step({
          name: item.image,
          fn() {
            const image = formulaImageOf(item.image);
            const ids = files.promptIds(item.prompt);
            assertEquals(ids, item.input_ids);
            const patches = patchesOf(
              image,
              info.image!.patchSize,
              plan,
            );
            let seen: ArrayLike<number> = [];
            const rows = runVision(loaded, patches, {
              input: (node, x) => (node.id === "connector" ? (seen = x, x) : x),
            });
            assert(
              off(seen, item.vision) < 2e-4,
              `vision is off by ${off(seen, item.vision)}`,
            );
            assert(
              off(rows, item.connector) < 2e-4,
              `connector is off by ${off(rows, item.connector)}`,
            );
            const sequence = newSequence();
            let chunk: { ids: number[]; image?: typeof rows } = {
              ids,
              image: rows,
            };
            for (const [i, step] of item.steps.entries()) {
              const logits = runText(loaded, [{ sequence, ...chunk }]);
              const spread = Math.max(...step.logits.map(Math.abs));
              const error = Math.max(
                ...step.ids.map((id, j) =>
                  Math.abs(logits[id] - step.logits[j])
                ),
              );
              assert(
                error < 2e-4 * spread,
                `step ${i}: logits are off by ${error}`,
              );
              chunk = { ids: [step.ids[0]] };
            }
            const [answer] = generate(
              loaded,
              [{ patches, ids }],
              item.generated_ids.length + 1,
            );
            const want = item.generated_ids.filter((id) =>
              !info.stopIds.includes(id)
            );
            assertEquals(answer.slice(0, want.length), want);
          },
        });
      }
    },
  });
}
