"""What the golden scripts of the Qwen-VL families share: tokens, processor, pictures of several shapes, items."""

from pathlib import Path

import numpy as np
import torch
from answers import answers, save, save_words, watching, write_golden
from family import STEPS, parts_of, qwen2_tokenizer, randomise, sha256
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

SIDE, PATCH, MERGE = 32, 4, 2  # at most SIDE² pixels
WORDS, VOCABULARY = 296, 304
ADDED = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
SYSTEM = (
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
)


def template(system: str = "") -> str:
    return (
        "{% for message in messages %}" + system + "{{ '<|im_start|>' + message['role'] + '\\n' }}"
        "{% for content in message['content'] %}"
        "{% if content['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
        "{% else %}{{ content['text'] }}{% endif %}"
        "{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )


def token(name: str) -> int:
    return WORDS + ADDED.index(name)


def special() -> dict:
    """Ids that a config names."""
    return dict(
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )


def text_config(sections: list[int], theta: float = 1000000.0, layers: int = 2, **more) -> dict:
    """A small decoder with M-RoPE."""
    return dict(
        vocab_size=VOCABULARY,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=layers,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
        rope_parameters={"rope_theta": theta, "rope_type": "default", "mrope_section": sections} | more.pop("rope", {}),
        rms_norm_eps=1e-6,
        bos_token_id=token("<|endoftext|>"),
        eos_token_id=token("<|im_end|>"),
        **more,
    )


def tied(model_class, config_class, seed: int, vision: dict, text: dict) -> torch.nn.Module:
    """A model of random weights whose head is its embedding."""
    vision = dict(patch_size=PATCH, spatial_merge_size=MERGE, temporal_patch_size=2, num_heads=4) | vision
    config = config_class(
        vision_config=vision,
        text_config=text,
        **special(),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = model_class(config).eval().float()
    randomise(model, seed, embed_std=0.25)  # a larger one would only repeat its own input
    model.tie_weights()
    return model


def pooled(features) -> torch.Tensor:
    """Image rows of all pictures."""
    return torch.cat(list(features.pooler_output))


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
def write(out: Path, script: str, model, processors, system: str, first, rows_of) -> None:
    """The checkpoint and its golden values.

    processors: the family's processor and video processor classes; first: the merger's first linear; rows_of: image
    rows from what get_image_features returns.
    """
    save(out, model)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen2_tokenizer(WORDS, ADDED),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )
    save_words(out, tokenizer, template(system), eos_token="<|im_end|>", pad_token="<|endoftext|>")
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 2 * (PATCH * MERGE) ** 2, "longest_edge": SIDE**2}, patch_size=PATCH, merge_size=MERGE
    )
    images.save_pretrained(out)
    processor_class, video_class = processors
    processor = processor_class(images, tokenizer, video_class(), chat_template=template(system))

    prompts = parts_of(["formula:waves:32x32", "formula:stripes:50x50"]) | {
        "two shapes": ["formula:waves:90x40", "and", "formula:stripes:20x60", "Compare the two images."],
        "small pictures": ["formula:waves:3x5", "formula:stripes:20x13", "formula:waves:60x9", "What is in the picture?"],
    }
    items = answers(
        processor,
        prompts,
        watching(first, lambda given: rows_of(model.model.get_image_features(**given))),
        lambda p: [resized_sha256(images, p)],
        lambda ids, **given: greedy(model, ids, STEPS, **given),
    )
    write_golden(out, script, "vision is what enters the merger's first linear.", items)
