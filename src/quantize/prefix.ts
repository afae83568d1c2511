/**
 * Prefix tokens (PrefixQuant, arXiv 2410.05265). Decoders have attention sinks: the
 * first token of a text, whatever it is, and the first occurrence of some frequent
 * tokens. Their activations are tens of times larger than all others, so they would
 * set the static scale or be clipped by it. With such tokens as a fixed prefix of
 * every sequence, no later token becomes a sink. Their keys and values are computed
 * here, in float, and stored in the model file.
 * @module
 */
import { channelsIn } from "../graph/node.ts";
import type { Floats } from "../graph/executor.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { type Loaded, runText } from "../graph/run.ts";
import { newSequence, type Prefix } from "../graph/runner.ts";

/** An outlier row has a largest magnitude of at least this times the median row's. */
const OUTLIER = 20;
/** Samples searched, and tokens of each. */
const SAMPLES = 4, TOKENS = 256;

/** A calibration text of the prefix search: prompt and answer tokens. */
export interface PrefixSample {
  readonly ids: readonly number[];
  readonly answer: readonly number[];
}

/** Keys and values of the prefix tokens, by attention node. */
function prefixOf(loaded: Loaded, ids: readonly number[]): Prefix {
  const sequence = newSequence();
  runText(loaded, [{ sequence, ids }], { headless: true });
  return sequence.cache;
}

/** The model with `ids` as prefix of every sequence. */
export function withPrefix(loaded: Loaded, ids: readonly number[]): Loaded {
  if (ids.length === 0) return loaded;
  const mixer = loaded.model.nodes.find((n) => n.op === "causal_conv1d");
  if (mixer) {
    throw new RangeError(
      `Cannot use prefix tokens: the state of convolution "${mixer.id}" is not stored in the file; choose a recipe without prefix`,
    );
  }
  const info = { ...loaded.model.info, prefix: ids };
  const model = { ...loaded.model, info };
  return { ...loaded, model, prefix: prefixOf(loaded, ids) };
}

/**
 * Finds prefix tokens. Where most samples have an outlier at their first position,
 * the first prefix token is a stop token, which precedes a text in training. Then
 * follow the tokens that are outliers most often, until there are none or `most`.
 * @param most longest prefix, or the prefix itself
 */
export function findPrefix(
  loaded: Loaded,
  texts: readonly PrefixSample[],
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
    const places = outlierPositions(withPrefix(loaded, prefix), samples);
    const next = nextPrefixToken(places, samples, prefix, stopIds[0]);
    if (next === undefined) break;
    prefix.push(next);
  }
  return prefix;
}

/**
 * Finds the next prefix (attention-sink) token; undefined if none is needed.
 * @param outliers positions of outliers with `prefix`, as "sample position"
 * @param stop a stop token; default: the first token of the first sample
 */
export function nextPrefixToken(
  outliers: ReadonlySet<string>,
  samples: readonly (readonly number[])[],
  prefix: readonly number[],
  stop = samples[0]?.[0],
): number | undefined {
  const first = samples.filter((_, i) => outliers.has(`${i} 0`)).length;
  if (prefix.length === 0 && 2 * first > samples.length) return stop;
  const tokens = [...outliers].map((place) => {
    const [sample, at] = place.split(" ").map(Number);
    return samples[sample][at];
  });
  // A token that is an outlier even behind itself is no sink.
  return mostFrequent(tokens.filter((id) => !prefix.includes(id)));
}

/** Positions of outliers: "sample position". */
function outlierPositions(
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
        for (const row of outlierRows(x, channelsIn(node))) places.add(at[row]);
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

/** The smallest of the most frequent ids; undefined where none occurs twice. */
function mostFrequent(ids: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].filter(([, n]) => n > 1)
    .sort(([a, m], [b, n]) => n - m || a - b)[0]?.[0];
}

/** Outlier rows of x [rows, width]. */
function outlierRows(x: Floats, width: number): number[] {
  const rows = x.length / width, largest = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    for (let i = r * width; i < (r + 1) * width; i++) {
      largest[r] = Math.max(largest[r], Math.abs(x[i]));
    }
  }
  const limit = OUTLIER * largest.toSorted()[rows >> 1];
  return Array.from(largest.keys()).filter((r) => largest[r] > limit);
}
