"""Random crops and changes of colour, sharpness and JPEG quality of whole batches, on whatever device they are."""

import math

import torch
import torch.nn.functional as F

LUMA = (0.299, 0.587, 0.114)
# the luminance table that the JPEG standard suggests (ITU-T T.81, Annex K)
JPEG_STEPS = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]


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


def resample(x: torch.Tensor, share: float) -> torch.Tensor:
    """Some pictures lose detail (down to 0.35 of the side and up again), others are sharpened."""
    n, side = len(x), x.shape[-1]
    small = int(side * (0.35 + 0.55 * torch.rand(()).item()))
    coarse = F.interpolate(x, size=small, mode="bilinear", antialias=True, align_corners=False)
    coarse = F.interpolate(coarse, size=side, mode="bicubic", align_corners=False)
    # weight 1: the coarse picture; -0.5: sharper than the original
    weight = torch.rand(n, 1, 1, 1, device=x.device) * 1.5 - 0.5
    weight = torch.where(torch.rand_like(weight) < share, weight, 0.0)
    return (x + weight * (coarse - x)).clamp(0, 255)


def jpeg(x: torch.Tensor, share: float) -> torch.Tensor:
    """Some pictures pass through JPEG's lossy step: 8 x 8 cosine transform, quality 20..95, half the colour detail."""
    chosen = (torch.rand(len(x), device=x.device) < share).nonzero()[:, 0]
    if not len(chosen):
        return x
    rgb = x[chosen].float()
    y = rgb.mul(torch.tensor(LUMA, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    colour = F.avg_pool2d(torch.cat([(rgb[:, 2:] - y) * 0.564, (rgb[:, :1] - y) * 0.713], 1), 2)
    quality = 20 + 75 * torch.rand(len(chosen), device=x.device)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(-1, 1, 1, 1, 1, 1)
    k = torch.arange(8, device=x.device).float()
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * torch.where(k == 0, 0.125, 0.25).sqrt()[:, None]
    step = torch.tensor(JPEG_STEPS, device=x.device).float().view(1, 1, 1, 8, 1, 8)

    def lossy(plane: torch.Tensor, coarser: float) -> torch.Tensor:
        n, c, h, w = plane.shape
        blocks = plane.view(n, c, h // 8, 8, w // 8, 8)
        q = (step * scale * coarser).clamp(min=1)
        waves = torch.einsum("ui,ncaibj,vj->ncaubv", dct, blocks, dct)
        return torch.einsum("ui,ncaubv,vj->ncaibj", dct, (waves / q).round() * q, dct).reshape(n, c, h, w)

    y = lossy(y - 128, 1.0) + 128
    cb, cr = F.interpolate(lossy(colour, 1.3), scale_factor=2, mode="bilinear", align_corners=False).split(1, 1)
    out = x.clone()
    out[chosen] = torch.cat([y + 1.403 * cr, y - 0.344 * cb - 0.714 * cr, y + 1.773 * cb], 1).clamp(0, 255).to(x.dtype)
    return out


def normalise(x: torch.Tensor) -> torch.Tensor:
    """0..255 to the tower's -1..1."""
    return x / 127.5 - 1
