"""Measures a captioner in fp32 from original photo files: CIDEr-D, shuffled-photo control, repetition.

    python evaluate.py --model run.pt --tokenizer tokenizer.json --photos DIR --captions captions.json [--out eval.json]

captions.json lists {"file", "captions"}. The interval is the 95 % bootstrap interval over photos.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from PIL import Image

from augment import normalise
from common import full_precision, load_into, log, prepare
from data import Words
from metrics import Cider, bleu, repeats, words
from model import Captioner
from photos import square
from prompts import CAPTION
from validation import answers

SHUFFLE_BY = 137
BATCH = 25


def caption_files(model: Captioner, vocabulary: Words, paths: list[Path], prompt: str, device: str) -> list[str]:
    found = []
    for i in range(0, len(paths), BATCH):
        pixels = [torch.tensor(square(Image.open(p), model.shape.image)) for p in paths[i : i + BATCH]]
        x = normalise(torch.stack(pixels).float()).to(device)
        found += answers(model, vocabulary, x, prompt)
    return found


def interval(scores: list[float], draws: int = 2000) -> tuple[float, float]:
    rng = random.Random(1)
    means = sorted(sum(rng.choices(scores, k=len(scores))) / len(scores) for _ in range(draws))
    return means[draws // 40], means[-draws // 40]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--prompts", nargs="+", default=CAPTION[:1])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    prepare(args.device)
    full_precision()
    model = Captioner().to(args.device).requires_grad_(False).eval()
    load_into(model, [args.model])
    vocabulary = Words(args.tokenizer, model.shape.image_tokens, args.device)
    references = {x["file"]: x["captions"] for x in json.loads(args.captions.read_text())[: args.limit]}
    names, cider = list(references), Cider(references)
    report: dict = {"photos": len(names)}
    for prompt in args.prompts:
        found = caption_files(model, vocabulary, [args.photos / n for n in names], prompt, args.device)
        scores = [cider.score(n, c) for n, c in zip(names, found)]
        by = SHUFFLE_BY % len(names)
        shuffled = [cider.score(n, c) for n, c in zip(names, found[by:] + found[:by])]
        result = {
            "CIDEr-D": sum(scores) / len(scores),
            "interval": interval(scores),
            "shuffled": sum(shuffled) / len(scores),
            "BLEU-4": bleu(found, list(references.values()))[3],
            "repeating": sum(repeats(c) > 0 for c in found) / len(found),
            "words": sum(len(words(c)) for c in found) / len(found),
            "different": len(set(found)),
        }
        log(args.model.stem, prompt, json.dumps(result))
        report[prompt] = {**result, "captions": dict(zip(names, found))}
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
