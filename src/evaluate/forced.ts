/**
 * Teacher forcing: the model reads a given text, and its logits at each
 * position are evaluated.
 * @module
 */
import type { Image } from "../image/image.ts";
import type { Engine } from "../execute/engine.ts";

/**
 * Logits after the prompt and after each token of `answer`: [answer + 1,
 * vocabulary].
 * @param picture the pixels of the prompt's image tokens
 */
export async function forcedLogits(
  engine: Engine,
  ids: readonly number[],
  answer: readonly number[],
  picture: Image | undefined,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const rows = picture && await engine.encode(picture, signal);
  engine.reset();
  const steps = [await engine.prefill(ids, rows, signal)];
  for (const id of answer) steps.push(await engine.decode(id, signal));
  return steps;
}
