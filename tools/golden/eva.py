"""What the toys of GLM-4V and CogVLM2 share: their tower's sizes, pictures, and how its values are shown."""

import numpy as np
import torch
from family import picture
from formula import sha256

SIDE, PATCH = 32, 4
ROWS = (SIDE // PATCH // 2) ** 2
VISION = dict(
    dropout_prob=0.0,
    hidden_act="gelu",
    hidden_size=48,
    image_size=SIDE,
    in_channels=3,
    intermediate_size=96,
    layer_norm_eps=1e-6,
    num_heads=3,
    num_hidden_layers=2,
    num_positions=(SIDE // PATCH) ** 2 + 1,
    patch_size=PATCH,
)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def pixels(names: list[str]) -> tuple[torch.Tensor, list[str]]:
    """Normalised squares of formula pictures, and hashes of their bytes."""
    tiles = [np.asarray(picture(n).resize((SIDE, SIDE), 3)) for n in names]
    bytes_ = torch.tensor(np.stack(tiles)).permute(0, 3, 1, 2).float() / 255
    normalised = (bytes_ - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return normalised, [sha256(t) for t in tiles]


def watched(vision, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of squares that enter the convolution, and the tower's result."""
    seen = []
    hook = vision.conv.register_forward_pre_hook(lambda _m, a: seen.append(a[0]))
    result = vision(images)
    hook.remove()
    n, c, h, w = seen[0].shape
    squares = seen[0].reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1)
    return squares.reshape(-1, 4 * c), result


def greedy_rows(logits, ids: list[int], steps: int) -> list[dict]:
    """Greedy steps of a function from ids to the last row of logits."""
    sequence, out = list(ids), []
    for _ in range(steps):
        row = logits(sequence)
        top = row.topk(10)
        out.append({"ids": top.indices.tolist(), "logits": top.values.tolist(), "norm": row.norm().item()})
        sequence.append(int(row.argmax()))
    return out
