/**
 * A tokenizer.json made of the files that older checkpoints have in its place:
 * vocab.json and merges.txt, or SentencePiece's tokenizer.model, and the added
 * tokens of tokenizer_config.json, added_tokens.json and special_tokens_map.json.
 * How a byte-level vocabulary splits text is in the code of the class that
 * tokenizer_config.json names.
 * @module
 */
import { byteLevelJson } from "./byte_level_json.ts";
import { TokenizerError } from "./error.ts";
import { KIND } from "./sentencepiece.ts";
import {
  addedPieces,
  readSentencePieceFile,
  sentencePieceJson,
} from "./sentencepiece_file.ts";

/** Words of Qwen's vocabularies (tokenization_qwen.py, PAT_STR; transformers, tokenization_qwen2.py). */
export const QWEN_WORDS = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Words of Qwen3.5's vocabulary, marks among the letters (transformers, tokenization_qwen3_5.py). */
const QWEN35_WORDS = String
  .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** What the code of a tokenizer class says. */
interface TokenizerClass {
  /** The pattern that cuts words; GPT-2's where there is none. */
  readonly pattern?: string;
  /** Whether text is composed (NFC) first. */
  readonly compose?: boolean;
  /** Special tokens where no file names others. */
  readonly special: readonly string[];
}

const GPT2: TokenizerClass = { special: ["<|endoftext|>"] };
const QWEN: TokenizerClass = { ...GPT2, pattern: QWEN_WORDS, compose: true };
const BART: TokenizerClass = {
  special: ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
};

/**
 * Classes of byte-level vocabularies, without "Fast" (transformers,
 * models/NAME/tokenization_NAME.py; MiniCPM-V 2.6: tokenization_minicpmv_fast.py).
 */
const CLASSES: ReadonlyMap<string, TokenizerClass> = new Map([
  ["Qwen2Tokenizer", QWEN],
  ["Qwen3_5Tokenizer", { ...QWEN, pattern: QWEN35_WORDS }],
  ["MiniCPMVTokenizer", QWEN],
  ["GPT2Tokenizer", GPT2],
  ["CodeGenTokenizer", GPT2],
  ["RobertaTokenizer", BART],
  ["BartTokenizer", BART],
]);

/** The bytes of a checkpoint's file; undefined where there is none. */
export type ReadFile = (name: string) => Uint8Array | undefined;

/** Parsed JSON object. */
type Json = Readonly<Record<string, unknown>>;

/** The files of which one set must be there, for messages. */
export const TOKENIZER_FILES =
  "tokenizer.json, or vocab.json and merges.txt, or tokenizer.model";

/**
 * Text of a tokenizer.json; undefined where the files for it are not there.
 * @throws {TokenizerError} naming the file that is wrong, or a class that is not known
 */
export function tokenizerJsonOf(read: ReadFile): string | undefined {
  const vocab = read("vocab.json"), merges = read("merges.txt");
  const settings = jsonOf(read, "tokenizer_config.json") ?? {};
  if (vocab && merges) {
    return mergedJson(read, settings, textOf(vocab), textOf(merges));
  }
  const model = read("tokenizer.model");
  return model && pieceJson(read, settings, model);
}

/**
 * With `legacy: false` only the text that nothing precedes gets a space in front,
 * otherwise each text between added tokens (transformers,
 * tokenization_utils_base.py, `_get_prepend_scheme`).
 */
function pieceJson(read: ReadFile, settings: Json, bytes: Uint8Array): string {
  const file = readSentencePieceFile(bytes);
  const ids = new Map(file.model.pieces.map(([text], id) => [text, id]));
  const listed = addedTokens(read, settings, [], (token) => ids.get(token));
  const known = new Map(listed.map(({ id, content }) => [id, content]));
  // A listed token takes the id of a piece with another text (InternLM2's <|im_end|>
  // has that of a piece [UNUSED_TOKEN_…]); the piece then has no text of its own.
  const pieces = file.model.pieces.map((piece, id): typeof piece => {
    const text = known.get(id);
    return text === undefined || text === piece[0]
      ? piece
      : [text, 0, KIND.control];
  });
  const added = [
    ...listed.map((token) => ({ ...token, normalized: false })),
    ...addedPieces(file.model).filter(({ id }) => !known.has(id)),
  ];
  const { add_prefix_space: wanted, legacy } = settings;
  const prefix = !file.prefix || wanted === false
    ? "never"
    : legacy === false
    ? "first"
    : "always";
  const first = settings.add_bos_token === false
    ? null
    : leading(read, settings);
  const model = { ...file.model, pieces };
  return sentencePieceJson({ ...file, model }, added, prefix, first);
}

/** The post-processor that puts bos_token first; null where no file names one. */
function leading(read: ReadFile, settings: Json): unknown {
  const { bos_token: token } = {
    ...jsonOf(read, "special_tokens_map.json"),
    ...settings,
  };
  const id = (token as Json | null | undefined)?.content ?? token;
  if (typeof id !== "string") return null;
  const single = [{ SpecialToken: { id } }, { Sequence: { id: "A" } }];
  return { type: "TemplateProcessing", single };
}

