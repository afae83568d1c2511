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
    name: "photo-mini",
    checkpoint: "models/checkpoints/photo-mini/",
    golden: "models/checkpoints/photo-mini/golden.json",
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
  /** What enters the connector, and what leaves it. */
  vision?: Summary;
  connector?: Summary;
  /** Of a convolutional tower: what its parts leave, and what leaves the connector. */
  stages?: Record<string, Summary>;
  image_rows?: Summary;
  steps: { ids: number[]; logits: number[] }[];
  generated_ids: number[];
}

/** Our names of values that the golden file names, as they enter the next linear or convolution. */
function siteOf(x: string): string {
  const next = /^vision\.(\d)\.0\.read$/.exec(x);
  if (next) return `stage ${Number(next[1]) - 1}`;
  const names: Record<string, string> = {
    "vision.stem.act": "stem",
    "vision.read": "stage 6",
    "vision.head.act": "head",
  };
  return names[x] ?? x;
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
            const seen = new Map<string, ArrayLike<number>>();
            const rows = runVision(loaded, patches, {
              input(node, x) {
                const id = node.id === "connector" ? node.id : siteOf(node.x);
                seen.set(id, x);
                return x;
              },
            });
            const close = (
              what: string,
              got: ArrayLike<number> | undefined,
              want: Summary,
            ) => {
              const error = off(got ?? [], want);
              assert(error < 2e-4, `${what} is off by ${error}`);
            };
            const { vision, connector, stages = {}, image_rows } = item;
            if (vision) close("vision", seen.get("connector"), vision);
            for (const [stage, want] of Object.entries(stages)) {
              close(stage, seen.get(stage), want);
            }
            close("image rows", rows, (connector ?? image_rows)!);
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
