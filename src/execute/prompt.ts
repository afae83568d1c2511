/**
 * Checks the next tokens of a conversation.
 * @module
 */
import { RuntimeError } from "../graph/error.ts";

/** Limits of the next tokens. */
export interface PromptLimits {
  /** Tokens in the KV cache. */
  readonly cached: number;
  /** Largest number of tokens of a conversation. */
  readonly context: number;
  readonly vocabulary: number;
  /** Id of the image token; undefined for a text-only model. */
  readonly imageToken: number | undefined;
  /** Width of an image row. */
  readonly width: number;
}

/**
 * Checks tokens before they run.
 * @param elements number of elements of their image rows
 * @throws {RuntimeError} "prompt" or "context"
 */
export function checkPrompt(
  { cached, context, vocabulary, imageToken, width }: PromptLimits,
  ids: ArrayLike<number>,
  elements: number,
): void {
  if (ids.length === 0) {
    throw new RuntimeError(
      "prompt",
      "Cannot run the prompt: it must have at least one token: it has none",
    );
  }
  if (cached + ids.length > context) {
    throw new RuntimeError(
      "context",
      `Cannot run ${ids.length} tokens after ${cached}: together they must be at most ${context}; open the model with a larger context or shorten the prompt`,
    );
  }
  let imageTokens = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (!Number.isInteger(id) || id < 0 || id >= vocabulary) {
      throw new RuntimeError(
        "prompt",
        `Cannot run the prompt: token ids must be from 0 to ${
          vocabulary - 1
        }: id ${i} is ${id}`,
      );
    }
    if (id === imageToken) imageTokens++;
  }
  if (ids[ids.length - 1] === imageToken) {
    throw new RuntimeError(
      "prompt",
      "Cannot run the prompt: it must end with text: it ends with an image token",
    );
  }
  if (imageTokens * width !== elements) {
    throw new RuntimeError(
      "prompt",
      `Cannot run the prompt: it has ${imageTokens} image tokens for ${
        elements / (width || 1)
      } image rows; use one image per image placeholder`,
    );
  }
}
