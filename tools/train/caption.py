"""Stage 2: tower, connector and decoder learn captions and short answers together, still watched by the teacher.

    python caption.py --data DIR --out run.pt --init tower.pt lm.pt [--steps 900] [--copy other.pt ...]

--copy adds finished captioners (of this shape) whose averaged word probabilities the model also learns.
The averaged weights with the best CIDEr-D on the validation photos are kept.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from common import State, full_precision, half, load_into, log, prepare, save_model
from data import Batch, Data, seed_everything
from distill import TAP, Distiller
from evaluate import caption_photos, scores_of
from metrics import Cider
from model import Captioner
from optim import Average, MuonAdamW, cosine
from prompts import CAPTION


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, nargs="*", default=[])
    parser.add_argument("--heads", type=Path, help="teacher read-outs of stage 1; fitted anew without")
    parser.add_argument("--copy", type=Path, nargs="*", default=[])
    parser.add_argument("--copy-weight", type=float, default=0.6)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--peak", type=float, default=1e-3)
    parser.add_argument("--drop", type=float, default=0.35)
    parser.add_argument("--drop-path", type=float, default=0.1)
    parser.add_argument("--word-drop", type=float, default=0.22)
    parser.add_argument("--token-drop", type=float, default=0.0, help="share of image tokens blanked")
    parser.add_argument("--vision-scale", type=float, default=0.8, help="tower's multiple of the learning rate")
    parser.add_argument("--feature-weight", type=float, default=1.0)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--consensus", type=float, default=0.0)
    parser.add_argument("--smallest", type=float, default=0.35)
    parser.add_argument("--jitter", type=float, default=0.2)
    parser.add_argument("--erase", type=float, default=0.0)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--objects", type=int, default=64)
    parser.add_argument("--asks", type=int, default=48)
    parser.add_argument("--decay", type=float, default=0.08)
    parser.add_argument("--average", type=float, default=0.99)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int, help="use only so many pictures (for trying the script out)")
    return parser.parse_args()


def answer_hidden(model: Captioner, data: Data, batch: Batch, images, word_drop, token_drop, drop) -> torch.Tensor:
    """Hidden states at the positions that predict an answer token."""
    words = data.words
    x = model.embed(batch.tokens).to(images.dtype)
    at, count = words.image_at, images.shape[1]
    mine = images[batch.picture]
    if token_drop > 0:
        mine = mine * (torch.rand(*mine.shape[:2], 1, device=mine.device) >= token_drop)
    x = torch.cat([x[:, :at], mine, x[:, at + count :]], 1)
    if word_drop > 0:
        lost = torch.rand(*x.shape[:2], 1, device=x.device) < word_drop
        x = x.masked_fill(lost & batch.droppable[:, None, None], 0.0)
    x = F.dropout(x, drop * 0.5, drop > 0)
    return model.text(x, drop=drop)[:, words.first_label - 1 : -1]


def answer_loss(scores, labels, weight, smoothing: float) -> torch.Tensor:
    each = F.cross_entropy(
        scores.float().flatten(0, 1), labels.flatten(), ignore_index=-100, label_smoothing=smoothing, reduction="none"
    ).view_as(labels)
    weight = (labels != -100) * weight[:, None]
    return (each * weight).sum() / weight.sum()


def copy_loss(scores, target, labels, weight) -> torch.Tensor:
    """Cross-entropy against the mean probabilities of the captioners being copied."""
    each = -(target * scores.float().log_softmax(-1)).sum(-1)
    weight = (labels != -100) * weight[:, None]
    return (each * weight).sum() / weight.sum()


@torch.no_grad()
def copied_probabilities(models: list[Captioner], data: Data, batch: Batch) -> torch.Tensor:
    total = 0
    for other in models:
        images = other.image_tokens(batch.pixels)
        hidden = answer_hidden(other, data, batch, images, 0.0, 0.0, 0.0)
        total = total + other.logits(hidden).float().softmax(-1)
    return total / len(models)


def main() -> None:
    args = arguments()
    device = args.device
    prepare(device)
    seed_everything(args.seed)
    model = Captioner().to(device)
    load_into(model, args.init)
    data = Data(args.data, model.shape.image_tokens, device, consensus=args.consensus, limit=args.limit)
    log("data ready;", {k: len(v) for k, v in data.asked.items()}, "longest row", data.words.length)
    others = []
    for path in args.copy:
        other = Captioner().to(device).requires_grad_(False).train()
        load_into(other, [path])
        others.append(other)
    cider = Cider({i: data.captions[i] for i in data.split["val"]})

    named = list(model.named_parameters())
    modules: dict = {"model": model}
    distiller = None
    if args.feature_weight > 0:
        distiller = Distiller(args.data, model.shape.vision_width, device)
        sample = (args.photos, args.objects)
        if args.heads:
            distiller.heads.load_state_dict(torch.load(args.heads, map_location=device, weights_only=True))
        else:
            distiller.measure([data.distill_batch(*sample)[0] for _ in range(4)])
            distiller.fit_heads(model.eval(), data, sample, 100 if device == "cuda" else 2)
        named += [(f"heads.{n}", p) for n, p in distiller.heads.named_parameters() if "objects" not in n]
        modules["heads"] = distiller.heads

    def lr_scale(name: str) -> float:
        return args.vision_scale if "vision_model" in name or name.startswith("heads.") else 1.0

    optimiser = MuonAdamW(named, lr_scale, args.decay)
    average = Average(list(model.parameters()), args.average)
    state = State(args.out.with_suffix(".state"))
    start, best = state.load(modules, optimiser, average)
    run_answer_loss, run_copy_loss = answer_loss, copy_loss
    if device == "cuda":
        for m in [model, *others]:
            m.compile_layers()
        run_answer_loss = torch.compile(answer_loss, dynamic=False)
        run_copy_loss = torch.compile(copy_loss, dynamic=False)
    model.train()
    began = time.time()
    for step in range(start, args.steps):
        batch = data.caption_batch(args.photos, 2, args.objects, args.asks, args.smallest, args.jitter, args.erase)
        labels = batch.labels[:, data.words.first_label :].contiguous()
        with half(device):
            tokens, tapped = model.vision(batch.pixels, args.drop_path, TAP)
            images = model.model.connector(tokens)
            hidden = answer_hidden(model, data, batch, images, args.word_drop, args.token_drop, args.drop)
            scores = model.logits(hidden)
            text = run_answer_loss(scores, labels, batch.weight, args.smoothing)
            loss = text
            if others:
                target = copied_probabilities(others, data, batch)
                loss = (1 - args.copy_weight) * text + args.copy_weight * run_copy_loss(
                    scores, target, labels, batch.weight
                )
            if distiller:
                divergence, fine, middle = distiller.run_losses(tokens, tapped, distiller.targets(batch.pixels))
                loss = loss + args.feature_weight * (divergence + fine + 0.5 * middle)
        loss.backward()
        optimiser.step(args.peak * cosine(step, args.steps, 200))
        average.update()
        if step == start + 10:
            began = time.time()
        if (step + 1) % args.every == 0 or step == args.steps - 1:
            model.eval()
            with average:
                found = caption_photos(model, data, data.split["val"], CAPTION[0], device)
                score, bleu4 = scores_of(cider, found, data)
                if score > best:
                    best = score
                    save_model(model, args.out, stage="caption", step=step + 1, validation=score)
            model.train()
            speed = (step - start - 10) / max(1e-3, time.time() - began)
            example = found[data.split["val"][3]]
            log(
                f"{args.out.stem} step {step + 1} text {text.item():.3f} val CIDEr-D {score:.4f} BLEU-4 {bleu4:.4f} "
                f"{speed:.1f} step/s | {example}"
            )
            state.maybe_save(step + 1, best, modules, optimiser, average)
    full_precision()
    log(f"{args.out.stem} done: best validation CIDEr-D {best:.4f}, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
