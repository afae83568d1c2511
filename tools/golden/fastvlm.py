"""A toy FastVLM checkpoint (transformers' FastVlmForConditionalGeneration over timm's EfficientNet-Lite with narrow
layers, random weights) and its golden values.

    python fastvlm.py OUT_DIR
"""

import sys
from pathlib import Path
from unittest.mock import patch

import torch
from answers import answers, save, save_words, watching, write_golden
from family import parts_of, qwen2_tokenizer, randomise, resized_sha256
from timm.models import efficientnet
from transformers import (
    CLIPImageProcessorPil,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIDE, PATCH = 96, 32
WORDS = 296
ADDED = ["<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<image>"]
VOCABULARY = 304
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}{{ ':' }}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<image>' }}{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
# The seven stages of EfficientNet-Lite, narrow; blocks with and without a residual.
STAGES = [
    ["ds_r1_k3_s1_e1_c8"],
    ["ir_r2_k3_s2_e2_c16"],
    ["ir_r1_k5_s2_e2_c24"],
    ["ir_r2_k3_s2_e2_c24"],
    ["ir_r1_k5_s1_e2_c32"],
    ["ir_r2_k5_s2_e2_c40"],
    ["ir_r1_k3_s1_e2_c48"],
]


def token(name: str) -> int:
    return WORDS + ADDED.index(name)


def narrow():
    """timm builds the towers with these stages while it holds."""
    decode, create = efficientnet.decode_arch_def, efficientnet._create_effnet
    return (
        patch.object(efficientnet, "decode_arch_def", lambda *_a, **_k: decode(STAGES)),
        patch.object(
            efficientnet, "_create_effnet", lambda *a, **k: create(*a, **k | {"num_features": 64, "stem_size": 16})
        ),
    )


@torch.no_grad()
def make() -> FastVlmForConditionalGeneration:
    config = FastVlmConfig(
        vision_config=dict(
            model_type="timm_wrapper",
            architecture="tf_efficientnet_lite0",
            hidden_size=64,
            image_size=SIDE,
            do_pooling=False,
            num_classes=0,
            label_names=[],
        ),
        text_config=dict(
            model_type="llama",
            vocab_size=VOCABULARY,
            hidden_size=48,
            intermediate_size=80,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=1024,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            bos_token_id=token("<|im_start|>"),
            eos_token_id=token("<end_of_utterance>"),
            pad_token_id=token("<|endoftext|>"),
        ),
        image_token_id=token("<image>"),
        image_seq_length=(SIDE // PATCH) ** 2,
        eos_token_id=token("<end_of_utterance>"),
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    stages, sizes = narrow()
    with stages, sizes:
        model = FastVlmForConditionalGeneration(config).eval().float()
    randomise(model, 18)
    generator = torch.Generator().manual_seed(19)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            random = torch.randn(buffer.shape, generator=generator) * 0.2
            buffer.copy_((random if name.endswith("mean") else 1 + random.abs()).half().float())
    return model


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    model = make()
    save(out, model)

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen2_tokenizer(WORDS, ADDED),
        eos_token="<end_of_utterance>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<image>"},
    )
    save_words(out, tokenizer, TEMPLATE, eos_token="<end_of_utterance>", pad_token="<|endoftext|>")
    images = CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    images.save_pretrained(out)
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        image_token="<image>",
        chat_template=TEMPLATE,
    )

    def rows_of(given: dict) -> torch.Tensor:
        rows = model.get_image_features(**given, return_dict=True).pooler_output
        return torch.cat([r.reshape(-1, r.shape[-1]) for r in rows])

    items = answers(
        processor,
        parts_of(["formula:waves:96x96", "formula:stripes:75x50"]),
        watching(model.model.multi_modal_projector, rows_of),
        lambda p, **options: resized_sha256(images, p, **options),
        model,
    )
    write_golden(out, "fastvlm.py", "vision is what enters the connector.", items)


if __name__ == "__main__":
    main()
