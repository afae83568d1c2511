"""Measures a captioner in fp32: captions of a split, the shuffled-photo control, short answers, object names.

python evaluate.py --data DIR --model run.pt [--split test] [--out eval.json]
"""

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F

from common import full_precision, half, load_into, log, prepare
from data import Data
from metrics import Cider, bleu, words
from model import Captioner, generate
from prompts import CAPTION, LONG, OBJECT, SHORT, questions

SHUFFLE_BY = 137


@torch.no_grad()
def answers(model: Captioner, data: Data, pixels: torch.Tensor, prompt: str, max_new: int = 32) -> list[str]:
    w = data.words
    out = generate(model, pixels, w.head_ids(prompt), w.image_at, w.end, w.pad, max_new)
    return [w.decode(row) for row in out.tolist()]


def caption_photos(model: Captioner, data: Data, index: list[int], prompt: str, device: str, exact: bool = False):
    found = {}
    for i in range(0, len(index), 250):
        part = index[i : i + 250]
        if exact:
            texts = answers(model, data, data.view(part), prompt)
        else:
            with half(device):
                texts = answers(model, data, data.view(part), prompt)
        found.update(zip(part, texts))
    return found


def scores_of(cider: Cider, found: dict[int, str], data: Data) -> tuple[float, float]:
    references = [data.captions[i] for i in found]
    return cider.mean(found), bleu(list(found.values()), references)[3]


def question_accuracy(model: Captioner, data: Data, index: list[int]) -> dict:
    """kind -> right, asked, and what always giving each question's commonest answer would get.

    Yes/no questions are balanced first: as many of either answer, so that guessing gets one half.
    """
    asked = defaultdict(lambda: defaultdict(list))
    for i in index:
        for kind, pairs in questions(data.captions[i]).items():
            for question, answer in pairs:
                asked[kind][question].append((i, answer))
    report = {}
    for kind, by_question in asked.items():
        right = total = guess = 0
        for question, rows in by_question.items():
            if kind == "yesno":
                yes, no = ([r for r in rows if r[1] == a] for a in ("Yes.", "No."))
                count = min(len(yes), len(no), 60)
                rows = yes[:count] + no[:count]
            if not rows:
                continue
            got = []
            for k in range(0, len(rows), 250):
                part = [i for i, _ in rows[k : k + 250]]
                got += answers(model, data, data.view(part), question, 5)
            right += sum(g == answer for g, (_, answer) in zip(got, rows))
            total += len(rows)
            guess += max(Counter(answer for _, answer in rows).values())
        report[kind] = {"right": right, "asked": total, "commonest answer": guess}
    return report


def object_naming(model: Captioner, data: Data, device: str) -> float:
    right = 0
    for i in range(0, len(data.object_val), 250):
        part = data.object_val[i : i + 250]
        x = F.interpolate(data.objects[torch.tensor(part, device=device)].float(), size=224, mode="bilinear")
        got = answers(model, data, x / 127.5 - 1, OBJECT[0], 12)
        right += sum(g == data.object_answers[k] for g, k in zip(got, part))
    return right / len(data.object_val)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    prepare(args.device)
    full_precision()
    model = Captioner().to(args.device).requires_grad_(False).eval()
    load_into(model, [args.model])
    data = Data(args.data, model.shape.image_tokens, args.device, limit=args.limit)
    index = data.split[args.split]
    cider = Cider({i: data.captions[i] for i in index})
    report: dict = {"split": args.split, "photos": len(index), "prompts": {}}
    for prompt in [*CAPTION, SHORT, LONG]:
        found = caption_photos(model, data, index, prompt, args.device, exact=True)
        score, bleu4 = scores_of(cider, found, data)
        length = sum(len(words(c)) for c in found.values()) / len(found)
        report["prompts"][prompt] = {"CIDEr-D": score, "BLEU-4": bleu4, "words": length}
        log(f"{args.model.stem} {args.split} CIDEr-D {score:.4f} BLEU-4 {bleu4:.4f} words {length:.1f} | {prompt}")
        if prompt == CAPTION[0]:
            captions = list(found.values())
            moved = captions[SHUFFLE_BY % len(index) :] + captions[: SHUFFLE_BY % len(index)]
            report["CIDEr-D, photos shuffled"] = cider.mean(dict(zip(index, moved)))
            report["different captions"] = len(set(captions))
            report["captions"] = {data.names[i]: c for i, c in found.items()}
    report["questions"] = question_accuracy(model, data, data.split["val"] + data.split["test"])
    report["object named exactly"] = object_naming(model, data, args.device)
    log({k: v for k, v in report.items() if k not in ("captions", "prompts")})
    if args.out:
        args.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
