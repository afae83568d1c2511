/**
 * Greedy generation with the interpreter, many sequences side by side: the
 * float truth of a caption, and the answers that calibration teaches from.
 * @module
 */
import { argmax } from "../tensor/argmax.ts";
import type { Floats } from "./executor.ts";
import {
  type Hooks,
  type Loaded,
  newSequence,
  runText,
  runVision,
} from "./interpreter.ts";

/** A rendered prompt and its images. */
export interface Prompt {
  /** Normalised pixels of its images as patches, [images · patches, channels·patch²]; absent where it has none. */
  readonly patches?: ArrayLike<number>;
  /** Token ids, image tokens expanded. */
  readonly ids: readonly number[];
}

/** Image rows of each prompt, [image tokens, width] each; undefined where it has no image. */
export function encodeImages(
  loaded: Loaded,
  prompts: readonly Prompt[],
  hooks: Hooks = {},
): (Floats | undefined)[] {
  const sizes = prompts.map(({ patches }) => patches?.length ?? 0);
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total === 0) return prompts.map(() => undefined);
  const all = loaded.executor.zeros(total);
  let at = 0;
  prompts.forEach(({ patches }, i) => {
    if (patches) all.set(patches, at);
    at += sizes[i];
  });
  const rows = runVision(loaded, all, hooks), share = rows.length / total;
  at = 0;
  return sizes.map((size) =>
    size === 0 ? undefined : rows.slice(at * share, (at += size) * share)
  );
}

/**
 * Greedy answers, without the stop token.
 * @param maxTokens longest answer
 */
export function generate(
  loaded: Loaded,
  prompts: readonly Prompt[],
  maxTokens: number,
  hooks: Hooks = {},
): number[][] {
  const { vocabulary, stopIds } = loaded.model.info;
  const images = encodeImages(loaded, prompts, hooks);
  const answers: number[][] = prompts.map(() => []);
  let live = prompts.map((p, i) => ({
    answer: answers[i],
    chunk: { sequence: newSequence(), ids: p.ids, image: images[i] },
  })) as {
    answer: number[];
    chunk: Parameters<typeof runText>[1][number];
  }[];
  for (let n = 0; n < maxTokens && live.length > 0; n++) {
    const logits = runText(loaded, live.map((l) => l.chunk), hooks);
    live = live.filter((l, i) => {
      const id = argmax(logits.subarray(i * vocabulary, (i + 1) * vocabulary));
      if (stopIds.includes(id)) return false;
      l.answer.push(id);
      l.chunk = { sequence: l.chunk.sequence, ids: [id] };
      return true;
    });
  }
  return answers;
}
