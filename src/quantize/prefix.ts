/**
 * Sink tokens (PrefixQuant, arXiv 2410.05265). A decoder lets a few tokens soak
 * up attention: the first of a text, whatever it is, and the first of some
 * frequent words. Their activations are tens of times larger than all others
 * and would set a static scale, or be clipped by it. Where such tokens stand in
 * front of every sequence once and for all, no later one becomes a sink; their
 * keys and values are computed here, in float, and kept in the model file.
 * @module
 */
import type { Floats } from "../graph/executor.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence, type Prefix } from "../graph/runner.ts";

/** A row whose largest magnitude is so many times the median row's is an outlier. */
const OUTLIER = 20;
/** Samples looked at, and tokens of each. */
const SAMPLES = 4, TOKENS = 256;

/** What the search looks at. */
export interface Text {
  readonly ids: readonly number[];
  readonly answer: readonly number[];
}

/** Keys and values of tokens that stand first, by attention. */
function prefixOf(loaded: Loaded, ids: readonly number[]): Prefix {
  const sequence = newSequence();
  runText(loaded, [{ sequence, ids }], { headless: true });
  return sequence.cache;
}

/** The model with `ids` in front of every sequence, as it is where there are none. */
export function withPrefix(loaded: Loaded, ids: readonly number[]): Loaded {
  if (ids.length === 0) return loaded;
  const mixer = loaded.model.nodes.find((n) => n.op === "causal_conv1d");
  if (mixer) {
    throw new RangeError(
      `Cannot put tokens in front of every sequence: "${mixer.id}" would need to know them too, and no file keeps that; choose a recipe without prefix`,
    );
  }
  const info = { ...loaded.model.info, prefix: ids };
  const model = { ...loaded.model, info };
  return { ...loaded, model, prefix: prefixOf(loaded, ids) };
}

/**
 * Tokens to put in front. Where texts tower in their first place, whatever
 * stands there, that is a stop token: what stands before a text in training.
 * Then whatever else is an outlier most often, until nothing is or there are
 * `most`.
 * @param most longest prefix, or the prefix itself
 */
export function findPrefix(
  loaded: Loaded,
  texts: readonly Text[],
  most: number | readonly number[],
): readonly number[] {
  if (typeof most !== "number") return most;
  const { image, stopIds } = loaded.model.info;
  const samples = texts.slice(0, SAMPLES)
    .map(({ ids, answer }) =>
      [...ids, ...answer].filter((id) => id !== image?.tokenId).slice(0, TOKENS)
    ).filter((ids) => ids.length > 0);
  const prefix: number[] = [];
  while (prefix.length < most) {
    const places = towering(withPrefix(loaded, prefix), samples);
    const next = nextSink(places, samples, prefix, stopIds[0]);
    if (next === undefined) break;
    prefix.push(next);
  }
  return prefix;
}

/**
 * The next token to put in front of `samples`, or none.
 * @param places where outliers stand behind `prefix`: "sample place"
 * @param stop a stop token; the first sample's first where there is none
 */
export function nextSink(
  places: ReadonlySet<string>,
  samples: readonly (readonly number[])[],
  prefix: readonly number[],
  stop = samples[0]?.[0],
): number | undefined {
  const first = samples.filter((_, i) => places.has(`${i} 0`)).length;
  if (prefix.length === 0 && 2 * first > samples.length) return stop;
  const tokens = [...places].map((place) => {
    const [sample, at] = place.split(" ").map(Number);
    return samples[sample][at];
  });
  // One that towers behind itself soaks up nothing.
  return mostFrequent(tokens.filter((id) => !prefix.includes(id)));
}

/** Where an outlier stands: sample and place in it. */
function towering(
  loaded: Loaded,
  samples: readonly (readonly number[])[],
): Set<string> {
  const at = samples.flatMap((ids, i) =>
    ids.map((_, place) => `${i} ${place}`)
  );
  const places = new Set<string>();
  const hooks: Hooks = {
    headless: true,
    everyRow: true,
    input(node, x) {
      if (node.phase === "text") {
        for (const row of outliers(x, node.k)) places.add(at[row]);
      }
      return x;
    },
  };
  runText(
    loaded,
    samples.map((ids) => ({ sequence: newSequence(), ids })),
    hooks,
  );
  return places;
}

/** The smallest of the most frequent; undefined where none stands in two places. */
function mostFrequent(ids: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].filter(([, n]) => n > 1)
    .sort(([a, m], [b, n]) => n - m || a - b)[0]?.[0];
}

/** Rows of x ([rows, width]) that hold a magnitude far above the median row's largest. */
function outliers(x: Floats, width: number): number[] {
  const rows = x.length / width, largest = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    for (let i = r * width; i < (r + 1) * width; i++) {
      largest[r] = Math.max(largest[r], Math.abs(x[i]));
    }
  }
  const limit = OUTLIER * largest.toSorted()[rows >> 1];
  return Array.from(largest.keys()).filter((r) => largest[r] > limit);
}
