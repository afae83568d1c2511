/**
 * From a float model to integers, in one walk over the graph with all samples
 * side by side: at each site the static scale is fixed from what arrives there,
 * at each linear the weight is rounded against inputs that are already
 * quantized, and the walk goes on with the rounded ones. Calibration (MSQ) and
 * GPTQ are thus two hooks of the interpreter, and no layer is described twice.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import { encodeAll, type Prompt, rowsOfEach } from "../graph/generate.ts";
import {
  type Hooks,
  load,
  newSequence,
  type Prefix,
  runText,
} from "../graph/interpreter.ts";
import type { AttendNode, LinearNode, Model } from "../graph/node.ts";
import { headScale, siteScale, splitWeight } from "../graph/names.ts";
import {
  dequantize,
  gptq,
  type IntegerWeight,
  prepareSpread,
  roundToNearest,
  type Spread,
  weighRows,
} from "./gptq.ts";
import { memoryRecords, type Records } from "../format/records.ts";
import { code } from "../tensor/round.ts";
import { aimed, correction, floatInputs, siteOf } from "./aim.ts";
import { bitsOf, headBits } from "./bits.ts";
import { descend } from "./descend.ts";
import { type Findings, findings, type Rounded } from "./findings.ts";
import { chooseBits, sensitivities } from "./mixed.ts";
import { findPrefix, withPrefix } from "./prefix.ts";
import { count, type Histogram, histogram, scaleOf } from "./histogram.ts";
import type { Recipe } from "./recipe.ts";

/** The float engine the quantizer needs: products, and what GPTQ takes most time for. */
export interface Engine extends Executor {
  /** Σ over rows of xᵀx, [k, k]. */
  gram(x: Floats, m: number, k: number): Floats;
  /** As in tensor/linalg.ts, which is asked where an engine has none. */
  inverseUpperFactor?(a: Floats, n: number): Floats;
  /** As in gptq.ts, which is asked where an engine has none. */
  gptq?(
    w: Float64Array,
    n: number,
    k: number,
    bits: number,
    spread: Spread,
  ): IntegerWeight;
}

/** One calibration sample: a prompt with its images, and the answer to learn scales from. */
export interface Sample extends Prompt {
  /** Token ids of the answer, stop token included where it has one. */
  readonly answer: readonly number[];
}

/** A model in integers: the transformed graph, its codes, and every static scale. */
export interface Quantized {
  readonly model: Model;
  readonly recipe: Recipe;
  /** Integer weights by parameter name. */
  readonly weights: ReadonlyMap<string, IntegerWeight>;
  /** Static scales and split columns by tensor name (src/graph/names.ts). */
  readonly vectors: ReadonlyMap<string, Float32Array>;
  /** Keys and values of the tokens in front, on the grid of their head scales; absent where there are none. */
  readonly prefix?: Prefix;
}

/** What is reported while quantizing. */
export interface Progress {
  /** Linear just done. */
  readonly id: string;
  readonly done: number;
  readonly total: number;
  /** Share of the output's energy that its rounding loses on the samples, in dB (SQNR). */
  readonly sqnr: number;
  /** Share of all weights that is done, 0 to 1. */
  readonly share: number;
}

/**
 * Quantizes a model. What `records` hold is not worked out again: a walk that
 * was cut short repeats its products, the same on every walk, and goes on.
 * @param model as the checkpoint describes it; the recipe's passes are applied here
 * @param records keep scales and codes as they come; default: in memory
 * @throws {RangeError} where there is no sample
 */
