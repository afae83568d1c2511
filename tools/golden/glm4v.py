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

import tiktoken
import torch
from eva import ROWS, VISION, greedy_rows, pixels, watched
from family import STEPS, comment, parts_of, randomise, summary, write_json
from ranked import ranks, words, write_ranks
from safetensors.torch import save_file

MERGES = 22
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    *("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>"),
    *("<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"),
]


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
        vision_config=VISION | {"scaling_factor": 8},
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
        prompt, expanded, names = [], [], [p for p in parts if p.startswith("formula:")]
        for part in parts:
            text = [] if part in names else encoding.encode(part, disallowed_special=())
            prompt += text or image_ids
            expanded += text or shown
        begin = [special["[gMASK]"], special["<sop>"], special["<|user|>"], *encoding.encode("\n")]
        ids = begin + prompt + [special["<|assistant|>"]]
        item = {"name": name, "parts": parts, "input_ids": begin + expanded + [special["<|assistant|>"]]}
        pictures, images = [], None
        if names:
            images, item["pixels_sha256"] = pixels(names)
            squares, rows = watched(model.transformer.vision, images)
            pictures = list(rows)
            item["vision"], item["connector"] = summary(squares), summary(rows[:, 1:-1])
        if len(names) < 2:
            theirs = model(input_ids=torch.tensor([ids]), images=images, use_cache=False, return_dict=True)
            assert torch.equal(theirs.logits[0, -1], logits(model, ids, pictures)), "the rule is not the original's"
        item["steps"] = greedy_rows(lambda sequence: logits(model, sequence, pictures), ids, STEPS)  # noqa: B023
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
