import { channelsIn } from "../graph/node.ts";
import { assert, assertEquals } from "@std/assert";
import { TOY_PROMPT, toyModel, toyPatches } from "../../tests/toy.ts";
import { float64 } from "../graph/executor.ts";
import { encodeAll, encodeImages, generate } from "../graph/generate.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { load, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";
import { siteScale } from "../graph/names.ts";
import type { LinearNode } from "../graph/node.ts";
import { memoryRecords } from "../format/records.ts";
import { emit } from "./emit.ts";
import { type Engine, quantize, type Sample } from "./quantize.ts";
import { RECIPES } from "./recipe.ts";
import { simulate } from "./simulate.ts";

/** The definition of the engine, in float64. */
const engine: Engine = {
  ...float64,
  gram(x, m, k) {
    const h = new Float64Array(k * k);
    for (let r = 0; r < m; r++) {
      for (let i = 0; i < k; i++) {
        for (let j = 0; j < k; j++) h[i * k + j] += x[r * k + i] * x[r * k + j];
      }
    }
    return h;
  },
};

function samples(count: number): Sample[] {
  const prompts = Array.from(
    { length: count },
    (_, i) => ({ patches: toyPatches(i + 1), ids: TOY_PROMPT }),
  );
  const answers = generate(load(toyModel(), float64), prompts, 6);
  return prompts.map((p, i) => ({ ...p, answer: answers[i] }));
}

const W8 = { ...RECIPES.w8a8, name: "test" };

Deno.test("quantize: every linear has values and a static scale per modality", () => {
  const q = quantize(toyModel(), samples(3), RECIPES.w4a8, engine);
  for (const node of q.model.nodes) {
    if (node.op !== "linear") continue;
    assert(q.weights.has(node.weight), node.weight);
    const scale = q.vectors.get(siteScale(node))!;
    assertEquals(scale.length, node.phase === "vision" ? 1 : 2, node.id);
    assert(scale.every((s) => s > 0 && Number.isFinite(s)), node.id);
  }
});

Deno.test("quantize: 8-bit logits stay close to float, 4-bit ones further off", () => {
  const sample = samples(4), float = load(toyModel(), float64);
  const run = (loaded: typeof float, hooks = {}) => {
    const [image] = encodeImages(loaded, sample, hooks);
    return runText(loaded, [{
      sequence: newSequence(),
      ids: TOY_PROMPT,
      image,
    }], hooks);
  };
  const want = run(float);
  const error = (recipe: typeof W8) => {
    const s = simulate(quantize(toyModel(), sample, recipe, engine), engine);
    const got = run(s.loaded, s.hooks);
    let energy = 0, lost = 0;
    for (let i = 0; i < want.length; i++) {
      energy += want[i] ** 2;
      lost += (want[i] - got[i]) ** 2;
    }
    return Math.sqrt(lost / energy);
  };
  const eight = error(W8), four = error(RECIPES.w4a8);
  assert(eight < 0.05, `w8a8 is ${eight} off`);
  assert(four > eight && four < 0.5, `w4a8 is ${four} off`);
});

Deno.test("quantize: MSQ gives image and text rows their own scales; without it they share one", () => {
  const text = (q: ReturnType<typeof quantize>) => {
    const node = q.model.nodes.find((n) => n.id === "text.0.q") as LinearNode;
    return q.vectors.get(siteScale(node))!;
  };
  const own = text(quantize(toyModel(), samples(2), W8, engine));
  assert(own[0] !== own[1]);
  const shared = text(
    quantize(toyModel(), samples(2), { ...W8, modalities: false }, engine),
  );
  assertEquals(shared[0], shared[1]);
});

Deno.test("quantize is deterministic: the same input gives the same bytes", () => {
  const bytes = () => {
    const content = emit(
      quantize(toyModel(), samples(2), RECIPES.w4a8, engine),
      {},
    );
    return [
      JSON.stringify(content.metadata),
      ...content.tensors.map((t) => `${t.name} ${t.shape} ${t.data()}`),
    ];
  };
  assertEquals(bytes(), bytes());
});

