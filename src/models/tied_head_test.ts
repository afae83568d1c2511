import { assertEquals, assertThrows } from "@std/assert";
import { constant } from "../tensor/tensor.ts";
import { describe } from "./mod.ts";
import { withTrueTie } from "./tied_head.ts";

const EMBED = "model.embed_tokens.weight", HEAD = "lm_head.weight";
const A = [1, 2, 3, 4], B = [1, 2, 3, 5];

function seen(config: Record<string, unknown>, head?: readonly number[]) {
  const tensors = new Map([[EMBED, constant([2, 2], A)]]);
  if (head) tensors.set(HEAD, constant([2, 2], head));
  const sameBytes = (a: string, b: string) =>
    `${tensors.get(a)!.read()}` === `${tensors.get(b)!.read()}`;
  const got = withTrueTie({ config, tensors, sameBytes });
  return {
    tied: got.config.tie_word_embeddings,
    text: (got.config.text_config as Record<string, unknown>)
      ?.tie_word_embeddings,
    names: [...got.tensors.keys()],
  };
}

Deno.test("a head that differs from the embedding is untied, whatever the flags say", () => {
  for (const flag of [true, false, undefined]) {
    const config = { tie_word_embeddings: flag, text_config: {} };
    assertEquals(seen(config, B), {
      tied: false,
      text: false,
      names: [EMBED, HEAD],
    });
  }
});

Deno.test("a head that equals the embedding is tied, whatever the flags say, and left out", () => {
  for (const flag of [true, false, undefined]) {
    const config = { text_config: { tie_word_embeddings: flag } };
    assertEquals(seen(config, A), { tied: true, text: true, names: [EMBED] });
  }
});

Deno.test("without a head a checkpoint is tied unless a flag says otherwise", () => {
  assertEquals(seen({}).tied, true);
  assertEquals(seen({ text_config: {} }).text, true);
  assertEquals(seen({ tie_word_embeddings: true }).tied, true);
  assertEquals(seen({ tie_word_embeddings: false }).tied, false);
  const told = seen({ text_config: { tie_word_embeddings: false } });
  assertEquals([told.tied, told.text], [undefined, false]);
});

Deno.test("a checkpoint whose tensors cannot be compared keeps its flags", () => {
  const tensors = new Map(
    [EMBED, HEAD].map((name) => [name, constant([2, 2], A)]),
  );
  const checkpoint = { config: { tie_word_embeddings: false }, tensors };
  assertEquals(withTrueTie(checkpoint), checkpoint);
});

Deno.test("quantized and unknown checkpoints are named before their tensors are looked at", () => {
  const refused = (config: Record<string, unknown>, message: string) =>
    assertThrows(
      () => describe({ config, tensors: new Map() }),
      RangeError,
      message,
    );
  refused({ model_type: "mllama" }, 'model_type "mllama"');
  const quantization_config = { quant_method: "gptq", bits: 3 };
  refused(
    { model_type: "llama", quantization_config },
    '"gptq" (quantization_config of config.json): they are 3 bits',
  );
  refused(
    { model_type: "smolvlm", text_config: { quantization_config: { a: 1 } } },
    "no quant_method",
  );
});
