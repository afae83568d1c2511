"""Stage 1: projector and decoder, and the tower's last blocks if --fixed allows, learn captions and short answers.

    python caption.py --data DIR --out run.pt --init tower.pt lm.pt [--steps 700] [--fixed 7]

The averaged weights with the best score on the validation photos are kept.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from common import Schedule, half, load_into, log, prepare, save_model
from data import Batch, Data, seed_everything
from model import Captioner
from optim import Average, MuonAdamW
from tower import BLOCKS
from validation import Validation


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--peak", type=float, default=8e-4)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--fixed", type=int, default=BLOCKS, help="tower blocks that do not learn")
    parser.add_argument("--tower-scale", type=float, default=0.12, help="tower's multiple of the learning rate")
    parser.add_argument("--drop", type=float, default=0.35)
    parser.add_argument("--word-drop", type=float, default=0.22)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--smallest", type=float, default=0.35)
    parser.add_argument("--photos", type=int, nargs=4, default=[128, 64, 24, 32], help="flickr, coco, objects, asks")
    parser.add_argument("--decay", type=float, default=0.08)
    parser.add_argument("--average", type=float, default=0.99)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--compile", action="store_true", help="worth its 40 s from about 500 steps on")
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def answer_hidden(model: Captioner, first_label: int, at: int, batch: Batch, images, word_drop, drop) -> torch.Tensor:
    """Hidden states at the positions that predict an answer token; the image tokens begin at `at`."""
    x = model.embed(batch.tokens).to(images.dtype)
    x = torch.cat([x[:, :at], images[batch.picture], x[:, at + images.shape[1] :]], 1)
    if word_drop > 0:
        lost = torch.rand(*x.shape[:2], 1, device=x.device) < word_drop
        x = x.masked_fill(lost & batch.droppable[:, None, None], 0.0)
    x = F.dropout(x, drop * 0.5, drop > 0)
    return model.text(x, drop=drop)[:, first_label - 1 : -1]


def answer_loss(scores, labels, weight, smoothing: float) -> torch.Tensor:
    each = F.cross_entropy(
        scores.float().flatten(0, 1), labels.flatten(), ignore_index=-100, label_smoothing=smoothing, reduction="none"
    ).view_as(labels)
    weight = (labels != -100) * weight[:, None]
    return (each * weight).sum() / weight.sum()


def plain_loss(model: Captioner, data: Data, batch: Batch, word_drop: float, drop: float, smoothing: float, loss_of):
    words = data.words
    hidden = answer_hidden(
        model, words.first_label, words.image_at, batch, model.image_tokens(batch.pixels), word_drop, drop
    )
    labels = batch.labels[:, words.first_label :].contiguous()
    return loss_of(model.logits(hidden), labels, batch.weight, smoothing)


def main() -> None:
    args = arguments()
    device = args.device
    prepare(device)
    seed_everything(1)
    model = Captioner(fixed=args.fixed).to(device)
    load_into(model, args.init)
    seed_everything(args.seed)
    data = Data(args.data, model.shape.image_tokens, device)
    validation = Validation(data, device)
    log("data", {k: len(v) for k, v in {**data.part, **data.asked}.items()}, len(data.objects), data.words.length)

    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    optimiser = MuonAdamW(named, lambda n: args.tower_scale if "vision_tower" in n else 1.0, args.decay)
    average = Average([p for _, p in named], args.average)
    loss_of = answer_loss
    if args.compile:
        model.compile_layers()
        loss_of = torch.compile(answer_loss, dynamic=False)
    schedule = Schedule(args.steps, args.seconds)
    while schedule.progress < 1:
        model.train()
        batch = data.batch(*args.photos, args.smallest)
        with half(device):
            loss = plain_loss(model, data, batch, args.word_drop, args.drop, args.smoothing, loss_of)
        loss.backward()
        optimiser.step(args.peak * schedule.factor(args.warmup))
        average.update()
        schedule.step += 1
        if schedule.step in (20, 40):
            log(f"{args.out.stem} step {schedule.step} loss {loss.item():.3f}")
        if schedule.step % args.every == 0 or schedule.progress == 1:
            with average:
                if validation.better(model, f"{args.out.stem} step {schedule.step} loss {loss.item():.3f}"):
                    save_model(model, args.out, stage="caption", step=schedule.step)
    log(f"{args.out.stem} done: {schedule.step} steps, best score {validation.best:.4f}")


if __name__ == "__main__":
    main()
