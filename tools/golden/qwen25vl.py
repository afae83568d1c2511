"""A toy Qwen2.5-VL checkpoint (transformers' Qwen2_5_VLForConditionalGeneration, random weights) and its golden values.

python qwen25vl.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from family import randomise
from qwen_vl import MERGE, PATCH, SYSTEM, special, text_config, write
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor


def make() -> Qwen2_5_VLForConditionalGeneration:
    config = Qwen2_5_VLConfig(
        vision_config=dict(
            depth=3,
            hidden_size=64,
            intermediate_size=96,
            num_heads=4,
            out_hidden_size=48,
            patch_size=PATCH,
            spatial_merge_size=MERGE,
            temporal_patch_size=2,
            window_size=4 * PATCH,  # 2 x 2 tokens
            fullatt_block_indexes=[1],
        ),
        text_config=text_config([1, 1, 2]),
        **special(),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = Qwen2_5_VLForConditionalGeneration(config).eval().float()
    randomise(model, 21, embed_std=0.25)  # tied: a larger one would only repeat its own input
    model.tie_weights()
    return model


if __name__ == "__main__":
    model = make()
    write(
        Path(sys.argv[1]),
        "qwen25vl.py",
        model,
        (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
        SYSTEM,
        first=model.model.visual.merger.mlp[0],
        rows_of=lambda features: torch.cat(list(features.pooler_output)),
    )
