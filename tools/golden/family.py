"""What the golden scripts of model families share: a small Qwen2-style tokenizer, random weights, summaries, steps.

Every script makes a checkpoint of random weights with the family's own transformers code, saves it in the layout of
the real checkpoints, and writes golden.json beside it.
"""

import json
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from formula import formula_image, parse_formula_name, sha256
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

STEPS = 6
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = [
    "Describe this image. What is in the picture? Compare the two images and tell what differs.",
    "A black dog runs through the grass. A child in a red shirt jumps. Two people ride bicycles on the street.",
]


def qwen2_tokenizer(vocabulary: int, added: list[str]) -> Tokenizer:
    """Byte-level BPE as Qwen2 has it."""
    return byte_tokenizer(vocabulary, added, QWEN2_WORDS, normalizers.NFC())


def byte_tokenizer(vocabulary: int, added: list[str], pattern: str, normalizer=None) -> Tokenizer:
    """Byte-level BPE over the words of a pattern, `vocabulary` entries of its own, then the added tokens."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    assert tokenizer.get_vocab_size() == vocabulary, tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in added])
    return tokenizer


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int, embed_std: float = 1.0, weight_mean: float = 0.02) -> None:
    """Weights whose every bias, gain and mean counts; values that fp16 holds exactly."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        leaf = name.rsplit(".", 1)[-1]
        if leaf.startswith("lambda"):
            mean, std = 0.5, 0.2
        elif p.dim() == 1 and leaf == "weight":
            mean, std = 1.0, 0.2
        elif p.dim() == 1:
            mean, std = 0.05, 0.2
        elif "embed_tokens" in name:
            mean, std = 0.0, embed_std
        elif "position" in name or "cls_token" in name or "pos_embed" in name:
            mean, std = 0.1, 0.3
        else:
            fan_in = p[0].numel()
            mean, std = weight_mean, fan_in**-0.5
        p.copy_((torch.randn(p.shape, generator=generator) * std + mean).half().float())


def summary(t: torch.Tensor) -> dict:
    """Moments and both ends of activations (rows, width)."""
    t = t.reshape(-1, t.shape[-1])
    return {
        "shape": list(t.shape),
        "mean": t.double().mean().item(),
        "std": t.double().std().item(),
        "first8": t[0, :8].tolist(),
        "last8": t[-1, -8:].tolist(),
    }


def picture(name: str) -> Image.Image:
    return Image.fromarray(formula_image(*parse_formula_name(name)))


@torch.no_grad()
def greedy(model, ids: list[int], steps: int, **inputs) -> list[dict]:
    """Greedy steps without a cache: all logits of the prompt, the top ten of each step."""
    sequence, out = list(ids), []
    for _ in range(steps):
        logits = model(
            input_ids=torch.tensor([sequence]),
            attention_mask=torch.ones(1, len(sequence), dtype=torch.long),
            use_cache=False,
            **inputs,
        ).logits[0, -1]
        top = logits.topk(10)
        out.append({"ids": top.indices.tolist(), "logits": top.values.tolist(), "norm": logits.norm().item()})
        sequence.append(int(logits.argmax()))
    return out


def user(*parts: str) -> list[dict]:
    """One message: "formula:…" is an image, anything else text."""
    content = [{"type": "image"} if p.startswith("formula:") else {"type": "text", "text": p} for p in parts]
    return [{"role": "user", "content": content}]


def parts_of(images: list[str]) -> dict[str, list[str]]:
    """The four prompts every family answers, over two pictures."""
    a, b = images
    return {
        "one image": [a, "Describe this image."],
        "two images": [a, b, "Compare the two images."],
        "image between text": ["Look at", b, "and tell what differs."],
        "text only": ["What is in the picture?"],
    }


def write_json(path: Path, value: dict, indent: int | None = None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    path.write_text(text.replace('{"name"', '\n{"name"') + "\n")


def comment(script: str, what: str) -> str:
    return (
        f"Made by tools/golden/{script}: transformers {transformers.__version__}, torch "
        f"{torch.__version__.split('+')[0]}, fp32 on CPU, eager attention, random weights (seeded). {what} "
        "Pictures are formula:KIND:WxH (tools/golden/formula.py); pixels_sha256 is over the H x W x 3 bytes after the "
        "processor's resize; summaries are of (rows, width), first8 of the first row, last8 of the last; steps are "
        "the top ten logits and the norm of all, greedy, without a cache."
    )


def resized_sha256(processor, image: Image.Image, **options) -> list[str]:
    """Hashes of the bytes the image processor's resize leaves, tile by tile, before rescaling."""
    raw = processor(image, return_tensors="pt", do_rescale=False, do_normalize=False, **options)
    tiles = np.asarray(raw["pixel_values"])
    tiles = tiles.reshape(-1, *tiles.shape[-3:]).transpose(0, 2, 3, 1)
    assert np.array_equal(tiles, tiles.astype(np.uint8)), "the resize left uint8"
    return [sha256(t.astype(np.uint8)) for t in tiles]
