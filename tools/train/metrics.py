"""CIDEr-D (Vedantam et al. 2015) and BLEU (Papineni et al. 2002) on a plain tokeniser, without stemming."""

import math
import re
from collections import Counter

ORDERS = 4
# words that a caption may use twice
FUNCTION_WORDS = set(
    "a an the this that his her its their is are was and or of in on at to with by from for up down out off over "
    "under near next into onto through around as while it him them one two three".split()
)
SIGMA = 6.0
Grams = list[Counter]


def words(text: str) -> list[str]:
    text = re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("-", " "))
    return text.replace("'s", " 's").split()


def grams(tokens: list[str]) -> Grams:
    return [Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)) for n in range(1, ORDERS + 1)]


class Cider:
    """Document frequencies and reference vectors of a set of pictures; scores any caption of any of them."""

    def __init__(self, references: dict) -> None:
        """references: picture key -> list of captions."""
        counted = {key: [(grams(words(c)), len(words(c))) for c in captions] for key, captions in references.items()}
        self.frequency: Counter = Counter()
        for captions in counted.values():
            self.frequency.update({g for c, _ in captions for order in c for g in order})
        self.log_documents = math.log(len(references))
        self.references = {
            key: [(*self._vectors(c), length) for c, length in captions] for key, captions in counted.items()
        }

    def _vectors(self, counts: Grams) -> tuple[list[dict], list[float]]:
        vectors = [
            {g: k * (self.log_documents - math.log(max(1, self.frequency[g]))) for g, k in order.items()}
            for order in counts
        ]
        return vectors, [math.sqrt(sum(v * v for v in vector.values())) for vector in vectors]

    def score(self, key, caption: str, skip: int | None = None) -> float:
        """CIDEr-D of one caption (0..10); skip leaves one reference out."""
        tokens = words(caption)
        vectors, norms = self._vectors(grams(tokens))
        references = [r for i, r in enumerate(self.references[key]) if i != skip]
        total = 0.0
        for reference, reference_norms, length in references:
            penalty = math.exp(-((len(tokens) - length) ** 2) / (2 * SIGMA**2))
            for n in range(ORDERS):
                if norms[n] > 0 and reference_norms[n] > 0:
                    other = reference[n]
                    dot = sum(min(v, other[g]) * other[g] for g, v in vectors[n].items() if g in other)
                    total += penalty * dot / (norms[n] * reference_norms[n]) / ORDERS
        return 10 * total / len(references)

    def mean(self, captions: dict) -> float:
        return sum(self.score(key, caption) for key, caption in captions.items()) / len(captions)


def bleu(captions: list[str], references: list[list[str]]) -> list[float]:
    """Corpus BLEU-1..4, closest reference length."""
    matched, total = [0] * ORDERS, [0] * ORDERS
    length = reference_length = 0
    for caption, refs in zip(captions, references):
        tokens, others = words(caption), [words(r) for r in refs]
        length += len(tokens)
        reference_length += min((abs(len(o) - len(tokens)), len(o)) for o in others)[1]
        counts, other_counts = grams(tokens), [grams(o) for o in others]
        for n in range(ORDERS):
            most: Counter = Counter()
            for o in other_counts:
                most |= o[n]
            matched[n] += (counts[n] & most).total()
            total[n] += max(0, len(tokens) - n)
    brevity = 1.0 if length > reference_length else math.exp(1 - reference_length / max(1, length))
    out, log_sum = [], 0.0
    for n in range(ORDERS):
        log_sum += math.log(max(matched[n], 1e-9) / max(1, total[n]))
        out.append(brevity * math.exp(log_sum / (n + 1)))
    return out


def repeats(caption: str) -> int:
    """How many words of meaning a caption says more than once ("a laptop on a desk with a laptop": 1)."""
    counted = Counter(w for w in words(caption) if w not in FUNCTION_WORDS)
    return sum(count > 1 for count in counted.values())


def unfinished(caption: str) -> bool:
    """Ends in a word that wants another one."""
    tokens = words(caption)
    return not tokens or tokens[-1] in FUNCTION_WORDS - {
        "up",
        "down",
        "out",
        "off",
        "it",
        "him",
        "them",
        "one",
        "two",
        "three",
        "through",
        "around",
    }
