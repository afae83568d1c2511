"""A toy Gemma 3 checkpoint (transformers' Gemma3ForConditionalGeneration, random weights) and its golden values.

python gemma3.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from answers import answers, save, save_words, watching, write_golden
from family import CORPUS, STEPS, greedy, parts_of, randomise, resized_sha256
from pieces import trained, words
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor, GemmaTokenizer
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

SIDE, PATCH, TOKENS = 32, 4, 4
FIRST = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
PIECES = 330
ADDED = ["<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
IMAGE = PIECES + ADDED.index("<image_soft_token>")
VOCABULARY = 340
# The published template's form: no system message here.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<start_of_image>' }}{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def make() -> Gemma3ForConditionalGeneration:
    """Local and global layers, a window shorter than every prompt, scores not scaled by the head's own size."""
    config = Gemma3Config(
        vision_config=dict(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=6,
            image_size=SIDE,
            patch_size=PATCH,
            vision_use_head=False,
        ),
        text_config=dict(
            vocab_size=VOCABULARY,
            hidden_size=40,
            intermediate_size=80,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            query_pre_attn_scalar=24,
            sliding_window=10,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            max_position_embeddings=512,
            rope_parameters={
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        ),
        mm_tokens_per_image=TOKENS,
        boi_token_index=PIECES + 2,
        eoi_token_index=PIECES + 3,
        image_token_index=IMAGE,
        eos_token_id=[1, PIECES + 1],
        attn_implementation="eager",
    )
    model = Gemma3ForConditionalGeneration(config).eval().float()
    randomise(model, 14, embed_std=0.05)  # tied: a larger one would only repeat its own input
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name and p.dim() == 1 and "vision" not in name:
                p.sub_(1)  # kept as what they differ from 1
    model.tie_weights()
    return model


def tokenizer() -> GemmaTokenizer:
    pieces = trained(PIECES, FIRST, None, [*CORPUS, "\n\n", "\n\n\n\n"])
    return GemmaTokenizer(
        vocab=pieces["model"]["vocab"] | {token: PIECES + i for i, token in enumerate(ADDED)},
        merges=[tuple(m) for m in pieces["model"]["merges"]],
        add_bos_token=False,  # the template writes it
        extra_special_tokens={
            "sot_token": "<start_of_turn>",
            "eot_token": "<end_of_turn>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
    )


class Typed:
    """The model, told which tokens are an image's: they see each other."""

    def __init__(self, model):
        self.model = model

    def __call__(self, input_ids, **more):
        return self.model(input_ids=input_ids, token_type_ids=(input_ids == IMAGE).long(), **more)


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1])
    model, text = make(), tokenizer()
    save(out, model)
    save_words(out, text, TEMPLATE, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    images = Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE})
    images.save_pretrained(out)
    processor = Gemma3Processor(images, text, chat_template=TEMPLATE, image_seq_length=TOKENS)

    items = answers(
        processor,
        parts_of(["formula:waves:32x32", "formula:stripes:75x50"]),
        watching(
            model.model.multi_modal_projector.mm_soft_emb_norm,
            lambda given: model.get_image_features(**given).pooler_output,
            output=True,
        ),
        lambda p: resized_sha256(images, p),
        lambda ids, **given: greedy(Typed(model), ids, STEPS, **given),
    )
    note = "vision is what enters the connector's matrix: pooled, behind its norm."
    write_golden(out, "gemma3.py", note, items, words=words(text.backend_tokenizer, [*FIRST, *ADDED]))


if __name__ == "__main__":
    main()
