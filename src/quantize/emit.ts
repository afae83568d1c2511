/**
 * The quantized model as the content of one file (docs/format.md): the tensors
 * that its graph demands, and everything a reader needs in metadata.
 * @module
 */
import type { ModelContent } from "../format/write_model.ts";
import { tensorsOf, type TensorSpec } from "../graph/tensors.ts";
import { quantizeInt8 } from "../tensor/round.ts";
import type { IntegerWeight } from "./gptq.ts";
import type { Quantized } from "./quantize.ts";

/** Two 4-bit values per byte, element 2j in the low nibble; other widths one byte each. */
export function storedValues({ bits, values }: IntegerWeight): Uint8Array {
  if (bits > 4) {
    return new Uint8Array(values.buffer, values.byteOffset, values.length);
  }
  const out = new Uint8Array(values.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = (values[2 * i] & 15) | ((values[2 * i + 1] & 15) << 4);
  }
  return out;
}

/** The entry of `map`, which must exist because the graph names it. */
function found<T>(map: ReadonlyMap<string, T> | undefined, name: string): T {
  const value = map?.get(name);
  if (value !== undefined) return value;
  throw new RangeError(`Cannot write the model: "${name}" was not quantized`);
}

/** Elements of a tensor of the file. */
function dataOf(
  { model, weights, vectors, prefix }: Quantized,
  name: string,
  { use, shape }: TensorSpec,
): ArrayBufferView {
  switch (use.kind) {
    case "weight":
      return storedValues(found(weights, name));
    case "weightScale":
      return found(weights, use.weight).scale;
    case "groupScale":
      return found(weights, use.weight).groupScale!;
    case "static":
      return found(vectors, name);
    case "parameter":
      return Float32Array.from(found(model.params, name).read());
    case "prefix": {
      const scales = found(vectors, use.scale),
        headDim = shape[1] / scales.length;
      return Int8Array.from(
        found(prefix, use.node)[use.part],
        (x, i) => quantizeInt8(x, scales[Math.floor(i % shape[1] / headDim)]),
      );
    }
  }
}

/** Some number of each weight that has one, by name. */
function numbers(
  weights: Quantized["weights"],
  of: (weight: IntegerWeight) => number | undefined,
): Map<string, number> {
  return new Map(
    [...weights].flatMap(([name, weight]) => {
      const number = of(weight);
      return number === undefined ? [] : [[name, number]];
    }),
  );
}

/**
 * Content of the model file.
 * @param assets files the runtime needs, by name: tokenizer.json, chat_template.jinja, …
 * @param metadata what else to record: source, calibration, tool
 */
export function emit(
  quantized: Quantized,
  assets: Readonly<Record<string, Uint8Array>>,
  metadata: Readonly<Record<string, string>> = {},
): ModelContent {
  const { model: { info, nodes }, recipe, weights } = quantized;
  const bits = numbers(weights, (w) => w.bits);
  const groups = numbers(weights, (w) => w.groupScale && w.group);
  const json = (map: ReadonlyMap<string, number>) =>
    JSON.stringify(Object.fromEntries(map));
  return {
    metadata: {
      architecture: info.architecture,
      info: JSON.stringify(info),
      graph: JSON.stringify(nodes),
      bits: json(bits),
      ...(groups.size > 0 ? { groups: json(groups) } : {}),
      recipe: JSON.stringify({
        ...recipe,
        passes: recipe.passes.map((p) => p.name),
      }),
      ...metadata,
    },
    tensors: [...tensorsOf(nodes, info, bits, groups)].map(([name, spec]) => ({
      name,
      dtype: spec.dtype,
      shape: spec.shape,
      data: () => dataOf(quantized, name, spec),
    })),
    assets,
  };
}
