"""What transformers' PIL-based SmolVLM image processor makes of odd-sized images.

    python processor.py OUT.json [--side 224]

Images come from formula.py. For each filter the uint8 RGB bytes after the squash to SIDE x SIDE are hashed;
some rows are kept in full so that a mismatch can be looked at. Also kept: the normalised floats of a few pixels.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import PIL
import transformers
from formula import formula_image, sha256
from PIL import Image
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

FILTERS = {"lanczos": 1, "bilinear": 2, "bicubic": 3}
SIZES = [(224, 224), (640, 480), (333, 500), (500, 333), (37, 91), (1200, 200), (225, 223), (2, 3), (1, 1)]


def processor(side: int, resample: int, **steps: bool) -> SmolVLMImageProcessorPil:
    return SmolVLMImageProcessorPil(
        size={"height": side, "width": side},
        max_image_size={"longest_edge": side},
        resample=resample,
        do_image_splitting=False,
        do_pad=False,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        **steps,
    )


def squash(image: Image.Image, side: int, resample: int) -> np.ndarray:
    raw = processor(side, resample, do_rescale=False, do_normalize=False)(image, return_tensors="np")
    chw = np.asarray(raw["pixel_values"])[0, 0]
    pixels = chw.transpose(1, 2, 0)
    assert np.array_equal(pixels, pixels.astype(np.uint8)), "the processor's resize left uint8"
    return pixels.astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=224)
    args = parser.parse_args()

    cases = []
    for kind in ("waves", "stripes"):
        for width, height in SIZES:
            source = formula_image(kind, width, height)
            case = {"image": f"formula:{kind}:{width}x{height}", "source_sha256": sha256(source), "filters": {}}
            for name, resample in FILTERS.items():
                pixels = squash(Image.fromarray(source), args.side, resample)
                floats = processor(args.side, resample)(Image.fromarray(source), return_tensors="np")
                case["filters"][name] = {
                    "sha256": sha256(pixels),
                    "row0_first8": pixels[0, :8].tolist(),
                    "middle_row_first8": pixels[args.side // 2, :8].tolist(),
                    "normalised_first4": np.asarray(floats["pixel_values"])[0, 0][:, 0, :4].tolist(),
                }
            cases.append(case)
    result = {
        "_comment": (
            f"Made by tools/golden/processor.py: transformers {transformers.__version__} SmolVLMImageProcessorPil, "
            f"Pillow {PIL.__version__}, size and max_image_size {args.side}, no splitting, no padding. sha256 is over "
            "the H x W x 3 uint8 RGB bytes after the resize, before rescaling; normalised_first4 is channel-major."
        ),
        "side": args.side,
        "cases": cases,
    }
    args.out.write_text(json.dumps(result, separators=(",", ":")).replace('{"image"', '\n{"image"') + "\n")
    print("wrote", args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
