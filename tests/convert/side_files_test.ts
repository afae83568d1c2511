/**
 * Side files in the layouts of current and older tools: each variant of a toy's folder
 * is read as the toy, or with the stated change.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { openFloatCheckpoint } from "../../src/convert/checkpoint.ts";
import { readImagePlan } from "../../src/image/processors.ts";

type Json = Record<string, unknown>;

/** A copy of a toy's folder, with some JSON files changed (undefined: removed). */
function withToy(
  toy: string,
  changes: Record<string, ((json: Json) => Json) | undefined>,
  work: (folder: string) => void,
) {
  const from = new URL(`../golden/${toy}/`, import.meta.url);
  const folder = Deno.makeTempDirSync();
  try {
    for (const { name } of Deno.readDirSync(from)) {
      Deno.copyFileSync(new URL(name, from), `${folder}/${name}`);
    }
    for (const [name, change] of Object.entries(changes)) {
      const path = `${folder}/${name}`;
      if (!change) Deno.removeSync(path);
      else {
        let json: Json = {};
        try {
          json = JSON.parse(Deno.readTextFileSync(path));
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
        Deno.writeTextFileSync(path, JSON.stringify(change(json)));
      }
    }
    work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function planOf(folder: string) {
  using checkpoint = openFloatCheckpoint(folder);
  const settings = checkpoint.assets["preprocessor_config.json"];
  return readImagePlan(new TextDecoder().decode(settings));
}

/** JSON of a toy's file. */
const toyJson = (toy: string, name: string): Json =>
  JSON.parse(
    Deno.readTextFileSync(new URL(`../golden/${toy}/${name}`, import.meta.url)),
  );

Deno.test("image settings nested in processor_config.json, as transformers 5 saves them", () => {
  for (
    const toy of ["qwen2vl-toy", "smolvlm-toy", "gemma3-toy", "lfm2vl-toy"]
  ) {
    const image_processor = toyJson(toy, "preprocessor_config.json");
    const want = readImagePlan(JSON.stringify(image_processor));
    withToy(toy, {
      "preprocessor_config.json": undefined,
      "processor_config.json": () => ({ image_processor }),
    }, (folder) => assertEquals(planOf(folder), want, toy));
  }
});

Deno.test("settings that equal their class's defaults may be absent", () => {
  const absent = [
    "resample",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "do_resize",
  ];
  for (const toy of ["qwen2vl-toy", "qwen3vl-toy", "gemma3-toy"]) {
    const json = toyJson(toy, "preprocessor_config.json");
    const want = readImagePlan(JSON.stringify(json));
    const less = Object.fromEntries(
      Object.entries(json).filter(([key]) => !absent.includes(key)),
    );
    withToy(
      toy,
      { "preprocessor_config.json": () => less },
      (folder) => assertEquals(planOf(folder), want, toy),
    );
  }
});

Deno.test("the original InternVL's tiles follow its config.json", () => {
  const config = (json: Json) => ({
    ...json,
    dynamic_image_size: true,
    force_image_size: 32,
    max_dynamic_patch: 6,
  });
  withToy("internvl2-toy", { "config.json": config }, (folder) => {
    assertEquals(planOf(folder).tiling, {
      kind: "grid",
      size: { height: 32, width: 32 },
      count: { least: 1, most: 6 },
    });
  });
});

Deno.test("ids of generation_config.json end an answer, behind the config's", () => {
  const own = [toyJson("qwen2-toy", "config.json").eos_token_id as number];
  withToy("qwen2-toy", {
    "generation_config.json": () => ({ eos_token_id: [7, own[0], -1, 1e9] }),
  }, (folder) => {
    using checkpoint = openFloatCheckpoint(folder);
    assertEquals(checkpoint.model.info.stopIds, [...own, 7]);
  });
});

Deno.test("the original InternVL ends its turns with <|im_end|> though its config names another token", () => {
  const config = (json: Json) => ({
    ...json,
    llm_config: { ...json.llm_config as Json, eos_token_id: 2 },
  });
  withToy("internvl2-toy", { "config.json": config }, (folder) => {
    using checkpoint = openFloatCheckpoint(folder);
    const end = checkpoint.tokenizer.idOf("<|im_end|>");
    assert(end !== undefined);
    assertEquals(checkpoint.model.info.stopIds, [end, 2]);
  });
});

Deno.test("a stored head that equals the embedding is read as tied, one that differs as untied", () => {
  for (const own of ["tied", "untied"]) {
    const file = "model.safetensors";
    withToy("qwen2-toy", {
      "config.json": (json) => ({
        ...json,
        tie_word_embeddings: own === "untied", // the opposite of the tensors
      }),
    }, (folder) => {
      if (own === "tied") {
        const bytes = Deno.readFileSync(`${folder}/${file}`);
        const { header, data } = parts(bytes);
        const [head, embed] = ["lm_head.weight", "model.embed_tokens.weight"]
          .map((name) => header[name].data_offsets);
        data.set(data.slice(...embed), head[0]);
        Deno.writeFileSync(`${folder}/${file}`, bytes);
      }
      using checkpoint = openFloatCheckpoint(folder);
      const names = [...checkpoint.model.params.keys()];
      assertEquals(names.includes("text.head.weight"), own === "untied");
    });
  }
});

/** Header and data of a safetensors file; the data is a view. */
function parts(bytes: Uint8Array) {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    text,
  );
  return { header, data: bytes.subarray(8 + length) };
}

Deno.test("rotary embeddings: dynamic and linear are read, unknown kinds are refused by name", () => {
  const scaled = (type: string) => (json: Json) => ({
    ...json,
    rope_parameters: { rope_type: type, rope_theta: 1e6, factor: 2 },
  });
  const factors = (folder: string) => {
    using checkpoint = openFloatCheckpoint(folder);
    return new Set(
      checkpoint.model.nodes.flatMap((n) =>
        n.op === "attention" ? [n.ropeScalingFactor] : []
      ),
    );
  };
  for (const [type, want] of [["dynamic", undefined], ["linear", 2]] as const) {
    withToy(
      "qwen2-toy",
      { "config.json": scaled(type) },
      (folder) => assertEquals(factors(folder), new Set([want])),
    );
  }
  withToy("qwen2-toy", { "config.json": scaled("proportional") }, (folder) => {
    assertThrows(() => factors(folder), RangeError, '"rope_type" must be');
  });
});

Deno.test("a version of MiniCPM-V may be a text", () => {
  const version = (value: unknown) => (json: Json) => ({
    ...json,
    version: value,
  });
  for (
    const [toy, value] of [
      ["minicpmv-toy", "2.6"],
      ["minicpmv-toy", 2.6],
      ["minicpmv4-toy", "4.0"],
      ["minicpmv4-toy", 4],
    ] as const
  ) {
    withToy(
      toy,
      { "config.json": version(value) },
      (folder) => openFloatCheckpoint(folder)[Symbol.dispose](),
    );
  }
  withToy("minicpmv-toy", { "config.json": version("2.5") }, (folder) => {
    assertThrows(() => openFloatCheckpoint(folder), RangeError, "it is 2.5");
  });
});
