"""Golden values of the bundled captioner's checkpoint, computed by transformers' FastVLM code and timm (fp32, CPU).

    python bundled.py CHECKPOINT_DIR OUT.json [--photos FILE ...] [--prompt "Describe this image."] [--max-new 40]

Items are the photos, resized to the tower's side by Pillow (bicubic), and two formula images that any test can rebuild
(formula.py). Weights are widened to fp32. Stage outputs are those of timm's EfficientNet, channels last.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from formula import formula_image, parse_formula_name, sha256
from golden import STEPS_KEPT, TOP, summary
from PIL import Image
from transformers import AutoTokenizer, FastVlmForConditionalGeneration


def read_pixels(name: str, side: int) -> np.ndarray:
    if name.startswith("formula:"):
        return formula_image(*parse_formula_name(name))
    picture = Image.open(name).convert("RGB")
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))


def rows(t: torch.Tensor) -> torch.Tensor:
    """(1, C, H, W) to (1, H x W, C)."""
    return t.flatten(2).transpose(1, 2)


@torch.no_grad()
def stages(tower, pixels: torch.Tensor) -> dict:
    """The activations after the stem, after every stage of blocks and after the head layer, ReLU6 included."""
    seen: dict[str, torch.Tensor] = {}
    watched = {"stem": tower.bn1, **{f"stage {i}": b for i, b in enumerate(tower.blocks)}, "head": tower.bn2}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name, module in watched.items()
    ]
    tower.forward_features(pixels)
    for hook in hooks:
        hook.remove()
    return {name: {"size": list(t.shape[2:]), **summary(rows(t))} for name, t in seen.items()}


@torch.no_grad()
def golden_item(model, tokenizer, pixels: np.ndarray, prompt: str, max_new: int) -> dict:
    config = model.config
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
    text = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    text = text.replace("<image>", "<image>" * config.image_seq_length)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    chw = (torch.tensor(pixels).permute(2, 0, 1).float()[None] / 255.0 - 0.5) / 0.5
    image_rows = model.get_image_features(chw, return_dict=True).pooler_output[0][None]

    steps, sequence = [], list(ids)
    while len(sequence) < len(ids) + max_new:
        logits = model(input_ids=torch.tensor([sequence]), pixel_values=chw, use_cache=False).logits[0, -1]
        if len(steps) < STEPS_KEPT:
            top = logits.topk(TOP)
            steps.append({"ids": top.indices.tolist(), "logits": top.values.tolist()})
        sequence.append(int(logits.argmax()))
        if sequence[-1] == config.eos_token_id:
            break
    generated = sequence[len(ids) :]
    return {
        "prompt": prompt,
        "pixels_sha256": sha256(pixels),
        "input_ids": ids,
        "stages": stages(model.model.vision_tower.timm_model, chw),
        "image_rows": summary(image_rows),
        "steps": steps,
        "generated_ids": generated,
        "caption": tokenizer.decode(generated, skip_special_tokens=True).strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--prompt", default="Describe this image.")
    parser.add_argument("--max-new", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = FastVlmForConditionalGeneration.from_pretrained(
        args.checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    side = model.config.vision_config.image_size
    items = []
    for name in [*map(str, args.photos), f"formula:waves:{side}x{side}", f"formula:stripes:{side}x{side}"]:
        item = golden_item(model, tokenizer, read_pixels(name, side), args.prompt, args.max_new)
        shown = name if name.startswith("formula:") else Path(name).name
        items.append({"image": shown, **item})
        print(shown, "|", item["caption"], flush=True)
    result = {
        "_comment": (
            f"Made by tools/golden/bundled.py: transformers {transformers.__version__} FastVLM (eager attention, fp32, "
            f"CPU, torch {torch.__version__.split('+')[0]}, timm {timm.__version__}) on the stored weights. Pixels are "
            "uint8 RGB, value = (u8/255 - 0.5)/0.5; a photo is resized by Pillow (bicubic). stages are activations with "
            "ReLU6 where the layer has one, one row a position, channels last; image_rows enter the decoder; first8 is of "
            "the first row, last8 of the last; steps are the top ten logits of the first greedy steps; generated_ids are "
            "greedy, without a cache."
        ),
        "items": items,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, separators=(",", ":")).replace('{"image"', '\n{"image"') + "\n")
    print("wrote", args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
