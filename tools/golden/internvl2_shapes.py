"""Tensor names and shapes of InternVL2-2B and 8B, in the original layout, at their published size.

    python internvl2_shapes.py OUT.json INTERNVL_DIR

sizes.py says how they are kept.
"""

import copy
import importlib
import sys
from pathlib import Path

import torch
import transformers
from internvl2 import original_names
from sizes import fold, write_sizes
from transformers import InternVLConfig, InternVLForConditionalGeneration

TEXTS = {
    "InternVL2-2B": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=24, num_attention_heads=16),
    "InternVL2-8B": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32),
}
REST = dict(
    vocab_size=92553,
    num_key_value_heads=8,
    max_position_embeddings=32768,
    rope_theta=1000000.0,
    rope_scaling={"type": "dynamic", "factor": 2.0},
    rms_norm_eps=1e-5,
    bias=False,
)
VISION = dict(
    hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=448, patch_size=14
)


def main() -> None:
    sys.path.insert(0, str(Path(sys.argv[2]) / "internvl" / "model"))
    configuration = importlib.import_module("internlm2.configuration_internlm2")
    modeling = importlib.import_module("internlm2.modeling_internlm2")
    modeling.InternLM2ForCausalLM.all_tied_weights_keys = {}
    modeling.InternLM2ForCausalLM.post_init = modeling.InternLM2Model.post_init = lambda self: None
    out = {}
    for name, text in TEXTS.items():
        fields = text | REST
        small = dict(model_type="qwen2", hidden_size=fields["hidden_size"], num_hidden_layers=1, vocab_size=8)
        with torch.device("meta"):
            config = configuration.InternLM2Config(**copy.deepcopy(fields))
            config.attn_implementation = "eager"
            decoder = modeling.InternLM2ForCausalLM(config)
            tower = InternVLForConditionalGeneration(
                InternVLConfig(text_config=small, vision_config=dict(attention_bias=True))
            )
        state = {f"language_model.{k}": v for k, v in decoder.state_dict().items() if "inv_freq" not in k}
        shapes = {k: list(v.shape) for k, v in (original_names(tower) | state).items()}
        out[name] = {
            "config": dict(
                model_type="internvl_chat",
                template="internlm2-chat",
                ps_version="v2",
                downsample_ratio=0.5,
                img_context_token_id=92546,
                vision_config=VISION | {"norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False},
                llm_config=fields | {"model_type": "internlm2", "eos_token_id": 2},
            ),
            "tensors": fold(shapes),
        }
        print(name, len(out[name]["tensors"]), flush=True)
    versions = f"the original's text tower and transformers {transformers.__version__}"
    write_sizes(sys.argv[1], "internvl2_shapes.py", versions, out)


if __name__ == "__main__":
    main()
