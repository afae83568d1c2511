/**
 * Every activation scale is fixed before inference: for every family's toy and both
 * modalities, at every quantization site, inputs times a thousand saturate and inputs
 * divided by a thousand vanish.
 */
import { assert, assertEquals } from "@std/assert";
import { Engine } from "../../src/execute/engine.ts";
import type { KernelName } from "../../src/kernels/signatures/mod.ts";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import { named } from "../../src/kernels/signature.ts";
import { quantize_f32_s8 } from "../../src/kernels/signatures/quantize.ts";
import { run, signatures } from "../../src/kernels/signatures/mod.ts";
import { staticFamily } from "../agreement/family_file.ts";
import {
  FAMILIES,
  type Family,
  gridsOf,
  openFamily,
  pixelsOf,
} from "../golden/family.ts";
import { QUANTIZERS, type Seen, watching } from "./adapt.ts";

/** Runs a family's longest prompt, images included, and one more token. */
async function answer(
  family: Family,
  kernels: ReturnType<typeof watching>,
): Promise<Engine> {
  const { model } = staticFamily(family, "w4a8");
  const engine = await Engine.create(model, family.plan, {
    threads: 1,
    kernels,
  });
  const { longest: item } = family, pixels = pixelsOf(family, item);
  const rows: number[] = [];
  for (const p of pixels) rows.push(...await engine.encode(p));
  const image = Float32Array.from(rows);
  await engine.prefill(
    item.input_ids,
    image,
    undefined,
    gridsOf(family, pixels),
  );
  await engine.decode(item.steps[0].ids[0]);
  return engine;
}

for (const name of FAMILIES) {
  Deno.test(`quantized values saturate and vanish with the data: ${name}`, async () => {
    using family = openFamily(name);
    const seen = new Map<KernelName, Seen>();
    await using engine = await answer(family, watching(seen));
    const planned = new Set(
      [engine.plan.vision, engine.plan.prefill, engine.plan.decode]
        .flatMap((list) => list?.steps.map((s) => s.kernel) ?? [])
        .filter((kernel) => kernel in QUANTIZERS),
    );
    assert(planned.size >= 4, [...planned].join());
    for (const kernel of planned) {
      const s = seen.get(kernel as KernelName);
      assert(s && s.saturated > 20 && s.vanished > 20, `${kernel} hardly ran`);
      assertEquals(s.adapted, undefined, kernel);
    }
  });
}

Deno.test("every kernel of a plan that writes int8 from floats is watched", () => {
  for (const s of Object.values(signatures)) {
    const operands = Object.entries(s.operands);
    const quantizes = s.stage === "step" &&
      operands.some(([, o]) =>
        o.kind === "pointer" && o.element === "i8" && o.writes
      ) &&
      operands.some(([, o]) =>
        o.kind === "pointer" && o.element === "f32" && !o.writes
      );
    assertEquals(s.name in QUANTIZERS, quantizes, s.name);
  }
});

Deno.test("a kernel that computes a scale from its input is caught", async () => {
  using family = openFamily("llama-toy");
  const seen = new Map<KernelName, Seen>();
  await using _ = await answer(
    family,
    watching(seen, (buffer) => {
      const kernels = referenceKernels(buffer), f32 = new Float32Array(buffer);
      return {
        /** Dynamic: 127 / the largest magnitude of its rows. */
        quantize_f32_s8: (...parameters) => {
          const call = named(quantize_f32_s8, parameters);
          const { x, ldx, k, rows: [first, end] } = call;
          let most = 1e-9;
          for (let r = first; r < end; r++) {
            for (let j = 0; j < k; j++) {
              most = Math.max(most, Math.abs(f32[(x >> 2) + r * ldx + j]));
            }
          }
          run(kernels, quantize_f32_s8, { ...call, inv: 127 / most });
        },
      };
    }),
  );
  const adapted = seen.get("quantize_f32_s8")?.adapted;
  assert(adapted?.includes("with its input"), adapted);
});
