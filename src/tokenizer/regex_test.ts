/** The matches are those of JavaScript's engine; the time is not. */
import { threadMs } from "../../tests/cpu_time.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { random, uniform } from "../tensor/random.ts";
import { TokenizerError } from "./error.ts";
import { matcher } from "./regex.ts";

/** What JavaScript finds, without empty matches. */
function reference(pattern: string, text: string): number[] {
  const found: number[] = [];
  for (const { 0: match, index } of text.matchAll(new RegExp(pattern, "gu"))) {
    if (match !== "") found.push(index, index + match.length);
  }
  return found;
}

const PATTERNS = [
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\p{White_Space}\\p{L}\\p{N}]+[\\r\\n/]*|\\p{White_Space}*[\\r\\n]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "[一-龥぀-ゟ゠-ヿ]+|(?<word>[a-z]+)|.",
  "(?<=a)b|(?<!a)c|^x|x$|(?m:^y|z$)|(?s:.)\\n",
  "(?<=b(?:a|ab){1,3})a|a(?=(?:b|ba)*c)",
  "[^]|[\\u{1F600}-\\u{1F64F}]|\\ud83d\\ude00|\\x41|\\t",
  "(?i:[a-cé]|ſ|k)|(?i:(?-i:D)e)",
  "a??b*?c{2}|a{2,}?|(?:ab|a){2,3}?(?=b)",
  "(?=(?=b)(?:a|b))b|(?!(?<=a)b)b|(?<=(?!b)a)b",
  "",
  "(?:)|a",
];

const TEXTS = [
  "",
  "It's 12345 degrees,\n\n  isn't IT?  \r\n\t x",
  "aaabbbccc abcabc bab baab bac aabac x\nyzy\nz\nx",
  "caféKſ naïve ÀÉ ０１２ \u0301\u0301 中文かなカナ 👨‍👩‍👧 \ud83d \ude00 De dE",
  "A\tB\u2028C\u0085D \u3000 E\ufeffF",
];

Deno.test("patterns of models and of every construct match as JavaScript's", () => {
  for (const pattern of PATTERNS) {
    const match = matcher(pattern);
    for (const text of TEXTS) {
      assertEquals(match(text), reference(pattern, text), pattern);
    }
  }
});

Deno.test("4000 random patterns match as JavaScript's", () => {
  const next = random(9);
  const draw = <T>(list: readonly T[]): T =>
    list[Math.floor(uniform(next) * list.length)];
  const atoms = ["a", "b", "[ab]", "[^b]", "\\p{L}", ".", "c", "(?i:A)"];
  const counts = ["", "", "", "?", "*", "+", "??", "+?", "*?", "{1,3}", "{2}"];
  const opens = ["(?:", "(", "(?=", "(?!", "(?<=", "(?<!"];
  const piece = (depth: number): string => {
    if (depth === 0 || uniform(next) < 0.6) return draw(atoms) + draw(counts);
    const open = draw(opens), look = open.length > 2 && open !== "(?:";
    const inner = draw(["", "", "a"]) + sequence(depth - 1);
    return `${open}${inner})${look ? "" : draw(["", "", "?", "??"])}`;
  };
  const sequence = (depth: number): string => {
    let pattern = "";
    for (let k = draw([1, 2, 2, 3, 4]); k > 0; k--) {
      pattern += piece(depth) + draw(["", "", "", "|"]);
    }
    return pattern;
  };
  let found = 0, refused = 0;
  for (let i = 0; i < 4000; i++) {
    const pattern = sequence(3);
    let text = "";
    for (let k = draw([3, 8, 14]); k > 0; k--) text += draw([..."aabbcA\n"]);
    let match;
    try {
      match = matcher(pattern);
    } catch (error) {
      assertMatch(String(error), /may be empty/);
      refused++;
      continue;
    }
    const want = reference(pattern, text);
    assertEquals(match(text), want, JSON.stringify([pattern, text]));
    if (want.length > 0) found++;
  }
  assert(found > 1500 && refused < 2000, `${found} matched`);
});

Deno.test("groups that repeat match as JavaScript's", () => {
  for (
    const pattern of ["(?:a|ab)+c", "(?:a+b?)*c", "(?:a*b)+?(?=c|$)", "(a+)+b"]
  ) {
    for (const text of ["aababc abc", "aaaa aab", "abababab", "ac aac"]) {
      assertEquals(matcher(pattern)(text), reference(pattern, text), pattern);
    }
  }
});

Deno.test("no pattern takes long on a long text", () => {
  const slow = [
    "a+b",
    "(?<=ba*a*a*)a",
    "(?<=ba*a*a*a*)x",
    "a{1,64}a+b",
    "(?:a+)+b",
    "(?:a|aa)+b",
    "a*a*a*a*b",
    "(?=a*b)a",
    "(?!a*a*b)c",
    `${"a?".repeat(30)}${"a".repeat(30)}b`,
    "\\p{White_Space}+b",
  ];
  const refused = new Set<string>();
  for (const pattern of slow) {
    const match = matcher(pattern);
    for (const text of ["a".repeat(99_000), " ".repeat(99_000) + "x"]) {
      const begun = threadMs();
      try {
        assertEquals(match(text).length, 0);
      } catch (error) {
        assert(error instanceof TokenizerError, String(error));
        refused.add(pattern);
      }
      const ms = threadMs() - begun;
      assert(ms < 1500, `${ms} ms: ${pattern}`); // minutes, before
    }
  }
  assertEquals([...refused], []);
});

Deno.test("a pattern whose steps a text exhausts is refused with the text", () => {
  const match = matcher(`(?:${"a?".repeat(400)}b|a)`);
  assertEquals(match("aab"), [0, 3]);
  assertThrows(
    () => match("a".repeat(10_000)),
    TokenizerError,
    "more than 300 steps per character",
  );
});

Deno.test("what is not read is refused by name", () => {
  for (
    const [pattern, want] of [
      ["(a)\\1", '"\\\\1"'],
      ["a\\b", '"\\\\b"'],
      ["(?:a*)*b", "repeats a group that may be empty"],
      ["(?:a*?)?b", "repeats a group that may be empty"],
      ["(?:){99999999}", "more than 1000 steps"],
      ["a{9999}", "more than 1000 steps"],
      ["(?:a{99}){99}", "more than 1000 steps"],
      [`${"(".repeat(500)}a${")".repeat(500)}`, "groups 101 deep"],
    ]
  ) assertThrows(() => matcher(pattern), TokenizerError, want);
});
