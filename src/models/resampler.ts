/**
 * The resampler of Qwen-VL and MiniCPM-V: cross-attention of learned queries to all
 * patches, then a norm and a projection to the text stream (visual.py and
 * resampler.py of the originals, `Resampler`).
 *
 *   rows ─kv▶ norm ┬─k▶ + W·pos ───▶┐
 *                  └─v▶ ───────────▶ attend ─o▶ norm ─proj▶ image rows
 *              queries (constant) ─▶┘
 *
 * The queries are the same for every image, so their norm, positions and projection
 * are computed at import. Positions are added to keys, W(x + p) = Wx + Wp: the graph
 * adds the constant Wp after the matmul. So the passes need not handle positions.
 * @module
 */
import { pow, sincos } from "../tensor/math.ts";
import { float64 } from "../graph/executor.ts";
import { cached, constant, type Tensor } from "../tensor/tensor.ts";
import type { LearnedEmbeddingNode } from "../graph/node.ts";
import type { Builder } from "./builder.ts";
import { rowsOf, type Source } from "./checkpoint.ts";

/** Sizes of a resampler. */
export interface Resampler {
  /** Channels of the tower. */
  readonly kv: number;
  /** Channels of the text stream. */
  readonly dim: number;
  readonly queries: number;
  readonly heads: number;
  readonly eps: number;
  /** Shape of the table of key positions, if pictures have several shapes. */
  readonly positions?: Pick<LearnedEmbeddingNode, "gridSize" | "interpolation">;
}

/**
 * Adds a resampler to the graph; returns rows of the text stream. Parameters:
 * connector.kv, norm, k, place, query, v, o, post, proj.
 */
export function resampler(g: Builder, x: string, c: Resampler): string {
  const { dim, heads, eps } = c, bias = { bias: true };
  g.residualAdd("patches", g.linear("connector.kv", x, c.kv, dim));
  const seen = g.norm("connector.norm", "patches", dim, "layer", eps);
  g.residualAdd("keys", g.linear("connector.k", seen, dim, dim, bias));
  g.residualAdd(
    "keys",
    g.learnedEmbedding("connector.place", dim, c.positions),
  );
  const gathered = g.attention("connector.attend", {
    q: g.learnedEmbedding("connector.query", dim, { rows: c.queries }),
    k: g.residualRead("connector.keys", "keys", dim),
    v: g.linear("connector.v", seen, dim, dim, bias),
    heads,
    kvHeads: heads,
    headDim: dim / heads,
    mask: "full",
  });
  g.residualAdd("queries", g.linear("connector.o", gathered, dim, dim, bias));
  const post = g.norm("connector.post", "queries", dim, "layer", eps);
  return g.linear("connector.proj", post, dim, dim);
}

/** Tensor names of the originals below the resampler. */
export function resamplerNames(
  at: string,
): (readonly [RegExp, string])[] {
  return [
    [/^connector\.kv\./, `${at}kv_proj.`],
    [/^connector\.norm\./, `${at}ln_kv.`],
    [/^connector\.[kv]\.weight/, `${at}attn.in_proj_weight`],
    [/^connector\.[kv]\.bias/, `${at}attn.in_proj_bias`],
    [/^connector\.o\./, `${at}attn.out_proj.`],
  ];
}

/**
 * Positions of a resampler's keys, and of its queries if they have any: rows
 * [n, dim].
 */
export interface KeyPositions {
  readonly keys: (stored: Tensor | undefined) => Tensor;
  /**
   * Name of the checkpoint's position table, if it has one: that of the
   * queries, from which the keys' table is computed.
   */
  readonly stored?: string;
}

/** Sources of a resampler's parameters; undefined for a single tensor. */
export function resamplerSource(
  param: string,
  at: string,
  { dim, eps }: Resampler,
  { keys, stored }: KeyPositions,
): Source | undefined {
  const [q, k, v] = [0, 1, 2].map((i) => (t: Tensor) =>
    rowsOf(t, i * dim, (i + 1) * dim)
  );
  const weight = `${at}attn.in_proj_weight`, bias = `${at}attn.in_proj_bias`;
  const more = stored === undefined ? [] : [stored];
  switch (param) {
    case "connector.k.weight":
      return { from: [weight], make: k };
    case "connector.k.bias":
      return { from: [bias], make: k };
    case "connector.v.weight":
      return { from: [weight], make: v };
    case "connector.v.bias":
      return { from: [bias], make: v };
    case "connector.place.weight":
      return {
        from: [weight, ...more],
        make: (w, table) => product(keys(table), k(w)),
      };
    case "connector.query.weight":
      return {
        from: [
          `${at}query`,
          `${at}ln_q.weight`,
          `${at}ln_q.bias`,
          weight,
          bias,
          ...more,
        ],
        make: (query, gain, shift, w, b, positions) =>
          product(normalized(query, gain, shift, eps, positions), q(w), q(b)),
      };
  }
  return undefined;
}

/** x·Wᵀ (+ b), computed on demand. */
function product(x: Tensor, w: Tensor, b?: Tensor): Tensor {
  const [rows, k] = x.shape, n = w.shape[0];
  return cached({
    shape: [rows, n],
    read: () =>
      Float64Array.from(
        float64.matmul(x.read(), rows, k, w.read(), n, b?.read()),
      ),
  });
}

/** LayerNorm of the rows plus their positions. */
function normalized(
  x: Tensor,
  gain: Tensor,
  shift: Tensor,
  eps: number,
  positions?: Tensor,
): Tensor {
  const [, width] = x.shape;
  return {
    shape: x.shape,
    read() {
      const y = x.read(), g = gain.read(), s = shift.read();
      const p = positions?.read();
      for (let row = 0; row < y.length; row += width) {
        let mean = 0, square = 0;
        for (let i = 0; i < width; i++) mean += y[row + i] / width;
        for (let i = 0; i < width; i++) square += (y[row + i] - mean) ** 2;
        const r = 1 / Math.sqrt(square / width + eps);
        for (let i = 0; i < width; i++) {
          y[row + i] = (y[row + i] - mean) * r * g[i] + s[i] +
            (p ? p[row + i] : 0);
        }
      }
      return y;
    },
  };
}

/**
 * Sinusoidal 2-D positions with frequencies 10000^(−i/n), columns in the first
 * half of the channels and rows in the second (`get_2d_sincos_pos_embed`), per
 * axis: [2·side, dim], columns, then rows; a patch's position is the sum of
 * two.
 */
export function axisPositions(dim: number, side: number): Tensor {
  const n = dim / 4, half = dim / 2;
  const out = new Float64Array(2 * side * dim);
  for (let i = 0; i < n; i++) {
    const f = pow(10000, -i / n);
    for (let r = 0; r < side; r++) {
      const [sin, cos] = sincos(r * f);
      for (const at of [r * dim, (side + r) * dim + half]) {
        out[at + i] = sin, out[at + n + i] = cos;
      }
    }
  }
  return constant([2 * side, dim], out);
}
