"""Tensor names and shapes, at the published size, of families whose code is not in transformers.

    python original_shapes.py OUT.json QWENVL_DIR MINICPMV_DIR GLM4V_DIR COGVLM2_DIR MOONDREAM_DIR

The directories are as the families' golden scripts want them. The sizes are those the original code and its
documentation name; sizes.py says how they are kept.
"""

import builtins
import importlib
import sys
import typing
from pathlib import Path

import cogvlm2 as golden_cogvlm2
import glm4v as golden_glm4v
import torch
import transformers
from sizes import fold, write_sizes


def original(folder: str, *modules: str):
    """The package of the original's files."""
    path = Path(folder).resolve()
    sys.path.insert(0, str(path.parent))
    for name in modules:
        importlib.import_module(f"{path.name}.{name}")
    return sys.modules[path.name]


def qwenvl(folder: str) -> tuple:
    package = original(folder, "configuration_qwen", "modeling_qwen")
    config = package.configuration_qwen.QWenConfig(
        seq_length=2048,
        use_flash_attn=False,
        fp32=True,
        visual=dict(
            heads=16,
            image_size=448,
            image_start_id=151857,
            layers=48,
            mlp_ratio=4.9231,
            output_dim=4096,
            patch_size=14,
            width=1664,
        ),
    )
    return config, lambda: package.modeling_qwen.QWenLMHeadModel(config)


def minicpmv4(folder: str) -> tuple:
    """Version 4.0; its factors of angles are left out."""
    text = dict(
        vocab_size=73448,
        hidden_size=2560,
        intermediate_size=10240,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=2,
        head_dim=128,
        max_position_embeddings=32768,
        rms_norm_eps=1e-6,
        rope_theta=10000.0,
        tie_word_embeddings=False,
    )
    config, build = minicpmv(folder, text, lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**text)))
    return config | {"version": 4.0, "image_token_id": 0}, build


def minicpmv(folder: str, text: dict | None = None, decoder=None) -> tuple:
    for name in ("List", "Optional", "Tuple"):  # older torch.nn.functional exported these
        setattr(builtins, name, getattr(typing, name))
    sys.path.insert(0, str(Path(folder).resolve()))
    siglip, resampler = (importlib.import_module(n) for n in ("modeling_navit_siglip", "resampler"))
    vision = dict(
        hidden_size=1152,
        image_size=980,
        intermediate_size=4304,
        num_attention_heads=16,
        num_hidden_layers=27,
        patch_size=14,
    )
    text = text or dict(
        vocab_size=151666,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=32768,
        rms_norm_eps=1e-6,
        rope_theta=1000000.0,
        tie_word_embeddings=False,
    )

    def build() -> torch.nn.Module:
        model = torch.nn.Module()
        tower = siglip.SiglipVisionConfig(**vision)
        tower._attn_implementation = "eager"
        model.vpm = siglip.SiglipVisionTransformer(tower)
        with torch.device("cpu"):  # it makes a table of places with numpy
            dim = text["hidden_size"]
            model.resampler = resampler.Resampler(num_queries=64, embed_dim=dim, num_heads=dim // 128, kv_dim=1152)
        model.llm = decoder() if decoder else transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**text))
        return model

    config = dict(
        model_type="minicpmv",
        **text,
        vision_config=vision,
        slice_config=dict(patch_size=14, max_slice_nums=9, scale_resolution=448),
        query_num=64,
        drop_vision_last_layer=False,
        image_token_id=128244,  # the id of <unk>, which a checkpoint's tokenizer knows
    )
    return config, build


def glm4v(folder: str) -> tuple:
    fields = dict(
        num_layers=40,
        padded_vocab_size=151552,
        hidden_size=4096,
        ffn_hidden_size=13696,
        kv_channels=128,
        num_attention_heads=32,
        multi_query_attention=True,
        multi_query_group_num=2,
        seq_length=8192,
        layernorm_epsilon=1.5625e-07,
        original_rope=True,
        add_qkv_bias=True,
        rope_ratio=1,
        boi_token_id=151339,
        eoi_token_id=151340,
        vision_config=dict(
            dropout_prob=0.0,
            hidden_act="gelu",
            hidden_size=1792,
            image_size=1120,
            in_channels=3,
            intermediate_size=15360,
            layer_norm_eps=1e-6,
            num_heads=16,
            num_hidden_layers=63,
            num_positions=6401,
            patch_size=14,
            scaling_factor=8,
        ),
    )
    stops = [151329, 151336, 151338]
    config = {"model_type": "chatglm", **fields, "eos_token_id": stops, "image_token_id": 151330}
    return config, lambda: golden_glm4v.make(Path(folder).resolve(), fields)


def cogvlm2(folder: str) -> tuple:
    fields = dict(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_multi_query_heads=8,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        bos_token_id=128000,
        eos_token_id=128001,
        vision_config=dict(
            dropout_prob=0.0,
            hidden_act="gelu",
            hidden_size=1792,
            image_size=1344,
            in_channels=3,
            intermediate_size=15360,
            layer_norm_eps=1e-6,
            num_heads=16,
            num_hidden_layers=63,
            num_positions=9217,
            patch_size=14,
        ),
    )
    config = {"architectures": ["CogVLMForCausalLM"], **fields}
    return config, lambda: golden_cogvlm2.make(Path(folder).resolve(), fields)


def moondream(folder: str) -> tuple:
    package = original(folder, "config", "layers", "text", "vision")

    def build() -> torch.nn.Module:
        model = torch.nn.Module()
        vision = package.vision.build_vision_model(package.config.VisionConfig(), torch.float16)
        text = package.text.build_text_model(package.config.TextConfig(), torch.float16)
        model.model = torch.nn.ModuleDict({"vision": vision, "text": text})
        return model

    return {"model_type": "moondream1", "config": {}}, build


MODELS = {  # and the place of its directory among the arguments
    "Qwen-VL-Chat": (qwenvl, 0),
    "MiniCPM-V-2.6": (minicpmv, 1),
    "MiniCPM-V-4": (minicpmv4, 1),
    "GLM-4V-9B": (glm4v, 2),
    "CogVLM2-19B": (cogvlm2, 3),
    "moondream2": (moondream, 4),
}


def main() -> None:
    out = {}
    for name, (make, place) in MODELS.items():
        config, build = make(sys.argv[2 + place])
        with torch.device("meta"):
            model = build()
        kept = config.to_diff_dict() if isinstance(config, transformers.PretrainedConfig) else config
        shapes = {name: list(t.shape) for name, t in model.state_dict().items()}
        out[name] = {"config": kept, "tensors": fold(shapes)}
        print(name, len(out[name]["tensors"]), flush=True)
    versions = (
        f"the originals' code, transformers {transformers.__version__} and torch {torch.__version__.split('+')[0]}"
    )
    write_sizes(sys.argv[1], "original_shapes.py", versions, out)


if __name__ == "__main__":
    main()
