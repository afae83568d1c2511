"""What every stage shares: the log line, precision, loading and saving weights, the resumable state file."""

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


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    if path.is_dir():
        path = path / "model.safetensors"
    if path.suffix == ".safetensors":
        return load_file(str(path))
    return torch.load(path, map_location="cpu", weights_only=True)["model"]


def load_into(model: Captioner, paths: list[Path]) -> None:
    """Later files win; tensors that no file has keep their initial values."""
    own = model.state_dict()
    loaded = set()
    for path in paths:
        weights = {k: v.float() for k, v in read_weights(path).items() if k in own}
        model.load_state_dict(weights, strict=False)
        loaded |= weights.keys()
    log(f"loaded {len(loaded)} of {len(own)} tensors from {', '.join(p.name for p in paths) or 'nothing'}")


def save_model(model: Captioner, path: Path, part: str = "", **info) -> None:
    """Saves the tensors whose name begins with `part`: a stage must not hand on parts it never trained."""
    weights = {k: v.detach().cpu().clone() for k, v in model.state_dict().items() if k.startswith(part)}
    torch.save({"model": weights, "info": info}, path)


class State:
    """Everything a stage needs to go on after a stop: weights, optimiser, averages, step."""

    def __init__(self, path: Path, every_seconds: float = 120.0) -> None:
        self.path, self.every, self.last = path, every_seconds, time.time()

    def load(self, modules: dict, optimiser, average) -> tuple[int, float]:
        """Restores everything in place; returns the step to go on from and the best score (or seconds spent)."""
        if not self.path.exists():
            return 0, -1.0
        kept = torch.load(self.path, weights_only=True)
        for name, module in modules.items():
            module.load_state_dict(kept["modules"][name])
        optimiser.adam.load_state_dict(kept["adam"])
        for m, k in zip(optimiser.momenta.values(), kept["momenta"]):
            m.copy_(k)
        if average is not None:
            torch._foreach_copy_(average.values, kept["average"])
            average.steps = kept["step"]
        log("resumed at step", kept["step"])
        return kept["step"], kept["best"]

    def maybe_save(self, step: int, best: float, modules: dict, optimiser, average) -> None:
        if time.time() - self.last < self.every:
            return
        self.last = time.time()
        kept = {
            "step": step,
            "best": best,
            "modules": {name: module.state_dict() for name, module in modules.items()},
            "adam": optimiser.adam.state_dict(),
            "momenta": list(optimiser.momenta.values()),
            "average": average.values if average is not None else None,
        }
        partial = self.path.with_suffix(".part")
        torch.save(kept, partial)
        partial.replace(self.path)
