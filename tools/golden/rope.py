"""Scaled rotary embeddings: what transformers computes for each kind of rope_parameters, as frequencies and as logits of
the toy decoder tests/golden/llama-toy.

python rope.py ../../tests/golden      reads OUT_DIR/llama-toy, writes OUT_DIR/rope.json
"""

import json
import sys
from pathlib import Path

import torch
from family import comment, greedy, write_json
from transformers import LlamaConfig, LlamaForCausalLM

KINDS = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    "yarn, all settings": {
        "rope_type": "yarn",
        "factor": 40.0,
        "original_max_position_embeddings": 64,
        "beta_fast": 4,
        "beta_slow": 0.5,
        "mscale": 1.0,
        "mscale_all_dim": 0.707,
        "truncate": False,
    },
    "longrope": {
        "rope_type": "longrope",
        "factor": 2.0,
        "short_factor": [1.0, 1.25, 1.5, 2.75],
        "long_factor": [1.0, 2.0, 8.0, 16.0],
        "original_max_position_embeddings": 128,
    },
    "longrope, one list": {
        "rope_type": "longrope",
        "short_factor": [0.9977, 1.0146, 2.41, 31.02],
        "long_factor": [0.9977, 1.0146, 2.41, 31.02],
        "original_max_position_embeddings": 32,
    },
}

if __name__ == "__main__":
    out = Path(sys.argv[1])
    torch.set_num_threads(1)
    toy = out / "llama-toy"
    ids = json.loads((toy / "golden.json").read_text())["items"][1]["input_ids"]
    items = []
    for name, kind in KINDS.items():
        config = LlamaConfig.from_pretrained(toy)
        config.rope_parameters = {**kind, "rope_theta": 10000.0}
        config._attn_implementation = "eager"
        model = LlamaForCausalLM.from_pretrained(toy, config=config, dtype=torch.float32).eval()
        turning = model.model.rotary_emb
        items.append(
            {
                "name": name,
                "rope_parameters": {**kind, "rope_theta": 10000.0},
                "inv_freq": turning.inv_freq.tolist(),
                "attention_factor": turning.attention_scaling,
                "input_ids": ids,
                "steps": greedy(model, ids, 2),
            }
        )
        print(name, len(ids), items[-1]["inv_freq"], items[-1]["steps"][0]["ids"][:3], flush=True)
    write_json(out / "rope.json", {"_comment": comment("rope.py", "The weights are llama-toy's."), "items": items})
