/**
 * The one error of this room.
 * @module
 */

/** A tokenizer.json or chat template that cannot be used, or a prompt that does not fit it. */
export class TokenizerError extends Error {
  /** `message` in the grammar of std: what was attempted, the value, the wish. */
  constructor(message: string) {
    super(message);
    this.name = "TokenizerError";
  }

  /** A fault of tokenizer.json itself. */
  static inFile(problem: string): TokenizerError {
    // What it quotes comes out of the file: no end of it.
    return new TokenizerError(
      `Cannot read the tokenizer: ${problem.slice(0, 400)}`,
    );
  }
}
