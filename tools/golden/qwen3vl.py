"""A toy Qwen3-VL checkpoint (transformers' Qwen3VLForConditionalGeneration, random weights) and its golden values.

python qwen3vl.py OUT_DIR
"""

import sys
from pathlib import Path

import numpy as np
import torch
from family import (
    STEPS,
    comment,
    parts_of,
    picture,
    qwen2_tokenizer,
    randomise,
    sha256,
    summary,
    user,
    write_json,
)
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

SIDE, PATCH, MERGE = 32, 4, 2
WORDS = 296
ADDED = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
VOCABULARY = 304
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def token(name: str) -> int:
    return WORDS + ADDED.index(name)


def make() -> Qwen3VLForConditionalGeneration:
    config = Qwen3VLConfig(
        vision_config=dict(
            depth=3,
            hidden_size=64,
            intermediate_size=96,
            num_heads=4,
            out_hidden_size=48,
            patch_size=PATCH,
            spatial_merge_size=MERGE,
            temporal_patch_size=2,
            num_position_embeddings=36,
            deepstack_visual_indexes=[0, 1],
        ),
        text_config=dict(
            vocab_size=VOCABULARY,
            hidden_size=48,
            intermediate_size=80,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=512,
            rope_parameters={
                "rope_theta": 5000000.0,
                "rope_type": "default",
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
            rms_norm_eps=1e-6,
            bos_token_id=token("<|endoftext|>"),
            eos_token_id=token("<|im_end|>"),
        ),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = Qwen3VLForConditionalGeneration(config).eval().float()
    randomise(model, 9, embed_std=0.25)  # tied: a larger one would only repeat its own input
    model.tie_weights()
    return model


@torch.no_grad()
def greedy(model, ids: list[int], steps: int, **inputs) -> list[dict]:
    """As family.greedy, with the types of tokens that M-RoPE counts by."""
    sequence, out = list(ids), []
    for _ in range(steps):
        types = torch.tensor([[int(i == model.config.image_token_id) for i in sequence]])
        logits = model(
            input_ids=torch.tensor([sequence]),
            attention_mask=torch.ones(1, len(sequence), dtype=torch.long),
            mm_token_type_ids=types,
            use_cache=False,
            **inputs,
        ).logits[0, -1]
        top = logits.topk(10)
        out.append({"ids": top.indices.tolist(), "logits": top.values.tolist(), "norm": logits.norm().item()})
        sequence.append(int(logits.argmax()))
    return out


def resized_sha256(processor: Qwen2VLImageProcessorPil, image) -> str:
    """Hash of the bytes the processor's resize leaves, put back from merged patches to rows of pixels."""
    raw = processor(image, return_tensors="pt", do_rescale=False, do_normalize=False)
    _, h, w = raw["image_grid_thw"][0].tolist()
    x = np.asarray(raw["pixel_values"]).reshape(h // MERGE, w // MERGE, MERGE, MERGE, 3, 2, PATCH, PATCH)
    assert np.array_equal(x[:, :, :, :, :, 0], x[:, :, :, :, :, 1])
    pixels = x[:, :, :, :, :, 0].transpose(0, 2, 5, 1, 3, 6, 4).reshape(h * PATCH, w * PATCH, 3)
    assert np.array_equal(pixels, pixels.astype(np.uint8)), "the resize left uint8"
    return sha256(pixels.astype(np.uint8))


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = make()
    model.half().save_pretrained(out)
    model.float()

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen2_tokenizer(WORDS, ADDED),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})
    (out / "chat_template.jinja").write_text(TEMPLATE)
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": SIDE**2, "longest_edge": SIDE**2},
        patch_size=PATCH,
        merge_size=MERGE,
    )
    images.save_pretrained(out)
    processor = Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(), chat_template=TEMPLATE)

    items = []
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:50x50"]).items():
        names = [p for p in parts if p.startswith("formula:")]
        text = processor.apply_chat_template(user(*parts), add_generation_prompt=True, tokenize=False)
        pictures = [picture(n) for n in names]
        inputs = processor(images=pictures or None, text=text, return_tensors="pt")
        ids = inputs["input_ids"][0].tolist()
        item = {"name": name, "parts": parts, "input_ids": ids}
        more = {}
        if names:
            more = {"pixel_values": inputs["pixel_values"], "image_grid_thw": inputs["image_grid_thw"]}
            assert more["image_grid_thw"].tolist() == [[1, SIDE // PATCH, SIDE // PATCH]] * len(names)
            item["pixels_sha256"] = [resized_sha256(images, p) for p in pictures]
            seen = []
            hook = model.model.visual.merger.linear_fc1.register_forward_pre_hook(lambda _m, a: seen.append(a[0]))
            features = model.model.get_image_features(**more)
            hook.remove()
            # the tower's rows with those of its earlier layers beside them
            rows = torch.cat([torch.cat(list(features.pooler_output)), *features.deepstack_features], dim=-1)
            item["vision"], item["connector"] = summary(seen[0]), summary(rows)
        item["steps"] = greedy(model, ids, STEPS, **more)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    write_json(
        out / "golden.json",
        {
            "_comment": comment("qwen3vl.py", "vision is what enters the merger's first linear."),
            "items": items,
        },
    )


if __name__ == "__main__":
    main()
