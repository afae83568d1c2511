"""A toy moondream checkpoint (the original's own code, random weights) and its golden values.

python moondream.py OUT_DIR ORIGINAL_DIR

ORIGINAL_DIR holds config.py, layers.py, rope.py, text.py, vision.py and image_crops.py of moondream/torch in the
published repository. Its tower and decoder run as they are. Two of its functions hold numbers of the real size (730
rows of prefix, 27 × 27 patches): the joining of crops is done here for a picture of one crop, which is its own whole,
and the mask of the prefix is made here by the same rule; two pictures, which the original does not take, each get such
a block, and a prompt without one is causal.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import torch
from eva import greedy_rows
from family import STEPS, comment, parts_of, picture, qwen2_tokenizer, randomise, summary, write_json
from formula import sha256
from safetensors.torch import save_file

SIDE, PATCH, WORDS = 32, 4, 296
ROWS = (SIDE // PATCH) ** 2
ADDED = ["<|endoftext|>", "<|ask|>", "<|of|>", "<|answer|>", "<|row|>"]
BOS, ASK, OF, ANSWER, ROW = (WORDS + i for i in range(5))
TEXT = dict(dim=128, ff_dim=96, n_layers=2, vocab_size=304, max_context=512, n_heads=2, n_kv_heads=2)
VISION = dict(
    enc_dim=40,
    enc_patch_size=PATCH,
    enc_n_layers=2,
    enc_ff_dim=96,
    enc_n_heads=5,
    proj_out_dim=128,
    crop_size=SIDE,
    proj_inner_dim=96,
)


class Toy(torch.nn.Module):
    """Tower and decoder under the names of the published files."""

    def __init__(self, package) -> None:
        super().__init__()
        self.config = package.config.TextConfig(**TEXT)
        self.seen_config = package.config.VisionConfig(**VISION)
        self.model = torch.nn.ModuleDict(
            {
                "vision": package.vision.build_vision_model(self.seen_config, torch.float32),
                "text": package.text.build_text_model(self.config, torch.float32),
            }
        )
        for block in self.model.text.blocks:
            block.kv_cache = None


@torch.no_grad()
def main() -> None:
    out, original = (Path(p).resolve() for p in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sys.path.insert(0, str(original.parent))
    package = importlib.import_module(original.name)
    for module in ("config", "layers", "text", "vision"):
        importlib.import_module(f"{original.name}.{module}")
    toy = Toy(package).eval()
    randomise(toy, 20, weight_mean=0.005)
    with torch.no_grad():
        toy.model.text.wte.copy_((toy.model.text.wte * 4).half().float())
        generator = torch.Generator().manual_seed(21)
        shape = toy.model.vision.pos_emb.shape
        toy.model.vision.pos_emb.copy_((torch.randn(shape, generator=generator) * 0.3 + 0.1).half().float())
    save_file({k: v.half().contiguous() for k, v in toy.state_dict().items()}, str(out / "model.safetensors"))
    tokenizer = qwen2_tokenizer(WORDS, ADDED)
    tokenizer.save(str(out / "tokenizer.json"))
    about = tokenizer.encode("query", add_special_tokens=False).ids
    query = {"prefix": [ASK, *about, OF], "suffix": [ANSWER]}
    token = dict(bos_id=BOS, eos_id=BOS, coord_id=ROW, templates={"query": query})
    config = {"model_type": "moondream1", "config": {"text": TEXT, "vision": VISION, "tokenizer": token}}
    write_json(out / "config.json", config, indent=1)
    vision, text = toy.model.vision, toy.model.text

    items = []
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:75x50"]).items():
        names = [p for p in parts if p.startswith("formula:")]
        question = "".join(p for p in parts if p not in names)
        asked = [*query["prefix"], *tokenizer.encode(question, add_special_tokens=False).ids, *query["suffix"]]
        ids = ([ROW] * (ROWS + 1) * len(names) or [BOS]) + asked
        item = {"name": name, "parts": parts, "input_ids": ids}
        rows = torch.zeros(0, TEXT["dim"])
        if names:
            tiles = [np.asarray(picture(n).resize((SIDE, SIDE), 1)) for n in names]
            item["pixels_sha256"] = [sha256(t) for t in tiles]
            pixels = torch.tensor(np.stack(tiles)).permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.5)
            seen = package.vision.vision_encoder(pixels, vision, toy.seen_config)
            joined = package.layers.mlp(torch.cat([seen, seen], -1), vision.proj_mlp)
            begin = text.wte[BOS].expand(len(names), 1, -1)
            rows = torch.cat([begin, joined], 1).reshape(-1, TEXT["dim"])
            item["vision"], item["connector"] = summary(seen), summary(rows)

        def logits(sequence: list[int]) -> torch.Tensor:
            n, block = len(sequence), ROWS + 1
            embeds = package.text.text_encoder(torch.tensor([sequence]), text)
            embeds[0, : len(rows)] = rows  # noqa: B023
            mask = torch.ones(n, n, dtype=torch.bool).tril()
            for at in range(0, len(rows), block):  # noqa: B023
                mask[at : at + block, at : at + block] = True
            hidden = package.text.text_decoder(embeds, text, mask, torch.arange(n), toy.config, None)
            return package.text.lm_head(hidden, text)[0]

        item["steps"] = greedy_rows(logits, ids, STEPS)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    write_json(
        out / "golden.json",
        {
            "_comment": comment(
                "moondream.py",
                "The model is the original's text.py and vision.py; the joining of a picture with itself and the mask "
                "of its block are made here. vision is what enters the connector once, connector with the row of the "
                "beginning token in front.",
            ),
            "items": items,
        },
    )


if __name__ == "__main__":
    main()
