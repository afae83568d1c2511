/**
 * The quantized model as the content of one file (docs/format.md): tensors in
 * the order in which they are used, and everything a reader needs in metadata.
 * @module
 */
import type { ModelContent } from "../format/write_model.ts";
import {
  channel0Weight,
  groupScale,
  headScale,
  prefixValues,
  siteScale,
  weightScale,
} from "../graph/names.ts";
import type { AttentionNode, Node } from "../graph/node.ts";
import { code } from "../tensor/round.ts";
import type { IntegerWeight } from "./gptq.ts";
import type { Quantized } from "./quantize.ts";

type Entry = ModelContent["tensors"][number];

/** Two 4-bit codes per byte, element 2j in the low nibble; other widths one byte each. */
export function storedCodes({ bits, codes }: IntegerWeight): Uint8Array {
  if (bits > 4) {
    return new Uint8Array(codes.buffer, codes.byteOffset, codes.length);
  }
  const out = new Uint8Array(codes.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = (codes[2 * i] & 15) | ((codes[2 * i + 1] & 15) << 4);
  }
  return out;
}

const bytesOf = (x: Float32Array): Uint8Array =>
  new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

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
  const { model, recipe, weights, vectors, prefix } = quantized;
  const tensors = new Map<string, Entry>();
  const grouped = new Map<string, number>();
  const floats = (
    name: string,
    shape: readonly number[],
    values: () => Float32Array,
  ) => {
    if (!tensors.has(name)) {
      tensors.set(name, {
        name,
        dtype: "F32",
        shape: [...shape],
        data: () => bytesOf(values()),
      });
    }
  };
  const vector = (name: string) => {
    const values = vectors.get(name);
    if (values) floats(name, [values.length], () => values);
  };
  const param = (name: string) => {
    const t = model.params.get(name)!;
    floats(name, t.shape, () => Float32Array.from(t.read()));
  };
  const ahead = (node: AttentionNode) => {
    const rows = prefix?.get(node.id);
    for (const part of ["k", "v"] as const) {
      if (!rows) continue;
      const name = prefixValues(node, part),
        width = node.kvHeads * node.headDim;
      const scales = vectors.get(headScale(node, part))!;
      tensors.set(name, {
        name,
        dtype: "I8",
        shape: [rows[part].length / width, width],
        data: () =>
          Int8Array.from(
            rows[part],
            (x, i) => code(x, scales[Math.floor(i % width / node.headDim)]),
          ),
      });
    }
  };
  const integer = (name: string) => {
    const w = weights.get(name)!;
    if (tensors.has(name)) return;
    const shape = [w.n, w.bits > 4 ? w.k : w.k / 2];
    tensors.set(name, {
      name,
      dtype: w.bits > 4 ? "I8" : "U8",
      shape,
      data: () => storedCodes(w),
    });
    floats(weightScale(name), [w.n], () => w.scale);
    const { group, groupScale: groups } = w;
    if (group && groups) {
      grouped.set(name, group);
      tensors.set(groupScale(name), {
        name: groupScale(name),
        dtype: "U8",
        shape: [w.n, w.k / group],
        data: () => groups,
      });
    }
  };
  for (const node of model.nodes) {
    switch (node.op) {
      case "linear":
        vector(siteScale(node));
        integer(node.weight);
        if (node.bias !== undefined) param(node.bias);
        if (node.floatChannel0) vector(channel0Weight(node));
        break;
      case "embedding":
        integer(node.weight);
        break;
      case "causal_conv1d":
        param(node.weight);
        if (node.bias !== undefined) param(node.bias);
        break;
      case "norm": // those that no linear took in
        if (node.weight !== undefined) param(node.weight);
        if (node.bias !== undefined) param(node.bias);
        break;
      case "learned_embedding":
      case "channel_scale":
      case "qk_norm":
        param(node.weight);
        break;
      case "attention":
        for (const part of ["q", "k", "v"] as const) {
          vector(headScale(node, part));
        }
        ahead(node);
        break;
    }
  }
  const bits = Object.fromEntries(
    [...weights].map(([name, w]) => [name, w.bits]),
  );
  return {
    metadata: {
      architecture: model.info.architecture,
      info: JSON.stringify(model.info),
      graph: JSON.stringify(model.nodes satisfies readonly Node[]),
      bits: JSON.stringify(bits),
      ...(grouped.size > 0
        ? { groups: JSON.stringify(Object.fromEntries(grouped)) }
        : {}),
      recipe: JSON.stringify({
        ...recipe,
        passes: recipe.passes.map((p) => p.name),
      }),
      ...metadata,
    },
    tensors: [...tensors.values()],
    assets,
  };
}
