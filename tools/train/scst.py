"""Stage 2: self-critical fine-tuning (Rennie et al. 2017) of a finished captioner.

    python scst.py --data DIR --init run.pt --out better.pt [--steps 150] [--fixed 7]

Each photo gets several sampled captions; a sample's advantage is its reward less the mean of the others'. The reward is
CIDEr-D less a penalty for words said twice and for captions that break off. Ordinary caption and answer batches are
mixed in, which keeps the other prompts and the wording alive. The best averaged weights on validation are kept.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from augment import normalise
from caption import answer_loss, plain_loss
from common import Schedule, half, load_into, log, prepare, save_model
from data import Data, seed_everything
from metrics import Cider, repeats, unfinished
from model import Captioner, generate
from optim import Average, PlainAdamW
from prompts import CAPTION
from tower import BLOCKS
from validation import Validation

LONGEST = 26


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--peak", type=float, default=1e-4)
    parser.add_argument("--fixed", type=int, default=BLOCKS)
    parser.add_argument("--tower-scale", type=float, default=0.3)
    parser.add_argument("--photos", type=int, nargs=2, default=[64, 40], help="flickr, coco")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--penalty", type=float, default=0.5, help="for each repeated word and for breaking off")
    parser.add_argument("--plain-weight", type=float, default=0.3, help="share of the ordinary caption loss")
    parser.add_argument("--plain-photos", type=int, nargs=4, default=[64, 32, 12, 16])
    parser.add_argument("--drop", type=float, default=0.1)
    parser.add_argument("--smallest", type=float, default=0.4)
    parser.add_argument("--average", type=float, default=0.98)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


class Reward:
    def __init__(self, data: Data, penalty: float) -> None:
        keys = torch.cat([data.part["flickr train"], data.part["coco train"]]).tolist()
        self.cider, self.words, self.penalty = Cider({i: data.captions[i] for i in keys}), data.words, penalty
        self.known: dict[tuple[int, str], float] = {}

    def __call__(self, key: int, row: list[int]) -> float:
        if row[-1] not in (self.words.end, self.words.pad):
            return -self.penalty
        text = self.words.decode(row)
        if (key, text) not in self.known:
            faults = repeats(text) + unfinished(text)
            self.known[key, text] = self.cider.score(key, text) - self.penalty * faults
        return self.known[key, text]


def critic_loss(model: Captioner, words, pixels, head, drawn, advantage, temperature: float, drop: float):
    """Minus the advantage-weighted log probability of the drawn tokens."""
    samples = len(drawn) // len(pixels)
    images = model.image_tokens(pixels).repeat_interleave(samples, 0)
    rows = torch.cat([torch.tensor(head, device=drawn.device).expand(len(drawn), -1), drawn], 1)
    x = model.embed(rows).to(images.dtype)
    x = torch.cat([x[:, : words.image_at], images, x[:, words.image_at + images.shape[1] :]], 1)
    scores = model.logits(model.text(x, drop=drop)[:, len(head) - 1 : -1]).float() / temperature
    chance = -F.cross_entropy(scores.flatten(0, 1), drawn.flatten(), reduction="none").view_as(drawn)
    # the first padding after the end is not part of the caption
    counted = drawn != words.pad
    return -(advantage[:, None] * chance * counted).sum() / counted.sum()


def main() -> None:
    args = arguments()
    device = args.device
    prepare(device)
    seed_everything(args.seed)
    model = Captioner(fixed=args.fixed).to(device)
    load_into(model, args.init)
    data = Data(args.data, model.shape.image_tokens, device)
    words, validation, reward = data.words, Validation(data, device), Reward(data, args.penalty)
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    optimiser = PlainAdamW(named, lambda n: args.tower_scale if "vision_tower" in n else 1.0)
    average = Average([p for _, p in named], args.average)
    schedule, running = Schedule(args.steps, args.seconds), 0.0
    while True:
        if (schedule.step and schedule.step % args.every == 0) or schedule.progress == 1:
            with average:
                if validation.better(model, f"{args.out.stem} step {schedule.step} reward {running:.3f}"):
                    save_model(model, args.out, stage="scst", step=schedule.step)
        if schedule.progress == 1:
            break
        model.eval()
        index = torch.cat([data.some("flickr train", args.photos[0]), data.some("coco train", args.photos[1])])
        pixels = normalise(data.crops(index, args.smallest))
        head = words.head_ids(CAPTION[schedule.step % len(CAPTION)] if schedule.step % 2 else CAPTION[0])
        with half(device):
            drawn = generate(
                model, pixels, head, words.image_at, words.end, words.pad, LONGEST, args.temperature, args.samples
            )
        keys = index.repeat_interleave(args.samples).tolist()
        rewards = torch.tensor([reward(k, row) for k, row in zip(keys, drawn.tolist())], device=device)
        rewards = rewards.view(-1, args.samples)
        advantage = rewards - (rewards.sum(1, keepdim=True) - rewards) / (args.samples - 1)
        advantage = (advantage / advantage.std().clamp(min=1e-3)).flatten()
        now = rewards.mean().item()
        running = now if schedule.step == 0 else 0.9 * running + 0.1 * now
        with half(device):
            loss = critic_loss(model, words, pixels, head, drawn, advantage, args.temperature, args.drop)
            if args.plain_weight > 0:
                batch = data.batch(*args.plain_photos, args.smallest)
                loss = loss + args.plain_weight * plain_loss(model, data, batch, 0.1, args.drop, 0.1, answer_loss)
        loss.backward()
        optimiser.step(args.peak * schedule.factor(20))
        average.update()
        schedule.step += 1
    log(f"{args.out.stem} done: {schedule.step} steps, best score {validation.best:.4f}")


if __name__ == "__main__":
    main()
