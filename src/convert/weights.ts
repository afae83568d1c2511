/**
 * The weights of a checkpoint, with a look at all their numbers before any work:
 * one NaN makes every answer NaN, and calibration would take hours to end in it.
 * @module
 */
import { quoted } from "../format/error.ts";
import { firstNotFinite, type NotFinite } from "../format/finite.ts";
import {
  floatTensor,
  type StoredTensor,
  type TensorFile,
} from "../format/safetensors.ts";
import type { Model } from "../graph/node.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Weights by name. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /**
   * Looks at all numbers of the file.
   * @throws {RangeError} naming the first tensor of `model` that holds NaN or infinity
   */
  check(model: Model): void;
}

/** The weights of a file. */
export function weightsOf(file: TensorFile): Weights {
  const wrong = new Map<string, NotFinite>();
  const guarded = (stored: StoredTensor): Tensor => {
    const tensor = floatTensor(stored), found = () => wrong.get(stored.name);
    const { float32 } = tensor;
    return {
      shape: tensor.shape,
      read() {
        if (found()) throw notFinite(stored, found()!);
        return tensor.read();
      },
      ...float32 && {
        float32() {
          if (found()) throw notFinite(stored, found()!);
          return float32();
        },
      },
    };
  };
  return {
    tensors: new Map(
      [...file.tensors].map(([name, stored]) => [name, guarded(stored)]),
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
