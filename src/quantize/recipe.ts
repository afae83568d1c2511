/**
 * The recipes: the passes in order, which keep the function (tests/invariance),
 * then how weights are rounded.
 * @module
 */
import { centerWriters } from "./center_writers.ts";
import { foldGains } from "./fold_gains.ts";
import { foldNorms } from "./fold_norms.ts";
import type { Phase } from "../graph/phase.ts";
import type { RowWeights } from "./gptq.ts";
import type { ScaleRule } from "./histogram.ts";
import type { Mixed } from "./mixed.ts";
import type { Pass } from "./pass.ts";
import { rotateOnline, rotateStreams, rotateValues } from "./rotate.ts";
import { suppress } from "./suppress.ts";
import { padFfn } from "./pad_ffn.ts";

/** How many bits the weights of each part get; activations are always int8. */
export interface Bits {
  readonly vision: number;
  readonly connector: number;
  readonly text: number;
  /** Of the head and the embedding table, which are often one; default 8. */
  readonly head?: number;
  /** Of a vision tower with convolutions, whose layers are narrow: 4 bits cost 12 dB there (docs/results.md); default 8. */
  readonly convolutions?: number;
}

/** A recipe: all parameters of quantization. They are stored in the model file. */
export interface Recipe {
  readonly name: string;
  /** Rewrites that keep the function, in order. */
  readonly passes: readonly Pass[];
  readonly bits: Bits;
  /** GPTQ, or plain rounding where false. */
  readonly gptq: false | {
    readonly actOrder: boolean;
    readonly damping: number;
    /** Rounds of coordinate descent after GPTQ (coordinate_descent.ts); none where absent. */
    readonly descentRounds?: number;
    /** Share of GPTAQ's correction in each phase, 0 to 1 (gptaq.ts); none where absent. */
    readonly asymmetry?: Partial<Readonly<Record<Phase, number>>>;
    /** Weights of calibration rows in the Hessian; equal where absent. */
    readonly rows?: RowWeights;
  };
  /** How activation scales follow from calibration. */
  readonly scales: ScaleRule;
  /** Separate scales for image rows and text rows (MSQ); false shares one. */
  readonly modalities: boolean;
  /** Prefix (attention-sink) tokens before every sequence: how many to search for at most, or their ids; none where absent. */
  readonly prefix?: number | readonly number[];
  /** Columns of a 4-bit weight that share an integer scale (two-level scales); one scale per row where absent. */
  readonly groups?: number;
  /** More bits for the most sensitive weights; none where absent. */
  readonly mixed?: Mixed;
}

const SEED = 42;

/** MQuant in order: §4 center and fold, §5 rotate, §6 suppress, §2 calibrate per modality, §7 GPTQ. */
const MQUANT: Omit<Recipe, "name" | "bits"> = {
  passes: [
    foldGains, //             LayerScale folded into the writers
    centerWriters, //         LayerNorm → RMSNorm: writers without a mean,
    foldNorms, //                                  gains folded into the readers
    rotateStreams(SEED), //   Hadamard through every residual stream
    rotateValues(SEED), //    and per head between v and o
    padFfn(), //              pad hidden layers that have only short blocks
    rotateOnline(SEED), //    and online before the down projections
    suppress({ trigger: 1 }), // channel 0 stays float where it is still an outlier
  ],
  modalities: true, //        one static scale per site and modality
  scales: "mse",
  gptq: { actOrder: true, damping: 0.01 },
};

/** Every row has the same weight in a Hessian, an image row a fifth of a text row. */
const EVEN = { image: 0.2, even: true } as const;

/** GPTQ, then two rounds of coordinate descent. */
const DESCENT = { actOrder: true, damping: 0.01, descentRounds: 2 } as const;

/** Half of GPTAQ's correction. */
const HALF = { vision: 0.5, text: 0.5 } as const;

const W4A8: Recipe = {
  ...MQUANT,
  name: "w4a8",
  bits: { vision: 4, connector: 4, text: 4 },
};

/** As large and as fast as w4a8; several times less error on a small pretrained decoder (docs/results.md). */
const FINE: Recipe = { ...W4A8, name: "w4a8-fine", prefix: 4, gptq: DESCENT };

