/**
 * Teacher forcing: a model reads a text that is given, and what matters is what
 * it would have said at each place.
 * @module
 */
import type { Image } from "../image/image.ts";
import type { Engine } from "../execute/engine.ts";

/**
 * Logits behind the prompt and behind each token of `answer`, [answer + 1] rows.
 * @param picture what the prompt's image tokens stand for
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
