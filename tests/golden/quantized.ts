/**
 * A family's toy, quantized; calibrated on images, or for a text-only model on its own
 * prompts.
 * @module
 */
import { float32Engine } from "../../src/float/engine.ts";
import { quantize, type Quantized } from "../../src/quantize/quantize.ts";
import { type Recipe, RECIPES } from "../../src/quantize/recipe.ts";
import { type Family, gridsOf, idsOf, patches, pixelsOf } from "./family.ts";

const PROMPT = "Describe this image.";
const PICTURES = [
  "formula:waves:32x32",
  "formula:stripes:75x50",
  "formula:waves:90x70",
  "formula:stripes:32x32",
];

/** Quantizes with a recipe, or the one of that name. */
export function quantizeFamily(
  family: Family,
  recipe: string | Recipe,
): Quantized {
  const { info } = family.files.model;
  const answer = [65, 66, 270, ...info.stopIds];
  const samples = info.image
    ? PICTURES.map((picture) => {
      const item = {
        name: picture,
        parts: [picture, PROMPT],
        input_ids: [],
        steps: [],
      };
      const pixels = pixelsOf(family, item);
      return {
        patches: patches(family, pixels),
        grids: gridsOf(family, pixels),
        ids: idsOf(family, item),
        answer,
      };
    })
    : family.items.map(({ input_ids: ids }) => ({ ids, answer }));
  return quantize(
    family.files.model,
    samples,
    typeof recipe === "string" ? RECIPES[recipe] : recipe,
    float32Engine(),
  );
}
