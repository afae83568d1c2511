"""Random crops and colour changes of whole batches, on whatever device the pictures are."""

import math

import torch
import torch.nn.functional as F

LUMA = (0.299, 0.587, 0.114)


def random_crop(
    pictures: torch.Tensor, index: torch.Tensor, side: int, smallest: float, stretch: float, flip: torch.Tensor | float
) -> torch.Tensor:
    """Crops of area `smallest`..1, aspect ratio within e^±stretch, mirrored with probability `flip`, resized to side.

    pictures is the whole uint8 pack; index picks the batch. Returns floats 0..255.
    """
    x = pictures[index].float()
    n, device = len(x), x.device
    area = smallest + (1 - smallest) * torch.rand(n, device=device)
    ratio = torch.exp((torch.rand(n, device=device) * 2 - 1) * stretch)
    w, h = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
    dx = (torch.rand(n, device=device) * 2 - 1) * (1 - w)
    dy = (torch.rand(n, device=device) * 2 - 1) * (1 - h)
    mirror = torch.where(torch.rand(n, device=device) < flip, -1.0, 1.0)
    zero = torch.zeros_like(w)
    theta = torch.stack([torch.stack([w * mirror, zero, dx], -1), torch.stack([zero, h, dy], -1)], 1)
    grid = F.affine_grid(theta, [n, 3, side, side], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def colour_jitter(x: torch.Tensor, strength: float, grey: float) -> torch.Tensor:
    """Brightness, contrast and saturation each scaled by 1 ± strength; some pictures turn grey."""

    def factor() -> torch.Tensor:
        return 1 + (torch.rand(len(x), 1, 1, 1, device=x.device) * 2 - 1) * strength

    x = x * factor()
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * factor() + mean
    luma = (x * torch.tensor(LUMA, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    saturation = factor()
    saturation = torch.where(torch.rand_like(saturation) < grey, 0.0, saturation)
    return ((x - luma) * saturation + luma).clamp(0, 255)


def erase(x: torch.Tensor, share: float, largest: float = 0.3) -> torch.Tensor:
    """Paints a random grey rectangle over some pictures."""
    n, _, height, width = x.shape
    rows = torch.arange(height, device=x.device).view(1, -1, 1) / height
    columns = torch.arange(width, device=x.device).view(1, 1, -1) / width
    area = torch.rand(n, 1, 1, device=x.device) * largest * (torch.rand(n, 1, 1, device=x.device) < share)
    ratio = torch.exp((torch.rand(n, 1, 1, device=x.device) * 2 - 1) * math.log(2))
    h, w = (area * ratio).sqrt(), (area / ratio).sqrt()
    top = torch.rand(n, 1, 1, device=x.device) * (1 - h)
    left = torch.rand(n, 1, 1, device=x.device) * (1 - w)
    inside = (rows >= top) & (rows < top + h) & (columns >= left) & (columns < left + w)
    return torch.where(inside[:, None], 127.5, x)


def normalise(x: torch.Tensor) -> torch.Tensor:
    """0..255 to the tower's -1..1."""
    return x / 127.5 - 1
