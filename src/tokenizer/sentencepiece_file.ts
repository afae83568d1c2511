/**
 * SentencePiece's `tokenizer.model` (sentencepiece_model.proto, `ModelProto`) as
 * a tokenizer.json.
 * @module
 */
import { TokenizerError } from "./error.ts";
import { fieldsOf } from "./protobuf.ts";
import {
  isMarkup,
  KIND,
  SENTENCEPIECE,
  type SentencePieceModel,
} from "./sentencepiece.ts";
import {
  SENTENCEPIECE_NORMALIZER,
  type SentencePieceNormalizer,
} from "./sentencepiece_normalize.ts";

/** Fields that are read (sentencepiece_model.proto). */
const FIELD = {
  model: { piece: 1, trainer: 2, normalizer: 3, denormalizer: 5 },
  piece: { text: 1, score: 2, kind: 3 },
  trainer: { algorithm: 3, suffix: 24, byteFallback: 35 },
  normalizer: { charsmap: 2, prefix: 3, fewer: 4, escape: 5 },
} as const;

/** `TrainerSpec.ModelType`. */
const ALGORITHMS: Readonly<Record<number, SentencePieceModel["algorithm"]>> = {
  1: "Unigram",
  2: "BPE",
};

/** Largest file that is read. */
const MOST_BYTES = 2 ** 26;

/** What a tokenizer.model says. */
export interface SentencePieceFile {
  readonly model: SentencePieceModel;
  readonly charsmap: Uint8Array;
  /** Whether a blank is put in front of a text. */
  readonly prefix: boolean;
  /** Whether blanks at the ends go and several become one. */
  readonly fewer: boolean;
}

/** An added token of a tokenizer.json. */
export interface AddedPiece {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** Reads a tokenizer.model; throws `TokenizerError`. */
export function readSentencePieceFile(bytes: Uint8Array): SentencePieceFile {
  if (bytes.length > MOST_BYTES) {
    throw wrong(`it has ${bytes.length} bytes, more than ${MOST_BYTES}`);
  }
  const pieces: [string, number, number][] = [];
  let trainer = new Uint8Array(), normalizer = new Uint8Array();
  const { model } = FIELD;
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === model.piece) pieces.push(pieceOf(messageOf(value)));
    if (number === model.trainer) trainer = messageOf(value);
    if (number === model.normalizer) normalizer = messageOf(value);
    if (number !== model.denormalizer) continue;
    if (last(messageOf(value), FIELD.normalizer.charsmap) !== undefined) {
      throw wrong("it changes decoded text (denormalizer_spec)");
    }
  }
  const { algorithm, suffix, byteFallback } = FIELD.trainer;
  const known = ALGORITHMS[Number(last(trainer, algorithm) ?? 1)];
  if (!known) throw wrong("its model_type is neither unigram nor BPE");
  if (last(trainer, suffix)) {
    throw wrong("it writes a blank behind a word (treat_whitespace_as_suffix)");
  }
  const { charsmap, prefix, fewer, escape } = FIELD.normalizer;
  if (last(normalizer, escape) === 0) {
    throw wrong("it keeps blanks as they are (escape_whitespaces)");
  }
  const table = last(normalizer, charsmap);
  return {
    model: {
      type: SENTENCEPIECE,
      algorithm: known,
      byte_fallback: last(trainer, byteFallback) === 1,
      pieces,
    },
    charsmap: table === undefined ? new Uint8Array() : messageOf(table),
    prefix: last(normalizer, prefix) !== 0,
    fewer: last(normalizer, fewer) !== 0,
  };
}

/** Control pieces, and user-defined ones that are markup: what only a prompt's own text can hold. */
export function addedPieces({ pieces }: SentencePieceModel): AddedPiece[] {
  return pieces.flatMap(([content, , kind], id) =>
    kind === KIND.control || kind === KIND.unknown ||
      kind === KIND.userDefined && isMarkup(content)
      ? [{ id, content, special: kind !== KIND.userDefined }]
      : []
  );
}

/**
 * The tokenizer.json of a SentencePiece model.
 * @param added its added_tokens
 * @param prefix where a blank is put in front of a text
 * @param first its post_processor
 */
export function sentencePieceJson(
  { model, charsmap, fewer }: SentencePieceFile,
  added: readonly unknown[],
  prefix: SentencePieceNormalizer["prefix"],
  first: unknown,
): string {
  const normalizer: SentencePieceNormalizer = {
    type: SENTENCEPIECE_NORMALIZER,
    precompiled_charsmap: charsmap.toBase64(),
    prefix,
    remove_extra_whitespaces: fewer,
  };
  const decoders = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    ...(prefix === "never"
      ? []
      : [{ type: "Strip", content: " ", start: 1, stop: 0 }]),
  ];
  return JSON.stringify({
    version: "1.0",
    added_tokens: added,
    normalizer,
    pre_tokenizer: null,
    post_processor: first,
    decoder: { type: "Sequence", decoders },
    model,
  });
}

function pieceOf(message: Uint8Array): [string, number, number] {
  let text = "", score = 0, kind: number = KIND.normal;
  for (const { number, value } of fieldsOf(message)) {
    if (number === FIELD.piece.text) text = textOf(messageOf(value));
    if (number === FIELD.piece.score) score = Number(value);
    if (number === FIELD.piece.kind) kind = Number(value);
  }
  return [text, score, kind];
}

/** The last value of a field, which counts. */
function last(message: Uint8Array, field: number) {
  let found: number | Uint8Array | undefined;
  for (const { number, value } of fieldsOf(message)) {
    if (number === field) found = value;
  }
  return found;
}

function messageOf(value: number | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof value !== "number") return value as Uint8Array<ArrayBuffer>;
  throw wrong("it has a number where a text or a message must be");
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
  } catch {
    throw wrong("a piece is not UTF-8");
  }
}

function wrong(problem: string): TokenizerError {
  return new TokenizerError(`Cannot read tokenizer.model: ${problem}`);
}
