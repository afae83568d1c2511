"""Writes a checkpoint folder that transformers' SmolVLMForConditionalGeneration.from_pretrained loads.

python export.py --model run.pt --tokenizer tokenizer.json --out DIR
"""

import argparse
import json
import shutil
from pathlib import Path

from safetensors.torch import save_file

from common import load_into
from model import HEAD, Captioner, Shape
from prompts import SPECIAL

CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
IDS = {
    "bos_token_id": SPECIAL.index("<|im_start|>"),
    "eos_token_id": SPECIAL.index("<end_of_utterance>"),
    "pad_token_id": SPECIAL.index("<|im_end|>"),
}


def configs(s: Shape) -> dict[str, dict]:
    common = {"attention_dropout": 0.0, "initializer_range": 0.02}
    model = {
        "architectures": ["SmolVLMForConditionalGeneration"],
        "model_type": "smolvlm",
        "dtype": "float16",
        "scale_factor": s.shuffle,
        "image_token_id": SPECIAL.index("<image>"),
        "tie_word_embeddings": True,
        "use_cache": True,
        **IDS,
        "vision_config": {
            "model_type": "smolvlm_vision",
            "hidden_size": s.vision_width,
            "intermediate_size": s.vision_ffn,
            "num_hidden_layers": s.vision_layers,
            "num_attention_heads": s.vision_width // HEAD,
            "num_channels": 3,
            "image_size": s.image,
            "patch_size": s.patch,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            **common,
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
            "mlp_bias": False,
            **common,
            **IDS,
        },
    }
    image = {
        "image_processor_type": "SmolVLMImageProcessor",
        "processor_class": "SmolVLMProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": s.image, "width": s.image},
        # the processor resizes to this after `size`; without it transformers would go on to 364 pixels
        "max_image_size": {"longest_edge": s.image},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "do_image_splitting": False,
        "do_pad": False,
    }
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<end_of_utterance>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "additional_special_tokens": ["<fake_token_around_image>", "<image>", "<global-img>"],
        "model_max_length": s.max_positions,
        "clean_up_tokenization_spaces": False,
    }
    return {
        "config.json": model,
        "preprocessor_config.json": image,
        "processor_config.json": {"processor_class": "SmolVLMProcessor", "image_seq_len": s.image_tokens},
        "tokenizer_config.json": tokenizer,
        "generation_config.json": {**IDS, "max_new_tokens": 40, "do_sample": False},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = Captioner()
    load_into(model, [args.model])
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {k: v.half().contiguous() for k, v in sorted(model.state_dict().items())}
    save_file(weights, str(args.out / "model.safetensors"), metadata={"format": "pt"})
    shutil.copyfile(args.tokenizer, args.out / "tokenizer.json")
    (args.out / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    for name, content in configs(model.shape).items():
        (args.out / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
