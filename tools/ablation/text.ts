/**
 * The ablation on text: the samples are windows of one text, the measure is the
 * perplexity of another.
 * @module
 */
import {
  dynamicHooks,
  engineNll,
  interpreterNll,
  perplexity,
  windowsOf,
} from "../../src/evaluate/perplexity.ts";
import { load } from "../../src/graph/run.ts";
import { simulate } from "../../src/quantize/simulate.ts";
import type { Job, Measured, Side } from "./job.ts";

/** Samples to calibrate with, and how to measure, of a model that reads text. */
export function textSide(
  { checkpoint, calibration, evaluation, samples, count, length }: Job,
): Side {
  const cut = (path: string, windows: number) =>
    windowsOf(
      checkpoint.tokenizer.encode(Deno.readTextFileSync(path), {
        special: false,
      }),
      length,
      windows,
    );
  const windows = cut(evaluation, count);
  const result = (parts: Parameters<typeof perplexity>[0]): Measured => ({
    perplexity: perplexity(parts),
    tokens: parts.reduce((sum, p) => sum + p.tokens, 0),
    windows: parts.map((p) => Number((p.nll / p.tokens).toFixed(5))),
  });
  return {
    samples: () =>
      cut(calibration, samples).map((ids) => ({ ids, answer: [] })),
    float: (engine) => {
      const loaded = load(checkpoint.model, engine);
      return result(windows.map((w) => interpreterNll(loaded, w)));
    },
    dynamic: (quantized, engine) => {
      const { loaded } = simulate(quantized, engine);
      const hooks = dynamicHooks(engine);
      return result(windows.map((w) => interpreterNll(loaded, w, hooks)));
    },
    static: async (engine) => {
      const parts = [];
      for (const w of windows) parts.push(await engineNll(engine, w));
      return result(parts);
    },
  };
}