export function quantize(
  model: Model,
  samples: readonly Sample[],
  recipe: Recipe,
  engine: Engine,
  progress: (p: Progress) => void = () => {},
  records: Records = memoryRecords(),
): Quantized {
  if (samples.length === 0) {
    throw new RangeError(
      "Cannot quantize: calibration needs at least one sample",
    );
  }
  const found = findings(records);
  const passed = recipe.passes.reduce((m, pass) => pass.apply(m), model);
  const bare = load(passed, engine);
  const ids = [...found.vector(
    "prefix",
    () => findPrefix(bare, samples, recipe.prefix ?? []),
  )];
  const loaded = withPrefix(bare, ids), changed = loaded.model;
  const bits = (node: LinearNode) => bitsOf(changed.nodes, node, recipe);
  const more = recipe.mixed
    ? chooseBits(
      changed,
      found.vector(
        "sensitivities",
        () => sensitivities(loaded, samples[0], bits),
      ),
      recipe.mixed,
      bits,
    )
    : new Map<string, number>();
  const fold = new Fold(
    changed,
    recipe,
    engine,
    progress,
    found,
    loaded.prefix,
    more,
    recipe.gptq && recipe.gptq.aim
      ? floatInputs(loaded, samples)
      : new Map<string, Floats>(),
  );
  const rows = rowsOfEach(
    changed.info,
    samples,
    found.rows("image", () => encodeAll(loaded, samples, fold.hooks)),
  );
  const chunks = samples.map((s, i) => ({
    sequence: newSequence(),
    ids: [...s.ids, ...s.answer],
    image: rows[i],
    ...(s.grids ? { grids: s.grids } : {}),
  }));
  runText(
    {
      ...loaded,
      param: (name) => fold.table(name) ?? loaded.param(name),
    },
    chunks,
    fold.hooks,
  );
  const { prefix } = loaded;
  const all = { model: changed, recipe, ...found.all() };
  return prefix ? { ...all, prefix } : all;
}

/** The hooks of one walk. */
class Fold {
  #spread:
    | { site: string; value: Spread | undefined; correction?: Floats }
    | undefined;
  readonly #linears: readonly LinearNode[];
  readonly #left: Set<LinearNode>;

