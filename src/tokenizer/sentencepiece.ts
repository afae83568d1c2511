/**
 * Vocabularies of SentencePiece as `tokenizer.model` has them: pieces with a
 * score and a kind. BPE joins the two neighbours whose piece has the greatest
 * score, leftmost first (bpe_model.cc); unigram takes the pieces whose scores
 * sum to most (unigram.ts). A character that is in no piece becomes its bytes, or
 * the unknown piece.
 * @module
 */
import { join, type Pairs } from "./bpe.ts";
import { TokenizerError } from "./error.ts";
import { nameOfByte } from "./pieces.ts";
import { longest, lookups, type Prefixes, prefixes } from "./prefixes.ts";
import { type Segment, unigram } from "./unigram.ts";

/** Type of the model in tokenizer.json. */
export const SENTENCEPIECE = "SentencePiece";

/** Kinds of pieces (sentencepiece_model.proto, `SentencePiece.Type`). */
export const KIND = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/** The model of a tokenizer.json. */
export interface SentencePieceModel {
  readonly type: typeof SENTENCEPIECE;
  readonly algorithm: "BPE" | "Unigram";
  /** Whether characters in no piece become the pieces of their bytes. */
  readonly byte_fallback: boolean;
  /** Text, score and kind of each piece, by id. */
  readonly pieces: readonly (readonly [string, number, number])[];
}

/** A vocabulary at work. */
export interface Words {
  /** Ids by text. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Ids of a normalized text. */
  readonly words: (text: string) => readonly number[];
  /** Pieces that a text keeps as they are; undefined where there are none. */
  readonly fixed: Prefixes | undefined;
}

const MOST_PIECES = 2 ** 20, MOST_CHARACTERS = 1000;

/** Ids in working lists: those of fixed pieces, which join with nothing, and of characters in no piece. */
const FIXED = 2 ** 21, UNKNOWN = 2 ** 22;

/**
 * Whether a user-defined piece is markup of a prompt (`<image>`), which a user's
 * text must not become. Others stand for text: line breaks, runs of blanks, words.
 */
export function isMarkup(piece: string): boolean {
  return /^[<[{|].*[>\]}|]$/su.test(piece);
}

/** Reads the model; throws `TokenizerError`. */
export function readSentencePiece(
  json: Readonly<Record<string, unknown>>,
): Words {
  const model = check(json), { pieces } = model;
  const vocab = new Map<string, number>();
  pieces.forEach(([text], id) => {
    const other = vocab.get(text);
    if (other !== undefined) {
      throw TokenizerError.inFile(
        `pieces ${other} and ${id} are both ${
          JSON.stringify(text.slice(0, 40))
        }`,
      );
    }
    vocab.set(text, id);
  });
  const those = (...kinds: number[]) =>
    new Map([...vocab].filter(([, id]) => kinds.includes(pieces[id][2])));
  const text = those(KIND.normal, KIND.userDefined, KIND.unused);
  const user = new Map(
    [...those(KIND.userDefined)].filter(([t]) => !isMarkup(t)),
  );
  for (const [piece] of those(KIND.userDefined)) {
    if (isMarkup(piece)) text.delete(piece);
  }
  const fixed = user.size > 0 ? prefixes(user) : undefined;
  const cut = model.algorithm === "BPE"
    ? joined(pieces, text, fixed)
    : likeliest(pieces, text);
  const unknown = unknownOf(model, vocab);
  const words = (whole: string) => {
    const ids: number[] = [];
    let wasUnknown = false;
    for (const { id, text } of cut(whole)) {
      if (id >= 0) ids.push(id);
      else unknown(text, wasUnknown, ids);
      wasUnknown = id < 0;
    }
    return ids;
  };
  return { vocab, words, fixed };
}

/** Adds the ids of a text in no piece: its bytes, or one unknown piece for a run. */
function unknownOf(
  { pieces, byte_fallback }: SentencePieceModel,
  vocab: ReadonlyMap<string, number>,
): (text: string, again: boolean, ids: number[]) => void {
  if (!byte_fallback) {
    const id = pieces.findIndex(([, , kind]) => kind === KIND.unknown);
    if (id < 0) throw TokenizerError.inFile("it has no unknown piece");
    return (_, again, ids) => {
      if (!again) ids.push(id);
    };
  }
  const bytes = Array.from({ length: 256 }, (_, byte) => {
    const id = vocab.get(nameOfByte(byte));
    if (id !== undefined) return id;
    throw TokenizerError.inFile(`it has no piece ${nameOfByte(byte)}`);
  });
  const encoder = new TextEncoder();
  return (text, _, ids) => {
    for (const byte of encoder.encode(text)) ids.push(bytes[byte]);
  };
}

