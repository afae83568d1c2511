/**
 * Splits text into the words that BPE encodes: the pre-tokenizers Sequence,
 * Digits, ByteLevel and Split of tokenizer.json
 * (https://huggingface.co/docs/tokenizers, "Pre-tokenizers").
 * @module
 */
import { TokenizerError } from "./error.ts";
import { type Matcher, matcher } from "./regex.ts";
import { isQuick } from "./regex_cost.ts";

/**
 * Splits a text into words. Their concatenation is the text, or less if a Split
 * removes matches.
 */
export type PreTokenizer = (text: string) => string[];

/** GPT-2's word pattern (encoder.py, `self.pat`). */
const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Maximum pre-tokenizers of a Sequence. */
const MOST_CUTS = 16;

/**
 * The function of a tokenizer.json's `pre_tokenizer`.
 * @throws {TokenizerError}
 */
export function readPreTokenizer(json: unknown, depth = 0): PreTokenizer {
  if (json === null || json === undefined) return (text) => [text];
  const config = json as Record<string, unknown>;
  switch (config.type) {
    case "Sequence": {
      if (
        !Array.isArray(config.pretokenizers) || depth > 1 ||
        config.pretokenizers.length > MOST_CUTS
      ) {
        throw TokenizerError.inFile(
          `a Sequence needs a list of up to ${MOST_CUTS} pretokenizers`,
        );
      }
      const cuts = config.pretokenizers.map((c) =>
        readPreTokenizer(c, depth + 1)
      );
      return (text) => cuts.reduce((words, cut) => words.flatMap(cut), [text]);
    }
    case "Digits":
      return isolate(
        native(config.individual_digits === true ? /\p{N}/gu : /\p{N}+/gu),
      );
    case "ByteLevel":
      return byteLevel(config);
    case "Split":
      return split(config);
    default:
      throw TokenizerError.inFile(
        `pre-tokenizer ${
          JSON.stringify(config.type)
        } is not known; known are Sequence, Digits, ByteLevel and Split`,
      );
  }
}

function byteLevel(config: Record<string, unknown>): PreTokenizer {
  const cut: PreTokenizer = config.use_regex === false
    ? (text) => [text]
    : isolate(native(GPT2)); // leaves no gaps: every character is of some class
  if (config.add_prefix_space !== true) return cut;
  return (text) => cut(text.startsWith(" ") ? text : ` ${text}`);
}

function split(config: Record<string, unknown>): PreTokenizer {
  const { Regex, String: literal } = (config.pattern ?? {}) as Record<
    string,
    unknown
  >;
  const source = typeof Regex === "string"
    ? translate(Regex)
    : typeof literal === "string"
    ? RegExp.escape(literal)
    : "";
  if (source === "" || source.length > 4000) {
    throw TokenizerError.inFile(
      "a Split needs a pattern of 1 to 4000 characters",
    );
  }
  try {
    new RegExp(source, "gu");
  } catch {
    throw TokenizerError.inFile(
      `the Split pattern ${
        JSON.stringify(source.slice(0, 80))
      } is not a regular expression`,
    );
  }
  if (!isQuick(source)) {
    throw TokenizerError.inFile(
      `the Split pattern ${
        JSON.stringify(source.slice(0, 80))
      } can take for ever: no group may repeat, and only one loop may stand before what can fail`,
    );
  }
  const pattern = matcher(source);
  if (config.behavior === "Isolated") return isolate(pattern);
  if (config.behavior === "MergedWithPrevious" && config.invert !== true) {
    return mergeWithPrevious(pattern);
  }
  if (config.behavior === "Removed") {
    return removed(pattern, config.invert === true);
  }
  throw TokenizerError.inFile(
    `Split behavior ${
      JSON.stringify(config.behavior)
    } is not known; known are Isolated, Removed and MergedWithPrevious`,
  );
}

/**
 * Translates an Oniguruma pattern to JavaScript: \s, \S and \d follow Unicode
 * in Oniguruma (\s contains U+0085 and not U+FEFF), which differs from
 * JavaScript.
 */
function translate(pattern: string): string {
  return pattern.replace(/\\(.)/gsu, (whole, c) => {
    switch (c) {
      case "s":
        return "\\p{White_Space}";
      case "S":
        return "\\P{White_Space}";
      case "d":
        return "\\p{Nd}";
      case "D":
        return "\\P{Nd}";
      default:
        if (/[pPrntfv0ux]/.test(c)) return whole;
        if (/[a-zA-Z]/.test(c)) {
          throw TokenizerError.inFile(
            `the Split pattern has ${whole}, which is not known`,
          );
        }
        // JavaScript refuses \' and the like in Unicode mode.
        return /[\^$\\.*+?()[\]{}|/-]/.test(c) ? whole : c;
    }
  });
}

/** The matcher of a built-in pattern, which needs little backtracking. */
function native(pattern: RegExp): Matcher {
  return (text) => {
    const found: number[] = [];
    for (const { 0: word, index } of text.matchAll(pattern)) {
      found.push(index, index + word.length);
    }
    return found;
  };
}

/**
 * Split behaviour Removed: the text between matches, or with `inverted` the
 * matches.
 */
function removed(pattern: Matcher, inverted: boolean): PreTokenizer {
  return (text) => {
    const all = [0, ...pattern(text), text.length];
    const words: string[] = [];
    for (let i = inverted ? 1 : 0; i + 1 < all.length; i += 2) {
      if (all[i] < all[i + 1]) words.push(text.slice(all[i], all[i + 1]));
    }
    return words;
  };
}

/** Split behaviour MergedWithPrevious: each match ends the preceding word. */
function mergeWithPrevious(pattern: Matcher): PreTokenizer {
  return (text) => {
    const words: string[] = [], found = pattern(text);
    let at = 0;
    for (let i = 1; i < found.length; i += 2) {
      words.push(text.slice(at, found[i]));
      at = found[i];
    }
    if (at < text.length) words.push(text.slice(at));
    return words;
  };
}

/** Split behaviour Isolated: each match and each text between matches is a word. */
function isolate(pattern: Matcher): PreTokenizer {
  return (text) => {
    const words: string[] = [], found = pattern(text);
    let at = 0;
    for (let i = 0; i < found.length; i += 2) {
      if (found[i] > at) words.push(text.slice(at, found[i]));
      at = found[i + 1];
      words.push(text.slice(found[i], at));
    }
    if (at < text.length) words.push(text.slice(at));
    return words;
  };
}
