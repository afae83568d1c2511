import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { bleu } from "./bleu.ts";
import { ciderD } from "./cider.ts";
import { shuffledControl } from "./control.ts";
import { agreement, divergence } from "./divergence.ts";
import { rougeL } from "./rouge.ts";
import { accuracy, normalise, vqaAccuracy } from "./vqa.ts";
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

Deno.test("bleu, ciderD and rougeL equal pycocoevalcap 1.2 where both see the same words", () => {
  const captions = [
    "a dog runs through the grass",
    "two men lean on a red brick wall",
    "a a a a",
    "a little girl in a pink dress is climbing stairs",
  ];
  const references = [
    [
      "a brown dog is running through the grass",
      "the dog runs in a field",
      "a dog running",
    ],
    ["two bikes are leaning against a wall", "a red brick wall with bicycles"],
    ["a cat sits on a mat", "the cat"],
    [
      "a child in a pink dress is climbing up a set of stairs in an entry way",
      "a girl going into a wooden building",
      "a little girl climbing into a wooden playhouse",
      "a little girl climbing the stairs to her playhouse",
      "a little girl in a pink dress going into a wooden cabin",
    ],
  ];
  const near = (got: number, want: number) =>
    assertAlmostEquals(got, want, 1e-8);
  [
    0.8214285713992346,
    0.7165143802486663,
    0.6355356866314434,
    0.5788945633097157,
  ].forEach((want, i) => near(bleu(captions, references)[i], want));
  const { mean, each } = ciderD(captions, references);
  near(mean, 1.718882036187842);
  [2.0845123667946144, 2.367700185404566, 0, 2.4233155925521883]
    .forEach((want, i) => near(each[i], want));
  near(rougeL(captions, references), 0.5887427123617899);
});

Deno.test("vqa: texts are made alike as the benchmark does", () => {
  const cases = [
    ["The  Cat.", "cat"],
    ["two dogs, and a man", "2 dogs and man"],
    ["none", "0"],
    ["1,000 people", "1000 people"],
    ["2.5 m", "2.5 m"],
    ["yes/no", "yes no"],
    ["t-shirt", "t shirt"],
    ["dont know", "don't know"],
    ["it's 3 o'clock", "it's 3 o'clock"],
    ["couldve\nbeen", "could've been"],
  ];
  for (const [text, want] of cases) assertEquals(normalise(text), want, text);
});

Deno.test("vqa: three of the others make an answer right, by the ten-people rule", () => {
  const people = (yes: number) => [
    ...Array<string>(yes).fill("Yes."),
    ...Array<string>(10 - yes).fill("no"),
  ];
  // Each of the ten is left out once: 3 of 10 → 7·1 + 3·(2/3), and so on.
  [0, 3 / 10, 6 / 10, 9 / 10, 1, 1].forEach((want, yes) =>
    assertAlmostEquals(accuracy("yes", people(yes)), want, 1e-12)
  );
  assertEquals(accuracy("a cat", ["cat"]), 1);
  assertAlmostEquals(
    vqaAccuracy(["yes", "no"], [people(10), people(10)]),
    1 / 2,
    1e-12,
  );
  assertThrows(() => vqaAccuracy([], []), RangeError, "at least 1");
});

Deno.test("agreement: the divergence of known distributions, and who would say the same", () => {
  const log = (p: number[]) => p.map(Math.log);
  const p = [0.5, 0.25, 0.25], q = [0.25, 0.5, 0.25];
  const want = 0.5 * Math.log(2) + 0.25 * Math.log(1 / 2);
  assertAlmostEquals(divergence(log(p), log(q)), want, 1e-12);
  // Logits are free up to a constant, and too large ones do not overflow.
  const shifted = log(q).map((v) => v + 1e4);
  assertAlmostEquals(divergence(log(p), shifted), want, 1e-9);
  assertEquals(divergence(log(p), log(p)), 0);
  const { tokens, same, kl } = agreement(
    [log(p), log(p)],
    [log(q), log(p), log(q)],
  );
  assertEquals([tokens, same], [2, 1]);
  assertAlmostEquals(kl, want, 1e-12);
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
  assertThrows(() => shuffledControl(["a"]), RangeError, "at least two");
});

Deno.test("metrics refuse captions without references", () => {
  for (const metric of [bleu, ciderD, rougeL]) {
    assertThrows(() => metric([], []), RangeError, "at least 1");
    assertThrows(() => metric(["a"], []), RangeError, "must be equal");
    assertThrows(() => metric(["a"], [[]]), RangeError, "no reference");
  }
});
