"""Golden values of a SmolVLM-layout checkpoint, computed by transformers' own SmolVLM code (fp32, CPU).

    python golden.py CHECKPOINT_DIR OUT.json [--photos DIR] [--count 8] [--prompt "Describe this image."] [--max-new 40]

Items are the first PNGs of --photos (exact pixels, already at the tower's size) and two formula images that any
test can rebuild (formula.py). Weights are read from model.safetensors as stored and widened to fp32.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from formula import formula_image, parse_formula_name, sha256
from PIL import Image
from transformers import AutoTokenizer, SmolVLMForConditionalGeneration

STEPS_KEPT = 5
TOP = 10


def expanded_prompt(tokenizer, prompt: str, image_tokens: int) -> str:
    """The chat template's text with the one <image> placeholder widened to what the tower delivers."""
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
    text = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    block = "<fake_token_around_image><global-img>" + "<image>" * image_tokens + "<fake_token_around_image>"
    return text.replace("<image>", block)


def read_pixels(name: str, photos: Path | None, side: int) -> np.ndarray:
    if name.startswith("formula:"):
        pixels = formula_image(*parse_formula_name(name))
    else:
        pixels = np.asarray(Image.open(photos / name).convert("RGB"))
    assert pixels.shape == (side, side, 3), (name, pixels.shape)
    return pixels


def summary(t: torch.Tensor) -> dict:
    """Shape, moments and both ends of a (1, tokens, width) activation."""
    return {
        "shape": list(t.shape),
        "mean": t.double().mean().item(),
        "std": t.double().std().item(),
        "first8": t[0, 0, :8].tolist(),
        "last8": t[0, -1, -8:].tolist(),
    }


@torch.no_grad()
def golden_item(model, tokenizer, pixels: np.ndarray, prompt: str, max_new: int) -> dict:
    config = model.config
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    grid = side // patch
    image_tokens = (grid // config.scale_factor) ** 2
    ids = tokenizer(expanded_prompt(tokenizer, prompt, image_tokens), add_special_tokens=False)["input_ids"]

    chw = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
    chw = (chw / 255.0 - 0.5) / 0.5
    vision = model.model.vision_model(
        pixel_values=chw[None], patch_attention_mask=torch.ones(1, grid, grid, dtype=torch.bool)
    ).last_hidden_state
    connector = model.model.connector(vision)

    image_inputs = {
        "pixel_values": chw[None, None],
        "pixel_attention_mask": torch.ones(1, 1, side, side, dtype=torch.bool),
    }

    steps, sequence = [], list(ids)
    while len(sequence) < len(ids) + max_new:
        logits = model(
            input_ids=torch.tensor([sequence]),
            attention_mask=torch.ones(1, len(sequence), dtype=torch.long),
            use_cache=False,
            **image_inputs,
        ).logits[0, -1]
        if len(steps) < STEPS_KEPT:
            top = logits.topk(TOP)
            steps.append({"ids": top.indices.tolist(), "logits": top.values.tolist()})
        sequence.append(int(logits.argmax()))
        if sequence[-1] == config.eos_token_id:
            break
    generated = sequence[len(ids) :]

    cached = model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=max_new,
        do_sample=False,
        **image_inputs,
    )[0].tolist()
    return {
        "prompt": prompt,
        "pixels_sha256": sha256(pixels),
        "input_ids": ids,
        "vision": summary(vision),
        "connector": summary(connector),
        "steps": steps,
        "generated_ids": generated,
        "caption": tokenizer.decode(generated, skip_special_tokens=True).strip(),
        "generate_with_cache_agrees": cached == sequence,
    }


@torch.no_grad()
def position_rows(model) -> list[int]:
    """Which row of the position table each patch of a full image gets (transformers buckets fractions)."""
    vision = model.model.vision_model
    config = vision.config
    grid = config.image_size // config.patch_size
    seen = []
    hook = vision.embeddings.position_embedding.register_forward_hook(lambda _m, args, _o: seen.append(args[0]))
    vision(
        pixel_values=torch.zeros(1, 3, config.image_size, config.image_size),
        patch_attention_mask=torch.ones(1, grid, grid, dtype=torch.bool),
    )
    hook.remove()
    return seen[0].flatten().tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--prompt", default="Describe this image.")
    parser.add_argument("--max-new", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)

    model = SmolVLMForConditionalGeneration.from_pretrained(
        args.checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    side = model.config.vision_config.image_size
    names = sorted(p.name for p in args.photos.glob("*.png"))[: args.count] if args.photos else []
    names += [f"formula:waves:{side}x{side}", f"formula:stripes:{side}x{side}"]

    rows = position_rows(model)
    items = []
    for name in names:
        item = golden_item(model, tokenizer, read_pixels(name, args.photos, side), args.prompt, args.max_new)
        items.append({"image": name, **item})
        print(name, "|", item["caption"], "| cache agrees:", item["generate_with_cache_agrees"], flush=True)
    result = {
        "_comment": (
            f"Made by tools/golden/golden.py: transformers {transformers.__version__} SmolVLM (eager attention, fp32, "
            f"CPU, torch {torch.__version__.split('+')[0]}) on the stored weights. Pixels are exact uint8 RGB, "
            "value = (u8/255 - 0.5)/0.5. image is a PNG name or formula:KIND:WxH (tools/golden/formula.py). "
            "vision is last_hidden_state after post_layernorm; first8 is of the first token, last8 of the last; "
            "steps are the top ten logits of the first greedy steps; generated_ids are greedy, without a cache."
        ),
        "position_rows_are_raster_order": rows == list(range(len(rows))),
        "items": items,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, separators=(",", ":")).replace('{"image"', '\n{"image"') + "\n")
    print("wrote", args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
