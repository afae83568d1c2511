"""Image packs: square pictures as WebP mosaics in one .bin file with a .json index beside it.

A mosaic of GRID x GRID pictures compresses far better than single small files, and a pack is one upload.

    python packs.py photos DIR OUT                     every *.jpg of DIR in name order, squashed to 224 x 224
    python packs.py tiny-imagenet ROOT OUT             a seeded, class-balanced part of ROOT/train, 64 x 64

ROOT is tiny-imagenet-200 (folders train/, val/, words.txt). The second pack's index also holds each picture's label.
"""

import argparse
import io
import json
import random
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image


def encode_mosaic(paths: list[Path], side: int, grid: int, quality: int) -> bytes:
    sheet = Image.new("RGB", (side * grid, side * grid))
    for k, path in enumerate(paths):
        tile = Image.open(path).convert("RGB")
        if tile.size != (side, side):
            tile = tile.resize((side, side), Image.Resampling.BICUBIC)
        sheet.paste(tile, (k % grid * side, k // grid * side))
    rows = -(-len(paths) // grid)
    out = io.BytesIO()
    sheet.crop((0, 0, side * grid, rows * side)).save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def write_pack(paths: list[Path], out: Path, side: int, grid: int, quality: int, **more) -> None:
    mosaics, offset = [], 0
    with open(out.with_suffix(".bin"), "wb") as f:
        for i in range(0, len(paths), grid * grid):
            part = paths[i : i + grid * grid]
            data = encode_mosaic(part, side, grid, quality)
            f.write(data)
            mosaics.append([offset, len(data), len(part)])
            offset += len(data)
    index = {"side": side, "grid": grid, "count": len(paths), "mosaics": mosaics, **more}
    out.with_suffix(".json").write_text(json.dumps(index))
    print(f"{out}: {len(paths)} pictures, {offset / 2**20:.1f} MiB")


def read_pack(base: Path, limit: int | None = None, threads: int = 8) -> np.ndarray:
    """All pictures of a pack (or the first `limit`) as one uint8 array N x 3 x side x side."""
    index = json.loads(base.with_suffix(".json").read_text())
    side, grid = index["side"], index["grid"]
    count = min(index["count"], limit or index["count"])
    per = grid * grid
    data = base.with_suffix(".bin").read_bytes()
    out = np.empty((count, 3, side, side), np.uint8)

    def decode(m: int) -> None:
        offset, size, tiles = index["mosaics"][m]
        sheet = np.asarray(Image.open(io.BytesIO(data[offset : offset + size])).convert("RGB"))
        rows, columns = sheet.shape[0] // side, sheet.shape[1] // side
        cells = sheet.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, side, side)
        keep = min(tiles, count - m * per)
        out[m * per : m * per + keep] = cells[:keep]

    with ThreadPool(threads) as pool:
        pool.map(decode, range(-(-count // per)))
    return out


def tiny_imagenet_part(root: Path, per_class: int, seed: int) -> tuple[list[Path], list[str]]:
    rng = random.Random(seed)
    chosen = []
    for folder in sorted((root / "train").glob("n*")):
        files = sorted((folder / "images").glob("*.JPEG"))
        chosen += [(path, folder.name) for path in rng.sample(files, min(per_class, len(files)))]
    rng.shuffle(chosen)
    return [path for path, _ in chosen], [label for _, label in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["photos", "tiny-imagenet"])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-class", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.kind == "photos":
        paths = sorted(args.source.glob("*.jpg"))
        write_pack(paths, args.out, side=224, grid=4, quality=50, names=[p.name for p in paths])
    else:
        paths, labels = tiny_imagenet_part(args.source, args.per_class, args.seed)
        write_pack(paths, args.out, side=64, grid=16, quality=50, labels=labels)


if __name__ == "__main__":
    main()
