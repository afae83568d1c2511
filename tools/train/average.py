"""The plain mean of several runs that began from the same weights (a model soup), and its validation scores.

python average.py --data DIR --models a.pt b.pt --out mean.pt
"""

import argparse
from pathlib import Path

import torch

from common import load_into, prepare, read_weights
from data import Data
from model import Captioner
from validation import Validation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    prepare(args.device)
    runs = [read_weights(path) for path in args.models]
    mean = {name: (sum(run[name].float() for run in runs) / len(runs)).half() for name in runs[0]}
    torch.save({"model": mean, "info": {"stage": "average", "of": [p.name for p in args.models]}}, args.out)
    model = Captioner().to(args.device)
    load_into(model, [args.out])
    data = Data(args.data, model.shape.image_tokens, args.device)
    Validation(data, args.device).better(model, args.out.stem)


if __name__ == "__main__":
    main()
