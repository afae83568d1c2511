/**
 * The short causal convolution of LFM2, a token mixer in place of attention.
 * @module
 */
import * as f from "../field.ts";
import { op, parameter } from "../op.ts";

/** A causal convolution of each channel along the tokens. */
export const causal_conv1d = op({
  op: "causal_conv1d",
  about:
    "A causal depthwise convolution along the tokens of a sequence: y[t] = (bias + Σ_i weight[i] ⊙ u[t − kernelSize + 1 + i]) ⊙ outputGate[t], where u = x ⊙ inputGate; absent gates are 1, values before the first token are 0.",
  fields: {
    x: f.value("[rows, width]"),
    inputGate: f.optional(f.value("[rows, width]")),
    outputGate: f.optional(f.value("[rows, width]")),
    width: f.size("channels"),
    kernelSize: f.side("taps: tokens of a sum"),
    weight: f.tensor("[kernelSize, width]"),
    bias: f.optional(f.tensor("[width]")),
  },
  phase: "text",
  tensors: ({ weight, bias, kernelSize, width }) => [
    ...parameter(weight, kernelSize, width),
    ...parameter(bias, width),
  ],
  check({ width }, { info, widths, expect, fail }) {
    for (const w of widths) expect(width, w, "the width of its input");
    if (info.prefix) {
      fail(
        `the model must have no prefix tokens: it has ${info.prefix.length}`,
      );
    }
  },
  run(node, { executor, param, segments, value }) {
    const { id, width, kernelSize: taps } = node;
    const optional = <T>(name: string | undefined, of: (name: string) => T) =>
      name === undefined ? undefined : of(name);
    const x = value(node.x), w = param(node.weight);
    const before = optional(node.inputGate, value);
    const behind = optional(node.outputGate, value);
    const b = optional(node.bias, param);
    const y = executor.zeros(x.length), kept = (taps - 1) * width;
    for (const { start, count, sequence } of segments) {
      const at = start * width, u = executor.zeros(kept + count * width);
      u.set(sequence!.past.get(id) ?? executor.zeros(kept));
      for (let i = 0; i < count * width; i++) {
        u[kept + i] = before ? before[at + i] * x[at + i] : x[at + i];
      }
      sequence!.past.set(id, u.slice(u.length - kept));
      for (let i = 0; i < count * width; i++) {
        let sum = b ? b[i % width] : 0;
        for (let t = 0; t < taps; t++) {
          sum += w[t * width + i % width] * u[t * width + i];
        }
        y[at + i] = behind ? sum * behind[at + i] : sum;
      }
    }
    return y;
  },
});
