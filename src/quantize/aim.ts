/**
 * GPTQ rounds a weight against inputs that are already quantized, but what its
 * product should come to is float's, with float's inputs (the asymmetric
 * objective of GPTAQ, arXiv 2504.02692). In least squares the two part: with
 * x̂ what arrives and x what float has there,
 *
 *     ‖w·x − v·x̂‖² = ‖(a − v)·x̂‖² + what no v changes,   a = w + w·D·H⁻¹,
 *     D = Σ (x − x̂)ᵀ·x̂,   H = Σ x̂ᵀ·x̂,
 *
 * so that everything behind stays as it is and rounds `a` instead of w.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import { encodeAll, rowsOfEach } from "../graph/generate.ts";
import { type Loaded, newSequence, runText } from "../graph/interpreter.ts";
import type { LinearNode } from "../graph/node.ts";
import type { Spread } from "./gptq.ts";
import type { Sample } from "./quantize.ts";

/** Linears that share an input share this name. */
export const siteOf = (node: LinearNode): string =>
  `${node.x} ${node.rows ?? ""}`;

/** What enters each site in float, all rows of all samples: as much memory as all of that is. */
export function floatInputs(
  loaded: Loaded,
  samples: readonly Sample[],
): Map<string, Floats> {
  const seen = new Map<string, Floats>();
  const hooks = {
    everyRow: true,
    headless: true,
    weight(node: LinearNode, x: Floats) {
      const site = siteOf(node);
      if (!seen.has(site)) seen.set(site, x.slice());
      return undefined;
    },
  };
  const rows = rowsOfEach(
    loaded.model.info,
    samples,
    encodeAll(loaded, samples, hooks),
  );
  const chunks = samples.map((s, i) => ({
    sequence: newSequence(),
    ids: [...s.ids, ...s.answer],
    image: rows[i],
    ...(s.grids ? { grids: s.grids } : {}),
  }));
  runText(loaded, chunks, hooks);
  return seen;
}

/** [m, k] → [k, m]. */
function transposed(
  x: Floats,
  m: number,
  k: number,
  zeros: Executor["zeros"],
): Floats {
  const t = zeros(m * k);
  for (let r = 0; r < m; r++) {
    for (let c = 0; c < k; c++) t[c * m + r] = x[r * k + c];
  }
  return t;
}

/**
 * D·H⁻¹ of a site, [k, k].
 * @param float x, [m, k]
 * @param quantized x̂, [m, k]
 */
export function correction(
  float: Floats,
  quantized: Floats,
  { order, factor }: Spread,
  { matmul, zeros }: Pick<Executor, "matmul" | "zeros">,
): Floats {
  const k = order.length, m = quantized.length / k;
  const gap = zeros(m * k);
  for (let i = 0; i < gap.length; i++) gap[i] = float[i] - quantized[i];
  const d = matmul(
    transposed(gap, m, k, zeros),
    k,
    m,
    transposed(quantized, m, k, zeros),
    k,
  );
  // H⁻¹ = Uᵀ·U in the order of rounding: d·Uᵀ·U.
  const ordered = zeros(k * k);
  for (let r = 0; r < k; r++) {
    for (let c = 0; c < k; c++) ordered[r * k + c] = d[r * k + order[c]];
  }
  const half = matmul(ordered, k, k, factor, k);
  const both = matmul(half, k, k, transposed(factor, k, k, zeros), k);
  const out = zeros(k * k);
  for (let r = 0; r < k; r++) {
    for (let c = 0; c < k; c++) out[r * k + order[c]] = both[r * k + c];
  }
  return out;
}

/** w + share · w·c, [n, k]. */
export function aimed(
  w: Float64Array,
  n: number,
  k: number,
  c: Floats,
  share: number,
  { matmul, zeros }: Pick<Executor, "matmul" | "zeros">,
): Float64Array {
  const float = zeros(n * k);
  float.set(w);
  const change = matmul(float, n, k, transposed(c, k, k, zeros), k);
  const a = w.slice();
  for (let i = 0; i < a.length; i++) a[i] += share * change[i];
  return a;
}
