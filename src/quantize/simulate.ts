/**
 * Runs a quantized model in the interpreter (fake quantization): dequantized weights,
 * and every site rounded with its static scale. The result equals the kernels' up to
 * float32 rounding. Tests and the ablation use it; the runtime does not.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { load, type Loaded } from "../graph/run.ts";
import { channel0Weight, headScale, siteScale } from "../graph/names.ts";
import { dequantize } from "./gptq.ts";
import { channelsIn, splitsChannel0 } from "../graph/node.ts";
import { quantizeInt8 } from "../tensor/round.ts";
import type { Quantized } from "./quantize.ts";

/** The quantized model loaded for an executor, and the hooks that round its activations. */
export function simulate(
  quantized: Quantized,
  executor: Executor,
): { loaded: Loaded; hooks: Hooks } {
  const { model, weights, vectors, prefix } = quantized;
  const base = load(model, executor), tables = new Map<string, Floats>();
  const integer = (name: string): Floats | undefined => {
    const w = weights.get(name);
    if (!w) return undefined;
    if (!tables.has(name)) {
      const values = dequantize(w, executor.zeros(w.n * w.k));
      const node = model.nodes.find((n) =>
        n.op === "linear" && n.weight === name
      );
      if (node?.op === "linear" && node.floatChannel0) {
        const column = vectors.get(channel0Weight(node))!;
        for (let r = 0; r < node.n; r++) values[r * node.k] = column[r];
      }
      tables.set(name, values);
    }
    return tables.get(name);
  };
  const hooks: Hooks = {
    input(node, x, modality) {
      const scales = vectors.get(siteScale(node))!, width = channelsIn(node);
      const split = splitsChannel0(node);
      const q = executor.zeros(x.length);
      for (let i = 0; i < x.length; i++) {
        const s = scales[
          node.phase === "vision" ? 0 : modality[Math.floor(i / width)]
        ];
        q[i] = split && i % width === 0 ? x[i] : quantizeInt8(x[i], s) * s;
      }
      return q;
    },
    heads(node, part, x) {
      const scales = vectors.get(headScale(node, part))!;
      const q = executor.zeros(x.length);
      for (let i = 0; i < x.length; i++) {
        const s = scales[Math.floor(i / node.headDim) % scales.length];
        q[i] = quantizeInt8(x[i], s) * s;
      }
      return q;
    },
  };
  return {
    loaded: {
      ...base,
      param: (name) => integer(name) ?? base.param(name),
      ...(prefix ? { prefix } : {}),
    },
    hooks,
  };
}