Deno.test("quantize: what walks along in float leaves the integers as they are, until weights are drawn to it", () => {
  const recipe = RECIPES.w4a8, gptq = recipe.gptq || undefined!;
  const drawn = (share: number) =>
    quantize(
      toyModel(),
      samples(3),
      {
        ...recipe,
        gptq: { ...gptq, asymmetry: { vision: share, text: share } },
      },
      engine,
    );
  const plain = quantize(toyModel(), samples(3), recipe, engine);
  const none = drawn(Number.MIN_VALUE), half = drawn(0.5);
  assertEquals(none.weights, plain.weights);
  assertEquals(none.vectors, plain.vectors);
  assert(
    [...half.weights].some(([name, w]) =>
      w.values.some((c, i) => c !== plain.weights.get(name)!.values[i])
    ),
  );
});

Deno.test("quantize: what walks along is float, to the bit", () => {
  const recipe = RECIPES["w4a8-g64"], all = samples(3);
  const records = memoryRecords();
  quantize(toyModel(), all, recipe, engine, () => {}, records);
  const rows = records.read("rows image")!.values as Float64Array;
  const passed = recipe.passes.reduce((m, p) => p.apply(m), toyModel());
  const float = encodeAll(load(passed, float64), all);
  assertEquals(rows.length, 2 * float.length);
  assertEquals(rows.slice(float.length), float);
});

Deno.test("quantize works out nothing that its records hold", () => {
  const records = memoryRecords();
  const run = (e: Engine) =>
    quantize(toyModel(), samples(2), RECIPES.w4a8, e, () => {}, records);
  const first = run(engine);
  const again = run({
    ...engine,
    gram() {
      throw new Error("a Hessian was asked for");
    },
  });
  assertEquals(again.weights, first.weights);
  assertEquals(again.vectors, first.vectors);
});

Deno.test("emit: tensors stand once, 4-bit values two per byte, a tied head shares the table", () => {
  const content = emit(
    quantize(toyModel(), samples(2), RECIPES.w4a8, engine),
    {},
  );
  const names = content.tensors.map((t) => t.name);
  assertEquals(new Set(names).size, names.length);
  const byName = new Map(content.tensors.map((t) => [t.name, t]));
  assertEquals(byName.get("vision.0.q.weight")!.shape, [40, 20]);
  assertEquals(byName.get("text.embed.weight")!.dtype, "I8");
  assert(!byName.has("text.head.weight"));
});

Deno.test("MSQ: where image rows are forty times larger, text keeps its digits; one shared scale loses them", () => {
  const model = toyModel(), name = "connector.weight";
  const t = model.params.get(name)!;
  const params = new Map(model.params).set(name, {
    ...t,
    read: () => t.read().map((w) => 40 * w),
  });
  const large = { ...model, params }, sample = samples(3);
  const run = (loaded: ReturnType<typeof load>, hooks = {}) => {
    const [image] = encodeImages(loaded, sample, hooks);
    const chunk = { sequence: newSequence(), ids: TOY_PROMPT, image };
    return runText(loaded, [chunk], hooks);
  };
  const want = run(load(large, float64));
  const error = (modalities: boolean) => {
    const recipe = { ...W8, modalities, passes: [], gptq: false } as const;
    const s = simulate(quantize(large, sample, recipe, engine), engine);
    const got = run(s.loaded, s.hooks);
    let lost = 0, energy = 0;
    want.forEach((v, i) => (lost += (v - got[i]) ** 2, energy += v * v));
    return lost / energy;
  };
  const [shared, own] = [error(false), error(true)];
  assert(own < 0.5 * shared, `${own} against ${shared}`);
});

Deno.test("scales of calibration hold on other images: under 0.1 % of values saturate", () => {
  const recipe = { ...W8, scales: "minmax" } as const;
  const quantized = quantize(toyModel(), samples(8), recipe, engine);
  const { loaded, hooks } = simulate(quantized, engine);
  let all = 0, saturated = 0;
  const counting = {
    ...hooks,
    input(...[node, x, modality]: Parameters<NonNullable<Hooks["input"]>>) {
      const scales = quantized.vectors.get(siteScale(node))!;
      x.forEach((v, i) => {
        const row = Math.floor(i / channelsIn(node));
        const s = scales[node.phase === "vision" ? 0 : modality[row]];
        all++;
        if (Math.abs(v) > 128 * s) saturated++;
      });
      return hooks.input!(node, x, modality);
    },
  };
  const others = Array.from(
    { length: 8 },
    (_, i) => ({ patches: toyPatches(100 + i), ids: TOY_PROMPT }),
  );
  for (const [i, image] of encodeImages(loaded, others, counting).entries()) {
    const { ids } = others[i];
    runText(loaded, [{ sequence: newSequence(), ids, image }], counting);
  }
  assert(saturated < 1e-3 * all, `${saturated} of ${all}`);
});
