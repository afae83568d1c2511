/**
 * A family's toy in integers, calibrated on its own items with an image.
 * @module
 */
import { float32Engine } from "../../src/kernels/engine.ts";
import { quantize, type Quantized } from "../../src/quantize/quantize.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { type Family, idsOf, patches, pixelsOf } from "./family.ts";

const PROMPT = "Describe this image.";
const PICTURES = [
  "formula:waves:32x32",
  "formula:stripes:75x50",
  "formula:waves:90x70",
  "formula:stripes:32x32",
];

/** Quantizes with a recipe of that name. */
export function quantizeFamily(family: Family, recipe: string): Quantized {
  const samples = PICTURES.map((picture) => {
    const item = {
      name: picture,
      parts: [picture, PROMPT],
      input_ids: [],
      steps: [],
    };
    return {
      patches: patches(family, pixelsOf(family, item)),
      ids: idsOf(family, item),
      answer: [65, 66, 270, ...family.files.model.info.stopIds],
    };
  });
  return quantize(
    family.files.model,
    samples,
    RECIPES[recipe],
    float32Engine(),
  );
}
