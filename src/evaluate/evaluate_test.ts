import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { bleu } from "./bleu.ts";
import { ciderD } from "./cider.ts";
import { shuffledControl } from "./control.ts";
import { rougeL } from "./rouge.ts";
import { wordsOf } from "./words.ts";

// Five captions with traps: a possessive, a repeated word, no word, five references.
const CAPTIONS = [
  "A dog runs through the grass.",
  "Two men's bikes lean on a red-brick wall",
  "a a a a",
  "",
  "A little girl in a pink dress is climbing stairs",
];
const REFERENCES = [
  [
    "A brown dog is running through the grass.",
    "The dog runs in a field",
    "A dog running",
  ],
  ["Two bikes are leaning against a wall.", "A red brick wall with bicycles"],
  ["a cat sits on a mat", "the cat"],
  ["a man", "nobody is here"],
  [
    "A child in a pink dress is climbing up a set of stairs in an entry way .",
    "A girl going into a wooden building .",
    "A little girl climbing into a wooden playhouse .",
    "A little girl climbing the stairs to her playhouse .",
    "A little girl in a pink dress going into a wooden cabin .",
  ],
];

Deno.test("words: hyphens, possessives, punctuation, letters beyond a to z", () => {
  assertEquals(
    wordsOf("It's A Well-known \"café\", isn't it?\nThe dogs' 3rd"),
    [
      "it",
      "'s",
      "a",
      "well",
      "known",
      "caf",
      "isn't",
      "it",
      "the",
      "dogs'",
      "3rd",
    ],
  );
});

Deno.test("bleu: Papineni's example clips a repeated word", () => {
  const [one, two] = bleu(
    ["the the the the the the the"],
    [["The cat is on the mat.", "There is a cat on the mat."]],
  );
  assertAlmostEquals(one, 2 / 7, 1e-12);
  assertAlmostEquals(two, Math.sqrt(2 / 7 * 1e-9 / 6), 1e-12);
});

Deno.test("bleu: brevity penalty, and the shorter of two nearest references", () => {
  const [short] = bleu(["a b"], [["a b c d"]]);
  assertAlmostEquals(short, Math.exp(1 - 4 / 2), 1e-12);
  assertAlmostEquals(bleu(["a b c"], [["a b", "a b c d"]])[0], 1, 1e-12); // 3 words against 2
});

Deno.test("bleu and ciderD equal the numbers of the training scripts", () => {
  const want = [
    0.8,
    0.6793662204867574,
    0.5941941965290598,
    0.5344445934790544,
  ];
  bleu(CAPTIONS, REFERENCES).forEach((got, i) =>
    assertAlmostEquals(got, want[i], 1e-12)
  );
  const { mean, each } = ciderD(CAPTIONS, REFERENCES);
  assertAlmostEquals(mean, 1.2884962345950015, 1e-12);
  [2.0923584989498694, 1.9178972603911344, 0, 0, 2.432225413634004]
    .forEach((want, i) => assertAlmostEquals(each[i], want, 1e-12));
});

Deno.test("ciderD: worked by hand", () => {
  // Two pictures; every word occurs with one of them: idf = ln 2 throughout.
  const references = [["red dog runs fast"], ["blue cat sleeps here"]];
  // The same caption: cosine 1 for all n, times ten.
  assertAlmostEquals(
    ciderD(["red dog runs fast", "x"], references).each[0],
    10,
    1e-12,
  );
  // "red dog": 1-grams 2/(√2·√4), 2-grams 1/(1·√3), no longer ones; two words short.
  const want = 10 / 4 * Math.exp(-4 / 72) * (1 / Math.SQRT2 + 1 / Math.sqrt(3));
  assertAlmostEquals(ciderD(["red dog", "x"], references).each[0], want, 1e-12);
  assertEquals(ciderD(["blue cat", "x"], references).each[0], 0);
});

Deno.test("rougeL: Lin's example, best precision and best recall over references", () => {
  const of = (caption: string, ...list: string[]) => rougeL([caption], [list]);
  assertAlmostEquals(
    of("police kill the gunman", "police killed the gunman"),
    3 / 4,
    1e-12,
  );
  assertAlmostEquals(
    of("the gunman kill police", "police killed the gunman"),
    1 / 2,
    1e-12,
  );
  const [p, r] = [1, 2 / 3];
  assertAlmostEquals(
    of("a b", "a b c", "z"),
    2.44 * p * r / (r + 1.44 * p),
    1e-12,
  );
  assertEquals(of("", "a"), 0);
  assertEquals(of("x", "a"), 0);
});

Deno.test("shuffledControl moves every item, the same way for the same seed", () => {
  const items = Array.from({ length: 50 }, (_, i) => i);
  const shuffled = shuffledControl(items, 3);
  assertEquals(shuffled.toSorted((a, b) => a - b), items);
  assertEquals(shuffled.filter((item, i) => item === i), []);
  assertEquals(shuffled, shuffledControl(items, 3));
  assertEquals(shuffledControl(["a", "b"]), ["b", "a"]);
  assertThrows(() => shuffledControl(["a"]), RangeError, "two at least");
});

Deno.test("metrics refuse captions without references", () => {
  for (const metric of [bleu, ciderD, rougeL]) {
    assertThrows(() => metric([], []), RangeError, "one at least");
    assertThrows(() => metric(["a"], []), RangeError, "as many");
    assertThrows(() => metric(["a"], [[]]), RangeError, "no reference");
  }
});
