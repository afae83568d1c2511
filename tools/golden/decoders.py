"""Toy checkpoints of decoders that read text only (transformers' Llama, Qwen2 and Qwen3, random weights) and their
golden values: a tied head, a head of its own with biased projections, and norms of each head.

python decoders.py OUT_DIR      writes OUT_DIR/llama-toy, OUT_DIR/qwen2-toy and OUT_DIR/qwen3-toy
"""

import sys
from pathlib import Path

import torch
from family import STEPS, comment, greedy, qwen2_tokenizer, randomise, write_json
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

WORDS = 296
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 304  # five rows that are no token, as real tables have
TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SHAPE = dict(
    vocab_size=VOCABULARY,
    num_hidden_layers=2,
    max_position_embeddings=256,
    bos_token_id=WORDS,
    eos_token_id=WORDS + 2,
    pad_token_id=WORDS,
    attn_implementation="eager",
)
TOYS = {
    "llama-toy": lambda: LlamaForCausalLM(
        LlamaConfig(
            hidden_size=72,
            intermediate_size=192,
            num_attention_heads=9,
            num_key_value_heads=3,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
            tie_word_embeddings=True,
            **SHAPE,
        )
    ),
    "qwen2-toy": lambda: Qwen2ForCausalLM(
        Qwen2Config(
            hidden_size=56,
            intermediate_size=152,
            num_attention_heads=7,
            num_key_value_heads=1,
            rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
            tie_word_embeddings=False,
            **SHAPE,
        )
    ),
    "qwen3-toy": lambda: Qwen3ForCausalLM(
        Qwen3Config(
            hidden_size=64,
            intermediate_size=96,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
            tie_word_embeddings=True,
            **SHAPE,
        )
    ),
}
PROMPTS = {
    "question": "What is in the picture?",
    "two lines": "Describe the dog.\nThen compare it with a child that jumps in a red shirt on the street.",
}


@torch.no_grad()
def write(name: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = TOYS[name]().eval().float()
    randomise(model, 11, embed_std=0.25 if model.config.tie_word_embeddings else 1.0)
    model.tie_weights()
    model.half().save_pretrained(out)
    model.float()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=qwen2_tokenizer(WORDS, ADDED), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})
    (out / "chat_template.jinja").write_text(TEMPLATE)
    items = []
    for item, text in PROMPTS.items():
        chat = [{"role": "user", "content": text}]
        ids = list(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False))
        items.append({"name": item, "parts": [text], "input_ids": ids, "steps": greedy(model, ids, STEPS)})
        print(name, item, len(ids), [s["ids"][0] for s in items[-1]["steps"]], flush=True)
    write_json(out / "golden.json", {"_comment": comment("decoders.py", "There are no pictures."), "items": items})


if __name__ == "__main__":
    torch.set_num_threads(1)
    for toy in TOYS:
        write(toy, Path(sys.argv[1]) / toy)
