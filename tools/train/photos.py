"""All photos of the training in one tensor file, at the tower's size, and their captions beside it.

    python photos.py DATA          reads DATA/flickr, DATA/coco, DATA/captions.json; writes DATA/photos.pt

A source is a folder of JPEG files or a pack: pictures as WebP mosaics of grid x grid in one .bin file with an index
{"side", "grid", "names", "mosaics": [[offset, bytes, pictures]]}. A JPEG file of the same name wins. Every photo is
resized as at inference (squashed, bicubic), so that a whole photo in training is the photo the model will see.
"""

import argparse
import io
import json
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from model import Shape


def square(picture: Image.Image, side: int) -> np.ndarray:
    """3 x side x side, uint8."""
    return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def read_pack(base: Path, wanted: dict[str, int], out: np.ndarray, pool: ThreadPool) -> None:
    """Puts the wanted pictures of a pack (name -> row of out) into out."""
    index = json.loads(base.with_suffix(".json").read_text())
    side, grid, names = index["side"], index["grid"], index["names"]
    data = base.with_suffix(".bin").read_bytes()

    def decode(m: int) -> None:
        first = m * grid * grid
        rows = [(k, wanted[n]) for k, n in enumerate(names[first : first + grid * grid]) if n in wanted]
        if not rows:
            return
        offset, size, _ = index["mosaics"][m]
        sheet = Image.open(io.BytesIO(data[offset : offset + size])).convert("RGB")
        for k, row in rows:
            x, y = k % grid * side, k // grid * side
            out[row] = square(sheet.crop((x, y, x + side, y + side)), out.shape[-1])

    pool.map(decode, range(len(index["mosaics"])))


def read_folder(folder: Path, wanted: dict[str, int], out: np.ndarray, pool: ThreadPool) -> int:
    found = [n for n in wanted if (folder / n).exists()]

    def decode(name: str) -> None:
        out[wanted[name]] = square(Image.open(folder / name), out.shape[-1])

    pool.map(decode, found)
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, help="only so many photos of each part (for trying the scripts out)")
    args = parser.parse_args()
    meta = json.loads((args.data / "captions.json").read_text())
    names = [n for part in ("train", "val") for source in ("flickr", "coco") for n in meta[source][part][: args.limit]]
    place = {name: i for i, name in enumerate(names)}
    side = Shape().image
    out = np.zeros((len(names), 3, side, side), np.uint8)
    with ThreadPool(16) as pool:
        if (args.data / "flickr.json").exists():
            read_pack(args.data / "flickr", place, out, pool)
        originals = sum(read_folder(args.data / source, place, out, pool) for source in ("flickr", "coco"))
    torch.save({"names": names, "pixels": torch.from_numpy(out)}, args.data / "photos.pt")
    print(f"{len(names)} photos, {originals} of them from JPEG files")


if __name__ == "__main__":
    main()
