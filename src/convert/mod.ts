/**
 * Quantizes checkpoints: from the float checkpoint of a Hugging Face model to one
 * statically quantized file, which `open()` of the main module reads.
 *
 * ```ts
 * import { quantize } from "@mquant/mquant/quantize";
 *
 * const out = `${await Deno.makeTempDir()}/toy.w4a8.safetensors`;
 * const { bytes } = await quantize("tests/golden/smolvlm-toy", {
 *   calibration: "models/photo-mini/photos",
 *   samples: 2,
 *   out,
 * });
 * console.log(bytes);
 * ```
 * @module
 */
export { quantize } from "./quantize.ts";
export {
  QUANTIZE_LIMITS,
  type QuantizeOptions,
  type QuantizeProgress,
  type QuantizeResult,
  type QuantizeStage,
} from "./options.ts";
export { QuantizeError, type QuantizeErrorCode } from "./error.ts";
