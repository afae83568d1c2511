/**
 * Builds the tokenizer.json of a byte-level vocabulary (GPT-2's), for vocabularies
 * that come in other files.
 * @module
 */

/** A byte-level vocabulary and how it splits text. */
export interface ByteLevelVocabulary {
  /** `model` of tokenizer.json. */
  readonly model: unknown;
  /** `added_tokens` of tokenizer.json; absent flags are false. */
  readonly added: readonly unknown[];
  /** Regular expression whose matches are words; GPT-2's where absent. */
  readonly pattern?: string | undefined;
  /** Whether each digit is a word of its own. */
  readonly digits?: boolean;
  /** Whether text is composed (NFC) first. */
  readonly compose?: boolean | undefined;
  /** Whether a space is put in front of a text. */
  readonly prefixSpace?: boolean;
  /** `post_processor` of tokenizer.json; none where absent. */
  readonly first?: unknown;
}

/** The text of a tokenizer.json. */
export function byteLevelJson(
  { model, added, pattern, digits, compose, prefixSpace, first }:
    ByteLevelVocabulary,
): string {
  const level = {
    type: "ByteLevel",
    add_prefix_space: prefixSpace === true,
    trim_offsets: false,
    use_regex: pattern === undefined,
  };
  const split = {
    type: "Split",
    pattern: { Regex: pattern },
    behavior: "Isolated",
    invert: false,
  };
  const pretokenizers = [
    ...digits ? [{ type: "Digits", individual_digits: true }] : [],
    ...pattern === undefined ? [] : [split],
    level,
  ];
  return JSON.stringify({
    version: "1.0",
    added_tokens: added,
    normalizer: compose ? { type: "NFC" } : null,
    pre_tokenizer: { type: "Sequence", pretokenizers },
    post_processor: first ?? null,
    decoder: level,
    model,
  });
}
