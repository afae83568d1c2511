"""Muon for the matrices inside the layers, AdamW for everything else, one learning rate for both.

Muon (Jordan et al. 2024) replaces a matrix's momentum by its nearest orthogonal matrix, found by five Newton-Schulz
steps. Its step is scaled by 0.2 * sqrt(longer side), which makes it as large as an AdamW step.
"""

import math
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import nn

WARMUP_EPS = 1e-7


def orthogonalise(g: torch.Tensor) -> torch.Tensor:
    """Batched Newton-Schulz iteration towards U V^T of each matrix."""
    x = g.bfloat16() if g.is_cuda else g
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + WARMUP_EPS)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (2.0315 * (a @ a) - 4.7750 * a) @ x
    return x.mT if tall else x


class MuonAdamW:
    def __init__(self, named: list[tuple[str, nn.Parameter]], lr_scale: Callable[[str], float], decay: float) -> None:
        """lr_scale gives each parameter name its multiple of the learning rate."""
        self.parameters = [p for _, p in named]
        self.decay = decay
        matrices: dict[tuple, list[nn.Parameter]] = defaultdict(list)
        others: dict[tuple, list[nn.Parameter]] = defaultdict(list)
        for name, p in named:
            if p.ndim == 2 and (".layers." in name or "projector" in name):
                matrices[(tuple(p.shape), lr_scale(name))].append(p)
            else:
                others[(lr_scale(name), p.ndim >= 2)].append(p)
        self.matrices = dict(matrices)
        self.momenta = {key: torch.zeros(len(ps), *key[0], device=ps[0].device) for key, ps in matrices.items()}
        self.other_parameters = [p for ps in others.values() for p in ps]
        self.adam = torch.optim.AdamW(
            [
                {"params": ps, "scale": scale, "weight_decay": decay if is_matrix else 0.0}
                for (scale, is_matrix), ps in others.items()
            ],
            lr=1e-3,
            betas=(0.9, 0.98),
        )

    @torch.no_grad()
    def step(self, lr: float) -> None:
        nn.utils.clip_grad_norm_(self.other_parameters, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = lr * group["scale"]
        self.adam.step()
        for key, ps in self.matrices.items():
            shape, scale = key
            grads = torch.stack([p.grad for p in ps]).float()
            momentum = self.momenta[key].lerp_(grads, 0.05)
            update = orthogonalise(grads.lerp(momentum, 0.95)).float()
            torch._foreach_mul_(ps, 1 - lr * scale * self.decay)
            torch._foreach_add_(ps, list((update * (-lr * scale * 0.2 * math.sqrt(max(shape)))).unbind(0)))
        for p in self.parameters:
            p.grad = None


class Average:
    """Exponential moving average of the weights; what is evaluated and saved."""

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.steps = parameters, decay, 0
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (10 + self.steps))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def __enter__(self) -> None:
        self.kept = [p.detach().clone() for p in self.parameters]
        torch._foreach_copy_(self.parameters, self.values)

    @torch.no_grad()
    def __exit__(self, *_) -> None:
        torch._foreach_copy_(self.parameters, self.kept)
        del self.kept


class PlainAdamW:
    """AdamW with the interface of MuonAdamW: small steps, no orthogonalisation, no decay."""

    def __init__(self, named: list[tuple[str, nn.Parameter]], lr_scale: Callable[[str], float]) -> None:
        groups: dict[float, list[nn.Parameter]] = defaultdict(list)
        for name, p in named:
            groups[lr_scale(name)].append(p)
        self.parameters = [p for _, p in named]
        self.adam = torch.optim.AdamW(
            [{"params": ps, "scale": scale} for scale, ps in groups.items()],
            lr=1e-5,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )

    def step(self, lr: float) -> None:
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = lr * group["scale"]
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
