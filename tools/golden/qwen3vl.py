"""A toy Qwen3-VL checkpoint (transformers' Qwen3VLForConditionalGeneration, random weights) and its golden values.

python qwen3vl.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from family import randomise
from qwen_vl import MERGE, PATCH, special, text_config, write
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor


def make() -> Qwen3VLForConditionalGeneration:
    config = Qwen3VLConfig(
        vision_config=dict(
            depth=3,
            hidden_size=64,
            intermediate_size=96,
            num_heads=4,
            out_hidden_size=48,
            patch_size=PATCH,
            spatial_merge_size=MERGE,
            temporal_patch_size=2,
            num_position_embeddings=36,
            deepstack_visual_indexes=[0, 1],
        ),
        text_config=text_config([4, 2, 2], 5000000.0, 3, head_dim=16, rope={"mrope_interleaved": True}),
        **special(),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = Qwen3VLForConditionalGeneration(config).eval().float()
    randomise(model, 9, embed_std=0.25)  # tied: a larger one would only repeat its own input
    model.tie_weights()
    return model


def rows_of(features) -> torch.Tensor:
    """The tower's rows with those of its earlier layers beside them."""
    return torch.cat([torch.cat(list(features.pooler_output)), *features.deepstack_features], dim=-1)


if __name__ == "__main__":
    model = make()
    write(
        Path(sys.argv[1]),
        "qwen3vl.py",
        model,
        (Qwen3VLProcessor, Qwen3VLVideoProcessor),
        "",
        first=model.model.visual.merger.linear_fc1,
        rows_of=rows_of,
    )
