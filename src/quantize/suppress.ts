/**
 * Rotation Magnitude Suppression (MQuant §3.2, Algorithm 2; in the paper "RMS",
 * which is not RMSNorm). After a plain Hadamard, channel 0 of a weight row holds
 * √n·mean(row): where rows have a mean, that column determines every row's 4-bit
 * scale. A linear with `floatChannel0` keeps channel 0 in float, as a rank-1 update:
 * y = Q(x₁..)·Q(W₁..)ᵀ + x₀·W₀ᵀ + b.
 * @module
 */
import { index } from "../graph/node.ts";
import { param, type Pass, pass, replace } from "./pass.ts";

/**
 * Median over rows of |W'₀| / max_{i≥1} |W'ᵢ|: above 1, channel 0 determines the
 * scale of a typical row (the paper's trigger, equation 9).
 * @param w [n, k]
 */
export function channelZeroRatio(
  w: Float64Array,
  n: number,
  k: number,
): number {
  const ratios = new Float64Array(n);
  for (let r = 0; r < n; r++) {
    let max = 0;
    for (let c = 1; c < k; c++) max = Math.max(max, Math.abs(w[r * k + c]));
    ratios[r] = Math.abs(w[r * k]) / (max || 1);
  }
  return ratios.sort()[n >> 1];
}

/** Sets `floatChannel0` on the linears after an online rotation whose `channelZeroRatio` exceeds `trigger`. */
export function suppress({ trigger = 1 } = {}): Pass {
  return pass("suppress", (draft) => {
    const byId = index(draft.model.nodes);
    for (const node of draft.model.nodes) {
      if (node.op !== "linear" || byId(node.x).op !== "hadamard") continue;
      if (
        draft.nodes.some((n) =>
          n.op === "embedding" && n.weight === node.weight
        )
      ) continue;
      const w = param(draft, node.weight).read();
      if (channelZeroRatio(w, node.n, node.k) > trigger) {
        replace(draft, { ...node, floatChannel0: true });
      }
    }
  });
}
