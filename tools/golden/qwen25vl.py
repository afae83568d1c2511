"""A toy Qwen2.5-VL checkpoint (transformers' Qwen2_5_VLForConditionalGeneration, random weights) and its golden values.

python qwen25vl.py OUT_DIR
"""

import sys
from pathlib import Path

from qwen_vl import PATCH, SYSTEM, pooled, text_config, tied, write
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

VISION = dict(
    depth=3,
    hidden_size=64,
    intermediate_size=96,
    out_hidden_size=48,
    window_size=4 * PATCH,  # 2 x 2 tokens
    fullatt_block_indexes=[1],
)

if __name__ == "__main__":
    model = tied(Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig, 21, VISION, text_config([1, 1, 2]))
    processors = Qwen2_5_VLProcessor, Qwen2VLVideoProcessor
    first = model.model.visual.merger.mlp[0]
    write(Path(sys.argv[1]), "qwen25vl.py", model, processors, SYSTEM, first, pooled)
