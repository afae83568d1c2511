"""A toy LFM2-VL checkpoint (transformers' Lfm2VlForConditionalGeneration, random weights) and its golden values.

python lfm2vl.py OUT_DIR
"""

import sys
from pathlib import Path

import numpy as np
import torch
from answers import answers, save, save_words, watching, write_golden
from family import byte_tokenizer, parts_of, randomise
from formula import sha256
from pieces import words
from transformers import Lfm2VlConfig, Lfm2VlForConditionalGeneration, Lfm2VlProcessor, PreTrainedTokenizerFast
from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor

SIDE, PATCH, FACTOR = 32, 4, 2
LEAST, MOST, TILES = 4, (SIDE // PATCH // FACTOR) ** 2, 4
WORDS = 300
ROWS = [f"<|img_row_{r}_col_{c}|>" for r in range(1, TILES + 1) for c in range(1, TILES + 1) if r * c <= TILES]
ADDED = [
    "<|pad|>",
    "<|startoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<image>",
    "<|image_start|>",
    "<|image_end|>",
    "<|img_thumbnail|>",
    *ROWS,
]
IMAGE = WORDS + ADDED.index("<image>")
VOCABULARY = 320
# Numbers in groups of three, as Llama 3's.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make() -> Lfm2VlForConditionalGeneration:
    """Convolutions in front of attention and behind it, a table of positions smaller than every picture."""
    config = Lfm2VlConfig(
        vision_config=dict(
            model_type="siglip2_vision_model",
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_patches=25,
            patch_size=PATCH,
            vision_use_head=False,
        ),
        text_config=dict(
            model_type="lfm2",
            vocab_size=VOCABULARY,
            hidden_size=48,
            intermediate_size=120,  # becomes 80
            block_multiple_of=16,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            layer_types=["conv", "full_attention", "conv", "conv"],
            max_position_embeddings=512,
            bos_token_id=WORDS + 1,
            eos_token_id=WORDS + 3,
            pad_token_id=WORDS,
        ),
        image_token_id=IMAGE,
        projector_hidden_size=80,
        downsample_factor=FACTOR,
        attn_implementation="eager",
    )
    model = Lfm2VlForConditionalGeneration(config).eval().float()
    randomise(model, 15, embed_std=0.25)  # tied: a larger one would only repeat its own input
    with torch.no_grad():
        model.model.language_model.embed_tokens.weight[IMAGE] = 0  # or it answers with pictures
    model.tie_weights()
    return model


def resized(images: Lfm2VlImageProcessor, image, **options) -> list[str]:
    """Hashes of the bytes that the processor's resize leaves, tile by tile, put together from its patches."""
    raw = images(image, return_tensors="pt", do_rescale=False, do_normalize=False, **options)
    out = []
    for patches, (down, across) in zip(raw["pixel_values"], raw["spatial_shapes"].tolist()):
        x = patches[: down * across].reshape(down, across, PATCH, PATCH, 3).permute(0, 2, 1, 3, 4).numpy()
        assert np.array_equal(x, x.astype(np.uint8)), "the resize left uint8"
        out.append(sha256(np.ascontiguousarray(x.astype(np.uint8)).reshape(down * PATCH, across * PATCH, 3)))
    return out


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    model = make()
    save(out, model)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(WORDS, ADDED, PATTERN),
        bos_token="<|startoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
    )
    save_words(out, tokenizer, TEMPLATE, bos_token="<|startoftext|>", eos_token="<|im_end|>")
    images = Lfm2VlImageProcessor(
        tile_size=SIDE,
        encoder_patch_size=PATCH,
        downsample_factor=FACTOR,
        min_image_tokens=LEAST,
        max_image_tokens=MOST,
        max_tiles=TILES,
        size={"height": SIDE, "width": SIDE},
    )
    images.save_pretrained(out)
    processor = Lfm2VlProcessor(images, tokenizer, chat_template=TEMPLATE)

    prompts = parts_of(["formula:waves:32x32", "formula:stripes:75x50"])
    prompts["two shapes"] = ["formula:waves:20x90", "and", "formula:stripes:90x30", "of which shape?"]
    prompts["in tiles"] = ["What is in", "formula:stripes:75x50", "and", "formula:waves:40x110", "here?"]
    items = answers(
        processor,
        prompts,
        watching(
            model.model.multi_modal_projector.linear_1,
            lambda given: torch.cat(model.model.get_image_features(**given).pooler_output),
        ),
        lambda p, **tiles: resized(images, p, **tiles),
        model,
        options=lambda name: {} if name == "in tiles" else dict(do_image_splitting=False),
        fields=lambda name: {"max_tiles": TILES + 1} if name == "in tiles" else {},  # the whole picture is one more
    )
    note = "vision is what enters the connector's first linear. pixels are put together from the processor's patches."
    write_golden(out, "lfm2vl.py", note, items, words=words(tokenizer.backend_tokenizer, ADDED))


if __name__ == "__main__":
    main()
