"""A toy Qwen2-VL checkpoint (transformers' Qwen2VLForConditionalGeneration, random weights) and its golden values.

python qwen2vl.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from family import randomise
from qwen_vl import MERGE, PATCH, SYSTEM, special, text_config, write
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor


def make() -> Qwen2VLForConditionalGeneration:
    config = Qwen2VLConfig(
        vision_config=dict(
            depth=2,
            embed_dim=64,
            hidden_size=48,
            hidden_act="quick_gelu",
            mlp_ratio=2,
            num_heads=4,
            patch_size=PATCH,
            spatial_merge_size=MERGE,
            temporal_patch_size=2,
        ),
        text_config=text_config([1, 1, 2]),
        **special(),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = Qwen2VLForConditionalGeneration(config).eval().float()
    randomise(model, 7, embed_std=0.25)  # tied: a larger one would only repeat its own input
    model.tie_weights()
    return model


if __name__ == "__main__":
    model = make()
    write(
        Path(sys.argv[1]),
        "qwen2vl.py",
        model,
        (Qwen2VLProcessor, Qwen2VLVideoProcessor),
        SYSTEM,
        first=model.model.visual.merger.mlp[0],
        rows_of=lambda features: torch.cat(list(features.pooler_output)),
    )
