"""Stage 4: the plain mean of several runs that began from the same weights (a model soup).

python average.py --models a.pt b.pt --out mean.pt
"""

import argparse
from pathlib import Path

import torch

from common import read_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    runs = [read_weights(path) for path in args.models]
    mean = {name: sum(run[name].float() for run in runs) / len(runs) for name in runs[0]}
    torch.save({"model": mean, "info": {"stage": "average", "of": [p.name for p in args.models]}}, args.out)


if __name__ == "__main__":
    main()
