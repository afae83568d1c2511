"""A toy GLM-4V checkpoint (the original's own code, random weights) and its golden values.

python glm4v.py OUT_DIR ORIGINAL_DIR

ORIGINAL_DIR holds modeling_chatglm.py, visual.py and configuration_chatglm.py of the published glm-4v-9b repository. In
a copy of visual.py that has square linears on the skip paths (attn_identity, mlp_identity: a rewriting of the tower for
rotations) they are made identities, which is the published forward pass. The original takes one picture; for two, the
same rule is carried on here (`logits`), after a check that it gives the original's numbers for one and none. The
tokenizer's prompts (tokenization_chatglm.py, build_single_message) are put together here from its pieces.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import tiktoken
import torch
from family import STEPS, comment, parts_of, picture, randomise, summary, write_json
from formula import sha256
from ranked import ranks, words, write_ranks
from safetensors.torch import save_file

SIDE, PATCH, MERGES = 32, 4, 22
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    *("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>"),
    *("<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"),
]
ROWS = (SIDE // PATCH // 2) ** 2
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def config_of(special: dict[str, int]) -> dict:
    return dict(
        num_layers=2,
        padded_vocab_size=296,
        hidden_size=64,
        ffn_hidden_size=80,
        kv_channels=16,
        num_attention_heads=4,
        multi_query_attention=True,
        multi_query_group_num=2,
        seq_length=512,
        layernorm_epsilon=1.5625e-07,
        rmsnorm=True,
        original_rope=True,
        add_bias_linear=False,
        add_qkv_bias=True,
        post_layer_norm=True,
        apply_residual_connection_post_layernorm=False,
        rope_ratio=1,
        boi_token_id=special["<|begin_of_image|>"],
        eoi_token_id=special["<|end_of_image|>"],
        vision_config=dict(
            dropout_prob=0.0,
            hidden_act="gelu",
            hidden_size=48,
            image_size=SIDE,
            in_channels=3,
            intermediate_size=96,
            layer_norm_eps=1e-6,
            num_heads=3,
            num_hidden_layers=2,
            num_positions=(SIDE // PATCH) ** 2 + 1,
            patch_size=PATCH,
            scaling_factor=8,
        ),
    )


def make(folder: Path, fields: dict):
    sys.path.insert(0, str(folder.parent))
    configuration = importlib.import_module(f"{folder.name}.configuration_chatglm")
    modeling = importlib.import_module(f"{folder.name}.modeling_chatglm")
    config = configuration.ChatGLMConfig(**fields)
    config.torch_dtype, config.max_length = torch.float32, fields["seq_length"]
    model = modeling.ChatGLMForConditionalGeneration(config, empty_init=False)
    for layer in model.transformer.vision.transformer.layers:
        for name in ("attn_identity", "mlp_identity"):
            if hasattr(layer, name):
                setattr(layer, name, torch.nn.Identity())
    return model.eval().float()


def logits(model, ids: list[int], pictures: list[torch.Tensor]) -> torch.Tensor:
    """The original's forward for any number of pictures: each takes the place of one position."""
    t, begin = model.transformer, model.config.boi_token_id
    embeds, places, at, image = [], [], 0, 0
    table = t.embedding(torch.tensor([ids]))[0]
    while at < len(ids):
        if ids[at] != begin:
            embeds.append(table[at : at + 1])
            places.append(at)
            at += 1
            continue
        embeds.append(pictures[image])  # boi, rows, eoi
        places += [at] + [at + 1] * ROWS + [at + 2]
        at, image = at + 3, image + 1
    rotary = t.rotary_pos_emb(t.seq_length)[torch.tensor([places])]
    hidden = t.encoder(torch.cat(embeds)[None], None, rotary_pos_emb=rotary, kv_caches=None, use_cache=False)[0]
    return t.output_layer(hidden)[0, -1]


