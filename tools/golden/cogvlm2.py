"""A toy CogVLM2 checkpoint (the original's own code, random weights) and its golden values.

python cogvlm2.py OUT_DIR ORIGINAL_DIR

ORIGINAL_DIR holds modeling_cogvlm.py, visual.py, configuration_cogvlm.py and util.py of the published
cogvlm2-llama3-chat-19B repository. Two things they call need a GPU and are given in plain torch here: attention of
xformers in the tower, and the Triton kernel that turns heads (half-split pairs, not interleaved). Prompts are put
together as build_conversation_input_ids (chat) does, with the tokens that mquant lets stand for an image's rows in
place of the original's padding; several pictures stand on lines of their own, which the model takes and that function
does not: where they touched, its expert masks would see one picture.
"""

import importlib
import sys
import types
from argparse import Namespace
from pathlib import Path

import torch
from eva import ROWS, VISION, greedy_rows, pixels, watched
from family import STEPS, comment, parts_of, qwen2_tokenizer, randomise, summary, write_json
from safetensors.torch import save_file

WORDS = 296
BOS, EOS, ROW, END = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>",
)
ADDED = [BOS, EOS, ROW, END]
FIELDS = dict(
    vocab_size=304,
    hidden_size=64,
    intermediate_size=80,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_multi_query_heads=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    bos_token_id=WORDS,
    eos_token_id=WORDS + 1,
    vision_config=VISION,
)


class Embedding(torch.nn.Embedding):
    """Without the padding index, which is the real vocabulary's."""

    def __init__(self, n: int, width: int, _padding: int | None = None) -> None:
        super().__init__(n, width)


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """xformers.ops.memory_efficient_attention over (batch, rows, heads, channels)."""
    scores = torch.einsum("blhd,bmhd->bhlm", q * scale, k)
    return torch.einsum("bhlm,bmhd->blhd", scores.softmax(-1), v).contiguous()


def turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, interleaved: bool, inplace: bool) -> torch.Tensor:
    """util.apply_rotary_emb_func over (batch, heads, rows, channels)."""
    assert not interleaved
    a, b = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def make(folder: Path, fields: dict):
    sys.path.insert(0, str(folder.parent))
    ops = types.ModuleType("xformers.ops")
    ops.memory_efficient_attention = attention
    xformers = types.ModuleType("xformers")
    xformers.ops = ops
    sys.modules.update({"xformers": xformers, "xformers.ops": ops})
    util = importlib.import_module(f"{folder.name}.util")
    util.apply_rotary_emb_func = turn
    configuration = importlib.import_module(f"{folder.name}.configuration_cogvlm")
    modeling = importlib.import_module(f"{folder.name}.modeling_cogvlm")
    modeling.CogVLMModel.__init__.__globals__["nn"] = Namespace(**vars(torch.nn) | {"Embedding": Embedding})
    return modeling.CogVLMForCausalLM(configuration.CogVLMConfig(**fields)).eval().float()


@torch.no_grad()
def main() -> None:
    out, original = (Path(p).resolve() for p in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = make(original, FIELDS)
    randomise(model, 18, weight_mean=0.01, embed_std=0.3)
    generator = torch.Generator().manual_seed(19)
    for name, p in model.named_parameters():
        if name.endswith(("boi", "eoi", "cls_embedding")):
            p.copy_((torch.randn(p.shape, generator=generator) * 0.4 + 0.1).half().float())
        if name.endswith("linear_proj.dense_4h_to_h.weight"):
            p.mul_(2)
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, str(out / "model.safetensors"))
    write_json(out / "config.json", {"architectures": ["CogVLMForCausalLM"], **FIELDS}, indent=1)
    tokenizer = qwen2_tokenizer(WORDS, ADDED)
    tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", {"bos_token": BOS, "eos_token": EOS})

    items = []
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:75x50"]).items():
        names = [p for p in parts if p.startswith("formula:")]
        query = "".join(p for p in parts if p not in names)
        text = tokenizer.encode(f"Question: {query} Answer:", add_special_tokens=False).ids
        rows = [WORDS + ADDED.index(ROW)] * (ROWS + 1) + [WORDS + ADDED.index(END)]
        gap = tokenizer.encode("\n", add_special_tokens=False).ids
        ids = [WORDS] + sum(([*gap, *rows] for _ in names), [])[len(gap) :] + text
        item = {"name": name, "parts": parts, "input_ids": ids}
        images = None
        if names:
            pixels_, item["pixels_sha256"] = pixels(names)
            images = [list(pixels_)]
            squares, features = watched(model.model.vision, pixels_)
            item["vision"], item["connector"] = summary(squares), summary(features[:, :-1])
        vision = {WORDS + ADDED.index(ROW), WORDS + ADDED.index(END)}

        def logits(sequence: list[int]) -> torch.Tensor:
            return model(
                input_ids=torch.tensor([sequence]),
                token_type_ids=torch.tensor([[int(i in vision) for i in sequence]]),
                images=images,  # noqa: B023
                use_cache=False,
                return_dict=True,
            ).logits[0, -1]

        item["steps"] = greedy_rows(logits, ids, STEPS)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    write_json(
        out / "golden.json",
        {
            "_comment": comment(
                "cogvlm2.py",
                "The model is the original's modeling_cogvlm.py and visual.py; only its attention kernel of the tower "
                "and its rotary kernel are plain torch. vision is what enters the convolution, as rows of squares; "
                "connector with the row that begins an image, without the one that ends it.",
            ),
            "items": items,
        },
    )


if __name__ == "__main__":
    main()
