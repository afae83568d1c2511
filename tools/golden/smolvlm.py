"""A toy SmolVLM checkpoint (transformers' SmolVLMForConditionalGeneration, random weights) and its golden values,
pictures whole and in tiles.

    python smolvlm.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from answers import answers, save, save_words, watching, write_golden
from family import parts_of, qwen2_tokenizer, randomise, resized_sha256
from transformers import PreTrainedTokenizerFast, SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMProcessor
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

SIDE, PATCH, FACTOR = 32, 4, 2
WORDS = 296
CELLS = [f"<row_{r}_col_{c}>" for r in range(1, 5) for c in range(1, 5)]
ADDED = [
    "<|endoftext|>",
    "<|im_start|>",
    "<end_of_utterance>",
    "<fake_token_around_image>",
    "<global-img>",
    "<image>",
    *CELLS,
]
VOCABULARY = 320
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<image>' }}{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def token(name: str) -> int:
    return WORDS + ADDED.index(name)


def make() -> SmolVLMForConditionalGeneration:
    config = SmolVLMConfig(
        vision_config=dict(
            hidden_size=40,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=5,
            image_size=SIDE,
            patch_size=PATCH,
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
            rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
            bos_token_id=token("<|im_start|>"),
            eos_token_id=token("<end_of_utterance>"),
            pad_token_id=token("<|endoftext|>"),
        ),
        scale_factor=FACTOR,
        image_token_id=token("<image>"),
        pad_token_id=token("<|endoftext|>"),
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    model = SmolVLMForConditionalGeneration(config).eval().float()
    randomise(model, 8)
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
        extra_special_tokens={
            "fake_image_token": "<fake_token_around_image>",
            "image_token": "<image>",
            "end_of_utterance_token": "<end_of_utterance>",
            "global_image_token": "<global-img>",
        },
    )
    save_words(out, tokenizer, TEMPLATE, eos_token="<end_of_utterance>", pad_token="<|endoftext|>")
    images = SmolVLMImageProcessorPil(
        size={"longest_edge": 3 * SIDE},
        max_image_size={"longest_edge": SIDE},
        do_image_splitting=True,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    images.save_pretrained(out)
    processor = SmolVLMProcessor(
        images,
        tokenizer,
        SmolVLMVideoProcessor(),
        image_seq_len=(SIDE // PATCH // FACTOR) ** 2,
        chat_template=TEMPLATE,
    )

    def rows_of(given: dict) -> torch.Tensor:
        assert bool(given["pixel_attention_mask"].all())
        return model.model.get_image_features(**given).pooler_output

    prompts = parts_of(["formula:waves:32x32", "formula:stripes:75x50"])
    prompts["in tiles"] = ["formula:stripes:75x50", "and", "formula:waves:40x90", "are different?"]
    items = answers(
        processor,
        prompts,
        watching(model.model.connector.modality_projection, rows_of),
        lambda p, **tiles: resized_sha256(images, p, **tiles),
        model,
        options=lambda name: dict(do_image_splitting=name == "in tiles"),
        fields=lambda name: {"max_tiles": 64} if name == "in tiles" else {},
    )
    write_golden(out, "smolvlm.py", "vision is what enters the connector's linear.", items)


if __name__ == "__main__":
    main()
