/**
 * Tiktoken vocabularies against tiktoken's ids, and others against those of
 * tokenizers: all special cases of the tokenizer's corpus and mixtures of them
 * (tools/golden/ranked.py, pieces.py).
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { TokenizerError } from "../../src/tokenizer/error.ts";
import { readRanks } from "../../src/tokenizer/tiktoken.ts";
import { openFamily } from "./family.ts";

for (
  const name of [
    "gemma3-toy",
    "glm4v-toy",
    "internvl2-toy",
    "lfm2vl-toy",
    "qwenvl-toy",
  ]
) {
  Deno.test(`the original tokenizer's ids: ${name}`, () => {
    using family = openFamily(name);
    const { tokenizer } = family.files, { words } = family;
    assert(words.length > 80, `${words.length} texts`);
    for (const { text, ids } of words) {
      const got = tokenizer.encode(text, { special: false });
      assertEquals(got, [...ids], JSON.stringify(text));
      if (!text.isWellFormed() || text !== text.normalize("NFC")) continue;
      if (text.includes("▁")) continue; // a blank, to a vocabulary of pieces
      assertEquals(tokenizer.decode(got), text);
    }
  });
}

Deno.test("a damaged file of ranks names its line", () => {
  for (
    const [text, want] of [
      ["IQ== 0\nIg== x\n", "line 2"],
      ["IQ== 0\nIg==\n", "line 2"],
      ["I=Q 0\n", "line 1"],
      ["IQ== 0\nIg== 0\n", "line 2"],
      ["IQ== 0\nIQ== 1\n", "twice"],
    ]
  ) assertThrows(() => readRanks(text), TokenizerError, want);
});
