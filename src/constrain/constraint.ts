/**
 * Answers that must follow a grammar: before a token is chosen, all that would
 * leave the grammar, or leave too few tokens to finish, are ruled out. Every
 * byte is a token of its own, so as many tokens as bytes are still needed are
 * always enough.
 * @module
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { RuntimeError } from "../graph/error.ts";
import { budget } from "../platform/budget.ts";
import { type Rule, start, type State } from "./grammar.ts";

/** The tokens an answer may be made of, for walking through all of them at once. */
export interface Vocabulary {
  /** Their ids, sorted by their bytes. */
  readonly ids: Int32Array;
  /** Their bytes, in the same order. */
  readonly bytes: readonly Uint8Array[];
}

/** An answer's way through a grammar. */
export interface Constraint {
  /** Rules out, with −∞, the tokens that may not come; `left` tokens are left, the next included. */
  restrict(logits: Float32Array, left: number): void;
  /** Goes on behind a token that was allowed. */
  accept(id: number): void;
  /** Whether the text may end here. */
  readonly whole: boolean;
  /** Whether it must: nothing may follow. */
  readonly ended: boolean;
}

/** Steps through a grammar, less than a microsecond each. */
export const CONSTRAINT_LIMITS = {
  /** For one token: the first of an enum of 4,000 words takes 160,000. */
  token: 250_000,
  /** For all tokens of an answer together, beside what each has of its own. */
  answer: 1_000_000,
  /** What each token adds to that: one within a text of counted characters takes 7,000. */
  each: 16_384,
} as const;

/** Bytes of `needsBehind` that are kept: a place that comes again has its own ready. */
const KEPT_BYTES = 2 ** 23;

/** No token leads here. */
const NEVER = 0xffff;

/** The tokens of a tokenizer that an answer may hold. */
export function vocabularyOf(
  tokenizer: Tokenizer,
  isAllowed: (id: number) => boolean,
): Vocabulary {
  const tokens: { id: number; bytes: Uint8Array }[] = [];
  const single = new Set<number>();
  for (let id = 0; id < tokenizer.size; id++) {
    if (!isAllowed(id) || tokenizer.isSpecial(id)) continue;
    const bytes = tokenizer.bytesOf(id);
    if (!bytes || bytes.length === 0) continue;
    tokens.push({ id, bytes });
    if (bytes.length === 1) single.add(bytes[0]);
  }
  if (single.size < 256) {
    throw new RuntimeError(
      "schema",
      `Cannot answer with a JSON schema: the tokenizer must have a token for each of the 256 bytes: it has ${single.size}; ask without a schema`,
    );
  }
  tokens.sort((a, b) => compare(a.bytes, b.bytes));
  return {
    ids: Int32Array.from(tokens, (t) => t.id),
    bytes: tokens.map((t) => t.bytes),
  };
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = sharedLength(a, b);
  return (a[shared] ?? -1) - (b[shared] ?? -1);
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i;
}

/**
 * A constraint to texts of `rules`, for answers of at most `most` tokens.
 * @throws {RuntimeError} "schema" where no text of the grammar is so short; here
 * and later where there are too many ways to go on
 */
export function constraint(
  rules: readonly Rule[],
  vocabulary: Vocabulary,
  tokenizer: Tokenizer,
  stopIds: ReadonlySet<number>,
  most: number,
): Constraint {
  const over = (): never => {
    throw new RuntimeError(
      "schema",
      "Cannot answer with this JSON schema: too many of its alternatives begin with the same text; remove some, or give them different first properties",
    );
  };
  const forAnswer = budget({ steps: CONSTRAINT_LIMITS.answer }, over);
  const fresh = () => budget({ steps: CONSTRAINT_LIMITS.token }, over);
  let forToken = fresh();
  let state = start(rules, (steps) => {
    forToken(steps);
    forAnswer(steps);
  });
  if (state.need > most) {
    throw new RuntimeError(
      "schema",
      `Cannot answer: maxTokens must be at least ${state.need} for this JSON schema: current value is ${most}; raise it or shorten the schema`,
    );
  }
  const known = new Map<State, Uint16Array>();
  const mostKnown = Math.max(1, KEPT_BYTES / (2 * vocabulary.ids.length));
  const needs = () => {
    const all = known.get(state) ?? needsBehind(state, vocabulary);
    known.delete(state); // the latest goes to the end
    known.set(state, all);
    if (known.size > mostKnown) known.delete(known.keys().next().value!);
    return all;
  };
  needs(); // too many ways to begin are known before the answer is
  return {
    get whole() {
      return state.need === 0;
    },
    get ended() {
      return !state.open;
    },
    restrict(logits, left) {
      forToken = fresh();
      forAnswer(-CONSTRAINT_LIMITS.each);
      const before = logits.slice(), behind = needs();
      logits.fill(-Infinity);
      const { ids } = vocabulary;
      for (let i = 0; i < ids.length; i++) {
        const may = behind[i] !== NEVER && behind[i] < left;
        if (may) logits[ids[i]] = before[ids[i]];
      }
      for (const id of stopIds) {
        logits[id] = state.need === 0 ? before[id] : -Infinity;
      }
    },
    accept(id) {
      for (const byte of tokenizer.bytesOf(id)!) state = state.next(byte)!;
    },
  };
}

/**
 * Bytes that are still needed behind each token of the vocabulary, `NEVER` for
 * a token that may not come. Neighbours share their beginnings, and so the way.
 */
function needsBehind(from: State, { bytes }: Vocabulary): Uint16Array {
  const needs = new Uint16Array(bytes.length).fill(NEVER);
  const way: (State | undefined)[] = [from];
  let depth = 0; // bytes of the token before that `way` went
  for (const [i, token] of bytes.entries()) {
    const shared = i === 0 ? 0 : sharedLength(bytes[i - 1], token);
    let at = Math.min(shared, depth);
    for (; at < token.length; at++) {
      const next = way[at]?.next(token[at]);
      way[at + 1] = next;
      if (next === undefined) break;
    }
    depth = Math.min(at + 1, token.length);
    const last = at === token.length ? way[at] : undefined;
    if (last) needs[i] = Math.min(last.need, NEVER - 1);
  }
  return needs;
}
