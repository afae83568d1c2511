/**
 * Whether the output head shares the embedding's weights, as the checkpoint's
 * tensors say. `tie_word_embeddings` of config.json is not reliable: its
 * default differs between classes and versions of transformers, and files state it on
 * the level that the class does not read.
 * @module
 */
import type { Checkpoint } from "./checkpoint.ts";

const HEAD = /(^|\.)lm_head\.weight$/;
const EMBEDDING = /(^|\.)embed_tokens\.weight$/;
const FLAG = "tie_word_embeddings";
const LEVELS = ["text_config", "llm_config"];

/**
 * The checkpoint with a flag that fits its tensors: untied where head and
 * embedding differ, tied where they are equal (the head is left out) or where
 * there is no head and no level of the config states the flag. Unchanged where
 * the tensors have other names, or cannot be compared.
 */
export function withTrueTie(checkpoint: Checkpoint): Checkpoint {
  const { tensors, config, sameBytes } = checkpoint;
  const named = (pattern: RegExp) =>
    [...tensors.keys()].filter((name) => pattern.test(name));
  const heads = named(HEAD), embeddings = named(EMBEDDING);
  if (embeddings.length !== 1 || heads.length > 1) return checkpoint;
  if (heads.length === 0) {
    return stated(config)
      ? checkpoint
      : { ...checkpoint, config: flagged(config, true) };
  }
  if (!sameBytes) return checkpoint;
  const [head] = heads;
  if (!sameBytes(head, embeddings[0])) {
    return { ...checkpoint, config: flagged(config, false) };
  }
  const kept = new Map(tensors);
  kept.delete(head);
  return { ...checkpoint, config: flagged(config, true), tensors: kept };
}

function levelsOf(config: Record<string, unknown>) {
  return LEVELS.flatMap((key) => {
    const value = config[key];
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? [[key, value as Record<string, unknown>] as const]
      : [];
  });
}

function stated(config: Record<string, unknown>): boolean {
  return [config, ...levelsOf(config).map(([, level]) => level)]
    .some((level) => typeof level[FLAG] === "boolean");
}

function flagged(
  config: Record<string, unknown>,
  tied: boolean,
): Record<string, unknown> {
  return {
    ...config,
    ...Object.fromEntries(
      levelsOf(config).map(([key, level]) => [key, { ...level, [FLAG]: tied }]),
    ),
    [FLAG]: tied,
  };
}
