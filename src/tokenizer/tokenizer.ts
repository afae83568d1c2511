/**
 * A BPE tokenizer from a tokenizer.json, byte-level or SentencePiece. It equals
 * the reference on supported settings and refuses others by name.
 * @module
 */
import { finder, readAddedTokens } from "./added.ts";
import type { AddedToken, Piece } from "./added.ts";
import { bytesOfToken } from "./bytes.ts";
import { bytesOfPiece } from "./pieces.ts";
import { TokenizerError } from "./error.ts";
import { type Normalize, readNormalizer } from "./normalize.ts";
import { readPreTokenizer } from "./pre_tokenize.ts";
import { checkId, readVocabulary, sameId } from "./vocabulary.ts";

/** A part of a prompt. */
export interface TextPart {
  /** The text. */
  readonly text: string;
  /** Whether added tokens (`<image>`) are recognised in it; never for user text. */
  readonly special: boolean;
  /** Ids of the part, where they do not follow from its text. */
  readonly ids?: readonly number[];
}

/** Options of decoding. */
export interface DecodeOptions {
  /** Skip special tokens; default true. */
  readonly skipSpecial?: boolean;
}

/** Decodes token by token. */
export interface DecodeStream {
  /**
   * Returns the text that `id` completes; empty while a character is
   * incomplete.
   */
  push(id: number): string;
  /** Returns the rest: a replacement character if bytes are incomplete. */
  end(): string;
}

/** Text ↔ token ids. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly size: number;
  /** Encodes `text`; with `special` false, added tokens are not recognised. */
  encode(text: string, options: { readonly special: boolean }): number[];
  /**
   * Encodes the concatenation of `parts`. BPE merges across parts; added tokens
   * are recognised in special parts only.
   */
  encodeParts(parts: readonly TextPart[]): number[];
  /**
   * Decodes `ids`.
   * @throws {TokenizerError} for an id outside the vocabulary
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /**
   * A decoder for one token at a time; its outputs concatenate to `decode` of
   * all ids.
   */
  decodeStream(options?: DecodeOptions): DecodeStream;
  /** Id of the added token or vocabulary entry spelled `token`. */
  idOf(token: string): number | undefined;
  /** Bytes of `id`; undefined if there is no such token. */
  bytesOf(id: number): Uint8Array | undefined;
  /** Whether `id` is a special token. */
  isSpecial(id: number): boolean;
  /** The token that its post-processor puts in front of every text, such as `<s>`. Nothing here adds it: a chat template writes it. */
  readonly leading: string | undefined;
}

/**
 * Reads a tokenizer.json.
 * @throws {TokenizerError}
 */
export function readTokenizer(text: string): Tokenizer {
  const json = parse(text);
  const decoding = readDecoder(json.decoder), { pieces } = decoding;
  const { vocab, words, fixed } = readVocabulary(json.model, pieces);
  const added = readAddedTokens(json.added_tokens);
  const bytes = tokenBytes(vocab, added, pieces);
  const cut = readPreTokenizer(json.pre_tokenizer);
  const normalize = readNormalizer(json.normalizer, fixed);
  if (pieces) checkNoneNormalized(added);
  const findAll = addedFinder(added, normalize);
  const findBlank = addedFinder(added.filter(isBlank), normalize);
  const specialIds = new Set(added.filter((t) => t.special).map((t) => t.id));
  const addedIds = new Map(added.map((t) => [t.content, t.id]));

  const cutOut = ({ text, special, ids }: TextPart): readonly Piece[] =>
    ids ?? (special ? findAll : findBlank)(text.toWellFormed());
  const encodeParts = (parts: readonly TextPart[]): number[] => {
    const ids: number[] = [];
    let plain = "";
    const flush = () => {
      if (plain === "") return;
      for (const word of cut(normalize(plain, ids.length === 0))) {
        for (const id of words(word)) ids.push(id);
      }
      plain = "";
    };
    for (const piece of parts.flatMap(cutOut)) {
      if (typeof piece === "string") {
        plain += piece;
        continue;
      }
      flush();
      ids.push(piece);
    }
    flush();
    return ids;
  };
  const decodeStream = (options: DecodeOptions = {}) =>
    decoderOf(bytes, specialIds, decoding.strip, options);
  return {
    size: bytes.length,
    encode: (text, { special }) => encodeParts([{ text, special }]),
    encodeParts,
    decodeStream,
    decode(ids, options) {
      const stream = decodeStream(options);
      let text = "";
      for (const id of ids) text += stream.push(id);
      return text + stream.end();
    },
    idOf: (token) => addedIds.get(token) ?? vocab.get(token),
    bytesOf: (id) => bytes[id],
    isSpecial: (id) => specialIds.has(id),
    leading: leadingToken(json.post_processor),
  };
}

