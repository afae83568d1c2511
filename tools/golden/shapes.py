"""Tensor names and shapes of the families at the sizes people run, as transformers' own classes make them.

    python shapes.py OUT.json

The sizes are those of the published checkpoints as documentation and code name them; sizes.py says how they are kept.
"""

import re
import sys

import torch
import transformers
from sizes import fold, write_sizes
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Lfm2VlConfig,
    Lfm2VlForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)


def smolvlm(dim: int, layers: int, heads: int, kv: int, ffn: int, vision: dict, scale: int) -> tuple:
    text = dict(
        model_type="llama",
        vocab_size=49280,
        hidden_size=dim,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        head_dim=64,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    )
    config = SmolVLMConfig(
        text_config=text, vision_config=vision, scale_factor=scale, image_token_id=49190, pad_token_id=2
    )
    return SmolVLMForConditionalGeneration, config


def granite_docling() -> tuple:
    text = dict(
        model_type="llama",
        vocab_size=100352,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        head_dim=64,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=True,
    )
    config = Idefics3Config(
        text_config=text, vision_config=SIGLIP_BASE, scale_factor=4, image_token_id=100270, tie_word_embeddings=True
    )
    return Idefics3ForConditionalGeneration, config


def smollm2(dim: int, layers: int, heads: int, kv: int, ffn: int) -> tuple:
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=dim,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM, config


SIGLIP_BASE = dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, image_size=512, patch_size=16)
SIGLIP_400M = dict(
    hidden_size=1152,
    intermediate_size=4304,
    num_hidden_layers=27,
    num_attention_heads=16,
    image_size=384,
    patch_size=14,
)


def qwen2(dim: int, layers: int, heads: int, kv: int, ffn: int, vocabulary: int, positions: int) -> dict:
    return dict(
        model_type="qwen2",
        vocab_size=vocabulary,
        hidden_size=dim,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=positions,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    )


def internvl(text: dict, tied: bool = False) -> tuple:
    vision = dict(attention_bias=True)  # InternViT-300M-448: the class's own defaults otherwise
    config = InternVLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)
    return InternVLForConditionalGeneration, config


def qwen2vl(dim: int, layers: int, heads: int, kv: int, ffn: int, vocabulary: int, tied: bool) -> tuple:
    text = qwen2(dim, layers, heads, kv, ffn, vocabulary, 32768) | {
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]}
    }
    del text["model_type"]
    vision = dict(depth=32, embed_dim=1280, hidden_size=dim, mlp_ratio=4, num_heads=16, patch_size=14)
    return Qwen2VLForConditionalGeneration, Qwen2VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=tied
    )


def qwen25vl(dim: int, layers: int, heads: int, kv: int, ffn: int, vocabulary: int, tied: bool) -> tuple:
    text = qwen2(dim, layers, heads, kv, ffn, vocabulary, 128000) | {
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]}
    }
    del text["model_type"]
    vision = dict(hidden_size=1280, out_hidden_size=dim)  # the class's own defaults otherwise
    return Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=tied
    )


def qwen3(dim: int, layers: int, heads: int, kv: int, ffn: int, tied: bool) -> dict:
    return qwen2(dim, layers, heads, kv, ffn, 151936, 40960) | {
        "model_type": "qwen3",
        "head_dim": 128,
        "tie_word_embeddings": tied,
    }


def qwen3vl(dim: int, layers: int, heads: int, kv: int, ffn: int, vision: dict) -> tuple:
    text = qwen3(dim, layers, heads, kv, ffn, True) | {
        "max_position_embeddings": 262144,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5000000.0,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    }
    del text["model_type"]
    config = Qwen3VLConfig(text_config=text, vision_config=vision | {"out_hidden_size": dim}, tie_word_embeddings=True)
    return Qwen3VLForConditionalGeneration, config


def qwen2_text(dim: int, layers: int, heads: int, kv: int, ffn: int) -> tuple:
    text = qwen2(dim, layers, heads, kv, ffn, 151936, 32768)
    del text["model_type"]
    return Qwen2ForCausalLM, Qwen2Config(tie_word_embeddings=True, eos_token_id=151645, **text)


def gemma3(dim: int, layers: int, heads: int, kv: int, ffn: int) -> tuple:
    text = dict(
        vocab_size=262208,
        hidden_size=dim,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        head_dim=256,
        sliding_window=1024,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    )
    vision = SIGLIP_400M | {"image_size": 896, "vision_use_head": False}
    config = Gemma3Config(text_config=text, vision_config=vision, eos_token_id=[1, 106])
    return Gemma3ForConditionalGeneration, config


def lfm2vl(dim: int, layers: int, heads: int, kv: int, ffn: int, attention: list[int], vision: dict) -> tuple:
    text = dict(
        model_type="lfm2",
        vocab_size=65536,
        hidden_size=dim,
        intermediate_size=ffn,  # becomes two thirds, in whole units
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        layer_types=["full_attention" if i in attention else "conv" for i in range(layers)],
        eos_token_id=7,
    )
    tower = dict(model_type="siglip2_vision_model", num_patches=256, vision_use_head=False)
    return Lfm2VlForConditionalGeneration, Lfm2VlConfig(text_config=text, vision_config=tower | vision)


