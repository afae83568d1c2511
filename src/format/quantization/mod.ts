/**
 * The tensors of a checkpoint as floats; quantized weights are dequantized.
 * @module
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { quoted } from "../error.ts";
import { floatTensor, type StoredTensor } from "../safetensors.ts";
import { scaledFloats } from "./fp8.ts";
import { type PackedParts, unpacked } from "./packed.ts";
import type { Scheme } from "./scheme.ts";

/** A float tensor and the stored tensors it comes from. */
export interface Decoded {
  readonly tensor: Tensor;
  readonly parts: readonly StoredTensor[];
}

/**
 * Names of activation and cache scales, which are not used: calibration
 * computes its own.
 */
const ACTIVATION_SCALE =
  /\.(input_scale|output_scale|activation_scale|[kvq]_scale|input_scale_ub)$/;

/**
 * Float tensors by name. A quantized weight has the name of its float weight.
 * @throws {RangeError} naming a tensor that is missing or has not the shape of
 * its scheme
 */
export function decodedTensors(
  stored: ReadonlyMap<string, StoredTensor>,
  scheme: Scheme | undefined,
): Map<string, Decoded> {
  const decoded = new Map<string, Decoded>(), done = new Set<string>();
  const add = (
    name: string,
    tensor: Tensor,
    ...parts: (StoredTensor | undefined)[]
  ) => {
    const given = parts.filter((p) => p !== undefined);
    decoded.set(name, { tensor, parts: given });
    for (const part of given) done.add(part.name);
  };
  const find = (name: string): StoredTensor => {
    const found = stored.get(name);
    if (found) return found;
    throw new RangeError(
      `Cannot read the checkpoint: tensor ${
        quoted(name)
      } is missing, which its quantized weights need`,
    );
  };
  for (const [name, tensor] of stored) {
    const base = name.slice(0, name.lastIndexOf("."));
    if (scheme?.kind === "fp8") {
      if (tensor.dtype !== "F8_E4M3") continue;
      const scale = stored.get(`${base}.weight_scale_inv`) ??
        find(`${base}.weight_scale`);
      const floats = scaledFloats(tensor, scale, scheme.block);
      add(name, floats, tensor, scale);
    } else if (scheme && name.endsWith(".qweight")) {
      const parts: PackedParts = {
        qweight: tensor,
        qzeros: find(`${base}.qzeros`),
        scales: find(`${base}.scales`),
        g_idx: scheme.kind === "gptq" ? stored.get(`${base}.g_idx`) : undefined,
      };
      const floats = unpacked(base, parts, scheme);
      add(`${base}.weight`, floats, ...Object.values(parts));
    }
  }
  for (const [name, tensor] of stored) {
    const unused = scheme?.kind === "fp8" && ACTIVATION_SCALE.test(name);
    if (!done.has(name) && !unused) add(name, floatTensor(tensor), tensor);
  }
  return decoded;
}

/** Names of the tensors of `decodedTensors`, from the stored names. */
export function decodedNames(
  stored: Iterable<string>,
  scheme: Scheme | undefined,
): string[] {
  const names = [...stored];
  if (!scheme) return names;
  if (scheme.kind === "fp8") {
    return names.filter((name) =>
      !ACTIVATION_SCALE.test(name) && !/\.weight_scale(_inv)?$/.test(name)
    );
  }
  const packed = new Set(
    names.filter((name) => name.endsWith(".qweight"))
      .map((name) => name.slice(0, -".qweight".length)),
  );
  return names.flatMap((name) => {
    const at = name.lastIndexOf("."), part = name.slice(at + 1);
    if (!packed.has(name.slice(0, at))) return [name];
    if (part === "qweight") return [`${name.slice(0, at)}.weight`];
    return ["qzeros", "scales", "g_idx"].includes(part) ? [] : [name];
  });
}
