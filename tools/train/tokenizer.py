"""Trains the byte-level BPE tokenizer (6,144 tokens, single digits) on the training captions and the prompts.

    python tokenizer.py --data DIR          reads DIR/captions.json, writes DIR/tokenizer.json

The bundled model keeps the tokenizer stored with its checkpoint; a retrained one gives other ids.
"""

import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model import Shape
from prompts import ALL_YESNO, CAPTION, LONG, OBJECT, SHORT, SPECIAL, TEXT_ONLY

PROMPT_REPEATS = 20


def corpus(meta: dict) -> list[str]:
    photos = [name for source in ("flickr", "coco") for name in meta[source]["train"]]
    captions = [c for name in photos for c in meta["captions"][name]] + meta["text_only"]
    fixed = ["User:", "\nAssistant:", *CAPTION, SHORT, LONG, *OBJECT, TEXT_ONLY, *ALL_YESNO, " Yes.", " No."]
    return [f" {c}" for c in captions] + fixed * PROMPT_REPEATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=Shape.vocab,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(json.loads((args.data / "captions.json").read_text())), trainer)
    assert tokenizer.get_vocab_size() == Shape.vocab, tokenizer.get_vocab_size()
    tokenizer.save(str(args.data / "tokenizer.json"))


if __name__ == "__main__":
    main()