  constructor(
    private readonly model: Model,
    private readonly recipe: Recipe,
    private readonly engine: Engine,
    private readonly progress: (p: Progress) => void,
    private readonly found: Findings,
    private readonly prefix: Prefix | undefined,
    private readonly more: ReadonlyMap<string, number>,
    private readonly float: ReadonlyMap<string, Floats>,
  ) {
    for (const node of model.nodes) {
      if (node.op !== "embed") continue;
      found.weight(node.param, () => {
        const t = model.params.get(node.param)!;
        const [n, k] = t.shape;
        return roundToNearest(t.read(), n, k, headBits(recipe));
      });
    }
    this.#linears = model.nodes.filter((n) => n.op === "linear");
    this.#left = new Set(
      this.#linears.filter((n) => !found.rounded(n.weight)),
    );
  }

  /** A parameter that is an integer table by now. */
  table(name: string): Floats | undefined {
    const weight = this.found.rounded(name);
    return weight && this.#rounded(weight);
  }

  readonly hooks: Hooks = {
    everyRow: true,
    headless: true,
    input: (node, x, modality) => this.#input(node, x, modality),
    weight: (node, x, modality) => this.#weight(node, x, modality),
    heads: (node, part, x) => this.#heads(node, part, x),
  };

  #rounded(weight: IntegerWeight): Floats {
    return dequantize(weight, this.engine.zeros(weight.n * weight.k));
  }

  #floats(values: Float64Array): Floats {
    const out = this.engine.zeros(values.length);
    out.set(values);
    return out;
  }

  /** MSQ: fixes the site's scale per modality and returns the value on its grid. */
  #input(node: LinearNode, x: Floats, modality: Uint8Array): Floats {
    const width = node.k, skip = node.split ? 1 : 0;
    const scales = this.found.vector(siteScale(node), () => {
      const seen = [histogram(), histogram()];
      for (let row = 0; row < modality.length; row++) {
        const h = seen[modality[row]];
        for (let c = skip; c < width; c++) count(h, x[row * width + c]);
      }
      return node.phase === "vision"
        ? [scaleOf(seen[0], this.recipe.scales)]
        : this.#modalityScales(seen);
    });
    const q = this.engine.zeros(x.length);
    for (let row = 0; row < modality.length; row++) {
      const scale = scales[node.phase === "vision" ? 0 : modality[row]];
      for (let i = row * width; i < (row + 1) * width; i++) {
        q[i] = skip === 1 && i === row * width
          ? x[i]
          : code(x[i], scale) * scale;
      }
    }
    return q;
  }

  #modalityScales([vision, text]: Histogram[]): number[] {
    const { scales, modalities } = this.recipe;
    if (vision.max === 0) vision = text; // after `last` no image row is left
    if (text.max === 0) text = vision; // behind an expert of images
    if (modalities) return [scaleOf(vision, scales), scaleOf(text, scales)];
    const both = {
      counts: vision.counts.map((c, i) => c + text.counts[i]),
      max: Math.max(vision.max, text.max),
    };
    const shared = scaleOf(both, scales);
    return [shared, shared];
  }

  #weight(node: LinearNode, x: Floats, modality: Uint8Array): Floats {
    const weight = this.found.weight(
      node.weight,
      () => this.#round(node, x, modality),
    );
    const rounded = this.#rounded(weight);
    if (node.split) {
      const column = this.found.vector(splitWeight(node), () => []);
      for (let r = 0; r < node.n; r++) rounded[r * node.k] = column[r];
    }
    if (this.#left.delete(node)) this.#report(node, weight.sqnr);
    return rounded;
  }

  #round(node: LinearNode, x: Floats, modality: Uint8Array): Rounded {
    let w = this.model.params.get(node.weight)!.read();
    const rows = x.length / node.k;
    const bits = this.more.get(node.weight) ??
      bitsOf(this.model.nodes, node, this.recipe);
    const original = this.#floats(w);
    let input = x;
    if (node.split) {
      const column = new Float32Array(node.n);
      input = x.slice();
      for (let r = 0; r < node.n; r++) {
        column[r] = w[r * node.k], w[r * node.k] = 0;
      }
      for (let r = 0; r < rows; r++) input[r * node.k] = 0;
      this.found.vector(splitWeight(node), () => column);
    }
    const spread = this.recipe.gptq && rows > 0
      ? this.#spreadOf(node, input, modality)
      : undefined;
    const { n, k } = node, { matmul, zeros } = this.engine;
    if (spread && this.#spread?.correction && this.recipe.gptq) {
      w = aimed(
        w,
        n,
        k,
        this.#spread.correction,
        this.recipe.gptq.aim!,
        this.engine,
      );
    }
    const { groups = 0 } = this.recipe;
    const group = bits === 4 && groups > 0 && k % groups === 0 ? groups : 0;
    const fast = group === 0 ? this.engine.gptq : undefined;
    const once = !spread
      ? roundToNearest(w, n, k, bits, { group })
      : fast?.(w, n, k, bits, spread) ??
        gptq(w, n, k, bits, spread, matmul, zeros, undefined, group);
    const rounds = this.recipe.gptq && this.recipe.gptq.descend || 0;
    const weight = spread?.hessian
      ? descend(w, once, spread.hessian, rounds, this.engine)
      : once;
    const rounded = this.#rounded(weight);
    if (node.split) {
      for (let r = 0; r < node.n; r++) {
        rounded[r * node.k] = original[r * node.k];
      }
    }
    const sqnr = rows === 0 ? NaN : this.#sqnr(node, x, original, rounded);
    return Number.isFinite(sqnr) ? { ...weight, sqnr } : weight;
  }

  /** The factored Hessian of a site; q, k and v share it. */
  #spreadOf(
    node: LinearNode,
    x: Floats,
    modality: Uint8Array,
  ): Spread | undefined {
    const site = siteOf(node);
    if (this.#spread?.site !== site) {
      const { k } = node, { gptq } = this.recipe, options = gptq || {};
      const weights = gptq ? gptq.rows : undefined;
      const rows = weights
        ? weighRows(x, k, modality, weights, this.engine.zeros)
        : x;
      this.#spread = {
        site,
        value: prepareSpread(
          this.engine.gram(rows, x.length / k, k),
          node.k,
          options,
          this.engine,
        ),
      };
      const float = this.float.get(site), { value } = this.#spread;
      if (float && value) {
        if (node.split) {
          for (let i = 0; i < float.length; i += node.k) float[i] = 0;
        }
        this.#spread.correction = correction(float, x, value, this.engine);
      }
    }
    return this.#spread.value;
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

  /** One static scale per head for what enters attention. */
  #heads(node: AttendNode, part: "q" | "k" | "v", x: Floats): Floats {
    const heads = part === "q" ? node.heads : node.kvHeads, d = node.headDim;
    const ahead = part === "q" ? undefined : this.prefix?.get(node.id);
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
        q[i] = code(x[i], s) * s;
      }
      return q;
    };
    // Attention reads what stands in front only after this.
    if (ahead && part !== "q") ahead[part] = onGrid(ahead[part]);
    return onGrid(x);
  }
}

function sizeOfAll(linears: Iterable<LinearNode>): number {
  let size = 0;
  for (const { n, k } of linears) size += n * k;
  return size;
}
