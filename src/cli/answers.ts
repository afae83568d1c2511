/**
 * Answers of a model file and of its float checkpoint about photos, and the
 * agreement of both on the float model's answers.
 * @module
 */
import { type Agreement, agreement } from "../evaluate/divergence.ts";
import { forcedLogits } from "../evaluate/forced.ts";
import type { Floats } from "../graph/executor.ts";
import { generate } from "../graph/generate.ts";
import type { Loaded } from "../graph/run.ts";
import { open } from "../mod.ts";
import type { Engine } from "../execute/engine.ts";
import { readPrompts } from "../convert/calibration.ts";
import type { FloatCheckpoint } from "../convert/checkpoint.ts";
import { decoding } from "./decoding.ts";
import type { Io } from "./io.ts";
import type { Journal } from "./journal.ts";
import { readPhoto } from "./photo.ts";
import { progress } from "./progress.ts";

/** A question about a photo. */
export interface Ask {
  /** Its key in the journal. */
  readonly item: string;
  /** Path of the photo. */
  readonly path: string;
  readonly prompt: string;
}

/** An answer of the float model, and the quantized model's agreement with it under teacher forcing. */
export type FloatAnswer = { readonly text: string } & Agreement;

/** Photos per batch of the float model. */
const BATCH = 8;

/** Greedy answers of the model file, computed by the engine. */
export async function quantizedAnswers(
  path: string,
  asks: readonly Ask[],
  maxTokens: number,
  threads: number | undefined,
  journal: Journal<string>,
  io: Io,
): Promise<string[]> {
  await using session = await open(path, {
    ...(threads === undefined ? {} : { threads }),
    signal: io.signal,
  });
  using decoder = decoding();
  const line = progress(io, "quantized", asks.length);
  const answers: string[] = [];
  for (const { item, path, prompt } of asks) {
    let text = journal.get(item);
    if (text === undefined) {
      const photo = await readPhoto(path, decoder, io.signal);
      const answer = await session.caption(photo, {
        prompt,
        maxTokens,
        temperature: 0,
        signal: io.signal,
      });
      journal.add(item, text = answer.text.trim());
    }
    answers.push(text);
    line.at(answers.length, JSON.stringify(text));
  }
  line.end();
  return answers;
}

/** Greedy answers of the float checkpoint, and the agreement of `engine`. */
export async function floatAnswers(
  checkpoint: FloatCheckpoint,
  loaded: Loaded,
  engine: Engine,
  asks: readonly Ask[],
  maxTokens: number,
  journal: Journal<FloatAnswer>,
  io: Io,
): Promise<FloatAnswer[]> {
  const line = progress(io, "float", asks.length);
  const todo = asks.filter((a) => journal.get(a.item) === undefined);
  let done = asks.length - todo.length;
  if (done > 0) line.at(done);
  for (let i = 0; i < todo.length; i += BATCH) {
    const batch = todo.slice(i, i + BATCH);
    const { prompts, tiles } = await readPrompts(
      checkpoint,
      batch.map((a) => a.path),
      batch.map((a) => a.prompt),
    );
    const steps: Floats[][] = batch.map(() => []);
    const answers = generate(
      loaded,
      prompts,
      maxTokens,
      {},
      (prompt, logits) => steps[prompt].push(logits),
    );
    for (const [j, { item }] of batch.entries()) {
      const forced = await forcedLogits(
        engine,
        prompts[j].ids,
        answers[j],
        tiles[j],
        io.signal,
      );
      journal.add(item, {
        text: checkpoint.tokenizer.decode(answers[j]).trim(),
        ...agreement(steps[j], forced),
      });
      line.at(++done);
    }
    await new Promise((turn) => setTimeout(turn)); // Ctrl-C is heard here
    io.signal.throwIfAborted();
  }
  line.end();
  return asks.map((a) => journal.get(a.item)!);
}