@torch.no_grad()
def main() -> None:
    out, original = (Path(p).resolve() for p in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    table = ranks(MERGES, WORDS)
    special = {t: i for i, t in enumerate(SPECIAL, start=len(table))}
    encoding = tiktoken.Encoding("toy", pat_str=WORDS, mergeable_ranks=table, special_tokens={})
    fields = config_of(special)
    model = make(original, fields)
    randomise(model, 16, weight_mean=0.01)
    generator = torch.Generator().manual_seed(17)
    for name, p in model.named_parameters():
        if name.endswith(("boi", "eoi", "cls_embedding")):
            p.copy_((torch.randn(p.shape, generator=generator) * 0.8 + 0.1).half().float())
        if name.endswith("word_embeddings.weight"):
            p.mul_(3).copy_(p.half().float())
        if name.endswith("linear_proj.dense_4h_to_h.weight"):
            p.mul_(16)  # rows are divided by 8
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, str(out / "model.safetensors"))
    stops = [special[t] for t in ("<|endoftext|>", "<|user|>", "<|observation|>")]
    write_json(out / "config.json", {"model_type": "chatglm", **fields, "eos_token_id": stops}, indent=1)
    write_ranks(out / "tokenizer.model", table)
    listed = {str(i): {"content": t, "special": True} for t, i in special.items()}
    write_json(out / "tokenizer_config.json", {"added_tokens_decoder": listed, "eos_token": "<|endoftext|>"})

    items = []
    image_ids = [special[t] for t in ("<|begin_of_image|>", "<|endoftext|>", "<|end_of_image|>")]
    shown = [image_ids[0], *[special["[MASK]"]] * ROWS, image_ids[2]]
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:75x50"]).items():
        prompt, expanded, tiles = [], [], []
        for part in parts:
            if part.startswith("formula:"):
                tiles.append(np.asarray(picture(part).resize((SIDE, SIDE), 3)))
            text = [] if part.startswith("formula:") else encoding.encode(part, disallowed_special=())
            prompt += text or image_ids
            expanded += text or shown
        begin = [special["[gMASK]"], special["<sop>"], special["<|user|>"], *encoding.encode("\n")]
        ids = begin + prompt + [special["<|assistant|>"]]
        item = {"name": name, "parts": parts, "input_ids": begin + expanded + [special["<|assistant|>"]]}
        pictures = []
        if tiles:
            item["pixels_sha256"] = [sha256(t) for t in tiles]
            pixels = torch.tensor(np.stack(tiles)).permute(0, 3, 1, 2).float() / 255
            pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
            vision, seen = model.transformer.vision, []
            hook = vision.conv.register_forward_pre_hook(lambda _m, a: seen.append(a[0]))
            pictures = list(vision(pixels))
            hook.remove()
            n, c, h, w = seen[0].shape
            squares = seen[0].reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1)
            item["vision"] = summary(squares.reshape(-1, 4 * c))
            item["connector"] = summary(torch.cat([p[1:-1] for p in pictures]))
        if len(tiles) < 2:
            theirs = model(
                input_ids=torch.tensor([ids]), images=pixels if tiles else None, use_cache=False, return_dict=True
            ).logits[0, -1]
            assert torch.equal(theirs, logits(model, ids, pictures)), "the rule is not the original's"
        item["steps"], sequence = [], list(ids)
        for _ in range(STEPS):
            row = logits(model, sequence, pictures)
            top = row.topk(10)
            item["steps"].append(
                {"ids": top.indices.tolist(), "logits": top.values.tolist(), "norm": row.norm().item()}
            )
            sequence.append(int(row.argmax()))
        items.append(item)
        print(name, len(item["input_ids"]), [s["ids"][0] for s in item["steps"]], flush=True)
    write_json(
        out / "golden.json",
        {
            "_comment": comment(
                "glm4v.py",
                "The model is the original's modeling_chatglm.py and visual.py; two pictures, which it does not take, "
                "by its own rule carried on; prompts in the order of their parts, where the original puts the picture "
                "first. vision is what enters the convolution, as rows of squares; connector without the rows of boi "
                "and eoi; input_ids hold [MASK] for each row of a picture. words are tiktoken's ids.",
            ),
            "words": words(encoding, compose=False),
            "items": items,
        },
    )


if __name__ == "__main__":
    main()