def llava15(text: dict) -> tuple:
    vision = dict(
        model_type="clip_vision_model",
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    return LlavaForConditionalGeneration, LlavaConfig(vision_config=vision, text_config=text)


def joycaption() -> tuple:
    text = dict(
        model_type="llama",
        vocab_size=128256,
        intermediate_size=14336,
        num_key_value_heads=8,
        max_position_embeddings=131072,
        rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    )
    config = LlavaConfig(
        vision_config=SIGLIP_400M | {"model_type": "siglip_vision_model"},
        text_config=text,
        vision_feature_select_strategy="full",
        image_token_index=128077,
        image_seq_length=729,
    )
    return LlavaForConditionalGeneration, config


def onevision(dim: int, layers: int, heads: int, kv: int, ffn: int) -> tuple:
    tower = {"model_type": "siglip_vision_model", "num_hidden_layers": 26, "vision_use_head": False}
    text = qwen2(dim, layers, heads, kv, ffn, 152000, 32768) | {"tie_word_embeddings": True}
    config = LlavaOnevisionConfig(vision_config=SIGLIP_400M | tower, text_config=text, tie_word_embeddings=True)
    return LlavaOnevisionForConditionalGeneration, config


SIGLIP2_LARGE = dict(
    depth=24, hidden_size=1024, intermediate_size=4096, num_heads=16, deepstack_visual_indexes=[5, 11, 17]
)

MODELS = {
    "SmolVLM-256M": smolvlm(576, 30, 9, 3, 1536, SIGLIP_BASE, 4),
    "SmolVLM-500M": smolvlm(960, 32, 15, 5, 2560, SIGLIP_BASE, 4),
    "SmolVLM-2.2B": smolvlm(2048, 24, 32, 32, 8192, SIGLIP_400M, 3),
    "Granite-Docling-258M": granite_docling(),
    "InternVL3-1B": internvl(qwen2(896, 24, 14, 2, 4864, 151674, 32768)),
    "InternVL3-2B": internvl(qwen2(1536, 28, 12, 2, 8960, 151674, 32768)),
    "InternVL3-8B": internvl(qwen2(3584, 28, 28, 4, 18944, 151674, 32768)),
    "InternVL3.5-1B": internvl(qwen3(1024, 28, 16, 8, 3072, False)),
    "InternVL3.5-2B": internvl(qwen3(2048, 28, 16, 8, 6144, False)),
    "Qwen2-VL-2B": qwen2vl(1536, 28, 12, 2, 8960, 151936, True),
    "Qwen2-VL-7B": qwen2vl(3584, 28, 28, 4, 18944, 152064, False),
    "Qwen2.5-VL-3B": qwen25vl(2048, 36, 16, 2, 11008, 151936, True),
    "Qwen2.5-VL-7B": qwen25vl(3584, 28, 28, 4, 18944, 152064, False),
    "Qwen3-VL-2B": qwen3vl(2048, 28, 16, 8, 6144, SIGLIP2_LARGE),
    "Qwen3-VL-4B": qwen3vl(2560, 36, 32, 8, 9728, SIGLIP2_LARGE),
    "LFM2-VL-450M": lfm2vl(1024, 16, 16, 8, 6656, [2, 5, 8, 10, 12, 14], dict(hidden_size=768, num_hidden_layers=12)),
    "LFM2.5-VL-1.6B": lfm2vl(
        2048,
        16,
        32,
        8,
        12288,
        [2, 5, 8, 10, 12, 14],
        dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16),
    ),
    "Gemma-3-4B": gemma3(2560, 34, 8, 4, 10240),
    "LLaVA-1.5-7B": llava15(
        dict(model_type="llama", vocab_size=32064, rms_norm_eps=1e-5, max_position_embeddings=4096)
    ),
    "JoyCaption": joycaption(),
    "LLaVA-OneVision-0.5B": onevision(896, 24, 14, 2, 4864),
    "SmolLM2-135M": smollm2(576, 30, 9, 3, 1536),
    "SmolLM2-360M": smollm2(960, 32, 15, 5, 2560),
    "Qwen2-0.5B": qwen2_text(896, 24, 14, 2, 4864),
    "Qwen2-1.5B": qwen2_text(1536, 28, 12, 2, 8960),
}


def tensors(cls, config) -> dict[str, list[int]]:
    """Names as save_pretrained writes them, layers folded."""
    with torch.device("meta"):
        model = cls(config)
    state = model.state_dict()
    for name in model.all_tied_weights_keys if config.tie_word_embeddings else []:
        state.pop(name, None)
    return fold({rename(model, name): list(t.shape) for name, t in state.items()})


def rename(model, name: str) -> str:
    """The published checkpoints' names: what transformers' own conversion maps back when saving."""
    if isinstance(model, InternVLForConditionalGeneration):
        name = name.replace("lm_head.", "language_model.lm_head.").removeprefix("model.")
        return re.sub(r"^language_model\.(?!lm_head)", "language_model.model.", name)
    if isinstance(model, (Qwen2VLForConditionalGeneration, Qwen2_5_VLForConditionalGeneration)):
        return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")
    if isinstance(model, Lfm2VlForConditionalGeneration):
        return name.replace("vision_tower.", "vision_tower.vision_model.")
    if isinstance(model, (LlavaForConditionalGeneration, LlavaOnevisionForConditionalGeneration)):
        name = re.sub(r"^lm_head\.", "language_model.lm_head.", name).removeprefix("model.")
        name = re.sub(r"^language_model\.(?!lm_head)", "language_model.model.", name)
        return name.replace("vision_tower.", "vision_tower.vision_model.")
    if isinstance(model, Gemma3ForConditionalGeneration):
        name = name.removeprefix("model.").replace("language_model.", "language_model.model.")
        return name.replace("vision_tower.", "vision_tower.vision_model.")
    return name


def main() -> None:
    out = {}
    for name, (cls, config) in MODELS.items():
        out[name] = {"config": config.to_diff_dict(), "tensors": tensors(cls, config)}
        print(name, len(out[name]["tensors"]), flush=True)
    write_sizes(sys.argv[1], "shapes.py", f"transformers {transformers.__version__}", out)


if __name__ == "__main__":
    main()
