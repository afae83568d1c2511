"""A toy nanoVLM checkpoint (the original's own code, random weights) and its golden values.

python nanovlm.py OUT_DIR NANOVLM_DIR

NANOVLM_DIR is the nanoVLM repository. Pictures become one tile (`max_img_size` as large as a tile). The original puts
all pictures in front of the text and numbers them where there are several; here each stands where it was put, unnumbered.
"""

import sys
from dataclasses import asdict
from pathlib import Path

import torch
from family import STEPS, comment, parts_of, picture, qwen2_tokenizer, randomise, summary, write_json
from formula import sha256
from transformers import PreTrainedTokenizerFast

SIDE, PATCH, FACTOR, WORDS = 32, 4, 2, 296
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image|>", "<|global_image|>"]
VOCABULARY = 304
EXTRA = {"image_token": "<|image|>", "global_image_token": "<|global_image|>"}


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
        lm_base_vocab_size=VOCABULARY - 2,
        extra_token_amount=2,
        lm_vocab_size=VOCABULARY,
        lm_n_heads=5,
        lm_n_kv_heads=1,
        lm_n_blocks=2,
        lm_tokenizer="toy",
        mp_pixel_shuffle_factor=FACTOR,
        mp_image_token_length=(SIDE // PATCH // FACTOR) ** 2,
        max_img_size=SIDE,
        resize_to_max_side_len=False,
        vlm_extra_tokens=EXTRA,
    )


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

    process = processors.get_image_processor(cfg.max_img_size, cfg.vit_img_size, cfg.resize_to_max_side_len)
    items = []
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:75x50"]).items():
        names = [p for p in parts if p.startswith("formula:")]
        tiles = [process(picture(n)) for n in names]
        assert all(grid == (1, 1) for _, grid in tiles)
        image = processors.get_image_string(tokenizer, [(1, 1)], cfg.mp_image_token_length)
        content = "".join(image if p in names else p for p in parts)
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True, return_dict=False
        )
        item = {"name": name, "parts": parts, "input_ids": ids}
        pixels = torch.cat([t for t, _ in tiles]) if tiles else None
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