/** First token of a TemplateProcessing, alone or in a sequence. */
function leadingToken(json: unknown): string | undefined {
  const { type, processors, single } = (json ?? {}) as Record<string, unknown>;
  if (type === "Sequence" && Array.isArray(processors)) {
    return processors.map((p) =>
      (p as { type?: unknown } | null)?.type === "Sequence"
        ? undefined
        : leadingToken(p)
    ).find((token) => token !== undefined);
  }
  if (type !== "TemplateProcessing" || !Array.isArray(single)) return undefined;
  const id = (single[0] as { SpecialToken?: { id?: unknown } } | undefined)
    ?.SpecialToken?.id;
  return typeof id === "string" ? id : undefined;
}

/** Whether an added token stands for white space of a text, so that a user's text may become it. */
function isBlank({ content, special }: AddedToken): boolean {
  return !special && /^[\s▁]+$/u.test(content);
}

/** Cuts `tokens` out of a text, those that are normalized out of the normalized text. */
function addedFinder(
  tokens: readonly AddedToken[],
  normalize: Normalize,
): (text: string) => Piece[] {
  const findRaw = finder(tokens.filter((t) => !t.normalized));
  const normalized = tokens.filter((t) => t.normalized)
    .map((t) => ({ ...t, content: normalize(t.content, true) }));
  if (normalized.length === 0) return findRaw;
  const findNormalized = finder(normalized);
  return (text) =>
    findRaw(text).flatMap((piece) =>
      typeof piece === "number" ? piece : findNormalized(normalize(piece, true))
    );
}

/** Checks that a SentencePiece vocabulary has no normalized added tokens. */
function checkNoneNormalized(added: readonly AddedToken[]): void {
  const token = added.find((t) => t.normalized);
  if (token) {
    throw TokenizerError.inFile(
      `added token ${
        JSON.stringify(token.content.slice(0, 40))
      } is normalized, which is not known of a vocabulary of pieces`,
    );
  }
}

/** Returns a decoder; with `strip` it removes the leading space. */
function decoderOf(
  bytes: readonly (Uint8Array | undefined)[],
  specialIds: ReadonlySet<number>,
  strip: boolean,
  { skipSpecial = true }: DecodeOptions,
): DecodeStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let blank = strip; // one in front of all text goes
  const stripped = (text: string) => {
    if (!blank || text === "") return text;
    blank = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  };
  return {
    push(id: number): string {
      const token = bytes[id];
      if (token === undefined) {
        throw new TokenizerError(
          `Cannot decode token ${id}: the vocabulary ends at ${
            bytes.length - 1
          }`,
        );
      }
      if (skipSpecial && specialIds.has(id)) return "";
      return stripped(decoder.decode(token, { stream: true }));
    },
    end: () => stripped(decoder.decode()),
  };
}

function parse(text: string): Record<string, unknown> {
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    throw TokenizerError.inFile("it is not JSON");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw TokenizerError.inFile("it is not an object");
  }
  return json;
}

/**
 * Decoding settings: byte-level or SentencePiece, with or without the leading
 * space.
 */
interface Decoding {
  readonly pieces: boolean;
  readonly strip: boolean;
}

function readDecoder(json: unknown): Decoding {
  const { type, decoders } = (json ?? {}) as Record<string, unknown>;
  if (type === "ByteLevel") return { pieces: false, strip: false };
  if (type === "Sequence" && Array.isArray(decoders)) {
    if (decoders.length === 1) return readDecoder(decoders[0]);
    const [replace, bytes, fuse, strip, ...more] = decoders.map((d) =>
      d as Record<string, unknown>
    );
    const known = isReplace(replace, "▁", " ") &&
      bytes?.type === "ByteFallback" && fuse?.type === "Fuse" &&
      more.length === 0;
    const one = strip?.type === "Strip" && strip.content === " " &&
      strip.start === 1 && strip.stop === 0;
    if (known && (strip === undefined || one)) {
      return { pieces: true, strip: one };
    }
  }
  throw TokenizerError.inFile(
    `its decoder is ${
      JSON.stringify(type ?? null)
    }; only ByteLevel is known, and Replace, ByteFallback, Fuse and Strip in this order`,
  );
}

function isReplace(
  json: Record<string, unknown> | undefined,
  from: string,
  to: string,
): boolean {
  const { String: text } = (json?.pattern ?? {}) as Record<string, unknown>;
  return json?.type === "Replace" && text === from && json.content === to;
}

/** Bytes by id. An added token may also be in the vocabulary, with the same id. */
function tokenBytes(
  vocab: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  pieces: boolean,
): (Uint8Array | undefined)[] {
  const encoder = new TextEncoder();
  const text = new Map<number, string>();
  const bytes: (Uint8Array | undefined)[] = [];
  for (const [token, id] of vocab) {
    text.set(id, token);
    bytes[id] = pieces
      ? bytesOfPiece(token)
      : bytesOfToken(token) ?? encoder.encode(token);
  }
  for (const { id, content } of added) {
    checkId(id, content);
    const other = text.get(id);
    if (other !== undefined && other !== content) {
      throw sameId(id, other, content);
    }
    text.set(id, content);
    bytes[id] = encoder.encode(
      pieces ? content.replaceAll("▁", " ") : content,
    );
  }
  return bytes;
}
