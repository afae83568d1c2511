/**
 * Weights that training does not produce are refused by name, or give a file that
 * opens.
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { QuantizeError } from "../../src/convert/mod.ts";
import { checkFileOpens } from "../../src/convert/opens.ts";
import { produce } from "../../src/convert/produce.ts";
import { openModelFile } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/format/source.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { open } from "../../src/mod.ts";
import { emit } from "../../src/quantize/emit.ts";
import type { Quantized } from "../../src/quantize/quantize.ts";
import { toy } from "../agreement/toy_file.ts";
import { type FloatType, unsoundCheckpoint } from "./unsound.ts";

const TOY = "tests/golden/smolvlm-toy";
const PHOTOS = "models/photo-mini/photos";
const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const TEXT = "model.text_model", VISION = "model.vision_model.embeddings";
const NORM = `${TEXT}.layers.0.input_layernorm.weight`;
const LAST = `${TEXT}.norm.weight`;
const QUERY = `${TEXT}.layers.0.self_attn.q_proj.weight`;
const PATCH = `${VISION}.patch_embedding.weight`;
const BIAS = `${VISION}.patch_embedding.bias`;
const TABLE = `${TEXT}.embed_tokens.weight`;

let made = 0;
/** Quantizes the toy with one tensor changed: the path of the file, and the stages that were reached. */
function quantized(
  dtype: FloatType,
  tensor: string,
  change: (values: Float64Array) => void,
  samples = 1,
) {
  const checkpoint = `${folder}/${++made}`, out = `${checkpoint}.st`;
  unsoundCheckpoint(TOY, checkpoint, dtype, { [tensor]: change });
  const stages = new Set<string>();
  const work = produce(
    { checkpoint, calibration: PHOTOS, samples, threads: 1, out },
    { report: ({ stage }) => stages.add(stage), throwIfStopped() {} },
  );
  return { out, stages, work };
}

const exists = (path: string) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
};

for (const dtype of ["F64", "F32", "F16", "BF16"] as const) {
  Deno.test(`a weight that is not finite is refused by name before anything else: ${dtype}`, async () => {
    for (
      const [i, tensor] of [NORM, QUERY, PATCH, BIAS, TABLE].entries()
    ) {
      const value = [NaN, Infinity, -Infinity][i % 3];
      const { out, stages, work } = quantized(
        dtype,
        tensor,
        (v) => v[v.length - 1 - i] = value,
      );
      const error = await assertRejects(() => work, QuantizeError);
      assertEquals([error.code, stages.size], ["checkpoint", 0]);
      assert(error.message.includes(`tensor "${tensor}" (${dtype} of shape`));
      assertMatch(error.message, new RegExp(`element \\d+ is ${value};`));
      assert(!exists(out) && !exists(`${out}.part`));
    }
  });
}

Deno.test("a model that says what only prompts hold, or no numbers, is refused with that", async () => {
  const cases: [string, (v: Float64Array) => unknown, RegExp][] = [
    [NORM, (v) => v.fill(0), /most likely token is \d+, the image token/],
    [LAST, (v) => v.fill(3e38), /logit \d+ must be finite: it is (NaN|-?Inf)/],
  ];
  for (const [tensor, change, sentence] of cases) {
    const { out, work } = quantized("F32", tensor, change, 3);
    const error = await assertRejects(() => work, QuantizeError);
    assertMatch(error.message, sentence);
    assertEquals([error.code, exists(out)], ["checkpoint", false]);
  }
});

Deno.test("other odd weights make a file that opens and answers", async () => {
  const cases: [string, (v: Float64Array) => unknown][] = [
    [QUERY, (v) => v.fill(0)],
    [QUERY, (v) => v.fill(1e-44)],
    [TABLE, (v) => v.fill(0)],
    [PATCH, (v) => v[3] = 1e38],
  ];
  for (const [tensor, change] of cases) {
    const { out, work } = quantized("F32", tensor, change);
    await work;
    await using model = await open(out, { threads: 1 });
    await model.caption(`${PHOTOS}/cat.jpg`, { maxTokens: 2 });
  }
});

Deno.test("a model file that would not open does not take the place of one that does", () => {
  const place = Deno.makeTempDirSync({ dir: folder });
  const path = `${place}/model.safetensors`;
  const { quantized, bytes } = toy();
  using file = openModelFile(bytesSource(bytes, "toy"));
  const assets = Object.fromEntries(
    file.assets.map((name) => [name, file.asset(name)]),
  );
  const write = (changed: Partial<Quantized>) =>
    writeModelFile(
      path,
      emit({ ...quantized, ...changed }, assets),
      checkFileOpens,
    );
  write({});
  const good = Deno.readFileSync(path);
  const { vectors, weights } = quantized;
  const [name, values] = [...vectors].find(([n]) => file.tensors.has(n))!;
  const [weight, codes] = [...weights][0];
  const scale = codes.scale.slice().fill(Infinity, 0, 1);
  for (
    const changed of [
      { vectors: new Map(vectors).set(name, values.slice().fill(NaN, 0, 1)) },
      { weights: new Map(weights).set(weight, { ...codes, scale }) },
    ]
  ) {
    assertThrows(() => write(changed), Error, "must be finite");
    assertEquals(Deno.readFileSync(path), good);
    assertEquals([...Deno.readDirSync(place)].length, 1);
  }
});
