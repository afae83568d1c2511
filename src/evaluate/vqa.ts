/**
 * VQA accuracy (Antol et al. 2015; Goyal et al. 2017): an answer counts fully
 * if three other people gave it. Answers are normalised first, as in the
 * benchmark's script.
 * @module
 */

const ARTICLES = new Set(["a", "an", "the"]);
const NUMBERS = new Map(
  "none zero one two three four five six seven eight nine ten".split(" ")
    .map((word, i) => [word, `${Math.max(0, i - 1)}`]),
);
/** Words that are often written without apostrophe, and their correct form. */
const CONTRACTIONS = new Map(
  `aint arent cant couldve couldnt didnt doesnt dont hadnt hasnt havent hed hes
  howd howll hows Im Ive isnt itd itll lets maam mightnt mightve mustnt mustve
  neednt notve oclock oughtnt shant shouldve shouldnt somebodyd somebodyll
  somebodys someoned someonell someones somethingd somethingll thats thered
  therere theres theyd theyll theyre theyve twas wasnt weve werent whatll whatre
  whats whatve whens whered wheres whereve whod wholl whos whove whyll whyre
  whys wont wouldve wouldnt yall youd youll youre youve`.split(/\s+/)
    .map((word) => [word, withApostrophe(word)]),
);

function withApostrophe(word: string): string {
  if (word === "oclock" || word === "maam" || word === "yall") {
    return { oclock: "o'clock", maam: "ma'am", yall: "y'all" }[word];
  }
  if (word === "twas") return "'twas";
  return word.replace(
    /(nt|ve|ll|re|d|s|m)$/,
    (end) => end === "nt" ? "n't" : `'${end}`,
  );
}

/** Punctuation that is removed beside a space and replaced by a space elsewhere. */
const MARKS = [...';/[]"{}()=+\\_-><@`,?!'];

/**
 * Normalises an answer: lower case, no articles, numbers as digits, no
 * punctuation.
 */
export function normalise(text: string): string {
  const given = text.replace(/[\n\t]/g, " ").trim();
  const thousands = /\d,\d/.test(given);
  let out = given;
  for (const mark of MARKS) {
    const loose = given.includes(`${mark} `) || given.includes(` ${mark}`);
    out = out.replaceAll(mark, loose || thousands ? "" : " ");
  }
  out = out.replace(/\.(?!\d)/g, "");
  return out.toLowerCase().split(/\s+/).filter(Boolean)
    .map((word) => NUMBERS.get(word) ?? word)
    .filter((word) => !ARTICLES.has(word))
    .map((word) => CONTRACTIONS.get(word) ?? word)
    .join(" ");
}

/**
 * Accuracy of one answer, 0 to 1: the mean over all people of min(1, matches
 * among the others / 3). With one person, the answer is right or wrong.
 */
export function accuracy(answer: string, people: readonly string[]): number {
  const given = normalise(answer), others = people.map(normalise);
  const right = others.map((o) => Number(o === given));
  const matches = right.reduce((a, b) => a + b, 0);
  if (people.length === 1) return matches;
  const each = right.map((own) => Math.min(1, (matches - own) / 3));
  return each.reduce((a, b) => a + b, 0) / people.length;
}

/** Mean accuracy of a set of answers, 0 to 1. */
export function vqaAccuracy(
  answers: readonly string[],
  people: readonly (readonly string[])[],
): number {
  if (answers.length !== people.length || answers.length === 0) {
    throw new RangeError(
      `Cannot score ${answers.length} answers against those of ${people.length} questions: the counts must be equal and at least 1`,
    );
  }
  const each = answers.map((a, i) => accuracy(a, people[i]));
  return each.reduce((a, b) => a + b, 0) / each.length;
}
