"""A toy InternVL checkpoint (transformers' InternVLForConditionalGeneration, random weights) and its golden values.

python internvl.py OUT_DIR [qwen2|qwen3] [6b]      6b: a tower of InternViT-6B's kind
"""

import sys
from pathlib import Path

import torch
from answers import answers, save, save_words, watching, write_golden
from family import parts_of, qwen2_tokenizer, randomise, resized_sha256
from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLProcessor, PreTrainedTokenizerFast
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

SIDE, PATCH, FACTOR = 32, 4, 2
MOST = 6  # tiles of a picture that is cut
WORDS = 296
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
VOCABULARY = 304  # like the real ones: a little more rows than tokens
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}{% else %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make(text: str, six: bool = False) -> InternVLForConditionalGeneration:
    config = InternVLConfig(
        vision_config=dict(
            hidden_size=40,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=5,
            attention_bias=not six,
            norm_type="rms_norm" if six else "layer_norm",
            use_qk_norm=six,
            image_size=[SIDE, SIDE],
            patch_size=[PATCH, PATCH],
            hidden_act="gelu",
        ),
        text_config=dict(
            model_type=text,
            **({"head_dim": 16} if text == "qwen3" else {}),
            vocab_size=VOCABULARY,
            hidden_size=48,
            intermediate_size=80,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=512,
            rope_theta=1000000.0,
            rms_norm_eps=1e-6,
            tie_word_embeddings=False,
            bos_token_id=WORDS,
            eos_token_id=WORDS + 2,
        ),
        image_token_id=WORDS + ADDED.index("<IMG_CONTEXT>"),
        image_seq_length=(SIDE // PATCH // FACTOR) ** 2,
        downsample_ratio=1 / FACTOR,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    model = InternVLForConditionalGeneration(config).eval().float()
    randomise(model, 6)
    return model


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    model = make(sys.argv[2] if len(sys.argv) > 2 else "qwen2", sys.argv[3:] == ["6b"])
    save(out, model)

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen2_tokenizer(WORDS, ADDED),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    )
    save_words(out, tokenizer, TEMPLATE, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    images = GotOcr2ImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        crop_to_patches=False,
        min_patches=1,
        max_patches=12,
        resample=3,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    images.save_pretrained(out)
    processor = InternVLProcessor(
        images,
        tokenizer,
        InternVLVideoProcessor(),
        image_seq_length=model.config.image_seq_length,
        chat_template=TEMPLATE,
    )

    def rows_of(given: dict) -> torch.Tensor:
        layers = dict(vision_feature_layer=-1, vision_feature_select_strategy="default")
        return model.model.get_image_features(given["pixel_values"], **layers).pooler_output

    prompts = parts_of(["formula:waves:32x32", "formula:stripes:75x50"])
    prompts["in tiles"] = ["What is in", "formula:stripes:75x50", "and", "formula:waves:40x90", "here?"]
    items = answers(
        processor,
        prompts,
        watching(model.model.multi_modal_projector.linear_1, rows_of),
        lambda p, **tiles: resized_sha256(images, p, **tiles),
        model,
        options=lambda name: dict(crop_to_patches=name == "in tiles", max_patches=MOST),
        fields=lambda name: {"max_tiles": MOST + 1} if name == "in tiles" else {},  # the whole picture is one more
    )
    write_golden(out, "internvl.py", "vision is what enters the connector's first linear.", items)


if __name__ == "__main__":
    main()
