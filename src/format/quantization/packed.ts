/**
 * Weights of AWQ and GPTQ: whole numbers of a few bits, several to an int32, with
 * a scale and a zero point for each group of inputs and each output:
 *
 *   weight[n][k] = (q[k][n] − zero[group(k)][n]) · scale[group(k)][n]
 *
 * Sources: AutoAWQ, awq/modules/linear/gemm.py; AutoGPTQ,
 * auto_gptq/nn_modules/qlinear/qlinear_cuda.py.
 * @module
 */
import { sizeOf, type Tensor } from "../../tensor/tensor.ts";
import { quoted } from "../error.ts";
import type { StoredTensor } from "../safetensors.ts";
import type { Scheme } from "./scheme.ts";

/** Stored tensors of one linear, below its name. */
export interface PackedParts {
  readonly qweight: StoredTensor;
  readonly qzeros: StoredTensor;
  readonly scales: StoredTensor;
  /** Group of each input, if they are not in order (desc_act). */
  readonly g_idx?: StoredTensor | undefined;
}

/** Column of eight that each nibble of AWQ's words holds, lowest first. */
const AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7];

/** The weight of a linear whose name is `name`: [outputs, inputs]. Products are exact in float64. */
export function unpacked(
  name: string,
  parts: PackedParts,
  scheme: Extract<Scheme, { kind: "awq" | "gptq" }>,
): Tensor {
  const awq = scheme.kind === "awq", bits = awq ? 4 : scheme.bits;
  const perWord = 32 / bits, [first, second = 0] = parts.qweight.shape;
  const inputs = awq ? first : first * perWord;
  const outputs = awq ? second * perWord : second;
  const size = Math.min(scheme.groupSize, inputs);
  const groups = Math.ceil(inputs / size), words = outputs / perWord;
  const at = { name, inputs, outputs };
  expect(at, parts.qweight, ["I32"], awq ? [inputs, words] : [first, outputs]);
  expect(at, parts.qzeros, ["I32"], [groups, words]);
  expect(at, parts.scales, ["F16", "BF16", "F32"], [groups, outputs]);
  if (parts.g_idx) expect(at, parts.g_idx, ["I32"], [inputs]);

  const order = awq ? AWQ_ORDER : Array.from({ length: perWord }, (_, i) => i);
  /** Shift of each column within its word. */
  const shift = order.map((_, column) => bits * order.indexOf(column));
  const mask = 2 ** bits - 1, offset = awq ? 0 : scheme.zeroOffset;

  const read = () => {
    const q = numbers(parts.qweight), scales = numbers(parts.scales);
    const zeros = numbers(parts.qzeros);
    const groupOf = parts.g_idx
      ? groupsOf(name, numbers(parts.g_idx), groups)
      : (k: number) => Math.floor(k / size);
    const out = new Float64Array(outputs * inputs);
    for (let k = 0; k < inputs; k++) {
      const group = groupOf(k);
      const row = awq ? k * words : Math.floor(k / perWord) * outputs;
      for (let n = 0; n < outputs; n++) {
        const word = Math.floor(n / perWord), turn = shift[n % perWord];
        const stored = awq
          ? q[row + word] >>> turn
          : q[row + n] >>> bits * (k % perWord);
        const zero = (zeros[group * words + word] >>> turn) + offset & mask;
        out[n * inputs + k] = ((stored & mask) - zero) *
          scales[group * outputs + n];
      }
    }
    return out;
  };
  return { shape: [outputs, inputs], read };
}

/** Groups as a g_idx lists them. */
function groupsOf(
  name: string,
  list: ArrayLike<number>,
  groups: number,
): (k: number) => number {
  for (let k = 0; k < list.length; k++) {
    if (list[k] >= 0 && list[k] < groups) continue;
    throw new RangeError(
      `Cannot read the checkpoint: ${
        quoted(`${name}.g_idx`)
      } must hold groups from 0 to ${groups - 1}: element ${k} is ${list[k]}`,
    );
  }
  return (k) => list[k];
}

function expect(
  { name, inputs, outputs }: {
    readonly name: string;
    readonly inputs: number;
    readonly outputs: number;
  },
  stored: StoredTensor,
  dtypes: readonly string[],
  shape: readonly number[],
): void {
  const fits = dtypes.includes(stored.dtype) && sizeOf(shape) > 0 &&
    stored.shape.join() === shape.join();
  if (fits) return;
  throw new RangeError(
    `Cannot read the checkpoint: tensor ${quoted(stored.name)} must be ${
      dtypes.join(" or ")
    } of shape [${shape}], for ${
      quoted(name)
    } with ${inputs} inputs and ${outputs} outputs: it is ${stored.dtype} of shape [${stored.shape}]`,
  );
}

/** Elements of a tensor that is not I64 (checked by `expect`). */
function numbers(stored: StoredTensor): ArrayLike<number> {
  return stored.read() as Exclude<
    ReturnType<StoredTensor["read"]>,
    BigInt64Array
  >;
}
