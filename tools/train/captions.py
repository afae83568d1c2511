"""Flickr8k's caption file (CSV: image, caption) and COCO's val2017 captions into one captions.json.

    python captions.py CAPTIONS.csv OUT/captions.json [--coco captions_val2017.json]

The split is by file name: splits.json lists the photos kept for validation and test, all others are trained on.
"""

import argparse
import csv
import json
import re
from pathlib import Path

PER_PHOTO = 5


def clean(text: str) -> str:
    """One sentence: tidy spaces and quotes, no space before punctuation, capital first, one full stop."""
    text = text.replace("`", "'").replace('"', " ")
    text = re.sub(r"[.\s]+$", "", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r"\s+([,.;:!?)])", r"\1", text)
    text = re.sub(r"\(\s+", "(", text)
    text = re.sub(r"\s+'\s*s\b", "'s", text)
    text = re.sub(r"\s+n't\b", "n't", text)
    text = re.sub(r"\s+", " ", text).strip()
    return text[:1].upper() + text[1:] + "." if text else text


def read_captions(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with open(path, newline="") as f:
        for name, *rest in csv.reader(f):
            if name.endswith(".jpg"):
                found.setdefault(name, []).append(clean(",".join(rest)))
    return {name: captions for name, captions in sorted(found.items()) if len(captions) == PER_PHOTO}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--coco", type=Path)
    args = parser.parse_args()
    captions = read_captions(args.source)
    splits = json.loads((Path(__file__).parent / "splits.json").read_text())
    kept = {name for part in splits.values() for name in part}
    coco = json.loads(args.coco.read_text())["annotations"] if args.coco else []
    result = {
        "captions": captions,
        "train": [name for name in captions if name not in kept],
        "val": splits["val"],
        "test": splits["test"],
        "text_only": [clean(a["caption"]) for a in coco],
    }
    args.out.write_text(json.dumps(result))
    print({part: len(result[part]) for part in ("train", "val", "test", "text_only")})


if __name__ == "__main__":
    main()
