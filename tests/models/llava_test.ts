/** LLaVA: where its tower is read, what is left out, which names its files have, and what is refused. */
import { assertEquals, assertThrows } from "@std/assert";
import type { Checkpoint } from "../../src/models/checkpoint.ts";
import { describe } from "../../src/models/mod.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { realCheckpoint } from "./real.ts";

type Json = Record<string, unknown>;

const blocks = ({ nodes }: ReturnType<typeof describe>) =>
  nodes.filter((n) => n.op === "attention" && n.phase === "vision").length;

/** The checkpoint with other fields, and other names of its tensors. */
function changed(
  of: Checkpoint,
  fields: Json,
  rename = (name: string) => name,
): Checkpoint {
  const tensors = new Map<string, Tensor>(
    [...of.tensors].map(([name, t]) => [rename(name), t]),
  );
  return { ...of, config: { ...of.config, ...fields }, tensors };
}

Deno.test("the tower ends at the layer that is read", () => {
  const joy = realCheckpoint("JoyCaption");
  for (
    const [vision_feature_layer, layers] of [
      [-2, 26],
      [-1, 27],
      [-27, 1],
      [5, 5],
      [27, 27],
    ]
  ) {
    assertEquals(
      blocks(describe(changed(joy, { vision_feature_layer }))),
      layers,
    );
  }
  for (const vision_feature_layer of [0, 28, -28, 1.5]) {
    assertThrows(
      () => describe(changed(joy, { vision_feature_layer })),
      RangeError,
      "vision_feature_layer",
    );
  }
});

Deno.test("absent settings are those of the class", () => {
  const checkpoint = realCheckpoint("LLaVA-1.5-7B");
  const {
    vision_feature_layer: _,
    vision_feature_select_strategy: __,
    ...rest
  } = checkpoint.config;
  const want = describe(checkpoint);
  assertEquals(blocks(want), 23);
  assertEquals(describe({ ...checkpoint, config: rest }).nodes, want.nodes);
  assertEquals(want.info.image!.tokens, 576);
  assertEquals(want.info.stopIds, [2]);
});

Deno.test("names of transformers 4 and 5, with vision_model and without", () => {
  for (const name of ["LLaVA-1.5-7B", "LLaVA-OneVision-0.5B"]) {
    const saved = realCheckpoint(name), want = describe(saved);
    const later = (tensor: string) =>
      tensor.startsWith("language_model.lm_head")
        ? tensor.replace("language_model.", "")
        : "model." + tensor.replace("language_model.model.", "language_model.")
          .replace(".vision_model.", ".");
    const got = describe(changed(saved, {}, later));
    assertEquals([...got.params.keys()], [...want.params.keys()]);
  }
});

Deno.test("a scaled rotary embedding reaches every layer", () => {
  const { nodes } = describe(realCheckpoint("JoyCaption"));
  const factors = nodes.flatMap((n) =>
    n.op === "attention" && n.phase === "text" ? [n.ropeFactors!] : []
  );
  assertEquals(factors.length, 32);
  assertEquals([factors[31][0], factors[31][63]], [1, 8]);
});

Deno.test("what is not built is refused by name", () => {
  const clip = realCheckpoint("LLaVA-1.5-7B");
  const joy = realCheckpoint("JoyCaption");
  const vision = (fields: Json) => ({
    vision_config: { ...clip.config.vision_config as Json, ...fields },
  });
  const text = (fields: Json) => ({
    text_config: { ...clip.config.text_config as Json, ...fields },
  });
  for (
    const [checkpoint, fields, cause] of [
      [
        clip,
        { vision_feature_select_strategy: "full" },
        '"default" with a CLIP',
      ],
      [
        joy,
        { vision_feature_select_strategy: "default" },
        '"full" with a SigLIP',
      ],
      [clip, { vision_feature_layer: [-2, -5] }, "vision_feature_layer"],
      [clip, vision({ model_type: "pixtral" }), "model_type"],
      [clip, text({ model_type: "mistral" }), "model_type"],
    ] as const
  ) {
    assertThrows(
      () => describe(changed(checkpoint, fields)),
      RangeError,
      cause,
    );
  }
  const extra = new Map(clip.tensors).set(
    "other.weight",
    clip.tensors.values().next().value!,
  );
  assertThrows(
    () => describe({ ...clip, tensors: extra }),
    RangeError,
    'the first is "other.weight"',
  );
});
