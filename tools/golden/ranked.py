"""Toy vocabularies of ranks (tiktoken) and what tiktoken makes of a corpus of traps."""

import base64
import json
import random
import unicodedata
from pathlib import Path

import tiktoken
from family import CORPUS
from tiktoken._educational import SimpleBytePairEncoding

TRAPS = Path(__file__).parents[2] / "src/tokenizer/toy_golden.json"


def texts() -> list[str]:
    """The traps of the tokenizer's own golden file, and mixtures of them."""
    single = [case["text"] for case in json.loads(TRAPS.read_text())["cases"]] + ["aaaa thethe hehehe", "<img> <|im_end|>"]
    draw = random.Random(5)
    return single + ["".join(draw.choices(single, k=draw.randint(2, 6))) for _ in range(80)]


def ranks(merges: int, words: str) -> dict[bytes, int]:
    """All bytes, then `merges` joined tokens learned from English and the traps."""
    corpus = " ".join(CORPUS * 4) + " ".join(texts())
    return SimpleBytePairEncoding.train(corpus, 256 + merges, words).mergeable_ranks


def write_ranks(path: Path, table: dict[bytes, int]) -> None:
    path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in table.items()))


def words(encoding: tiktoken.Encoding, compose: bool) -> list[dict]:
    """tiktoken's ids of the traps, special tokens not looked for."""
    shown = [unicodedata.normalize("NFC", t) if compose else t for t in texts()]
    ids = [encoding.encode(t, disallowed_special=()) for t in shown]
    return [{"text": t, "ids": i} for t, i in zip(texts(), ids)]
