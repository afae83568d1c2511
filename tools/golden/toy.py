"""Makes a tiny random SmolVLM checkpoint for tests: every part of the layout, half a megabyte.

    python toy.py OUT_DIR        then    python golden.py OUT_DIR OUT_DIR/golden.json --max-new 12

Sizes cover the factors 12, 20 and 28 of the Hadamard sizes (96, 80, 112), three query heads on one key head,
biases and norm weights away from 0 and 1, and a byte-level tokenizer with a few merges.
"""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, SmolVLMConfig, SmolVLMForConditionalGeneration

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<fake_token_around_image>",
    "<image>",
    "<end_of_utterance>",
    "<global-img>",
]
IDS = {"bos_token_id": 1, "eos_token_id": 5, "pad_token_id": 2}
VOCAB, SIDE, PATCH, SHUFFLE = 320, 32, 8, 2
TEXT = [
    "Describe this image. A dog runs over the grass. A man in a red shirt rides a bike.",
    "User: Assistant: What is the main object in this picture? A boat. Two people sit on a bench near the water.",
]
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def tokenizer(folder: Path) -> None:
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, initial_alphabet=alphabet, min_frequency=1)
    )
    assert t.get_vocab_size() == VOCAB
    fast = PreTrainedTokenizerFast(
        tokenizer_object=t,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=128,
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def model() -> SmolVLMForConditionalGeneration:
    vision = dict(
        hidden_size=64, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2, num_channels=3,
        image_size=SIDE, patch_size=PATCH, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6,
    )  # fmt: skip
    text = dict(
        model_type="llama", vocab_size=VOCAB, hidden_size=96, intermediate_size=112, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=1, head_dim=32, hidden_act="silu", rms_norm_eps=1e-5,
        rope_theta=10000.0, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        max_position_embeddings=128, tie_word_embeddings=True, attention_bias=False, mlp_bias=False, **IDS,
    )  # fmt: skip
    config = SmolVLMConfig(
        vision_config=vision, text_config=text, scale_factor=SHUFFLE, image_token_id=4, tie_word_embeddings=True,
        pad_token_id=2,
    )  # fmt: skip
    for name, value in IDS.items():
        setattr(config, name, value)
    net = SmolVLMForConditionalGeneration(config)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim >= 2:
                p.normal_(0, 1.6 / p[0].numel() ** 0.5)
            else:
                p.normal_(0, 0.15)
                if "norm" in name and name.endswith("weight"):
                    p.add_(1)
    return net.half()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.manual_seed(7)
    args.out.mkdir(parents=True, exist_ok=True)
    model().save_pretrained(args.out)
    tokenizer(args.out)
    GenerationConfig(**IDS, max_new_tokens=12, do_sample=False).save_pretrained(args.out)
    image = {
        "image_processor_type": "SmolVLMImageProcessor",
        "processor_class": "SmolVLMProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "max_image_size": {"longest_edge": SIDE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "do_image_splitting": False,
        "do_pad": False,
    }
    tokens = (SIDE // PATCH // SHUFFLE) ** 2
    processor = {"processor_class": "SmolVLMProcessor", "image_seq_len": tokens}
    (args.out / "preprocessor_config.json").write_text(json.dumps(image, indent=1) + "\n")
    (args.out / "processor_config.json").write_text(json.dumps(processor, indent=1) + "\n")


if __name__ == "__main__":
    main()
