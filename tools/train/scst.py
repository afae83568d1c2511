"""Stage 3: self-critical fine-tuning (Rennie et al. 2017) of a finished captioner, reward CIDEr-D.

    python scst.py --data DIR --init run.pt --out better.pt [--steps 300]

Each photo gets several sampled captions; a sample's advantage is its reward less the mean of the others'.
Ordinary caption and answer batches are mixed in, which keeps the other prompts and the wording alive.
The tower stays fixed unless --vision-scale is above zero. The best averaged weights on validation are kept.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from augment import normalise
from caption import answer_hidden, answer_loss
from common import State, half, load_into, log, prepare, save_model
from data import Data, seed_everything
from evaluate import caption_photos, scores_of
from metrics import Cider
from model import Captioner, generate
from optim import Average, cosine
from prompts import CAPTION


class PlainAdamW:
    """AdamW with the interface of MuonAdamW: small steps, no orthogonalisation."""

    def __init__(self, named, lr_scale) -> None:
        self.momenta: dict = {}
        self.parameters = [p for _, p in named]
        self.adam = torch.optim.AdamW(
            [{"params": [p], "scale": lr_scale(n)} for n, p in named], lr=1e-5, betas=(0.9, 0.98), weight_decay=0.0
        )

    def step(self, lr: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = lr * group["scale"]
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--peak", type=float, default=1e-4)
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--plain-weight", type=float, default=0.3, help="share of the ordinary caption loss")
    parser.add_argument("--vision-scale", type=float, default=0.0)
    parser.add_argument("--drop", type=float, default=0.1)
    parser.add_argument("--smallest", type=float, default=0.4)
    parser.add_argument("--average", type=float, default=0.98)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int, help="use only so many pictures (for trying the script out)")
    args = parser.parse_args()
    device = args.device
    prepare(device)
    seed_everything(args.seed)

    model = Captioner().to(device)
    load_into(model, args.init)
    data = Data(args.data, model.shape.image_tokens, device, limit=args.limit)
    words = data.words
    reward_of = Cider({i: data.captions[i] for i in data.split["train"]})
    validation = Cider({i: data.captions[i] for i in data.split["val"]})
    named = [(n, p) for n, p in model.named_parameters() if args.vision_scale > 0 or "vision_model" not in n]
    optimiser = PlainAdamW(named, lambda n: args.vision_scale if "vision_model" in n else 1.0)
    average = Average(list(model.parameters()), args.average)
    state = State(args.out.with_suffix(".state"))
    start, best = state.load({"model": model}, optimiser, average)
    model.eval()

    began, running = time.time(), None
    for step in range(start, args.steps + 1):
        if step % args.every == 0 or step == args.steps:
            with average:
                found = caption_photos(model, data, data.split["val"], CAPTION[0], device)
                score, bleu4 = scores_of(validation, found, data)
                if score > best:
                    best = score
                    save_model(model, args.out, stage="scst", step=step, validation=score)
            log(
                f"{args.out.stem} step {step} reward {running or 0:.3f} val CIDEr-D {score:.4f} BLEU-4 {bleu4:.4f} "
                f"{time.time() - began:.0f} s | {found[data.split['val'][3]]}"
            )
            state.maybe_save(step, best, {"model": model}, optimiser, average)
        if step == args.steps:
            break
        index = data.train[torch.randint(len(data.train), (args.photos,), device=device)]
        pixels = normalise(data.crops(index, args.smallest, 0.2, 0.0))
        head = words.head_ids(CAPTION[step % len(CAPTION)] if step % 2 else CAPTION[0])
        with half(device):
            drawn = generate(
                model, pixels, head, words.image_at, words.end, words.pad, 26, args.temperature, args.samples
            )
        keys = index.repeat_interleave(args.samples).tolist()
        rewards = torch.tensor(
            [
                reward_of.score(key, words.decode(row)) if row[-1] in (words.end, words.pad) else 0.0
                for key, row in zip(keys, drawn.tolist())
            ],
            device=device,
        ).view(args.photos, args.samples)
        others = (rewards.sum(1, keepdim=True) - rewards) / (args.samples - 1)
        advantage = rewards - others
        advantage = (advantage / advantage.std().clamp(min=1e-3)).flatten()
        running = rewards.mean().item() if running is None else 0.9 * running + 0.1 * rewards.mean().item()

        with half(device):
            with torch.set_grad_enabled(args.vision_scale > 0):
                tokens = model.vision(pixels)[0]
            images = model.model.connector(tokens).repeat_interleave(args.samples, 0)
            rows = torch.cat([torch.tensor(head, device=device).expand(len(drawn), -1), drawn], 1)
            x = model.embed(rows).to(images.dtype)
            x = torch.cat([x[:, : words.image_at], images, x[:, words.image_at + images.shape[1] :]], 1)
            scores = model.logits(model.text(x, drop=args.drop)[:, len(head) - 1 : -1]).float() / args.temperature
        chance = -F.cross_entropy(scores.flatten(0, 1), drawn.flatten(), reduction="none").view_as(drawn)
        counted = drawn != words.pad
        loss = -(advantage[:, None] * chance * counted).sum() / counted.sum()

        if args.plain_weight > 0:
            batch = data.caption_batch(64, 2, 32, 32, args.smallest, 0.2, 0.0)
            labels = batch.labels[:, words.first_label :].contiguous()
            with half(device):
                with torch.set_grad_enabled(args.vision_scale > 0):
                    tokens = model.vision(batch.pixels)[0]
                hidden = answer_hidden(model, data, batch, model.model.connector(tokens), 0.1, 0.0, args.drop)
                plain = answer_loss(model.logits(hidden), labels, batch.weight, 0.1)
            loss = loss + args.plain_weight * plain
        loss.backward()
        optimiser.step(args.peak * cosine(step, args.steps, 20))
        average.update()
    log(f"{args.out.stem} done: best validation CIDEr-D {best:.4f}")


if __name__ == "__main__":
    main()
