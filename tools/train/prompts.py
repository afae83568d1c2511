"""Every prompt the model is trained on, and the short answers read off the captions.

Questions (yes/no, colour, count) get their answers from the five captions of a photo: at least two captions must
agree and none may contradict. Photos that say nothing get no answer and are not asked.
"""

import re
from collections import Counter

IMAGE = "<image>"
SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<fake_token_around_image>",
    IMAGE,
    "<end_of_utterance>",
    "<global-img>",
]

CAPTION = ["Describe this image.", "Caption:", "What is happening in this picture?", "Write alt text for this photo."]
SHORT, LONG = "Describe this image briefly.", "Describe this image in detail."
OBJECT = ["What is the main object in this picture?", "What is this?", "Name the main object in this image."]
TEXT_ONLY = "Write a caption."


def head_text(prompt: str, image_tokens: int) -> str:
    """Everything before the answer; the chat template gives the same text."""
    around = "<fake_token_around_image>"
    return f"<|im_start|>User:{around}<global-img>{IMAGE * image_tokens}{around}{prompt}<end_of_utterance>\nAssistant:"


_PRESENCE = {
    "Is there a dog in this picture?": r"dogs?|pupp(?:y|ies)|poodles?|terriers?|retrievers?|greyhounds?",
    "Is there a man in this picture?": r"m[ae]n|guys?|males?",
    "Is there a woman in this picture?": r"wom[ae]n|lad(?:y|ies)",
    "Is there a child in this picture?": r"child|children|kids?|boys?|girls?|toddlers?|bab(?:y|ies)",
    "Is there a ball in this picture?": r"\w*balls?",
    "Is there water in this picture?": r"water|ocean|sea|lake|river|pool|waves?|pond|surf\w*|swim\w*",
    "Is there grass in this picture?": r"grass|grassy|lawn|field",
    "Is there snow in this picture?": r"snow\w*|ski\w*|sled\w*",
    "Is there a beach in this picture?": r"beach|shore|shoreline",
    "Is there a bicycle in this picture?": r"bikes?|bicycles?|bicyclists?|cyclists?|biking",
    "Is there a car in this picture?": r"cars?|trucks?|vehicle|van|taxi|jeep",
    "Are there trees in this picture?": r"trees?|woods|forest|wooded",
    "Is there a skateboard in this picture?": r"skateboard\w*|skater",
    "Is there a building in this picture?": r"buildings?|house|store|shop",
    "Is there a street in this picture?": r"streets?|roads?|sidewalk|city",
    "Are there rocks in this picture?": r"rocks?|rocky|boulders?|cliffs?",
    "Is somebody jumping in this picture?": r"jump\w*|leap\w*|midair|mid-air",
    "Is somebody sitting in this picture?": r"sit\w*|sat|seated",
    "Is somebody playing a sport in this picture?": (
        r"football|soccer|basketball|baseball|tennis|hockey|rugby|volleyball|players?"
    ),
}
_PRESENCE_RE = {q: re.compile(rf"\b(?:{words})\b") for q, words in _PRESENCE.items()}

_COLOURS = "black|white|brown|red|blue|green|yellow|orange|pink|purple|grey|gray|tan"
_COLOURED = ["dog", "shirt", "jacket", "dress", "hat", "ball", "shorts", "coat"]
_COLOUR_RE = {thing: re.compile(rf"\b({_COLOURS}) {thing}\b") for thing in _COLOURED}

_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_ANSWERS = {1: "One.", 2: "Two.", 3: "Three.", 4: "Four.", 5: "Five."}
_COUNTED = {
    "How many dogs are in this picture?": r"dogs?|puppies|puppy",
    "How many people are in this picture?": (
        r"m[ae]n|wom[ae]n|boys?|girls?|people|persons?|child|children|kids?|guys|toddler|baby"
    ),
}
_COUNT_RE = {
    q: re.compile(rf"\b({'|'.join(_NUMBERS)}) (?:[a-z-]+ ){{0,3}}?(?:{words})\b") for q, words in _COUNTED.items()
}


def questions(captions: list[str]) -> dict[str, list[tuple[str, str]]]:
    """kind -> (question, answer) pairs that the captions settle."""
    low = [c.lower() for c in captions]
    out: dict[str, list[tuple[str, str]]] = {"yesno": [], "colour": [], "count": []}
    for question, pattern in _PRESENCE_RE.items():
        seen = sum(bool(pattern.search(c)) for c in low)
        if seen != 1:
            out["yesno"].append((question, "Yes." if seen else "No."))
    for thing, pattern in _COLOUR_RE.items():
        votes = Counter(m.replace("gray", "grey") for c in low for m in set(pattern.findall(c)))
        if len(votes) == 1 and votes.total() >= 2:
            article = "are the" if thing == "shorts" else "is the"
            out["colour"].append((f"What colour {article} {thing}?", votes.popitem()[0].capitalize() + "."))
    for question, pattern in _COUNT_RE.items():
        per_caption = [[_NUMBERS[m] for m in pattern.findall(c)] for c in low]
        totals = Counter(min(5, sum(found)) for found in per_caption if found)
        if len(totals) == 1 and totals.total() >= 3:
            out["count"].append((question, _ANSWERS[totals.popitem()[0]]))
    return out


ALL_YESNO = list(_PRESENCE)
