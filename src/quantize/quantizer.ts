/**
 * The interpreter's hooks during quantization: fix the static scales of a site
 * when its rows are computed, quantize a weight when its linear is reached. What
 * the findings already hold is not computed again.
 * @module
 */
import type { Floats } from "../graph/executor.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import type { Loaded } from "../graph/run.ts";
import { channel0Weight, headScale, siteScale } from "../graph/names.ts";
import {
  type AttentionNode,
  channelsIn,
  type DepthwiseConv2dNode,
  type LinearNode,
  type SiteNode,
  splitsChannel0,
} from "../graph/node.ts";
import type { Phase } from "../graph/phase.ts";
import { quantizeInt8 } from "../tensor/round.ts";
import {
  asymmetricTarget,
  type TargetCorrection,
  targetCorrection,
} from "./gptaq.ts";
import { bitsOf, FILTER_BITS, headBits } from "./bits.ts";
import { coordinateDescent } from "./coordinate_descent.ts";
import type { Findings, Rounded } from "./findings.ts";
import {
  BLOCK,
  dequantize,
  gptq,
  type IntegerWeight,
  type PreparedHessian,
  prepareHessian,
  roundToNearest,
  rowRoots,
  weighRows,
} from "./gptq.ts";
import { count, type Histogram, histogram, scaleOf } from "./histogram.ts";
import type { Engine, Progress } from "./engine.ts";
import type { Recipe } from "./recipe.ts";

/** Shared state of the linears with one input. */
interface Site {
  readonly name: string;
  readonly hessian: PreparedHessian | undefined;
  readonly correction: TargetCorrection | undefined;
}

/** The hooks of one run over the graph; results go into `found`. */
export class Quantizer {
  #site: Site | undefined;
  readonly #linears: readonly LinearNode[];
  readonly #left: Set<LinearNode>;

