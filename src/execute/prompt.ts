/**
 * Checks whether the engine can process tokens.
 * @module
 */
import { RuntimeError } from "../graph/error.ts";

/** The limits of the next tokens. */
export interface PromptRoom {
  /** Processed tokens. */
  readonly seen: number;
  /** Context length. */
  readonly context: number;
  readonly vocabulary: number;
  /** Id of the image token, if the model takes images. */
  readonly imageToken: number | undefined;
  /** Elements of an image row. */
  readonly width: number;
}

/**
 * Checks the next tokens.
 * @param elements number of elements of their image rows
 * @throws {RuntimeError} "prompt" or "context"
 */
export function checkPrompt(
  { seen, context, vocabulary, imageToken, width }: PromptRoom,
  ids: ArrayLike<number>,
  elements: number,
): void {
  if (ids.length === 0) {
    throw new RuntimeError(
      "prompt",
      "Cannot run the prompt: it must have at least one token: it has none",
    );
  }
  if (seen + ids.length > context) {
    throw new RuntimeError(
      "context",
      `Cannot run ${ids.length} tokens after ${seen}: together they must be at most ${context}; open the model with a larger context or shorten the prompt`,
    );
  }
  let places = 0;
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
    if (id === imageToken) places++;
  }
  if (ids[ids.length - 1] === imageToken) {
    throw new RuntimeError(
      "prompt",
      "Cannot run the prompt: it must end with text: it ends with an image token",
    );
  }
  if (places * width !== elements) {
    throw new RuntimeError(
      "prompt",
      `Cannot run the prompt: it has ${places} image tokens for ${
        elements / (width || 1)
      } image rows; use one image per image placeholder`,
    );
  }
}
