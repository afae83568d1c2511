/**
 * Weights of 8-bit floats with a scale for the tensor, each row, or each block:
 * weight = q · scale. Sources: transformers, integrations/finegrained_fp8.py
 * (`weight_scale_inv`, which multiplies in spite of its name); compressed-tensors,
 * quantization/lifecycle/forward.py (`weight_scale`).
 * @module
 */
import { sizeOf, type Tensor } from "../../tensor/tensor.ts";
import { quoted } from "../error.ts";
import { floatTensor, type StoredTensor } from "../safetensors.ts";

/**
 * The weight in floats. Products are exact in float64.
 * @param block rows and columns that share a scale; undefined where a tensor or a row does
 */
export function scaledFloats(
  weight: StoredTensor,
  scale: StoredTensor,
  block: readonly [number, number] | undefined,
): Tensor {
  const { shape } = weight, [rows, columns] = shape;
  const [high, wide] = block ?? [1, columns];
  const whole = sizeOf(scale.shape) === 1;
  const cells = [Math.ceil(rows / high), Math.ceil(columns / wide)];
  const fits = shape.length === 2 && sizeOf(shape) > 0 &&
    (whole || scale.shape.join() === cells.join() ||
      !block && scale.shape.join() === `${rows}`);
  if (!fits || !["F32", "F16", "BF16"].includes(scale.dtype)) {
    throw new RangeError(
      `Cannot read the checkpoint: tensor ${
        quoted(scale.name)
      } must be floats, one number or of shape [${cells}], for ${
        quoted(weight.name)
      } of shape [${shape}]: it is ${scale.dtype} of shape [${scale.shape}]`,
    );
  }
  const read = () => {
    const q = floatTensor(weight).read(), scales = floatTensor(scale).read();
    for (let r = 0; r < rows; r++) {
      const row = Math.floor(r / high) * cells[1];
      for (let c = 0; c < columns; c++) {
        const at = whole ? 0 : row + Math.floor(c / wide);
        q[r * columns + c] *= scales[at];
      }
    }
    return q;
  };
  return { shape, read };
}
