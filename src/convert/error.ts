/**
 * The error of quantization: an input that cannot be used.
 * @module
 */

/**
 * Kind of a `QuantizeError`: the input that is the cause.
 *
 * ```ts
 * import type { QuantizeErrorCode } from "@mquant/mquant/quantize";
 *
 * const inputs: QuantizeErrorCode[] = ["checkpoint", "calibration"];
 * console.log(inputs);
 * ```
 */
export type QuantizeErrorCode =
  /** An option is out of range, or there is no such recipe. */
  | "option"
  /** The checkpoint is incomplete or of an unknown family. */
  | "checkpoint"
  /** The calibration photos or text cannot be used. */
  | "calibration"
  /** `out`.part belongs to other inputs, or another process is using it. */
  | "unfinished";

/**
 * A checkpoint cannot be quantized; `code` is the input that is the cause.
 *
 * ```ts
 * import { quantize, QuantizeError } from "@mquant/mquant/quantize";
 *
 * try {
 *   await quantize("no/such/folder", {
 *     calibration: "models/photo-mini/photos",
 *     out: "model.safetensors",
 *   });
 * } catch (error) {
 *   if (!(error instanceof QuantizeError)) throw error;
 *   console.log(error.code); // checkpoint
 * }
 * ```
 */
export class QuantizeError extends RangeError {
  /** Which input is the cause. */
  readonly code: QuantizeErrorCode;

  /**
   * Creates the error.
   * @param message what was attempted, the value, what is allowed, the next
   * step
   */
  constructor(
    code: QuantizeErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "QuantizeError";
    this.code = code;
  }
}

/** Runs `work`; converts a `RangeError` to a `QuantizeError` with this code. */
export async function withCode<T>(
  code: QuantizeErrorCode,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const told = error instanceof RangeError &&
      !(error instanceof QuantizeError) && error.message.startsWith("Cannot ");
    if (!told) throw error;
    throw new QuantizeError(code, error.message, { cause: error });
  }
}
