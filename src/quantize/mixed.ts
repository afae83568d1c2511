/**
 * Which weights get more bits: those whose rounding moves the end of the model
 * most, per weight stored, until a budget is used up. A linear's sensitivity is
 * measured, not guessed: the float model runs once with this one linear rounded,
 * and what enters the head is compared.
 * @module
 */
import type { Floats } from "../graph/executor.ts";
import { encodeImages } from "../graph/generate.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";
import { type LinearNode, logitsOf, type Model } from "../graph/node.ts";
import { dequantize, roundToNearest } from "./gptq.ts";
import type { Sample } from "./engine.ts";

/** Tokens of the one sample that sensitivities are measured on, images aside. */
const TOKENS = 64;

/** More bits for some. */
export interface Mixed {
  /** Bits of those that get more. */
  readonly bits: number;
  /** Mean bits of all weights but table and head, at most. */
  readonly budget: number;
}

/** Weights that could have more bits: all but the head's and embedding tables. */
function candidates({ nodes }: Model): LinearNode[] {
  const tables = new Set(
    nodes.flatMap((n) => (n.op === "embedding" ? [n.weight] : [])),
  );
  const known = new Map<string, LinearNode>();
  for (const n of nodes) {
    if (n.op !== "linear" || n === nodes.at(-1) || tables.has(n.weight)) {
      continue;
    }
    known.set(n.weight, n);
  }
  return [...known.values()];
}

/** What enters the head, all rows. */
function ending(loaded: Loaded, sample: Sample): Floats {
  const { image } = loaded.model.info, head = logitsOf(loaded.model.nodes);
  let left = TOKENS;
  const ids = [...sample.ids, ...sample.answer]
    .filter((id) => id === image?.tokenId || left-- > 0);
  const [rows] = encodeImages(loaded, [sample]);
  let seen: Floats | undefined;
  runText(loaded, [{ sequence: newSequence(), ids, image: rows }], {
    everyRow: true,
    headless: true,
    input: (node, x) => (node.id === head.id ? (seen = x) : x),
  });
  return seen!;
}

/**
 * How far the end of the model moves, as a share of its energy, where one
 * linear alone is rounded to `bitsOf` bits; one number per linear, in order.
 */
export function sensitivities(
  loaded: Loaded,
  sample: Sample,
  bitsOf: (node: LinearNode) => number,
): number[] {
  const { model, executor } = loaded, want = ending(loaded, sample);
  let energy = 0;
  for (const x of want) energy += x * x;
  return candidates(model).map((node) => {
    const { weight, n, k } = node;
    const rounded = roundToNearest(
      model.params.get(weight)!.read(),
      n,
      k,
      bitsOf(node),
    );
    const values = dequantize(rounded, executor.zeros(n * k));
    const got = ending({
      ...loaded,
      param: (name) => name === weight ? values : loaded.param(name),
    }, sample);
    let noise = 0;
    for (let i = 0; i < want.length; i++) noise += (got[i] - want[i]) ** 2;
    return noise / energy;
  });
}

/** Bits of each weight that gets more than `bitsOf` says, most sensitive per weight first. */
export function chooseBits(
  model: Model,
  moved: ArrayLike<number>,
  { bits, budget }: Mixed,
  bitsOf: (node: LinearNode) => number,
): Map<string, number> {
  const all = candidates(model), size = (l: LinearNode) => l.n * l.k;
  const total = all.reduce((sum, l) => sum + size(l), 0);
  let room = budget * total -
    all.reduce((sum, l) => sum + size(l) * bitsOf(l), 0);
  const gain = new Map(all.map((l, i) => [l, moved[i] / size(l)]));
  const chosen = new Map<string, number>();
  for (const l of all.toSorted((a, b) => gain.get(b)! - gain.get(a)!)) {
    const cost = size(l) * (bits - bitsOf(l));
    if (cost <= 0 || cost > room) continue;
    chosen.set(l.weight, bits);
    room -= cost;
  }
  return chosen;
}
