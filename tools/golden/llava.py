"""Toy LLaVA checkpoints (transformers' LlavaForConditionalGeneration and LlavaOnevisionForConditionalGeneration, random
weights) and their golden values.

python llava.py OUT_DIR                a CLIP tower read behind its last layer but one, a Llama decoder
python llava.py OUT_DIR onevision      a SigLIP tower, a Qwen2 decoder, a learned row behind each picture

LLaVA-OneVision cuts a picture that is alone in its prompt; here each is whole, as the original takes them in prompts of
several.
"""

import sys
from pathlib import Path

import torch
from answers import answers, save, save_words, watching, write_golden
from family import parts_of, qwen2_tokenizer, randomise, resized_sha256
from tokenizers.processors import TemplateProcessing
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor

SIDE, PATCH = 32, 4
PATCHES = (SIDE // PATCH) ** 2
WORDS = 296
ADDED = ["<s>", "</s>", "<pad>", "<image>", "<video>"]
IMAGE = WORDS + ADDED.index("<image>")
VOCABULARY = 304  # like the real ones: a little more rows than tokens
# The form of the published templates: the tokenizer puts <s> in front.
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ ' ' }}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
TEXT = dict(
    vocab_size=VOCABULARY,
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=512,
    bos_token_id=WORDS,
    eos_token_id=WORDS + 1,
)
VISION = dict(
    hidden_size=40, intermediate_size=96, num_hidden_layers=3, num_attention_heads=5, image_size=SIDE, patch_size=PATCH
)


class Several(LlavaOnevisionImageProcessorPil):
    """Takes each picture as one of several."""

    def _preprocess(self, images, batch_num_images, **more):
        return super()._preprocess(images, batch_num_images=[max(2, len(images))], **more)


def make(onevision: bool) -> torch.nn.Module:
    if onevision:
        config = LlavaOnevisionConfig(
            vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **VISION),
            text_config=dict(model_type="qwen2", rope_theta=1000000.0, rms_norm_eps=1e-6, **TEXT),
            image_token_index=IMAGE,
            video_token_index=IMAGE + 1,
            image_grid_pinpoints=[[SIDE, SIDE]],
            vision_feature_layer=-1,
            attn_implementation="eager",
        )
        model = LlavaOnevisionForConditionalGeneration(config)
    else:
        config = LlavaConfig(
            vision_config=dict(model_type="clip_vision_model", projection_dim=40, **VISION),
            text_config=dict(model_type="llama", rope_theta=10000.0, rms_norm_eps=1e-5, **TEXT),
            image_token_index=IMAGE,
            image_seq_length=PATCHES,
            attn_implementation="eager",
        )
        model = LlavaForConditionalGeneration(config)
    model = model.eval().float()
    randomise(model, 21)
    return model


@torch.no_grad()
def main() -> None:
    out, onevision = Path(sys.argv[1]), sys.argv[2:] == ["onevision"]
    model = make(onevision)
    save(out, model)
    words = qwen2_tokenizer(WORDS, ADDED)
    words.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", WORDS)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>", "video_token": "<video>"},
    )
    save_words(out, tokenizer, TEMPLATE, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    if onevision:
        half = [0.5, 0.5, 0.5]
        images = Several(
            size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half, image_grid_pinpoints=[[SIDE, SIDE]]
        )
        images.save_pretrained(out)
        settings = (out / "preprocessor_config.json").read_text()
        (out / "preprocessor_config.json").write_text(settings.replace("Several", "LlavaOnevisionImageProcessor"))
        processor = LlavaOnevisionProcessor(
            images,
            tokenizer,
            LlavaOnevisionVideoProcessor(),
            num_image_tokens=PATCHES,
            vision_feature_select_strategy="full",
            chat_template=TEMPLATE,
        )
    else:
        images = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
        images.save_pretrained(out)
        processor = LlavaProcessor(
            images,
            tokenizer,
            patch_size=PATCH,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=TEMPLATE,
        )

    def rows_of(given: dict) -> torch.Tensor:
        layers = dict(
            vision_feature_layer=model.config.vision_feature_layer,
            vision_feature_select_strategy=model.config.vision_feature_select_strategy,
        )
        if onevision:
            layers["vision_aspect_ratio"] = model.config.vision_aspect_ratio
        return torch.cat(list(model.model.get_image_features(**given, **layers).pooler_output))

    items = answers(
        processor,
        parts_of(["formula:waves:32x32", "formula:stripes:75x50"]),
        watching(model.model.multi_modal_projector.linear_1, rows_of),
        lambda p: resized_sha256(images, p),
        model,
    )
    write_golden(out, "llava.py", "vision is what enters the connector's first linear.", items)


if __name__ == "__main__":
    main()
