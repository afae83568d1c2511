/**
 * Folds a learned gain between a linear and its residual addition (LayerScale,
 * Touvron et al. 2021) into the linear: W ← diag(λ)·W, b ← λ ⊙ b (MQuant §1).
 * @module
 */
import { consumersOf, index } from "../graph/node.ts";
import { edit, isTied, param, type Pass, pass, replace } from "./pass.ts";

/** Folds every gain between a linear and residual additions into the linear. */
export const foldGains: Pass = pass("fold-gains", (draft) => {
  const { nodes } = draft.model, byId = index(nodes);
  for (const gain of nodes) {
    if (gain.op !== "channel_scale") continue;
    const linear = byId(gain.x), users = consumersOf(nodes, gain.id);
    if (
      linear.op !== "linear" || isTied(draft, linear) ||
      consumersOf(nodes, linear.id).length !== 1 ||
      users.some((u) => u.op !== "residual_add")
    ) continue;
    const factor = param(draft, gain.weight);
    edit(draft, linear.weight, (w) => {
      const g = factor.read();
      for (let i = 0; i < w.length; i++) w[i] *= g[Math.floor(i / linear.k)];
      return w;
    });
    if (linear.bias !== undefined) {
      edit(draft, linear.bias, (b) => {
        const g = factor.read();
        return b.map((v, i) => v * g[i]);
      });
    }
    draft.nodes = draft.nodes.filter((n) => n.id !== gain.id);
    for (const user of users) {
      if (user.op === "residual_add") replace(draft, { ...user, x: linear.id });
    }
  }
});
