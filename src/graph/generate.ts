/**
 * Greedy generation with the float interpreter, in batches: reference captions, and
 * the answers of the calibration samples.
 * @module
 */
import { argmax } from "../tensor/argmax.ts";
import type { Floats } from "./executor.ts";
import { defaultGrid, type Grid, patchesIn, tokensIn } from "./grid.ts";
import type { Hooks } from "./ops/mod.ts";
import { type Loaded, runText, runVision } from "./run.ts";
import { newSequence } from "./runner.ts";
import { imageInfoOf, type ModelInfo } from "./info.ts";

/** A rendered prompt and its images. */
export interface Prompt {
  /** Normalised pixels of its images as patches, image after image, [patches, channels·patch²]; absent without images. */
  readonly patches?: ArrayLike<number>;
  /** Patch grids of its images; default: the model's image size. */
  readonly grids?: readonly Grid[];
  /** Token ids, image tokens expanded. */
  readonly ids: readonly number[];
}

/** Image rows of all prompts, concatenated; empty without images. */
export function encodeAll(
  loaded: Loaded,
  prompts: readonly Prompt[],
  hooks: Hooks = {},
): Floats {
  const all = loaded.executor.zeros(patchesOf(prompts));
  let at = 0;
  for (const { patches = [] } of prompts) {
    all.set(patches, at);
    at += patches.length;
  }
  const some = prompts.some(({ grids }) => grids);
  const grids = some ? prompts.flatMap(({ grids = [] }) => grids) : undefined;
  return all.length === 0 ? all : runVision(loaded, all, hooks, grids);
}

/** Splits the rows of `encodeAll` by prompt; undefined for a prompt without images. */
export function splitRows(
  info: ModelInfo,
  prompts: readonly Prompt[],
  rows: Floats,
): (Floats | undefined)[] {
  const tokens = prompts.map((p) => tokensOf(info, p));
  const width = rows.length / tokens.reduce((a, b) => a + b, 0);
  let at = 0;
  return tokens.map((n) =>
    n === 0 ? undefined : rows.slice(at * width, (at += n) * width)
  );
}

/** Image tokens of a prompt. */
function tokensOf(info: ModelInfo, { patches, grids }: Prompt): number {
  if (!patches || patches.length === 0) return 0;
  const image = imageInfoOf(info);
  if (grids) return grids.reduce((n, g) => n + tokensIn(image, g), 0);
  const own = patchesIn(defaultGrid(image)) * 3 * image.patchSize ** 2;
  return patches.length / own * image.tokens;
}

function patchesOf(prompts: readonly Prompt[]): number {
  return prompts.reduce((n, { patches }) => n + (patches?.length ?? 0), 0);
}

/** Image rows of each prompt, [image tokens, width] each; undefined for a prompt without images. */
export function encodeImages(
  loaded: Loaded,
  prompts: readonly Prompt[],
  hooks: Hooks = {},
): (Floats | undefined)[] {
  return splitRows(
    loaded.model.info,
    prompts,
    encodeAll(loaded, prompts, hooks),
  );
}

/** The most likely token; throws where a trained model cannot have predicted it. */
function greedy(logits: Floats, { image }: ModelInfo): number {
  const bad = logits.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) {
    throw new RangeError(
      `Cannot answer: logit ${bad} must be finite: it is ${
        logits[bad]
      }; check the checkpoint, some of its weights are far too large`,
    );
  }
  const id = argmax(logits);
  if (id !== image?.tokenId) return id;
  throw new RangeError(
    `Cannot answer: the most likely token is ${id}, the image token, which is valid in prompts only; check that the checkpoint is trained and that config.json has the right image token id`,
  );
}

/**
 * Greedy answers: token ids per prompt, without the stop token.
 * @param maxTokens longest answer
 * @param onLogits called with the prompt's index and the logits of each next token
 * @throws {RangeError} where a logit is not finite or the image token is the most likely one
 */
export function generate(
  loaded: Loaded,
  prompts: readonly Prompt[],
  maxTokens: number,
  hooks: Hooks = {},
  onLogits: (prompt: number, logits: Floats) => void = () => {},
): number[][] {
  const { vocabulary, stopIds } = loaded.model.info;
  const images = encodeImages(loaded, prompts, hooks);
  const answers: number[][] = prompts.map(() => []);
  let live = prompts.map((p, i) => ({
    prompt: i,
    answer: answers[i],
    chunk: {
      sequence: newSequence(),
      ids: p.ids,
      image: images[i],
      ...(p.grids ? { grids: p.grids } : {}),
    },
  })) as {
    prompt: number;
    answer: number[];
    chunk: Parameters<typeof runText>[1][number];
  }[];
  for (let n = 0; n < maxTokens && live.length > 0; n++) {
    const logits = runText(loaded, live.map((l) => l.chunk), hooks);
    live = live.filter((l, i) => {
      const own = logits.slice(i * vocabulary, (i + 1) * vocabulary);
      onLogits(l.prompt, own);
      const id = greedy(own, loaded.model.info);
      if (stopIds.includes(id)) return false;
      l.answer.push(id);
      l.chunk = { sequence: l.chunk.sequence, ids: [id] };
      return true;
    });
  }
  return answers;
}
