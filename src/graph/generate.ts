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

/** One image and its rendered prompt. */
export interface Prompt {
  /** Normalised pixels of one image as patches, [patches, channels·patch²]. */
  readonly patches: ArrayLike<number>;
  /** Token ids, image tokens expanded. */
  readonly ids: readonly number[];
}

/** Image rows of each prompt, [imageTokens, width] each. */
export function encodeImages(
  loaded: Loaded,
  prompts: readonly Prompt[],
  hooks: Hooks = {},
): Floats[] {
  const size = prompts[0]?.patches.length ?? 0;
  const all = loaded.executor.zeros(size * prompts.length);
  prompts.forEach((p, i) => all.set(p.patches, i * size));
  const rows = runVision(loaded, all, hooks),
    one = rows.length / prompts.length;
  return prompts.map((_, i) => rows.slice(i * one, (i + 1) * one));
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