  constructor(
    private readonly loaded: Loaded,
    private readonly recipe: Recipe,
    private readonly engine: Engine,
    private readonly progress: (p: Progress) => void,
    private readonly found: Findings,
    private readonly more: ReadonlyMap<string, number>,
  ) {
    const { model } = loaded;
    for (const node of model.nodes) {
      if (node.op !== "embedding") continue;
      found.weight(node.weight, () => {
        const t = model.params.get(node.weight)!;
        const [n, k] = t.shape;
        return roundToNearest(t.read(), n, k, headBits(recipe));
      });
    }
    this.#linears = model.nodes.filter((n) => n.op === "linear");
    this.#left = new Set(
      this.#linears.filter((n) => !found.rounded(n.weight)),
    );
  }

  /** An embedding table that is quantized already, dequantized. */
  table(name: string): Floats | undefined {
    const weight = this.found.rounded(name);
    return weight && this.#rounded(weight);
  }

  /** Share of GPTAQ's correction in a phase; above 0, the second half of its rows are the first half in float. */
  asymmetryOf(phase: Phase): number {
    const { gptq } = this.recipe;
    return gptq && gptq.asymmetry?.[phase] || 0;
  }

  readonly hooks: Hooks = {
    everyRow: true,
    headless: true,
    input: (node, x, modality) =>
      this.#first(node, x, (x) => this.#input(node, x, modality)),
    weight: (node, x, modality) => {
      const weight = this.#weight(node, x, modality);
      return this.asymmetryOf(node.phase) > 0
        ? [weight, this.loaded.param(node.weight)]
        : weight;
    },
    heads: (node, part, x) =>
      this.#first(node, x, (x) => this.#heads(node, part, x)),
  };

  /** x with `change` applied to the quantized rows only. */
  #first(
    { phase }: SiteNode | AttentionNode,
    x: Floats,
    change: (x: Floats) => Floats,
  ): Floats {
    if (this.asymmetryOf(phase) === 0) return change(x);
    const both = x.slice();
    both.set(change(x.subarray(0, x.length / 2)));
    return both;
  }

  #rounded(weight: IntegerWeight): Floats {
    return dequantize(weight, this.engine.zeros(weight.n * weight.k));
  }

  #floats(values: Float64Array): Floats {
    const out = this.engine.zeros(values.length);
    out.set(values);
    return out;
  }

  /** MSQ: fixes the site's scale per modality; returns the quantized and dequantized value. */
  #input(node: SiteNode, x: Floats, modality: Uint8Array): Floats {
    const width = channelsIn(node), rows = x.length / width;
    const skip = splitsChannel0(node) ? 1 : 0;
    const scales = this.found.vector(siteScale(node), () => {
      const seen = [histogram(), histogram()];
      for (let row = 0; row < rows; row++) {
        const h = seen[modality[row]];
        for (let c = skip; c < width; c++) count(h, x[row * width + c]);
      }
      return node.phase === "vision"
        ? [scaleOf(seen[0], this.recipe.scales)]
        : this.#modalityScales(seen);
    });
    const q = this.engine.zeros(x.length);
    for (let row = 0; row < rows; row++) {
      const scale = scales[node.phase === "vision" ? 0 : modality[row]];
      for (let i = row * width; i < (row + 1) * width; i++) {
        q[i] = skip === 1 && i === row * width
          ? x[i]
          : quantizeInt8(x[i], scale) * scale;
      }
    }
    return q;
  }

  #modalityScales([vision, text]: Histogram[]): number[] {
    const { scales, modalities } = this.recipe;
    if (vision.max === 0) vision = text; // behind `last_row` no image row is left
    if (text.max === 0) text = vision; // behind an expert of images
    if (modalities) return [scaleOf(vision, scales), scaleOf(text, scales)];
    const both = {
      counts: vision.counts.map((c, i) => c + text.counts[i]),
      max: Math.max(vision.max, text.max),
    };
    const shared = scaleOf(both, scales);
    return [shared, shared];
  }

  #weight(node: SiteNode, x: Floats, modality: Uint8Array): Floats {
    const weight = this.found.weight(
      node.weight,
      () =>
        node.op === "linear"
          ? this.#round(node, x, modality)
          : this.#roundFilters(node),
    );
    const rounded = this.#rounded(weight);
    if (node.op !== "linear") return rounded;
    if (node.floatChannel0) {
      const column = this.found.vector(channel0Weight(node), () => []);
      for (let r = 0; r < node.n; r++) rounded[r * node.k] = column[r];
    }
    if (this.#left.delete(node)) this.#report(node, weight.sqnr);
    return rounded;
  }

  #round(node: LinearNode, all: Floats, modality: Uint8Array): Rounded {
    const { n, k } = node;
    const share = this.asymmetryOf(node.phase);
    const x = share > 0 ? all.subarray(0, all.length / 2) : all;
    const w = this.loaded.model.params.get(node.weight)!.read();
    const rows = x.length / k;
    let input = x, column: Float32Array | undefined;
    if (node.floatChannel0) {
      const apart = column = new Float32Array(n);
      input = x.slice();
      for (let r = 0; r < n; r++) apart[r] = w[r * k], w[r * k] = 0;
      for (let r = 0; r < rows; r++) input[r * k] = 0;
      this.found.vector(channel0Weight(node), () => apart);
    }
    const { hessian, correction } = this.recipe.gptq && rows > 0
      ? this.#siteOf(node, input, all.subarray(x.length), modality)
      : {};
    const target = correction
      ? asymmetricTarget(w, n, correction, share, this.engine)
      : w;
    const weight = this.#integers(node, target, hessian);
    const wanted = this.#floats(target), rounded = this.#rounded(weight);
    column?.forEach((c, r) => wanted[r * k] = rounded[r * k] = c);
    const sqnr = rows === 0 ? NaN : this.#sqnr(node, x, wanted, rounded);
    return Number.isFinite(sqnr) ? { ...weight, sqnr } : weight;
  }

  /** Filters of a depthwise convolution: 8 bits, one scale per channel. */
  #roundFilters({ weight, width, kernelSize }: DepthwiseConv2dNode): Rounded {
    const w = this.loaded.model.params.get(weight)!.read();
    return roundToNearest(w, width, kernelSize ** 2, FILTER_BITS);
  }

  /** Quantizes w [n, k] by the recipe. */
  #integers(
    node: LinearNode,
    w: Float64Array,
    hessian: PreparedHessian | undefined,
  ): IntegerWeight {
    const { n, k } = node, { engine, recipe: { gptq: options, groups } } = this;
    const bits = this.more.get(node.weight) ??
      bitsOf(this.loaded.model.nodes, node, this.recipe);
    const group = bits === 4 && groups && k % groups === 0 ? groups : 0;
    if (!hessian) return roundToNearest(w, n, k, bits, { group });
    const once = group === 0 && engine.gptq
      ? engine.gptq(w, n, k, bits, hessian)
      : gptq(w, n, k, bits, hessian, engine.matmul, engine.zeros, BLOCK, group);
    const rounds = options && options.descentRounds || 0;
    return hessian.damped
      ? coordinateDescent(w, once, hessian.damped, rounds, engine)
      : once;
  }

  /**
   * The factored Hessian of a site, and GPTAQ's correction; q, k and v share them.
   * @param float the same rows in float; empty without GPTAQ
   */
  #siteOf(
    node: LinearNode,
    x: Floats,
    float: Floats,
    modality: Uint8Array,
  ): Site {
    const name = `${node.x} ${node.modality ?? ""}`;
    if (this.#site?.name === name) return this.#site;
    this.#site = undefined; // a large model has no memory for two
    const { k } = node, { gptq } = this.recipe, options = gptq || {};
    const { zeros } = this.engine;
    const roots = gptq && gptq.rows
      ? rowRoots(x, k, modality, gptq.rows)
      : undefined;
    const weighed = (x: Floats) => roots ? weighRows(x, k, roots, zeros) : x;
    const rows = weighed(x);
    const hessian = prepareHessian(
      this.engine.gram(rows, x.length / k, k),
      k,
      options,
      this.engine,
    );
    if (!hessian || float.length === 0) {
      return this.#site = { name, hessian, correction: undefined };
    }
    const gap = float.slice();
    for (let i = 0; i < gap.length; i++) gap[i] -= x[i];
    if (node.floatChannel0) {
      for (let i = 0; i < gap.length; i += k) {
        gap[i] = 0;
      }
    }
    const correction = targetCorrection(
      weighed(gap),
      rows,
      hessian,
      this.engine,
    );
    return this.#site = { name, hessian, correction };
  }

  #sqnr(node: LinearNode, x: Floats, w: Floats, rounded: Floats): number {
    const rows = Math.min(256, x.length / node.k),
      part = x.subarray(0, rows * node.k);
    const want = this.engine.matmul(part, rows, node.k, w, node.n);
    const got = this.engine.matmul(part, rows, node.k, rounded, node.n);
    let signal = 0, noise = 0;
    for (let i = 0; i < want.length; i++) {
      signal += want[i] ** 2;
      noise += (want[i] - got[i]) ** 2;
    }
    return 10 * Math.log10(signal / noise);
  }

  #report(node: LinearNode, sqnr = Infinity): void {
    this.progress({
      id: node.id,
      done: this.#linears.length - this.#left.size,
      total: this.#linears.length,
      sqnr,
      share: 1 - sizeOfAll(this.#left) / sizeOfAll(this.#linears),
    });
  }

  /** One static scale per head for the inputs of attention. */
  #heads(node: AttentionNode, part: "q" | "k" | "v", x: Floats): Floats {
    const heads = part === "q" ? node.heads : node.kvHeads, d = node.headDim;
    const ahead = part === "q" ? undefined : this.loaded.prefix?.get(node.id);
    const scales = this.found.vector(headScale(node, part), () => {
      const seen = Array.from({ length: heads }, histogram);
      for (let i = 0; i < x.length; i++) {
        count(seen[Math.floor(i / d) % heads], x[i]);
      }
      return seen.map((h) => scaleOf(h, this.recipe.scales));
    });
    const onGrid = (x: Floats) => {
      const q = this.engine.zeros(x.length);
      for (let i = 0; i < x.length; i++) {
        const s = scales[Math.floor(i / d) % heads];
        q[i] = quantizeInt8(x[i], s) * s;
      }
      return q;
    };
    // Attention reads the prefix only after this.
    if (ahead && part !== "q") ahead[part] = onGrid(ahead[part]);
    return onGrid(x);
  }
}

function sizeOfAll(linears: Iterable<LinearNode>): number {
  let size = 0;
  for (const { n, k } of linears) size += n * k;
  return size;
}
