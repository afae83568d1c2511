"""Stage 1: the vision tower learns from EfficientNet-Lite2 (logits, fine and middle features) and object labels.

python distill.py --data DIR --out tower.pt --seconds 240 [--init tower.safetensors]
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from common import State, half, load_into, log, prepare, save_model, synchronize
from data import Data, seed_everything
from model import Captioner, pixel_shuffle
from optim import Average, MuonAdamW, cosine
from teacher import CLASSES, HEAD_WIDTH, MIDDLE_WIDTH, load_teacher

TAP = 7
OBJECT_CLASSES = 256  # room for every label of the object pack


class Heads(nn.Module):
    """Linear read-outs that compare the tower with its teacher; dropped after training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.logits = nn.Linear(width, CLASSES)
        self.fine = nn.Linear(width * 4, HEAD_WIDTH)
        self.middle = nn.Linear(width, MIDDLE_WIDTH)
        self.objects = nn.Linear(width, OBJECT_CLASSES)
        for name, size in {"fine": HEAD_WIDTH, "middle": MIDDLE_WIDTH}.items():
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))

    def losses(self, tokens, tapped, target) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(logit divergence, fine feature error, middle feature error), each a mean."""
        logits, fine, middle = target
        width = tokens.shape[-1]
        pooled = self.logits(tokens.float().mean(1)).float()
        divergence = F.kl_div(pooled.log_softmax(-1), logits.float().softmax(-1), reduction="batchmean")
        fine_error = self.fine(pixel_shuffle(tokens, 2)).float() - standard(fine, self.fine_mean, self.fine_scale)
        tapped = F.layer_norm(tapped.float(), (width,))
        middle_error = self.middle(tapped).float() - standard(middle, self.middle_mean, self.middle_scale)
        return divergence, fine_error.square().mean(), middle_error.square().mean()


def standard(x: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return ((x.float() - mean) * scale).clamp(-5, 5)


class Distiller:
    """The teacher, the heads, and the loss between tower and teacher on a batch of pixels."""

    def __init__(self, data_dir: Path, width: int, device: str) -> None:
        self.device = device
        self.teacher = load_teacher(data_dir / "teacher.pt", device).to(memory_format=torch.channels_last)
        self.heads = Heads(width).to(device)
        self.run_teacher, self.run_losses = self.teacher, self.heads.losses
        if device == "cuda":
            self.run_teacher = torch.compile(self.teacher, dynamic=False)
            self.run_losses = torch.compile(self.heads.losses, dynamic=False)

    @torch.no_grad()
    def targets(self, pixels: torch.Tensor):
        with half(self.device):
            return self.run_teacher(pixels.contiguous(memory_format=torch.channels_last))

    @torch.no_grad()
    def measure(self, batches: list[torch.Tensor]) -> None:
        """Mean and spread of each teacher channel, so that all weigh alike."""
        found = [self.targets(pixels)[1:] for pixels in batches]
        for name, k in (("fine", 0), ("middle", 1)):
            values = torch.cat([f[k].float().flatten(0, 1) for f in found])
            getattr(self.heads, f"{name}_mean").copy_(values.mean(0))
            getattr(self.heads, f"{name}_scale").copy_(1 / values.std(0).clamp(min=1e-3))

    def fit_heads(self, model: Captioner, data: Data, batch: tuple[int, int], steps: int) -> None:
        """Heads for a frozen tower, so that the first real steps do not pull it about."""
        optimiser = torch.optim.AdamW(self.heads.parameters(), lr=3e-3)
        for step in range(steps):
            pixels, _ = data.distill_batch(*batch)
            target = self.targets(pixels)
            with half(self.device):
                with torch.no_grad():
                    tokens, tapped = model.vision(pixels, tap=TAP)
                divergence, fine, middle = self.run_losses(tokens, tapped, target)
                loss = divergence + fine + middle
            optimiser.zero_grad()
            loss.backward()
            for group in optimiser.param_groups:
                group["lr"] = 3e-3 * (1 - step / steps)
            optimiser.step()
        log(f"heads fitted: logits {divergence.item():.3f} fine {fine.item():.3f} middle {middle.item():.3f}")


@torch.no_grad()
def object_accuracy(model: Captioner, heads: Heads, data: Data, device: str) -> float:
    right = 0
    for i in range(0, len(data.object_val), 256):
        index = torch.tensor(data.object_val[i : i + 256], device=device)
        x = F.interpolate(data.objects[index].float(), size=224, mode="bilinear") / 127.5 - 1
        with half(device):
            scores = heads.objects(model.vision(x)[0].float().mean(1))
        right += (scores.argmax(-1) == data.object_class[index]).sum().item()
    return right / len(data.object_val)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=780)
    parser.add_argument("--photos", type=int, default=448)
    parser.add_argument("--objects", type=int, default=320)
    parser.add_argument("--peak", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int, help="use only so many pictures (for trying the script out)")
    args = parser.parse_args()
    prepare(args.device)
    seed_everything(args.seed)

    model = Captioner().to(args.device).train()
    load_into(model, args.init)
    data = Data(args.data, model.shape.image_tokens, args.device, limit=args.limit)
    distiller = Distiller(args.data, model.shape.vision_width, args.device)
    batch = (args.photos, args.objects)
    log("data ready")
    distiller.measure([data.distill_batch(*batch)[0] for _ in range(4)])
    named = [(n, p) for n, p in model.named_parameters() if ".vision_model." in n]
    optimiser = MuonAdamW(named + list(distiller.heads.named_parameters()), lambda _: 1.0, decay=0.05)
    average = Average([p for _, p in named], 0.998)
    modules = {"model": model, "heads": distiller.heads}
    state = State(args.out.with_suffix(".state"))
    step, spent = state.load(modules, optimiser, average)
    spent = max(0.0, spent)
    if args.device == "cuda":
        model.compile_layers()
    if args.init and step == 0:
        distiller.fit_heads(model, data, batch, 100 if args.device == "cuda" else 2)

    # The schedule runs on the clock: a lent machine is paid by the second.
    began, first = None, step
    while True:
        progress = (spent + (0.0 if began is None else time.time() - began)) / args.seconds
        if progress >= 1:
            break
        pixels, label = data.distill_batch(*batch)
        target = distiller.targets(pixels)
        with half(args.device):
            tokens, tapped = model.vision(pixels, drop_path=0.05, tap=TAP)
            divergence, fine, middle = distiller.run_losses(tokens, tapped, target)
            scores = distiller.heads.objects(tokens.float().mean(1)).float()
        named_loss = F.cross_entropy(scores, label, ignore_index=-100, label_smoothing=0.1)
        loss = divergence + fine + 0.5 * middle + 0.5 * named_loss
        loss.backward()
        optimiser.step(args.peak * cosine(int(progress * 10000), 10000, 1) * min(1, (step - first + 1) / 200))
        average.update()
        step += 1
        if step - first == 5:
            synchronize(args.device)
            began = time.time()
        if step % 20 == 0:
            synchronize(args.device)
        if step % 250 == 0:
            rate = (step - first - 5) * len(pixels) / (time.time() - began)
            log(
                f"distill step {step} logits {divergence.item():.3f} fine {fine.item():.3f} "
                f"middle {middle.item():.3f} named {named_loss.item():.3f} {rate:.0f} img/s"
            )
            state.maybe_save(step, spent + time.time() - began, modules, optimiser, average)
    model.eval()
    log("object accuracy, last weights", object_accuracy(model, distiller.heads, data, args.device))
    with average:
        log("object accuracy, averaged", object_accuracy(model, distiller.heads, data, args.device))
        save_model(model, args.out, "model.vision_model.", stage="distill", steps=step)
    torch.save(distiller.heads.state_dict(), args.out.with_suffix(".heads"))


if __name__ == "__main__":
    main()
