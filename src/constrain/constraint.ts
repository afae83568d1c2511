/**
 * Constrained decoding: masks the tokens that would violate a grammar, or leave too
 * few tokens to finish. Every byte is also a single token, so the number of missing
 * bytes is always enough tokens.
 * @module
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { RuntimeError } from "../graph/error.ts";
import { budget } from "../platform/budget.ts";
import { type Rule, start, type State } from "./grammar.ts";

/** Allowed tokens, sorted by bytes so that neighbours share prefixes. */
export interface Vocabulary {
  /** Token ids, sorted by their bytes. */
  readonly ids: Int32Array;
  /** Bytes of each token, in the same order. */
  readonly bytes: readonly Uint8Array[];
}

/** A grammar's state during an answer. */
export interface Constraint {
  /** Sets the logits of tokens that may not follow to −∞; `left` tokens remain, the next one included. */
  restrict(logits: Float32Array, left: number): void;
  /** Advances by an allowed token. */
  accept(id: number): void;
  /** Whether the text is complete and may end. */
  readonly whole: boolean;
  /** Whether the text must end here. */
  readonly ended: boolean;
}

/** Budget of grammar steps, less than a microsecond each. */
export const CONSTRAINT_LIMITS = {
  /**
   * Steps for one token; the first token of an enum of 4,000 words takes
   * 160,000.
   */
  token: 250_000,
  /** For a whole answer, in addition to `each` per token. */
  answer: 1_000_000,
  /** Added per token; a token inside a string with minLength takes 7,000. */
  each: 16_384,
} as const;

/** Size of the cache of `needsBehind`, in bytes. */
const KEPT_BYTES = 2 ** 23;

/** The token is not allowed. */
const NEVER = 0xffff;

/** The allowed tokens of a tokenizer. */
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
 * Constrains an answer of at most `most` tokens to the grammar `rules`.
 * @throws {RuntimeError} "schema" where the shortest text of the grammar is longer;
 * here and in `restrict` where the budget of steps is exceeded
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
    known.delete(state); // least recently used first
    known.set(state, all);
    if (known.size > mostKnown) known.delete(known.keys().next().value!);
    return all;
  };
  needs(); // throws now where the first token exceeds the budget
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
 * Bytes that are still missing after each token of the vocabulary; `NEVER` where it
 * is not allowed. Tokens with a common prefix share its states.
 */
function needsBehind(from: State, { bytes }: Vocabulary): Uint16Array {
  const needs = new Uint16Array(bytes.length).fill(NEVER);
  const path: (State | undefined)[] = [from];
  let depth = 0; // valid entries of `path`
  for (const [i, token] of bytes.entries()) {
    const shared = i === 0 ? 0 : sharedLength(bytes[i - 1], token);
    let at = Math.min(shared, depth);
    for (; at < token.length; at++) {
      const next = path[at]?.next(token[at]);
      path[at + 1] = next;
      if (next === undefined) break;
    }
    depth = Math.min(at + 1, token.length);
    const last = at === token.length ? path[at] : undefined;
    if (last) needs[i] = Math.min(last.need, NEVER - 1);
  }
  return needs;
}
