/**
 * Byte-pair encoding of one word: repeatedly merge the adjacent pair with the
 * lowest rank in the list of merges, leftmost first (Sennrich et al. 2016,
 * §3.2; on bytes: Radford et al. 2019, §2.2). A tiktoken vocabulary has no list
 * of merges: any adjacent pair that is a token merges, the lowest id first.
 * @module
 */
import { CHAR_OF_BYTE } from "./bytes.ts";
import { TokenizerError } from "./error.ts";
import { pieceSymbols } from "./pieces.ts";

/** Vocabulary and merges of a BPE model. */
export interface BpeModel {
  /** Token text → id; in the byte alphabet, except with `pieces`. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Merges in order of rank; undefined if a token's id is its rank. */
  readonly merges: readonly (readonly [string, string])[] | undefined;
  /** A word that is itself a token is not split. */
  readonly ignoreMerges: boolean;
  /** Words are split into characters, not bytes (pieces.ts). */
  readonly pieces: boolean;
}

const CACHED_WORDS = 16_384;
const CACHED_LENGTH = 48;
/** Rank and position share one float64 key: rank · 2^31 + position. */
const POSITIONS = 2 ** 31;

/**
 * Returns the function from a word to its ids.
 * @throws {TokenizerError} if the model is inconsistent
 */
export function bpe(model: BpeModel): (word: string) => readonly number[] {
  const { vocab, pieces } = model;
  const symbols = pieces ? pieceSymbols(vocab) : byteSymbols(vocab);
  const pairs = model.merges ? readMerges(model.merges, vocab) : byId(vocab);
  const whole = pieces
    ? (word: string) => vocab.get(word)
    : (word: string) => vocab.get(inByteAlphabet(word));
  const cache = new Map<string, readonly number[]>();

  return (word) => {
    const known = cache.get(word);
    if (known) return known;
    let result: readonly number[] | undefined;
    if (model.ignoreMerges) {
      const id = whole(word);
      if (id !== undefined) result = [id];
    }
    result ??= join(symbols(word), pairs);
    if (word.length <= CACHED_LENGTH) {
      if (cache.size >= CACHED_WORDS) cache.clear();
      cache.set(word, result);
    }
    return result;
  };
}

const encoder = new TextEncoder();

function inByteAlphabet(word: string): string {
  return Array.from(encoder.encode(word), (byte) => CHAR_OF_BYTE[byte])
    .join("");
}

/** Ids of the bytes of a word, before merging. */
function byteSymbols(
  vocab: BpeModel["vocab"],
): (word: string) => Int32Array {
  const byteIds = CHAR_OF_BYTE.map((char, byte) => {
    const id = vocab.get(char);
    // Some vocabularies (SmolLM2) lack control characters and the first bytes of
    // unassigned planes; where text holds one, the reference drops it.
    if (id === undefined && byte > 0x20 && byte < 0x7f) {
      throw TokenizerError.inFile(
        `it has no token for byte 0x${byte.toString(16).padStart(2, "0")}`,
      );
    }
    return id ?? -1;
  });
  return (word) =>
    Int32Array.from(encoder.encode(word), (byte) => byteIds[byte])
      .filter((id) => id >= 0);
}

/** Which neighbours merge. */
export interface Pairs {
  /** Rank of a pair of ids; undefined if they do not merge. */
  rank(left: number, right: number): number | undefined;
  /** Id of the merged token of that rank. */
  joined(rank: number, left: number, right: number): number;
}

function readMerges(
  merges: NonNullable<BpeModel["merges"]>,
  vocab: BpeModel["vocab"],
): Pairs {
  const ids = [...vocab.values()];
  const span = ids.reduce((a, b) => Math.max(a, b), 0) + 1;
  const rank = new Map<number, number>(); // left id · span + right id → rank
  const joined = new Int32Array(merges.length);
  merges.forEach(([left, right], i) => {
    const [a, b, ab] = [left, right, left + right].map((token) => {
      const id = vocab.get(token);
      if (id === undefined) {
        throw TokenizerError.inFile(
          `merge ${i} refers to ${
            JSON.stringify(token.slice(0, 40))
          }, which is not in its vocabulary`,
        );
      }
      return id;
    });
    joined[i] = ab;
    rank.set(a * span + b, i); // a pair listed twice: the last counts, as in the reference
  });
  return {
    rank: (left, right) => rank.get(left * span + right),
    joined: (r) => joined[r],
  };
}

function byId(vocab: BpeModel["vocab"]): Pairs {
  const text = new Map([...vocab].map(([token, id]) => [id, token]));
  return {
    rank: (left, right) => vocab.get(text.get(left)! + text.get(right)!),
    joined: (r) => r,
  };
}

/** Merges `ids` in place, the pair of least rank first, leftmost first, with a linked list and a heap of pairs: O(n log n). */
export function join(ids: Int32Array, { rank, joined }: Pairs): number[] {
  const n = ids.length;
  const next = Int32Array.from(ids, (_, i) => i + 1);
  const previous = Int32Array.from(ids, (_, i) => i - 1);
  const rankAt = (i: number) => {
    const j = next[i];
    return j < n ? rank(ids[i], ids[j]) : undefined;
  };
  const heap: number[] = [];
  const offer = (i: number) => {
    const r = rankAt(i);
    if (r !== undefined) push(heap, r * POSITIONS + i);
  };
  for (let i = 0; i < n - 1; i++) offer(i);
  while (heap.length > 0) {
    const key = pop(heap);
    const i = key % POSITIONS;
    const r = (key - i) / POSITIONS;
    // A pair that was changed since it was offered has another rank, or is gone.
    if (ids[i] < 0 || rankAt(i) !== r) continue;
    const j = next[i];
    ids[i] = joined(r, ids[i], ids[j]);
    ids[j] = -1;
    next[i] = next[j];
    if (next[j] < n) previous[next[j]] = i;
    if (previous[i] >= 0) offer(previous[i]);
    offer(i);
  }
  const result: number[] = [];
  for (let i = 0; i < n; i = next[i]) result.push(ids[i]);
  return result;
}

function push(heap: number[], key: number) {
  let i = heap.push(key) - 1;
  while (i > 0) {
    const up = (i - 1) >> 1;
    if (heap[up] <= key) break;
    heap[i] = heap[up];
    i = up;
  }
  heap[i] = key;
}

function pop(heap: number[]): number {
  const top = heap[0], key = heap.pop()!;
  const n = heap.length;
  if (n === 0) return top;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= n) break;
    if (child + 1 < n && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= key) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = key;
  return top;
}
