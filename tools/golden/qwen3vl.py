"""A toy Qwen3-VL checkpoint (transformers' Qwen3VLForConditionalGeneration, random weights) and its golden values.

python qwen3vl.py OUT_DIR
"""

import sys
from pathlib import Path

import torch
from qwen_vl import pooled, text_config, tied, write
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

VISION = dict(
    depth=3,
    hidden_size=64,
    intermediate_size=96,
    out_hidden_size=48,
    num_position_embeddings=36,
    deepstack_visual_indexes=[0, 1],
)
TEXT = text_config([4, 2, 2], 5000000.0, 3, head_dim=16, rope={"mrope_interleaved": True})


def rows_of(features) -> torch.Tensor:
    """The tower's rows with those of its earlier layers beside them."""
    return torch.cat([pooled(features), *features.deepstack_features], dim=-1)


if __name__ == "__main__":
    model = tied(Qwen3VLForConditionalGeneration, Qwen3VLConfig, 9, VISION, TEXT)
    processors = Qwen3VLProcessor, Qwen3VLVideoProcessor
    first = model.model.visual.merger.linear_fc1
    write(Path(sys.argv[1]), "qwen3vl.py", model, processors, "", first, rows_of)
