/**
 * SentencePiece's table of characters (`precompiled_charsmap`): what each
 * sequence of characters is replaced with, such as ﬁ with fi. A double-array trie
 * over UTF-8 bytes, then the replacements, each ended by a zero byte
 * (SentencePiece, normalizer.cc; darts-clone, darts.h).
 *
 * ```text
 * u32 bytes of the trie │ u32 per unit │ replacements
 *   unit  bits 0–7 and 31 label │ 8 whether a value follows │ 9 offset is times 256 │ 10–30 offset
 *   value bits 0–30 where the replacement begins
 * ```
 *
 * @module
 */
import type { Spend } from "../platform/budget.ts";
import { TokenizerError } from "./error.ts";

/** Matches that SentencePiece looks at, the longest of which counts (normalizer.cc, kMaxTrieResultsSize). */
const MOST_MATCHES = 32;

/** What the bytes from `at` on begin with, and what replaces it; undefined where nothing does. */
export type Replacements = (
  bytes: Uint8Array,
  at: number,
  spend: Spend,
) => { readonly length: number; readonly text: string } | undefined;

/** Reads a table; throws `TokenizerError`. */
export function readCharsmap(table: Uint8Array): Replacements {
  if (table.length === 0) return () => undefined;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const size = table.length < 4 ? -1 : view.getUint32(0, true);
  if (size < 0 || size % 4 !== 0 || size === 0 || size > table.length - 4) {
    throw TokenizerError.inFile("its precompiled_charsmap is cut off");
  }
  const unit = (i: number) => {
    if (i >= 0 && i < size / 4) return view.getUint32(4 + 4 * i, true);
    throw TokenizerError.inFile("its precompiled_charsmap points outside");
  };
  const texts = table.subarray(4 + size);
  const textAt = (from: number) => {
    const end = texts.indexOf(0, from);
    if (from < texts.length && end >= 0) {
      return new TextDecoder().decode(texts.subarray(from, end));
    }
    throw TokenizerError.inFile("its precompiled_charsmap points outside");
  };
  const offset = (u: number) => (u >>> 10) << ((u & 0x200) >>> 6);
  const root = offset(unit(0));
  return (bytes, at, spend) => {
    let node = root, matches = 0, length = 0, value = 0;
    for (let i = at; i < bytes.length && matches < MOST_MATCHES; i++) {
      spend(1);
      node ^= bytes[i];
      const u = unit(node);
      if ((u & 0x800000ff) !== bytes[i]) break;
      node ^= offset(u);
      if (((u >>> 8) & 1) === 0) continue;
      matches++;
      const atBoundary = (bytes[i + 1] & 0xc0) !== 0x80;
      if (atBoundary) [length, value] = [i + 1 - at, unit(node) & 0x7fffffff];
    }
    return length === 0 ? undefined : { length, text: textAt(value) };
  };
}
