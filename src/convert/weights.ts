/**
 * The weights of a checkpoint, with a check of all values before any work: one
 * NaN makes every answer NaN, and calibration would fail only after hours.
 * @module
 */
import { quoted } from "../format/error.ts";
import { firstNotFinite, type NotFinite } from "../format/finite.ts";
import { type Decoded, decodedTensors } from "../format/quantization/mod.ts";
import type { Scheme } from "../format/quantization/scheme.ts";
import type { StoredTensor, TensorFile } from "../format/safetensors.ts";
import type { Model } from "../graph/node.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Weights by name. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /**
   * Checks all values.
   * @throws {RangeError} naming the first tensor of `model` that contains NaN
   * or infinity
   */
  check(model: Model): void;
}

/**
 * The weights of a file; quantized weights are dequantized.
 * @throws {RangeError} if they do not fit their scheme
 */
export function weightsOf(
  file: TensorFile,
  scheme: Scheme | undefined,
): Weights {
  const wrong = new Map<string, NotFinite>();
  const guarded = ({ tensor, parts }: Decoded): Tensor => {
    const checked = () => {
      for (const part of parts) {
        const found = wrong.get(part.name);
        if (found) throw notFinite(part, found);
      }
      return tensor;
    };
    return {
      shape: tensor.shape,
      read: () => checked().read(),
      ...tensor.float32 && { float32: () => checked().float32!() },
    };
  };
  const decoded = decodedTensors(file.tensors, scheme);
  return {
    tensors: new Map(
      [...decoded].map(([name, found]) => [name, guarded(found)]),
    ),
    check({ params }: Model) {
      for (const [name, stored] of file.tensors) {
        const found = firstNotFinite(stored);
        if (found) wrong.set(name, found);
      }
      if (wrong.size === 0) return;
      for (const param of params.values()) param.read();
    },
  };
}

function notFinite(
  { name, shape, dtype }: StoredTensor,
  { index, value }: NotFinite,
): RangeError {
  return new RangeError(
    `Cannot read the checkpoint: tensor ${
      quoted(name)
    } (${dtype} of shape [${shape}]) must hold finite numbers: element ${index} is ${value}; download it again, or export it again from training`,
  );
}
