"""Golden values of src/format/gguf/blocks.ts: random blocks of each format and what the `gguf` package of llama.cpp
dequantizes them to.

    pip install gguf
    python tools/golden/gguf_blocks.py > src/format/gguf/blocks_golden.json
"""
import base64
import hashlib
import json

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

# Byte offsets of the float16 scales, which must be finite.
SCALES = {
    Type.F16: [0],
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}
BLOCKS = 3

rng = np.random.default_rng(7)
golden = []
for kind, offsets in SCALES.items():
    raw = rng.integers(0, 256, size=(BLOCKS, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for offset in offsets:
        scale = (rng.standard_normal(BLOCKS) * 0.05).astype(np.float16)
        raw[:, offset : offset + 2] = scale.view(np.uint8).reshape(BLOCKS, 2)
    weights = dequantize(raw.reshape(1, -1), kind).astype("<f4").reshape(-1)
    golden.append({
        "type": kind.value,
        "name": kind.name,
        "bytes": base64.b64encode(raw.tobytes()).decode(),
        "first": [float(w) for w in weights[:4]],
        "sha256": hashlib.sha256(weights.tobytes()).hexdigest(),
    })
print(json.dumps(golden, indent=2))
