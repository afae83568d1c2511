/**
 * Static quantization: no step computes a scale, no constant changes while a model
 * runs, and the quantized values of a token do not depend on other tokens.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { LISTS } from "../../src/plan/lists.ts";
import { activationOffset } from "../../src/kernels/layout.ts";
import { CROSS_MEMORY_COPY, STEP_KERNELS } from "../../src/plan/step.ts";
import {
  engineLogits,
  PROMPT,
  readToy,
  toy,
  toyEngine,
  toyPixels,
} from "../agreement/toy_file.ts";

Deno.test("every step of a plan runs a kernel that is allowed in plans", async () => {
  for (
    const options of [{}, { tied: false, recipe: "w8a8" }, { split: true }]
  ) {
    await using engine = await toyEngine(toy(options));
    for (const list of LISTS) {
      const steps = engine.plan[list]!.steps;
      assert(steps.length > 0);
      for (const { kernel } of steps) {
        assert(
          kernel === CROSS_MEMORY_COPY || STEP_KERNELS.includes(kernel),
          kernel,
        );
      }
    }
  }
});

Deno.test("no constant and no step changes while a model runs", async () => {
  await using engine = await toyEngine(toy());
  const constants = engine.constants(),
    steps = JSON.stringify(engine.plan.prefill);
  await engineLogits(engine);
  assertEquals(engine.constants(), constants);
  assertEquals(JSON.stringify(engine.plan.prefill), steps);
});

Deno.test("perturbing one token changes no other token's values at the first layer", async () => {
  await using engine = await toyEngine(toy());
  const image = await engine.encode(toyPixels(9));
  const { steps } = engine.plan.prefill;
  // Values of the first norm, one row per text token in order of the prompt.
  const first = steps.find((s) =>
    s.kernel === "rmsnorm_f32_s8" && s.label.startsWith("text") && s.args[2] > 0
  )!;
  async function values(ids: readonly number[]): Promise<number[][]> {
    let found: number[][] = [];
    const k = first.args[6], kp = Math.ceil(k / 32) * 32;
    engine.measure = (step) => {
      if (
        found.length > 0 || step.kernel !== first.kernel ||
        step.when === first.when
      ) return;
      const bytes = new Int8Array(engine.memory);
      found = Array.from(
        { length: 9 },
        (_, row) =>
          Array.from(
            { length: k },
            (_, j) =>
              bytes[first.args[4] + 4 * kp + activationOffset(row, j, kp, 4)],
          ),
      );
    };
    engine.reset();
    await engine.prefill(ids, image);
    engine.measure = undefined;
    return found;
  }
  const before = await values(PROMPT);
  assertEquals(before.length, 9);
  const changed: number[] = [...PROMPT];
  changed[8] = 200; // the fifth text token
  const after = await values(changed);
  for (let row = 0; row < 9; row++) {
    if (row === 4) assertNotEquals(after[row], before[row]);
    else assertEquals(after[row], before[row], `text token ${row}`);
  }
});

Deno.test("a text prompt never meets a vision scale, an image prompt does", async () => {
  const made = toy();
  const { bytes } = made, copy = bytes.slice();
  const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const table = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + header)),
  );
  let changed = 0;
  for (
    const [name, entry] of Object.entries<
      { shape: number[]; data_offsets: number[] }
    >(table)
  ) {
    if (!/^text\..*\.scale$/.test(name) || `${entry.shape}` !== "2") continue;
    const view = new DataView(copy.buffer);
    const at = 8 + header + entry.data_offsets[0]; // [vision, text]
    view.setFloat32(at, view.getFloat32(at, true) * 3, true);
    changed++;
  }
  assert(changed > 4);
  await using a = await toyEngine(made);
  await using b = await toyEngine({
    ...made,
    bytes: copy,
    model: readToy(copy),
  });
  const text = PROMPT.filter((id) => id !== 300);
  assertEquals(await b.prefill(text), await a.prefill(text));
  assertNotEquals(await engineLogits(b), await engineLogits(a));
});
