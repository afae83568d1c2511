"""What every stage shares: the log line, precision, loading and saving weights, how far a stage is."""

import math
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file

from model import Captioner

_START = time.time()


def log(*parts) -> None:
    print(f"[{time.time() - _START:6.1f}]", *parts, flush=True)


def prepare(device: str) -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = 4
    torch._dynamo.config.recompile_limit = 64
    if device == "cpu":
        torch.set_num_threads(1)


def full_precision() -> None:
    """For measurements: no TF32 anywhere."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def half(device: str):
    """bfloat16 arithmetic where it is safe; the CPU (used for trying the scripts out) stays in fp32."""
    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else nullcontext()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    if path.is_dir():
        path = path / "model.safetensors"
    if path.suffix == ".safetensors":
        return load_file(str(path))
    kept = torch.load(path, map_location="cpu", weights_only=True)
    return kept.get("model", kept)


def load_into(model: Captioner, paths: list[Path]) -> None:
    """Later files win; tensors that no file has keep their initial values."""
    own = model.state_dict()
    loaded: set[str] = set()
    for path in paths:
        weights = {k: v.float() for k, v in read_weights(path).items()}
        if "stem.weight" in weights:
            weights = {f"model.vision_tower.{k}": v for k, v in weights.items()}
        weights = {k: v for k, v in weights.items() if k in own}
        model.load_state_dict(weights, strict=False)
        loaded |= weights.keys()
    log(f"loaded {len(loaded)} of {len(own)} tensors from {', '.join(p.name for p in paths) or 'nothing'}")


def save_model(model: Captioner, path: Path, part: str = "", **info) -> None:
    """Saves the tensors whose name begins with `part`: a stage must not hand on parts it never trained."""
    weights = {k: v.detach().half().cpu() for k, v in model.state_dict().items() if k.startswith(part)}
    torch.save({"model": weights, "info": info}, path)


class Schedule:
    """Progress 0..1 of a stage that ends after so many steps or so many seconds, whichever comes first."""

    def __init__(self, steps: int, seconds: float) -> None:
        self.steps, self.seconds, self.step, self.began = steps, seconds, 0, time.time()

    @property
    def progress(self) -> float:
        return min(1.0, max(self.step / self.steps, (time.time() - self.began) / self.seconds))

    def factor(self, warmup: int) -> float:
        """Learning-rate factor: linear warm-up, then half a cosine down to zero."""
        return min(1.0, (self.step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * self.progress)) + 1e-3
