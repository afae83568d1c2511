"""All captions and splits in one captions.json.

    python captions.py DATA --flickr captions.txt --coco coco/captions.json [--text captions_val2017.json]

captions.txt is Flickr8k's CSV (image, caption); coco/captions.json lists {"file", "captions"}; the third gives captions
without photos, for the decoder alone. splits.json names the photos kept for validation and test and those that stay
unused; all others are trained on. A text that is also a caption of a photo in --apart is left out of the text.
"""

import argparse
import csv
import json
import re
from pathlib import Path


def clean(text: str) -> str:
    """One sentence: tidy spaces and quotes, no space before punctuation, capital first, one full stop."""
    text = text.replace("`", "'").replace('"', " ")
    text = re.sub(r"[.\s]+$", "", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r"\s+([,.;:!?)])", r"\1", text)
    text = re.sub(r"\(\s+", "(", text)
    text = re.sub(r"\s+'\s*s\b", "'s", text)
    text = re.sub(r"\s+n't\b", "n't", text)
    text = re.sub(r"\s+", " ", text).strip()
    if text.isupper():
        text = text.lower()
    return text[:1].upper() + text[1:] + "." if text else text


def read_csv(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with open(path, newline="") as f:
        for name, *rest in csv.reader(f):
            if name.endswith(".jpg"):
                found.setdefault(name, []).append(clean(",".join(rest)))
    return dict(sorted(found.items()))


def read_list(path: Path) -> dict[str, list[str]]:
    return {x["file"]: [clean(c) for c in x["captions"]] for x in json.loads(path.read_text())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--flickr", type=Path, required=True)
    parser.add_argument("--coco", type=Path, required=True)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--apart", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    splits = json.loads((Path(__file__).parent / "splits.json").read_text())
    result: dict = {"captions": {}}
    for source, captions in (("flickr", read_csv(args.flickr)), ("coco", read_list(args.coco))):
        kept = {n for names in splits[source].values() for n in names}
        result["captions"] |= captions
        result[source] = {
            "train": [n for n in captions if n not in kept],
            "val": [n for n in splits[source]["val"] if n in captions],
        }
    apart = {c.lower() for path in args.apart for captions in read_list(path).values() for c in captions}
    text = json.loads(args.text.read_text())["annotations"] if args.text else []
    result["text_only"] = [c for c in (clean(a["caption"]) for a in text) if c.lower() not in apart]
    (args.data / "captions.json").write_text(json.dumps(result))
    print({s: {p: len(n) for p, n in result[s].items()} for s in ("flickr", "coco")}, len(result["text_only"]))


if __name__ == "__main__":
    main()