/** Recipes by name. */
export const RECIPES: Readonly<Record<string, Recipe>> = {
  "w4a8": W4A8,
  "w8a8-w4a8": {
    ...MQUANT,
    name: "w8a8-w4a8",
    bits: { vision: 8, connector: 8, text: 4 },
  },
  "w8a8": {
    ...MQUANT,
    name: "w8a8",
    bits: { vision: 8, connector: 8, text: 8 },
  },
  "w4a8-fine": FINE,
  // The least error with 4 bits; quantizing takes twice as long.
  "w4a8-g64": {
    ...FINE,
    name: "w4a8-g64",
    groups: 64,
    gptq: { ...DESCENT, rows: EVEN, asymmetry: HALF },
  },
  // The most sensitive quarter of the weights in 8 bits; the file is a fifth larger.
  "w4a8-mixed": {
    ...FINE,
    name: "w4a8-mixed",
    mixed: { bits: 8, budget: 5 },
  },
};

/** The baseline: rounding to nearest, one min-max range per site. */
const PLAIN: Recipe = {
  name: "rtn",
  passes: [foldGains, centerWriters, foldNorms],
  bits: { vision: 4, connector: 4, text: 4 },
  gptq: false,
  scales: "minmax",
  modalities: false,
};
const ROTATED = [
  foldGains,
  centerWriters,
  foldNorms,
  rotateStreams(SEED),
  rotateValues(SEED),
  rotateOnline(SEED, { signs: false }),
];

/** The ablation of docs/results.md: each step adds one idea up to `w4a8`; the recipes after it change one thing. */
export const ABLATION: readonly Recipe[] = [
  PLAIN,
  { ...PLAIN, name: "+rotation", passes: ROTATED },
  { ...PLAIN, name: "+msq", passes: ROTATED, modalities: true },
  {
    ...PLAIN,
    name: "+suppression",
    passes: [...ROTATED, suppress({ trigger: 1 })],
    modalities: true,
  },
  {
    ...PLAIN,
    name: "+gptq",
    passes: [...ROTATED, suppress({ trigger: 1 })],
    modalities: true,
    gptq: { actOrder: true, damping: 0.01 },
  },
  RECIPES.w4a8,
  { ...RECIPES.w4a8, name: "=minmax", scales: "minmax" },
  { ...RECIPES.w4a8, name: "=share", scales: { share: 0.9999 } },
  {
    ...RECIPES.w4a8,
    name: "=weighted",
    gptq: { actOrder: true, damping: 0.01, rows: EVEN },
  },
  { ...RECIPES.w4a8, name: "=descent", gptq: DESCENT },
  { ...RECIPES.w4a8, name: "=prefix", prefix: 4 },
  RECIPES["w4a8-fine"],
  { ...RECIPES["w4a8-fine"], name: "=fine minmax", scales: "minmax" },
  { ...FINE, name: "=fine weighted", gptq: { ...DESCENT, rows: EVEN } },
  { ...FINE, name: "=fine asymmetric", gptq: { ...DESCENT, asymmetry: HALF } },
  {
    ...FINE,
    name: "=fine weighted asymmetric",
    gptq: { ...DESCENT, rows: EVEN, asymmetry: HALF },
  },
  { ...RECIPES.w4a8, name: "=mixed", mixed: { bits: 8, budget: 5 } },
  RECIPES["w4a8-mixed"],
  { ...RECIPES["w4a8-mixed"], name: "=mixed groups", groups: 64 },
  { ...RECIPES.w4a8, name: "=groups", groups: 64 },
  { ...RECIPES.w4a8, name: "=groups32", groups: 32 },
  { ...FINE, name: "=fine groups", groups: 64 },
  {
    ...FINE,
    name: "=fine groups asymmetric",
    groups: 64,
    gptq: { ...DESCENT, asymmetry: HALF },
  },
  RECIPES["w4a8-g64"],
  { ...RECIPES["w4a8-g64"], name: "=g32", groups: 32 },
  { ...RECIPES["w8a8-w4a8"], name: "=vision8" },
  { ...RECIPES.w8a8, name: "=w8a8" },
  { ...RECIPES.w8a8, name: "=w8a8 prefix", prefix: 4 },
];
