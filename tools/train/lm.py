"""Stage 0: the decoder alone learns to write captions (those of the training photos, and COCO captions without photos).

python lm.py --data DIR --out lm.pt [--steps 600]
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

from common import Schedule, half, load_into, log, prepare, save_model
from data import ANSWER, Words, seed_everything
from model import Captioner
from optim import MuonAdamW
from prompts import TEXT_ONLY


def rows(data: Path, words: Words) -> tuple[torch.Tensor, int]:
    meta = json.loads((data / "captions.json").read_text())
    texts = [c for s in ("flickr", "coco") for name in meta[s]["train"] for c in meta["captions"][name]]
    texts += meta["text_only"]
    head = words.encode(f"<|im_start|>User: {TEXT_ONLY}<end_of_utterance>\nAssistant:")
    table = torch.full((len(texts), len(head) + ANSWER), words.pad)
    for i, text in enumerate(texts):
        row = head + [*words.encode(" " + text), words.end][:ANSWER]
        table[i, : len(row)] = torch.tensor(row)
    return table, len(head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--peak", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    prepare(args.device)
    seed_everything(args.seed)

    model = Captioner().to(args.device).train()
    load_into(model, args.init)
    words = Words(args.data / "tokenizer.json", model.shape.image_tokens, args.device)
    table, head = rows(args.data, words)
    table = table.to(args.device)
    named = [(n, p) for n, p in model.named_parameters() if ".language_model." in n]
    optimiser = MuonAdamW(named, lambda _: 1.0, decay=0.05)
    if args.device == "cuda":
        model.compile_layers()
    schedule = Schedule(args.steps, args.seconds)
    while schedule.progress < 1:
        tokens = table[torch.randint(len(table), (args.batch,), device=args.device)]
        labels = torch.where(tokens[:, head:] == words.pad, -100, tokens[:, head:])
        with half(args.device):
            hidden = model.text(model.embed(tokens), drop=0.2)
            scores = model.logits(hidden[:, head - 1 : -1])
        loss = F.cross_entropy(scores.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        loss.backward()
        optimiser.step(args.peak * max(0.1, schedule.factor(100)))
        schedule.step += 1
        if schedule.step % 100 == 0 or schedule.progress == 1:
            log(f"lm step {schedule.step} loss {loss.item():.3f}")
    save_model(model, args.out, "model.language_model.", stage="lm", steps=schedule.step)


if __name__ == "__main__":
    main()
