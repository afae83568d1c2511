"""A toy Qwen2-VL checkpoint (transformers' Qwen2VLForConditionalGeneration, random weights) and its golden values.

python qwen2vl.py OUT_DIR
"""

import sys
from pathlib import Path

from qwen_vl import SYSTEM, pooled, text_config, tied, write
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

VISION = dict(depth=2, embed_dim=64, hidden_size=48, hidden_act="quick_gelu", mlp_ratio=2)

if __name__ == "__main__":
    model = tied(Qwen2VLForConditionalGeneration, Qwen2VLConfig, 7, VISION, text_config([1, 1, 2]))
    processors = Qwen2VLProcessor, Qwen2VLVideoProcessor
    first = model.model.visual.merger.mlp[0]
    write(Path(sys.argv[1]), "qwen2vl.py", model, processors, SYSTEM, first, pooled)
