/**
 * Unigram segmentation: the pieces that a text is cut into are those with the
 * greatest sum of scores (Kudo 2018, "Subword Regularization", §3.2; Viterbi, as
 * SentencePiece's unigram_model.cc, `EncodeOptimized`: sums in float32).
 * @module
 */
import { lookups, type Prefixes } from "./prefixes.ts";

/** What a unigram model knows of its pieces. */
export interface UnigramModel {
  /** The pieces that text can hold, by their text. */
  readonly pieces: Prefixes;
  /** Scores by id. */
  readonly scores: Float64Array;
  /** Score of a character that no piece stands for. */
  readonly unknownScore: number;
}

/** A stretch of text and the id of its piece; -1 where no piece stands for it. */
export interface Segment {
  readonly id: number;
  readonly text: string;
}

/** The function text → pieces of `model`. */
export function unigram(
  { pieces, scores, unknownScore }: UnigramModel,
): (text: string) => Segment[] {
  return (text) => {
    const n = text.length, spend = lookups(n);
    const best = new Float32Array(n + 1);
    const from = new Int32Array(n + 1).fill(-1), by = new Int32Array(n + 1);
    const offer = (at: number, end: number, id: number, sum: number) => {
      if (from[end] >= 0 && !(sum > best[end])) return;
      best[end] = sum;
      from[end] = at;
      by[end] = id;
    };
    for (let at = 0, next; at < n; at = next) {
      next = at + (text.codePointAt(at)! > 0xffff ? 2 : 1);
      let alone = false; // whether a piece stands for this character
      pieces(text, at, spend, (id, end) => {
        alone ||= end === next;
        offer(at, end, id, scores[id] + best[at]);
      });
      if (!alone) offer(at, next, -1, Math.fround(unknownScore + best[at]));
    }
    const segments: Segment[] = [];
    for (let end = n; end > 0; end = from[end]) {
      segments.push({ id: by[end], text: text.slice(from[end], end) });
    }
    return segments.reverse();
  };
}
