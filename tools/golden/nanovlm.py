"""A toy nanoVLM checkpoint (the original's own code, random weights) and its golden values.

python nanovlm.py OUT_DIR NANOVLM_DIR

NANOVLM_DIR is the nanoVLM repository. Pictures become one tile (`max_img_size` as large as a tile), or tiles in prompts
that say so. The original puts all pictures in front of the text and numbers them where there are several; here each
stands where it was put, unnumbered. It keeps the whole picture in front of tiles in floats; here it is rounded to bytes,
and `rounding` is what that changes: the largest difference of the first logits as a share of the largest logit.
"""

import sys
from dataclasses import asdict
from pathlib import Path

import torch
from family import STEPS, comment, parts_of, picture, qwen2_tokenizer, randomise, summary, write_json
from formula import sha256
from torchvision.transforms.functional import resize
from transformers import PreTrainedTokenizerFast

SIDE, PATCH, FACTOR, WORDS = 32, 4, 2, 296
PLACES = {f"r{row}c{col}": f"<row_{row}_col_{col}>" for row in (1, 2) for col in (1, 2)}
EXTRA = {"image_token": "<|image|>", "global_image_token": "<|global_image|>"} | PLACES
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *EXTRA.values()]
VOCABULARY = WORDS + len(ADDED) + 1


def config(package) -> object:
    return package.VLMConfig(
        vit_hidden_dim=48,
        vit_inter_dim=80,
        vit_patch_size=PATCH,
        vit_img_size=SIDE,
        vit_n_heads=3,
        vit_n_blocks=2,
        lm_hidden_dim=40,
        lm_inter_dim=96,
        lm_max_position_embeddings=512,
        lm_base_vocab_size=VOCABULARY - len(EXTRA),
        extra_token_amount=len(EXTRA),
        lm_vocab_size=VOCABULARY,
        lm_n_heads=5,
        lm_n_kv_heads=1,
        lm_n_blocks=2,
        lm_tokenizer="toy",
        mp_pixel_shuffle_factor=FACTOR,
        mp_image_token_length=(SIDE // PATCH // FACTOR) ** 2,
        max_img_size=2 * SIDE,
        resize_to_max_side_len=False,
        vlm_extra_tokens=EXTRA,
    )


def rounded(tiles: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Tiles whose whole picture is rounded to bytes: resized again in double, which is exact for halves."""
    parts = (tiles[1:] * 255).round().double()
    large = torch.cat([torch.cat(list(row), dim=2) for row in parts.chunk(rows)], dim=1)
    assert large.shape[1:] == (rows * SIDE, cols * SIDE)
    whole = resize(large[None], [SIDE, SIDE]).round()
    assert ((whole / 255).float() - tiles[:1]).abs().max() < 0.51 / 255
    return torch.cat([(whole.float() / 255), tiles[1:]])


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sys.path.insert(0, sys.argv[2])
    import models.config
    from data import processors
    from models.vision_language_model import VisionLanguageModel

    cfg = config(models.config)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen2_tokenizer(WORDS, ADDED),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=EXTRA,
        chat_template=cfg.lm_chat_template,
    )
    processors.TOKENIZERS_CACHE[cfg.lm_tokenizer] = tokenizer
    model = VisionLanguageModel(cfg, load_backbone=False).eval().float()
    randomise(model, 17, embed_std=0.25)  # tied: a larger one would only repeat its own input
    embedding = model.decoder.token_embedding.weight
    embedding.copy_((torch.randn(embedding.shape, generator=torch.Generator().manual_seed(18)) * 0.25).half().float())
    model.half().save_pretrained(str(out))
    model.float()
    write_json(out / "config.json", asdict(cfg), indent=1)
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})

    prompts = parts_of(["formula:waves:32x32", "formula:stripes:75x50"])
    tiled = {
        "in tiles": ["formula:stripes:75x50", "Describe this image."],
        "two pictures in tiles": ["formula:waves:20x90", "formula:waves:90x70", "Compare the two images."],
    }
    items = []
    for name, parts in (prompts | tiled).items():
        names = [p for p in parts if p.startswith("formula:")]
        longest = cfg.max_img_size if name in tiled else SIDE
        process = processors.get_image_processor(longest, cfg.vit_img_size, cfg.resize_to_max_side_len)
        tiles = [process(picture(n)) for n in names]
        assert all((grid != (1, 1)) == (name in tiled) for _, grid in tiles)
        strings = {
            n: processors.get_image_string(tokenizer, [grid], cfg.mp_image_token_length)
            for n, (_, grid) in zip(names, tiles, strict=True)
        }
        content = "".join(strings.get(p, p) for p in parts)
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True, return_dict=False
        )
        item = {"name": name, "parts": parts, "input_ids": ids}
        pixels = torch.cat([t for t, _ in tiles]) if tiles else None
        if name in tiled:
            item["max_tiles"] = 5
            floats, pixels = pixels, torch.cat([rounded(t, *grid) for t, grid in tiles])
            exact, near = (model(torch.tensor([ids]), p)[0][0, -1] for p in (floats, pixels))
            exact, near = model.decoder.head(exact), model.decoder.head(near)
            item["rounding"] = ((exact - near).abs().max() / exact.abs().max()).item()
        if tiles:
            raw = (pixels * 255).round().to(torch.uint8)
            assert torch.equal(raw.float() / 255, pixels)
            item["pixels_sha256"] = [sha256(t.permute(1, 2, 0).numpy()) for t in raw]
            seen = []
            hook = model.MP.proj.register_forward_pre_hook(lambda _m, a: seen.append(a[0]))
            rows = model.MP(model.vision_encoder(pixels))
            hook.remove()
            item["vision"], item["connector"] = summary(seen[0]), summary(rows)
        item["steps"], sequence = [], list(ids)
        for _ in range(STEPS):
            hidden, _ = model(torch.tensor([sequence]), pixels)
            logits = model.decoder.head(hidden[0, -1])
            top = logits.topk(10)
            item["steps"].append(
                {"ids": top.indices.tolist(), "logits": top.values.tolist(), "norm": logits.norm().item()}
            )
            sequence.append(int(logits.argmax()))
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    note = "vision is what enters the projector's linear."
    write_json(out / "golden.json", {"_comment": comment("nanovlm.py", note), "items": items})


if __name__ == "__main__":
    main()
