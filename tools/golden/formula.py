"""Synthetic photos made by integer formulas, so tests can rebuild the same bytes in any language.

Every channel value is computed with integers only:

    r = (7x + 3y) mod 256
    g = ((x*x + y*y) >> 5) mod 256
    b = (((x xor y) * 5) + 40 * ((x >> 4) + (y >> 4))) mod 256      with x, y counted from the top left

"stripes" adds hard one-pixel edges, which tell resampling filters apart:

    r = 255 if x mod 3 == 0 else 0,  g = 255 if y mod 5 == 0 else 0,  b = 255 if (x + y) mod 7 == 0 else 0
"""

import hashlib

import numpy as np


def formula_image(kind: str, width: int, height: int) -> np.ndarray:
    """Returns an H x W x 3 uint8 array."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    if kind == "waves":
        r = 7 * x + 3 * y
        g = (x * x + y * y) >> 5
        b = (x ^ y) * 5 + 40 * ((x >> 4) + (y >> 4))
    elif kind == "stripes":
        r = np.where(x % 3 == 0, 255, 0)
        g = np.where(y % 5 == 0, 255, 0)
        b = np.where((x + y) % 7 == 0, 255, 0)
    else:
        raise ValueError(f"unknown formula {kind!r}")
    return (np.stack([r, g, b], -1) % 256).astype(np.uint8)


def parse_formula_name(name: str) -> tuple[str, int, int]:
    """'formula:waves:224x224' -> ('waves', 224, 224)."""
    _, kind, size = name.split(":")
    width, height = size.split("x")
    return kind, int(width), int(height)


def sha256(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
