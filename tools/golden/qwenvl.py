"""A toy Qwen-VL-Chat checkpoint (the original's own code, random weights) and its golden values.

python qwenvl.py OUT_DIR ORIGINAL_DIR

ORIGINAL_DIR holds modeling_qwen.py, visual.py, configuration_qwen.py and qwen_generation_utils.py of the published
Qwen-VL-Chat repository, unchanged. transformers 5 lacks one method they call, which this script adds. The tokenizer's
own file downloads a font when imported, so its few lines that make a tiktoken encoding are repeated here.
"""

import importlib
import os
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import tiktoken
import torch
from family import QWEN2_WORDS, STEPS, comment, greedy, parts_of, picture, randomise, summary, write_json
from formula import sha256
from ranked import ranks, words, write_ranks

SIDE, PATCH, QUERIES = 32, 4, 16
MERGES = 22
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205))]
IMAGE = ["<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"]


class Tokenizer:
    """What qwen_generation_utils needs of QWenTokenizer."""

    IMAGE_ST = tuple(IMAGE)

    def __init__(self) -> None:
        self.ranks = ranks(MERGES, QWEN2_WORDS)
        self.special = {t: i for i, t in enumerate(SPECIAL + IMAGE, start=len(self.ranks))}
        self.encoding = tiktoken.Encoding(
            "toy", pat_str=QWEN2_WORDS, mergeable_ranks=self.ranks, special_tokens=self.special
        )
        self.im_start_id, self.im_end_id = self.special["<|im_start|>"], self.special["<|im_end|>"]

    def encode(self, text: str, allowed_special="all") -> list[int]:
        """QWenTokenizer.tokenize: between image tags the bytes of a path, then padding."""
        ids = self.encoding.encode(unicodedata.normalize("NFC", text), allowed_special=allowed_special)
        begin, end, pad = (self.special[t] for t in ("<img>", "</img>", "<imgpad>"))
        out, at = [], 0
        while begin in ids[at:]:
            a = ids.index(begin, at)
            b = ids.index(end, a)
            path = self.encoding.decode_bytes(ids[a + 1 : b])
            span = list(path)  # as if ids were bytes: the model reads them back so
            out += ids[at : a + 1] + span + [pad] * (QUERIES - len(span)) + [end]
            at = b + 1
        return out + ids[at:]


def make(package, tokenizer: Tokenizer):
    config = package.configuration_qwen.QWenConfig(
        vocab_size=496,
        hidden_size=128,  # the resampler's heads are 128 wide
        num_hidden_layers=2,
        num_attention_heads=4,
        kv_channels=32,
        intermediate_size=192,
        seq_length=512,
        max_position_embeddings=1024,
        use_flash_attn=False,
        fp32=True,
        visual=dict(
            heads=5,
            image_size=SIDE,
            image_start_id=tokenizer.special["<img>"],
            layers=2,
            mlp_ratio=2.4,
            output_dim=128,
            patch_size=PATCH,
            width=40,
            n_queries=QUERIES,
        ),
    )
    modeling = package.modeling_qwen
    modeling.QWenModel.get_head_mask = lambda self, mask, layers: [None] * layers
    model = modeling.QWenLMHeadModel(config).eval().float()
    fixed = model.transformer.visual.attn_pool.pos_embed.detach().clone()
    randomise(model, 12, weight_mean=0.002)
    generator = torch.Generator().manual_seed(13)
    with torch.no_grad():
        model.transformer.wte.weight.mul_(2)  # answers that vary
        for name, p in model.named_parameters():
            if name.endswith(("attn_pool.query", "in_proj_weight")):
                p.copy_((torch.randn(p.shape, generator=generator) * 0.12).half().float())
        model.transformer.visual.attn_pool.pos_embed.copy_(fixed.half().float())
    return model


@torch.no_grad()
def main() -> None:
    out, original = (Path(p).resolve() for p in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sys.path.insert(0, str(original.parent))
    package = importlib.import_module(original.name)
    for module in ("configuration_qwen", "modeling_qwen", "qwen_generation_utils"):
        importlib.import_module(f"{original.name}.{module}")
    tokenizer = Tokenizer()
    model = make(package, tokenizer)
    model.half().save_pretrained(out)
    model.float()
    write_ranks(out / "qwen.tiktoken", tokenizer.ranks)

    os.chdir(tempfile.mkdtemp())
    items = []
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:75x50"]).items():
        query, pictures = "", []
        for part in parts:
            if not part.startswith("formula:"):
                query += part
                continue
            pictures.append(picture(part))
            pictures[-1].save(f"{len(pictures)}.png")
            query += f"Picture {len(pictures)}: <img>{len(pictures)}.png</img>\n"  # from_list_format
        _, ids = package.qwen_generation_utils.make_context(
            tokenizer, query, system="You are a helpful assistant."
        )
        begin, pad = tokenizer.special["<img>"], tokenizer.special["<imgpad>"]
        shown = list(ids)
        for i, token in enumerate(ids):
            if token == begin:
                shown[i + 1 : i + 1 + QUERIES] = [pad] * QUERIES
        item = {"name": name, "parts": parts, "input_ids": shown}
        if pictures:
            visual = model.transformer.visual
            sized = [p.resize((SIDE, SIDE), 3) for p in pictures]
            item["pixels_sha256"] = [sha256(np.asarray(p)) for p in sized]
            seen = []
            hook = visual.attn_pool.kv_proj.register_forward_pre_hook(lambda _m, a: seen.append(a[0]))
            rows = visual.encode([f"{i + 1}.png" for i in range(len(pictures))])
            hook.remove()
            item["vision"], item["connector"] = summary(seen[0]), summary(rows)
        item["steps"] = greedy(model, ids, STEPS)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    write_json(
        out / "golden.json",
        {
            "_comment": comment(
                "qwenvl.py",
                "The model is the original's modeling_qwen.py and visual.py; vision is what enters the resampler's "
                "kv_proj. In input_ids the span of an image holds <imgpad> only, where the original hides a path in "
                "it. words are tiktoken's ids, special tokens not looked for.",
            ),
            "words": words(tokenizer.encoding, compose=True),
            "items": items,
        },
    )


if __name__ == "__main__":
    main()
