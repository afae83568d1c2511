/**
 * Pointwise and per-row ops: activation functions, channel scale, Hadamard transform.
 * @module
 */
import { rotate, unrotate } from "../../tensor/rotation.ts";
import { ACTIVATION_NAMES, ACTIVATIONS } from "../activation.ts";
import * as f from "../field.ts";
import { inputsHave, op, parameter } from "../op.ts";

/** The op `activation`; `about` defines it. */
export const activation = op({
  op: "activation",
  about: "fn(x), or fn(gate) ⊙ x with a gate.",
  fields: {
    fn: f.choice(ACTIVATION_NAMES)(
      "gelu_tanh: GELU's tanh approximation; quick_gelu: x·σ(1.702·x)",
    ),
    x: f.value("[rows, width]"),
    gate: f.optional(f.value("[rows, width]")),
    width: f.size("channels"),
  },
  rowwise: true,
  check: inputsHave,
  run({ fn: name, x, gate }, r) {
    const fn = ACTIVATIONS[name], v = r.value(x);
    const g = gate === undefined ? undefined : r.value(gate);
    const y = r.executor.zeros(v.length);
    if (g) { for (let i = 0; i < v.length; i++) y[i] = fn(g[i]) * v[i]; }
    else for (let i = 0; i < v.length; i++) y[i] = fn(v[i]);
    return y;
  },
});

/** The op `channel_scale`; `about` defines it. */
export const channel_scale = op({
  op: "channel_scale",
  about: "x ⊙ weight: a learned factor per channel (LayerScale).",
  fields: {
    x: f.value("[rows, width]"),
    weight: f.tensor("[width]"),
    width: f.size("channels"),
  },
  rowwise: true,
  tensors: ({ weight, width }) => parameter(weight, width),
  check: inputsHave,
  run({ x, weight, width }, { executor, param, value }) {
    const v = value(x), factor = param(weight), y = executor.zeros(v.length);
    for (let i = 0; i < v.length; i++) y[i] = v[i] * factor[i % width];
    return y;
  },
});

/** The op `hadamard`; `about` defines it. */
export const hadamard = op({
  op: "hadamard",
  about:
    "A randomised block Hadamard transform of each row at run time (an online rotation).",
  fields: {
    x: f.value("[rows, rotation.n]"),
    rotation: f.rotation(
      "signs from the seed, then the transform of each block",
    ),
    inverse: f.optional(f.flag("its transpose instead")),
  },
  rowwise: true,
  width: ({ rotation }) => rotation.n,
  check({ rotation }, { widths, expect }) {
    expect(rotation.n, widths[0], "the width of its input");
  },
  run({ x, rotation, inverse }, { value }) {
    const y = value(x).slice();
    (inverse ? unrotate : rotate)(y, rotation);
    return y;
  },
});
