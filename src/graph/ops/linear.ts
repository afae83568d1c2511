/**
 * A linear layer with a quantized input.
 * @module
 */
import { type Floats, gatherRows } from "../executor.ts";
import * as f from "../field.ts";
import { channel0Weight, siteScale } from "../names.ts";
import { fixed, op, type OpNode, parameter } from "../op.ts";
import { MODALITIES } from "../phase.ts";
import { rowsOf, type Runner } from "../runner.ts";
import { type SiteHooks, siteValue, siteWeights } from "./site.ts";

const fields = {
  x: f.value("input, [rows, k]"),
  k: f.size("channels in"),
  n: f.size("channels out"),
  weight: f.tensor("W, [n, k], integers"),
  bias: f.optional(f.tensor("b, [n]")),
  floatChannel0: f.optional(
    f.flag(
      "the product with channel 0 of x is in float (rotation magnitude suppression)",
    ),
  ),
  modality: f.optional(
    f.choice(MODALITIES)(
      "only these rows are computed (visual experts of CogVLM)",
    ),
    { phase: "text" },
  ),
};

type LinearNode = OpNode<"linear", typeof fields>;

/** The op `linear`; `about` defines it. */
export const linear = op({
  op: "linear",
  about:
    "y = x·Wᵀ + b, [rows, n]. Its input is quantized to int8 on a static scale.",
  fields,
  rowwise: true,
  width: ({ n }) => n,
  tensors: (node) => [
    ...fixed(siteScale(node), node.phase === "vision" ? 1 : 2),
    {
      kind: "weight",
      name: node.weight,
      shape: [node.n, node.k],
      grouped: true,
    },
    ...parameter(node.bias, node.n),
    ...node.floatChannel0 ? fixed(channel0Weight(node), node.n) : [],
  ],
  check({ k }, { widths, expect }) {
    expect(widths[0], k, "k");
  },
  run(node, r: Runner<SiteHooks<LinearNode>>) {
    const { k } = node, own = r.modalityOf(node.x);
    // In the vision phase the number of rows changes, and all are image rows.
    const modality = (rows: number, only = own) =>
      node.phase === "vision" || only !== undefined
        ? new Uint8Array(rows).fill(
          only === undefined ? 0 : MODALITIES.indexOf(only),
        )
        : r.modality;
    let x = siteValue(node, k, r, modality);
    if (node.modality !== undefined && own === undefined) {
      x = gatherRows(r.executor, x, k, rowsOf(r.modality, node.modality));
    }
    const rows = modality(x.length / k, node.modality);
    const weights = siteWeights(node, r, x, rows);
    if (r.hooks.headless && node.id === r.head) return undefined;
    return multiply(r, x, node, weights);
  },
});

/** x·Wᵀ + b; of several weights each is used for an equal share of the rows, in order. */
function multiply(
  { executor: { matmul, zeros }, param }: Runner,
  x: Floats,
  { k, n, bias }: LinearNode,
  weights: readonly Floats[],
): Floats {
  if (x.length === 0) return zeros(0); // no rows of this modality in the chunk
  const b = bias === undefined ? undefined : param(bias);
  const m = x.length / k / weights.length;
  if (weights.length === 1) return matmul(x, m, k, weights[0], n, b);
  const y = zeros(m * n * weights.length);
  for (const [i, weight] of weights.entries()) {
    const rows = x.subarray(i * m * k, (i + 1) * m * k);
    y.set(matmul(rows, m, k, weight, n, b), i * m * n);
  }
  return y;
}