function mergedJson(
  read: ReadFile,
  settings: Json,
  vocabText: string,
  mergesText: string,
): string {
  const vocab = parse(vocabText, "vocab.json");
  const name = String(settings.tokenizer_class ?? "").replace(/Fast$/, "");
  const known = CLASSES.get(name);
  const { pretokenize_regex: own } = settings;
  if (!known) {
    throw wrong(
      "tokenizer_config.json",
      `its tokenizer_class is ${
        JSON.stringify(settings.tokenizer_class)
      }, and how that cuts words is not known without tokenizer.json; known are ${
        [...CLASSES.keys()].join(", ")
      }`,
    );
  }
  return byteLevelJson({
    model: { type: "BPE", vocab, merges: mergesOf(mergesText) },
    added: addedTokens(read, settings, known.special, (token) => {
      const id = Object.hasOwn(vocab, token) ? vocab[token] : undefined;
      return typeof id === "number" ? id : undefined;
    }),
    pattern: typeof own === "string" ? own : known.pattern,
    compose: known.compose,
    prefixSpace: settings.add_prefix_space === true,
    first: settings.add_bos_token === true ? leading(read, settings) : null,
  });
}

/** Lines of a merges.txt: pairs, in front of them perhaps its version. */
function mergesOf(text: string): string[][] {
  const merges: string[][] = [];
  for (const [i, line] of text.split("\n").entries()) {
    const pair = line.trimEnd();
    if (pair === "" || pair.startsWith("#version")) continue;
    const tokens = pair.split(" ");
    if (tokens.length !== 2) {
      throw wrong(
        "merges.txt",
        `line ${i + 1} must be two tokens: it is ${
          JSON.stringify(line.slice(0, 40))
        }`,
      );
    }
    merges.push(tokens);
  }
  return merges;
}

/** An entry of added_tokens in tokenizer.json. */
interface Entry {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/**
 * Added tokens of all files, by id: those of tokenizer_config.json or, where it
 * lists none, of added_tokens.json (transformers, tokenization_utils_base.py,
 * `_from_pretrained`). A special token that is not listed must be in the vocabulary.
 */
function addedTokens(
  read: ReadFile,
  settings: Json,
  ofClass: readonly string[],
  idOf: (token: string) => number | undefined,
): Entry[] {
  const byContent = new Map<string, Entry>();
  const add = (content: string, id: unknown, flags: Json) => {
    if (byContent.has(content)) return;
    if (!Number.isSafeInteger(id)) {
      throw wrong(
        "added tokens",
        `${JSON.stringify(content.slice(0, 40))} has no id`,
      );
    }
    byContent.set(content, {
      id: id as number,
      content,
      single_word: flags.single_word === true,
      lstrip: flags.lstrip === true,
      rstrip: flags.rstrip === true,
      normalized: flags.normalized === true,
      special: flags.special === true,
    });
  };
  for (const [id, token] of entriesOf(settings.added_tokens_decoder)) {
    const { content } = (token ?? {}) as Json;
    if (typeof content === "string") add(content, Number(id), token as Json);
  }
  const named = new Map([
    ...ofClass.map((token) => [token, {}] as const),
    ...specialTokens(jsonOf(read, "special_tokens_map.json") ?? {}),
    ...specialTokens(settings),
  ]);
  const older = settings.added_tokens_decoder === undefined
    ? jsonOf(read, "added_tokens.json")
    : undefined;
  for (const [content, id] of entriesOf(older)) {
    const special = named.has(content);
    add(content, id, { normalized: !special, ...named.get(content), special });
  }
  for (const [content, flags] of named) {
    const id = idOf(content);
    if (id !== undefined) add(content, id, { ...flags, special: true });
  }
  return [...byContent.values()].sort((a, b) => a.id - b.id);
}

/** Tokens that settings name as special, by text: bos_token and the like, and the lists of further ones. */
function specialTokens(settings: Json): [string, Json][] {
  return Object.entries(settings).flatMap(([key, value]) => {
    if (!/_tokens?$/.test(key)) return [];
    return [value].flat().flatMap((token): [string, Json][] => {
      if (typeof token === "string") return [[token, {}]];
      const { content, ...others } = (token ?? {}) as Json;
      return typeof content === "string"
        ? [[content, token as Json]]
        : Object.values(others).filter((t) => typeof t === "string")
          .map((t) => [t, {}]);
    });
  });
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null
    ? Object.entries(value)
    : [];
}

function jsonOf(read: ReadFile, name: string): Json | undefined {
  const bytes = read(name);
  return bytes && parse(textOf(bytes), name);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function parse(text: string, name: string): Json {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw wrong(name, "it is not JSON");
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as Json;
  }
  throw wrong(name, "it is not an object");
}

function wrong(name: string, problem: string): TokenizerError {
  return new TokenizerError(
    `Cannot make a tokenizer of ${name}: ${problem.slice(0, 400)}`,
  );
}
