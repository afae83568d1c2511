/**
 * Writes the initial files of a new family: a description with a SigLIP tower, a
 * pixel shuffle and a Llama decoder with transformers' tensor names, a golden script,
 * a model card. Prints the remaining steps (docs/adding-a-model.md).
 *
 *     deno task new:model NAME      NAME: lower-case letters and digits
 *
 * @module
 */

/** Path → content of the files of family `name`. */
export function skeleton(name: string): Record<string, string> {
  return {
    [`src/models/${name}.ts`]: description(name),
    [`tools/golden/${name}.py`]: golden(name),
    [`models/${name}.md`]: card(name),
  };
}

function description(name: string): string {
  return `/**
 * ${name}: a tower of …, a connector of …, a decoder of … (source: …).
 * @module
 */
import type { Model, ModelInfo } from "../graph/node.ts";
import { decoder, decoderBlock, stopIds } from "./block.ts";
import { Builder } from "./builder.ts";
import { bind, type Checkpoint, decoderNames, naming } from "./checkpoint.ts";
import { Config } from "./config.ts";
import { placeholders } from "./placeholders.ts";
import { siglip, siglipNames, siglipOf } from "./siglip.ts";

/** Our parameter names → the checkpoint's. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  ...siglipNames("model.vision_model."),
  [/^connector\\./, "model.connector.modality_projection.proj."],
  ...decoderNames("model.text_model.", "lm_head."),
];

/** Builds the model that a ${name} checkpoint holds. */
export function ${name}(checkpoint: Checkpoint): Model {
  const config = new Config(checkpoint.config), architecture = "${name}";
  const v = config.object("vision_config"), t = config.object("text_config");
  const tower = siglipOf(v), { patch, block: { dim } } = tower;
  const size = v.side("image_size", 224), side = size / patch;
  const factor = config.size("scale_factor", 2);
  const text = decoderBlock(t), vocabulary = t.size("vocab_size");
  if (!Number.isInteger(side / factor)) {
    throw new RangeError(
      \`Cannot build \${architecture}: image_size must be patch_size times a multiple of \${factor}: it is \${size} with patch_size \${patch}\`,
    );
  }

  // Vision first, then text; the last node is the head.
  const g = new Builder();
  const merged = g.pixelShuffle("vision.shuffle", siglip(g, tower), dim, factor);
  const image = g.linear("connector", merged, dim * factor ** 2, text.dim);
  decoder(g, image, text, {
    layers: t.layers("num_hidden_layers"),
    vocabulary,
    tied: config.flag("tie_word_embeddings", false),
  });

  const tokens = (side / factor) ** 2;
  const info: ModelInfo = {
    architecture,
    vocabulary,
    maxPositions: t.size("max_position_embeddings"),
    stopIds: stopIds(config, t),
    image: {
      height: size,
      width: size,
      patchSize: patch,
      tokens,
      tokenId: config.size("image_token_id"),
      text: placeholders("<image>", tokens), // what the processor writes for a picture
      // templateToken: what the template writes, where that is another token
    },
  };
  return {
    info,
    nodes: g.nodes,
    params: bind(checkpoint, g.nodes, vocabulary, side * side, naming(NAMES)),
  };
}
`;
}

function golden(name: string): string {
  return `"""A toy ${name} checkpoint (the family's own code, random weights) and its golden values.

python ${name}.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from answers import answers, save, save_words, watching, write_golden
from family import parts_of, qwen2_tokenizer, randomise, resized_sha256


def make() -> torch.nn.Module:
    """Two towers of two layers, widths of 40, 48 or 64, heads of 8 or 16, pictures of 8 x 8 patches."""
    raise SystemExit("build the family's config and model here, then randomise(model, SEED)")


def processor(out: Path):
    """Tokenizer, template (save_words) and image settings (save_pretrained), as the published checkpoint has them."""
    raise SystemExit("build the family's processor here")


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    model = make()
    save(out, model)  # look at config.json and the names in model.safetensors: published files may have others
    prepare = processor(out)
    items = answers(
        prepare,
        parts_of(["formula:waves:32x32", "formula:stripes:75x50"]),
        watching(model.connector, lambda given: model.get_image_features(**given)),  # the connector's first linear
        lambda p: resized_sha256(prepare.image_processor, p),
        model,  # its answers must not all be one token: make embeddings smaller
    )
    write_golden(out, "${name}.py", "vision is …", items)


if __name__ == "__main__":
    main()
`;
}

function card(name: string): string {
  return `# ${name}

A tower of …, a connector of …, a decoder of …. Description:
[${name}.ts](../src/models/${name}.ts).

- **Checkpoints**: which are meant, which are not.
- **Pictures**: sizes, tiles or pixels; where they differ from the original's.
- **Recipe**: \`w4a8\`.
- **Not measured**: captions of a real checkpoint. What is checked is on toys.
- **Licence**: of code and weights. Read the licence on the page of the
  checkpoint you use before you pass a quantized file on.
`;
}

const NEXT = (name: string) =>
  `Now:
  1. tools/golden/${name}.py: build the toy with the family's code, run it into tests/golden/${name}-toy
     (a vocabulary of pieces or ranks: "words" beside "items", and tests/golden/words_test.ts)
  2. src/models/${name}.ts: names, config, nodes
  3. src/models/mod.ts: ${name} under its model_type; tests/golden/family.ts: "${name}-toy"
  4. deno test --allow-all tests/golden/family_test.ts --filter ${name}, then tests/invariance and tests/agreement
  5. tools/golden/shapes.py: the published sizes, under the published names
  6. models/${name}.md and the first table of docs/models.md; deno task families; deno task docs
docs/adding-a-model.md says the rest.`;

if (import.meta.main) {
  const [name] = Deno.args;
  if (Deno.args.length !== 1 || !/^[a-z][a-z0-9]{1,30}$/.test(name)) {
    console.error(
      "usage: deno task new:model NAME\nNAME is 2 to 31 lower-case letters and digits, a letter first",
    );
    Deno.exit(2);
  }
  const files = Object.entries(skeleton(name));
  for (const [path] of files) {
    try {
      Deno.statSync(path);
    } catch {
      continue;
    }
    console.error(
      `Cannot begin ${name}: ${path} is there already; choose another name`,
    );
    Deno.exit(1);
  }
  for (const [path, text] of files) {
    Deno.writeTextFileSync(path, text, { createNew: true });
    console.error(path);
  }
  console.error(NEXT(name));
}
