"""Writes a checkpoint folder that transformers' FastVlmForConditionalGeneration.from_pretrained loads.

python export.py --model run.pt --tokenizer tokenizer.json --out DIR

Weights are fp16, the tower's (trivial) batch norms fp32: timm's tf_efficientnet_lite2 has them, this one is folded.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from common import load_into
from model import HEAD, STRIDE, Captioner, Shape
from prompts import IMAGE, SPECIAL
from tower import HEAD_WIDTH, timm_names

CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}"
    "{{ '<fake_token_around_image><global-img><image><fake_token_around_image>' }}"
    "{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
IDS = {
    "bos_token_id": SPECIAL.index("<|im_start|>"),
    "eos_token_id": SPECIAL.index("<end_of_utterance>"),
    "pad_token_id": SPECIAL.index("<|im_end|>"),
}


def configs(s: Shape) -> dict[str, dict]:
    model = {
        "architectures": ["FastVlmForConditionalGeneration"],
        "model_type": "fast_vlm",
        "dtype": "float16",
        "image_token_id": SPECIAL.index(IMAGE),
        "image_seq_length": s.image_tokens,
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "tie_word_embeddings": True,
        **IDS,
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "tf_efficientnet_lite2",
            "hidden_size": HEAD_WIDTH,
            "image_size": s.image,
            "do_pooling": False,
            "num_classes": 0,
            "label_names": [],
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": s.vocab,
            "hidden_size": s.width,
            "intermediate_size": s.ffn,
            "num_hidden_layers": s.layers,
            "num_attention_heads": s.width // HEAD,
            "num_key_value_heads": s.kv_heads,
            "head_dim": HEAD,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "rope_theta": s.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": s.rope_theta},
            "max_position_embeddings": s.max_positions,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "mlp_bias": False,
            **IDS,
        },
    }
    image = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": s.image, "width": s.image},
        "resample": 3,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<end_of_utterance>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "additional_special_tokens": ["<fake_token_around_image>", IMAGE, "<global-img>"],
        "model_max_length": s.max_positions,
        "clean_up_tokenization_spaces": False,
    }
    processor = {
        "processor_class": "LlavaProcessor",
        "patch_size": STRIDE,
        "num_additional_image_tokens": 0,
        "vision_feature_select_strategy": "full",
        "image_token": IMAGE,
    }
    return {
        "config.json": model,
        "preprocessor_config.json": image,
        "processor_config.json": processor,
        "tokenizer_config.json": tokenizer,
        "generation_config.json": {**IDS, "max_new_tokens": 40, "do_sample": False},
    }


def checkpoint(model: Captioner) -> dict[str, torch.Tensor]:
    """Every tensor under its name in transformers."""
    state = model.state_dict()
    tower = {k.removeprefix("model.vision_tower."): v for k, v in state.items() if k.startswith("model.vision_tower.")}
    out = {f"model.vision_tower.timm_model.{k}": v for k, v in timm_names(tower).items()}
    out |= {k: v.half() for k, v in state.items() if not k.startswith("model.vision_tower.")}
    return {k: v.contiguous() for k, v in sorted(out.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = Captioner()
    load_into(model, [args.model])
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(checkpoint(model), str(args.out / "model.safetensors"), metadata={"format": "pt"})
    shutil.copyfile(args.tokenizer, args.out / "tokenizer.json")
    (args.out / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    for name, content in configs(model.shape).items():
        (args.out / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