/** BPE by scores. */
function joined(
  pieces: SentencePieceModel["pieces"],
  text: ReadonlyMap<string, number>,
  fixed: Prefixes | undefined,
): (whole: string) => Segment[] {
  const scores = [...new Set([...text.values()].map((id) => pieces[id][1]))]
    .sort((a, b) => b - a);
  const rankOfScore = new Map(scores.map((score, rank) => [score, rank]));
  const most = [...text.keys()].reduce((n, t) => Math.max(n, t.length), 0);
  return (whole) => {
    const unknown: string[] = [], spend = lookups(whole.length);
    const textOf = (id: number) =>
      id >= UNKNOWN ? unknown[id - UNKNOWN] : pieces[id][0];
    /** Ids of pieces that only lead to others, and what each was joined from. */
    const unused = new Map<number, readonly [number, number]>();
    const idOf = (left: number, right: number) => {
      if (isFixed(left) || isFixed(right)) return undefined;
      const [a, b] = [textOf(left), textOf(right)];
      return a.length + b.length > most ? undefined : text.get(a + b);
    };
    const pairs: Pairs = {
      rank(left, right) {
        spend(1);
        const id = idOf(left, right);
        if (id === undefined) return undefined;
        if (pieces[id][2] === KIND.unused) unused.set(id, [left, right]);
        return rankOfScore.get(pieces[id][1])!;
      },
      joined: (_, left, right) => idOf(left, right)!,
    };
    const symbols: number[] = [];
    for (let at = 0; at < whole.length;) {
      const found = fixed && longest(fixed, whole, at, spend);
      if (found) {
        symbols.push(FIXED + found.id);
        at = found.end;
        continue;
      }
      const char = String.fromCodePoint(whole.codePointAt(at)!);
      symbols.push(text.get(char) ?? UNKNOWN + unknown.push(char) - 1);
      at += char.length;
    }
    const segments: Segment[] = [];
    /** A piece, or what an unused one was joined from: at most `most` deep, each half shorter. */
    const take = (id: number) => {
      const parts = unused.get(id);
      if (parts) parts.forEach(take);
      else if (id >= UNKNOWN) segments.push({ id: -1, text: textOf(id) });
      else segments.push({ id: id % FIXED, text: "" });
    };
    join(Int32Array.from(symbols), pairs).forEach(take);
    return segments;
  };
}

const isFixed = (id: number) => id >= FIXED && id < UNKNOWN;

/** What an unknown character costs more than the least likely piece (unigram_model.cc, kUnkPenalty). */
const UNKNOWN_PENALTY = 10;

/** Unigram. */
function likeliest(
  pieces: SentencePieceModel["pieces"],
  text: ReadonlyMap<string, number>,
): (whole: string) => Segment[] {
  const normal = Float32Array.from(
    pieces.filter(([, , kind]) => kind === KIND.normal),
    ([, score]) => score,
  );
  const least = normal.reduce((a, b) => Math.min(a, b), Infinity);
  const greatest = normal.reduce((a, b) => Math.max(a, b), 0);
  const encoder = new TextEncoder();
  // A user-defined piece scores so much that it is always taken.
  const scores = Float64Array.from(
    pieces,
    ([piece, score, kind]) =>
      kind === KIND.userDefined
        ? Math.fround(encoder.encode(piece).length * greatest) - 0.1
        : Math.fround(score),
  );
  const used = [...text].filter(([, id]) => pieces[id][2] !== KIND.unused);
  return unigram({
    pieces: prefixes(new Map(used)),
    scores,
    unknownScore: Math.fround(least - UNKNOWN_PENALTY),
  });
}

function check(json: Readonly<Record<string, unknown>>): SentencePieceModel {
  const { algorithm, pieces } = json;
  if (algorithm !== "BPE" && algorithm !== "Unigram") {
    throw TokenizerError.inFile(
      `its algorithm is ${
        JSON.stringify(algorithm)
      }; only BPE and Unigram are known`,
    );
  }
  if (!Array.isArray(pieces) || pieces.length > MOST_PIECES) {
    throw TokenizerError.inFile("its pieces are not a list, or too many");
  }
  pieces.forEach((piece, id) => {
    const [text, score, kind] = Array.isArray(piece) ? piece : [];
    const sound = typeof text === "string" && text !== "" &&
      text.length <= MOST_CHARACTERS && text.isWellFormed() &&
      Number.isFinite(score) && Object.values(KIND).includes(kind);
    if (!sound) {
      throw TokenizerError.inFile(
        `piece ${id} must be a text of 1 to ${MOST_CHARACTERS} characters, a score and a kind`,
      );
    }
  });
  return {
    ...json,
    byte_fallback: json.byte_fallback === true,
  } as SentencePieceModel;
}
