/** Patterns of models are let through, those that never end are not. */
import { assert, assertEquals } from "@std/assert";
import { isQuick } from "./regex_cost.ts";

/** Words of GPT-4, Qwen2, Llama 3, GPT-4o, DeepSeek: as in their tokenizer.json, \s written out. */
const REAL = [
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n/]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "[一-龥぀-ゟ゠-ヿ]+",
  "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+",
];

const ENDLESS = [
  "(a+)+$",
  "(\\p{L}+)*!",
  "(?:a|a)*b",
  "(?:a|b|ab)+c",
  "a*a*a*b",
  "a+a+b",
  "a*(?:a*b)",
  `${"a?".repeat(30)}${"a".repeat(30)}`,
  `${"a{1,9}".repeat(9)}b`,
  `${"(?:a|aa)".repeat(20)}b`,
  "(?:(?:a+)?b)+",
  "(?=(a+)+b)a",
  "(?:a{2,}){3}b",
  // A look behind is read from its end.
  "(?<=ba*a*a*a*)x",
  "(?<=ba*a*a*)a",
  "(?<!b(?:a|aa)*)a",
];

Deno.test("patterns of known models are quick", () => {
  for (const pattern of REAL) {
    new RegExp(pattern, "gu"); // it is one
    assert(isQuick(pattern), pattern);
  }
});

Deno.test("patterns with too much backtracking are refused", () => {
  assertEquals(ENDLESS.filter(isQuick), []);
});

Deno.test("what is let through ends soon, on texts made to make it fail", () => {
  const alphabet = [
    "a",
    "b",
    "[ab]",
    "\\p{L}",
    "(?:a|b)",
    "(?!b)",
    "(?:a|bb)?",
  ];
  const times = ["", "", "?", "*", "+", "{1,3}", "{2,}"];
  let state = 1;
  const draw = <T>(list: readonly T[]) => {
    state = Math.imul(state, 1103515245) + 12345 >>> 0;
    return list[(state >>> 8) % list.length];
  };
  let quick = 0;
  for (let i = 0; i < 3000; i++) {
    let pattern = "";
    for (let k = draw([1, 2, 3, 4, 5]); k > 0; k--) {
      const atom = draw(alphabet), fixed = /^\(\?!|\?$/.test(atom);
      pattern += atom + (fixed ? "" : draw(times)) + draw(["", "", "", "|"]);
    }
    if (!isQuick(pattern)) continue;
    quick++;
    for (const text of ["a".repeat(400) + "?", "ab".repeat(200) + "?"]) {
      const begun = performance.now();
      text.match(new RegExp(pattern, "gu"));
      const ms = performance.now() - begun;
      assert(ms < 500, `${ms} ms: ${pattern}`);
    }
  }
  assert(quick > 500, `${quick} were let through`);
});
