"""What ImageNet's classifier sees in every training photo, as the answer to "What is this?".

python labels.py DATA          reads DATA/photos.pt and DATA/tower.pt, writes DATA/labels.json

Only photos whose likeliest class has a probability above --sure get an answer.
"""

import argparse
import json
from pathlib import Path

import torch
from torchvision.models._meta import _IMAGENET_CATEGORIES as CATEGORIES

from common import half, prepare
from tower import Tower


def sentence(category: str) -> str:
    name = category if category[0].isupper() and " " in category else category.lower()
    return f"{'An' if name[0].lower() in 'aeiou' else 'A'} {name}."


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sure", type=float, default=0.5)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    prepare(args.device)
    weights = {k: v.float().to(args.device) for k, v in torch.load(args.data / "tower.pt", weights_only=True).items()}
    tower = Tower().to(args.device)
    tower.load_state_dict({k: v for k, v in weights.items() if not k.startswith("classes.")})
    kept = torch.load(args.data / "photos.pt", weights_only=True, mmap=True)
    found = {}
    for i in range(0, len(kept["names"]), 64):
        with half(args.device):
            features = tower(kept["pixels"][i : i + 64].to(args.device).float() / 127.5 - 1).float().mean(1)
        chance = (features @ weights["classes.weight"].T + weights["classes.bias"]).softmax(-1)
        for name, p, c in zip(kept["names"][i : i + 64], *(t.tolist() for t in chance.max(-1))):
            if p > args.sure:
                found[name] = sentence(CATEGORIES[c])
    partial = args.data / "labels.json.part"
    partial.write_text(json.dumps(found))
    partial.replace(args.data / "labels.json")
    print(f"{len(found)} of {len(kept['names'])} photos named, {len(set(found.values()))} different things")


if __name__ == "__main__":
    main()
