/**
 * InternVL's original layout (`internvl_chat`) gives the same model as transformers'
 * layout: the toy's tensors under the original names (modeling_intern_vit.py,
 * modeling_internvl_chat.py), q, k and v fused.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { openCheckpoint } from "../../src/format/checkpoint.ts";
import { floatTensor } from "../../src/format/safetensors.ts";
import type { Checkpoint } from "../../src/models/checkpoint.ts";
import { describe } from "../../src/models/mod.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const FOLDER = new URL("../golden/internvl-toy/", import.meta.url).pathname;

const RENAMED: [RegExp, string][] = [
  [
    /^vision_tower\.embeddings\.cls_token/,
    "vision_model.embeddings.class_embedding",
  ],
  [
    /^vision_tower\.embeddings\.position_embeddings/,
    "vision_model.embeddings.position_embedding",
  ],
  [
    /^vision_tower\.embeddings\.patch_embeddings\.projection/,
    "vision_model.embeddings.patch_embedding",
  ],
  [
    /^vision_tower\.encoder\.layer\.(\d+)\.layernorm_before/,
    "vision_model.encoder.layers.$1.norm1",
  ],
  [
    /^vision_tower\.encoder\.layer\.(\d+)\.layernorm_after/,
    "vision_model.encoder.layers.$1.norm2",
  ],
  [
    /^vision_tower\.encoder\.layer\.(\d+)\.lambda_([12])/,
    "vision_model.encoder.layers.$1.ls$2",
  ],
  [
    /^vision_tower\.encoder\.layer\.(\d+)\.attention\.projection_layer/,
    "vision_model.encoder.layers.$1.attn.proj",
  ],
  [
    /^vision_tower\.encoder\.layer\.(\d+)\.mlp/,
    "vision_model.encoder.layers.$1.mlp",
  ],
  [/^multi_modal_projector\.layer_norm/, "mlp1.0"],
  [/^multi_modal_projector\.linear_1/, "mlp1.1"],
  [/^multi_modal_projector\.linear_2/, "mlp1.3"],
];

function joined(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  return {
    shape: [first.shape[0] * parts.length, ...first.shape.slice(1)],
    read: () => Float64Array.from(parts.flatMap((p) => [...p.read()])),
  };
}

function original(
  tensors: ReadonlyMap<string, Tensor>,
  config: Record<string, unknown>,
): Checkpoint {
  const out = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) {
    const qkv =
      /^vision_tower\.encoder\.layer\.(\d+)\.attention\.([qkv])_proj\.(\w+)$/
        .exec(name);
    if (qkv) {
      if (qkv[2] !== "q") continue;
      const of = (part: string) =>
        tensors.get(name.replace("q_proj", `${part}_proj`))!;
      out.set(
        `vision_model.encoder.layers.${qkv[1]}.attn.qkv.${qkv[3]}`,
        joined([of("q"), of("k"), of("v")]),
      );
      continue;
    }
    const [pattern, to] = RENAMED.find(([p]) => p.test(name)) ?? [/^/, ""];
    out.set(name.replace(pattern, to), tensor);
  }
  const vision = config.vision_config as Record<string, unknown>;
  return {
    tensors: out,
    config: {
      model_type: "internvl_chat",
      ps_version: "v2",
      downsample_ratio: 0.5,
      img_context_token_id: config.image_token_id,
      vision_config: {
        ...vision,
        image_size: 32,
        patch_size: 4,
        qkv_bias: true,
        qk_normalization: false,
      },
      llm_config: config.text_config,
    },
  };
}

Deno.test("InternVL's original layout is the same model", () => {
  const config = JSON.parse(Deno.readTextFileSync(`${FOLDER}config.json`));
  using file = openCheckpoint(FOLDER);
  const tensors = new Map(
    [...file.tensors].map(([name, stored]) => [name, floatTensor(stored)]),
  );
  const hf = describe({ config, tensors });
  const old = describe(original(tensors, config));
  assertEquals(old.nodes, hf.nodes);
  assertEquals({ ...old.info, architecture: "" }, {
    ...hf.info,
    architecture: "",
  });
  assertEquals([...old.params.keys()], [...hf.params.keys()]);
  for (const [name, tensor] of hf.params) {
    assertEquals(old.params.get(name)!.read(), tensor.read(), name);
  }
  const odd = original(tensors, config);
  assertThrows(
    () => describe({ ...odd, config: { ...odd.config, ps_version: "v1" } }),
    RangeError,
    "ps_version",
  );
});
