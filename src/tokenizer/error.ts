/**
 * The error of the tokenizer.
 * @module
 */

/** A tokenizer.json or chat template is invalid, or a prompt does not fit it. */
export class TokenizerError extends Error {
  /**
   * Creates the error.
   * @param message what was attempted, the value, what is allowed
   */
  constructor(message: string) {
    super(message);
    this.name = "TokenizerError";
  }

  /** An error in tokenizer.json. */
  static inFile(problem: string): TokenizerError {
    // The problem quotes the file, which may contain very long strings.
    return new TokenizerError(
      `Cannot read the tokenizer: ${problem.slice(0, 400)}`,
    );
  }
}
