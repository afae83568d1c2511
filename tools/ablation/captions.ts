/**
 * The ablation on photos: CIDEr-D of greedy captions, captions equal to float's, and
 * under teacher forcing (float's caption as input) the fraction of equal next tokens
 * and the mean Kullback–Leibler divergence from float.
 * @module
 */
import { photosIn, readPrompts } from "../../src/convert/calibration.ts";
import { readReferences } from "../../src/cli/references.ts";
import { ciderD } from "../../src/evaluate/cider.ts";
import { type Agreement, agreement } from "../../src/evaluate/divergence.ts";
import { forcedLogits } from "../../src/evaluate/forced.ts";
import { dynamicHooks } from "../../src/evaluate/perplexity.ts";
import {
  encodeImages,
  generate,
  type Prompt,
} from "../../src/graph/generate.ts";
import type { Hooks } from "../../src/graph/ops/mod.ts";
import { load, type Loaded, runText } from "../../src/graph/run.ts";
import { newSequence } from "../../src/graph/runner.ts";
import type { Engine } from "../../src/quantize/quantize.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import { argmax } from "../../src/tensor/argmax.ts";
import type { Job, Measured, Side } from "./job.ts";

const MAX_TOKENS = 40, BATCH = 16, QUESTION = "Describe this image.";

/** What one model says of each photo, and its logits along float's captions. */
interface Said {
  readonly answers: number[][];
  readonly forced: Float32Array[][];
}

/** Samples to calibrate with, and how to measure, of a model that describes photos. */
export function captionSide(
  { checkpoint, calibration, evaluation, samples, count }: Job,
): Side {
  const { info } = checkpoint.model, { stopIds, vocabulary } = info;
  const references = readReferences(evaluation).captions.slice(0, count);
  const read = (paths: readonly string[]) =>
    readPrompts(checkpoint, paths, [QUESTION]);
  const text = (ids: number[]) => checkpoint.tokenizer.decode(ids).trim();
  const paths = references.map((r) => r.path);

  /** Greedy captions of the interpreter, batch by batch. */
  function captions(loaded: Loaded, prompts: readonly Prompt[], hooks: Hooks) {
    const steps: Float32Array[][] = prompts.map(() => []);
    const answers: number[][] = [];
    for (let at = 0; at < prompts.length; at += BATCH) {
      answers.push(...generate(
        loaded,
        prompts.slice(at, at + BATCH),
        MAX_TOKENS,
        hooks,
        (i, logits) => steps[at + i].push(logits as Float32Array),
      ));
    }
    return { answers, steps };
  }

  function score(truth: Said | undefined, said: Said): Measured {
    const against = references.map((r) => r.texts);
    const cider = ciderD(said.answers.map(text), against).mean;
    if (!truth) return { cider };
    const sums = said.forced.map((rows, i) => agreement(truth.forced[i], rows));
    const sum = (of: keyof Agreement) => sums.reduce((n, a) => n + a[of], 0);
    const same = said.answers.filter((a, i) =>
      a.join() === truth.answers[i].join()
    );
    return {
      cider,
      floatCider: ciderD(truth.answers.map(text), against).mean,
      identical: same.length / said.answers.length,
      top1: sum("same") / sum("tokens"),
      kl: sum("kl") / sum("tokens"),
      tokens: sum("tokens"),
    };
  }

  async function truthOf(engine: Engine) {
    const loaded = load(checkpoint.model, engine);
    const { prompts, tiles } = await read(paths);
    const { answers, steps } = captions(loaded, prompts, {});
    return { prompts, tiles, said: { answers, forced: steps } };
  }

  return {
    async samples(engine) {
      const photos = photosIn(calibration).slice(0, samples);
      const { prompts } = await read(photos);
      const loaded = load(checkpoint.model, engine);
      const { answers } = captions(loaded, prompts, {});
      return prompts.map((p, i) => ({
        ...p,
        answer: [...answers[i], stopIds[0]],
      }));
    },
    async float(engine) {
      return score(undefined, (await truthOf(engine)).said);
    },
    async dynamic(quantized, engine) {
      const { prompts, said: truth } = await truthOf(engine);
      const { loaded } = simulate(quantized, engine);
      const hooks = dynamicHooks(engine);
      const { answers } = captions(loaded, prompts, hooks);
      const forced = prompts.map((prompt, i) => {
        const [image] = encodeImages(loaded, [prompt], hooks);
        const ids = [...prompt.ids, ...truth.answers[i]];
        const sequence = newSequence();
        const rows = runText(loaded, [{ sequence, ids, image }], {
          ...hooks,
          everyRow: true,
        });
        const steps: Float32Array[] = [];
        for (let t = prompt.ids.length - 1; t < ids.length; t++) {
          const at = t * vocabulary;
          steps.push(rows.slice(at, at + vocabulary) as Float32Array);
        }
        return steps;
      });
      return score(truth, { answers, forced });
    },
    async static(runtime, engine) {
      const { prompts, tiles, said: truth } = await truthOf(engine);
      const said: Said = { answers: [], forced: [] };
      for (const [i, { ids }] of prompts.entries()) {
        runtime.reset();
        const rows = await runtime.encode(tiles[i]);
        const answer: number[] = [];
        let logits = await runtime.prefill(ids, rows);
        while (
          answer.length < MAX_TOKENS && !stopIds.includes(argmax(logits))
        ) {
          answer.push(argmax(logits));
          logits = await runtime.decode(answer.at(-1)!);
        }
        said.answers.push(answer);
        said.forced.push(
          await forcedLogits(runtime, ids, truth.answers[i], tiles[i]),
        );
      }
      return score(truth, said);
    },
  };
}
