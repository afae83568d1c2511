"""Gives an earlier captioner with another connector (LayerNorm, two wider layers, positions) the projector of model.py.

    python project.py --data DIR --old model.safetensors --out start.pt [--steps 400]

The projector learns to return, for every image token, what the old connector returned; tower and decoder are taken over.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from augment import normalise
from common import Schedule, half, log, prepare, save_model
from data import Data, seed_everything
from model import Captioner
from validation import Validation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--photos", type=int, default=32, help="of each source")
    parser.add_argument("--peak", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    device = args.device
    prepare(device)
    seed_everything(args.seed)
    old = {k: v.float().to(device) for k, v in load_file(str(args.old)).items()}
    model = Captioner().to(device)
    names = {"model.vision_model.net.": "model.vision_tower.", "model.text_model.": "model.language_model."}
    kept = {b + k[len(a) :]: v for k, v in old.items() for a, b in names.items() if k.startswith(a)}
    missing = model.load_state_dict(kept, strict=False).missing_keys
    assert all("projector" in name for name in missing), missing
    c = {k.removeprefix("model.connector."): v for k, v in old.items() if k.startswith("model.connector.")}

    def target(tokens: torch.Tensor) -> torch.Tensor:
        x = F.layer_norm(tokens, tokens.shape[-1:], c["norm.weight"], c["norm.bias"])
        x = F.linear(x, c["modality_projection.0.weight"], c["modality_projection.0.bias"])
        x = F.linear(F.gelu(x, approximate="tanh"), c["modality_projection.2.weight"], c["modality_projection.2.bias"])
        return x + c["position"]

    data = Data(args.data, model.shape.image_tokens, device)
    projector = model.model.multi_modal_projector
    for layer in (projector.linear_1, projector.linear_2):
        layer.reset_parameters()
    optimiser = torch.optim.Adam(projector.parameters(), betas=(0.9, 0.98))
    schedule = Schedule(args.steps, args.seconds)
    while schedule.progress < 1:
        index = torch.cat([data.some("flickr train", args.photos), data.some("coco train", args.photos)])
        with torch.no_grad(), half(device):
            tokens = model.tower(normalise(data.crops(index, 0.4)))
        tokens = tokens.float()
        with torch.no_grad():
            wanted = target(tokens)
        error = (projector(tokens) - wanted).square().mean() / wanted.var()
        optimiser.zero_grad()
        error.backward()
        optimiser.param_groups[0]["lr"] = args.peak * schedule.factor(20)
        optimiser.step()
        schedule.step += 1
        if schedule.step % 100 == 0 or schedule.progress == 1:
            log(f"project step {schedule.step} error {error.item():.4f} position {c['position'].std().item():.3f}")
    save_model(model, args.out, stage="project")
    Validation(data, device).better(model, args.out.stem)


if __name__ == "__main__":
    main()
