/**
 * A small, readable tokenizer.json: all bytes, a few merges and added tokens of every
 * kind. For tests and examples.
 * @module
 */
import { CHAR_OF_BYTE } from "../src/tokenizer/bytes.ts";

const MERGES =
  "t h,th e,Ġ the,i n,in g,Ġ a,a n,Ġa n,Ġan d,e r,Ġ d,Ġd o,Ġdo g,o n,Ġ on,1 2,Ã ©,Ġ Ġ,ĠĠ ĠĠ,ðŁ ĺ,ð Ł,h e,l l,he ll,hell o,' s,Ċ Ċ,a a,aa aa,d e,de s,c r,cr i,cri b,i m,im a,ima g,imag e";

const BYTE_LEVEL = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
};

/** Text of the toy tokenizer.json; `changes` replaces top-level entries. */
export function toyTokenizerJson(
  changes: Readonly<Record<string, unknown>> = {},
): string {
  // Listed so that each merge's parts come before it.
  const merges = MERGES.split(",").map((m) => m.split(" "))
    .toSorted((a, b) => depth(a) - depth(b));
  const names = [...CHAR_OF_BYTE, ...merges.map(([a, b]) => a + b)];
  const vocab = Object.fromEntries(names.map((name, id) => [name, id]));
  const added = [
    { content: "<image>", special: true },
    { content: "<image><image>", special: true },
    { content: "<end>", special: true, rstrip: true },
    { content: "<pad>", special: true, lstrip: true },
    { content: "<tool>", special: false },
    { content: "Ångström", special: false, normalized: true },
    { content: "cat", special: false, single_word: true },
  ].map((token, i) => ({
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    ...token,
    id: names.length + i,
  }));
  return JSON.stringify({
    version: "1.0",
    added_tokens: added,
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Digits", individual_digits: true },
        BYTE_LEVEL,
      ],
    },
    post_processor: null,
    decoder: BYTE_LEVEL,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
    ...changes,
  });
}

function depth([a, b]: string[]): number {
  return a.length + b.length;
}
