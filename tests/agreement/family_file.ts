/**
 * A family's toy as a static model, written and read again.
 * @module
 */
import { openModelFile } from "../../src/format/model_file.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { bytesSource } from "../../src/format/source.ts";
import { emit } from "../../src/quantize/emit.ts";
import type { Quantized } from "../../src/quantize/quantize.ts";
import type { Recipe } from "../../src/quantize/recipe.ts";
import {
  readStaticModel,
  type StaticModel,
} from "../../src/graph/static_model.ts";
import type { Family } from "../golden/family.ts";
import { quantizeFamily } from "../golden/quantized.ts";

/** Quantizes, writes the file with its assets, opens it. */
export function staticFamily(
  family: Family,
  recipe: string | Recipe,
): { quantized: Quantized; model: StaticModel; bytes: Uint8Array } {
  const quantized = quantizeFamily(family, recipe);
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  try {
    writeModelFile(path, emit(quantized, family.files.assets));
    const bytes = Deno.readFileSync(path);
    const model = readStaticModel(openModelFile(bytesSource(bytes)));
    return { quantized, model, bytes };
  } finally {
    Deno.removeSync(path);
  }
}
