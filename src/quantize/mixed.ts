/**
 * Mixed precision: which weights get more bits. The sensitivity of a linear is the
 * relative error at the head's input when this linear alone is rounded; it is
 * measured by running the float model once per linear. Linears with the highest
 * sensitivity per stored weight get more bits until the budget is used up.
 * @module
 */
import type { Floats } from "../graph/executor.ts";
import { encodeImages } from "../graph/generate.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence } from "../graph/runner.ts";
import { type LinearNode, logitsOf, type Model } from "../graph/node.ts";
import { dequantize, roundToNearest } from "./gptq.ts";
import type { Sample } from "./engine.ts";

/** Text tokens of the one sample that sensitivities are measured on. */
const TOKENS = 64;

/** Mixed precision. */
export interface Mixed {
  /** Bits of the most sensitive weights. */
  readonly bits: number;
  /** Largest mean of bits over all weights except embedding table and head. */
  readonly budget: number;
}

/** Linears that may get more bits: all except the head and embedding tables. */
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

/** The head's input, all rows. */
function headInput(loaded: Loaded, sample: Sample): Floats {
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
 * Sensitivity of each candidate, in order: ‖error‖² / ‖x‖² of the head's input x
 * when this linear alone is rounded to `bitsOf` bits.
 */
export function sensitivities(
  loaded: Loaded,
  sample: Sample,
  bitsOf: (node: LinearNode) => number,
): number[] {
  const { model, executor } = loaded, want = headInput(loaded, sample);
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
    const got = headInput({
      ...loaded,
      param: (name) => name === weight ? values : loaded.param(name),
    }, sample);
    let noise = 0;
    for (let i = 0; i < want.length; i++) noise += (got[i] - want[i]) ** 2;
    return noise / energy;
  });
}

/**
 * Chooses the weights that get more bits than `bitsOf`, within the budget;
 * returns their bits by name.
 */
export function chooseBits(
  model: Model,
  sensitivities: ArrayLike<number>,
  { bits, budget }: Mixed,
  bitsOf: (node: LinearNode) => number,
): Map<string, number> {
  const all = candidates(model), size = (l: LinearNode) => l.n * l.k;
  const total = all.reduce((sum, l) => sum + size(l), 0);
  let room = budget * total -
    all.reduce((sum, l) => sum + size(l) * bitsOf(l), 0);
  const gain = new Map(all.map((l, i) => [l, sensitivities[i] / size(l)]));
  const chosen = new Map<string, number>();
  for (const l of all.toSorted((a, b) => gain.get(b)! - gain.get(a)!)) {
    const cost = size(l) * (bits - bitsOf(l));
    if (cost <= 0 || cost > room) continue;
    chosen.set(l.weight, bits);
    room -= cost;
  }
  return chosen;
}
