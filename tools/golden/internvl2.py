"""A toy InternVL2 checkpoint in its original layout with the InternLM2 text tower, and its golden values.

python internvl2.py OUT_DIR INTERNVL_DIR

INTERNVL_DIR is `internvl_chat` of the InternVL repository: the text tower is its modeling_internlm2.py and the prompt
its conversation.py. Tower and connector are transformers' (internvl.py), saved under the original names with q, k and
v in one matrix; tests/models/internvl_layout_test.ts holds the two layouts together.
"""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import torch
from family import STEPS, comment, parts_of, picture, randomise, summary, write_json
from formula import sha256
from internvl import FACTOR, PATCH, SIDE, make
from PIL import Image
from pieces import piece_tokenizer, words
from safetensors.torch import save_file

ADDED = ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
PIECES, VOCABULARY = 296, 304
ROWS = (SIDE // PATCH // FACTOR) ** 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RENAMED = [
    (r"^vision_tower\.embeddings\.cls_token", "vision_model.embeddings.class_embedding"),
    (r"^vision_tower\.embeddings\.position_embeddings", "vision_model.embeddings.position_embedding"),
    (r"^vision_tower\.embeddings\.patch_embeddings\.projection", "vision_model.embeddings.patch_embedding"),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.layernorm_before", r"vision_model.encoder.layers.\1.norm1"),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.layernorm_after", r"vision_model.encoder.layers.\1.norm2"),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.lambda_([12])", r"vision_model.encoder.layers.\1.ls\2"),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.attention\.projection_layer", r"vision_model.encoder.layers.\1.attn.proj"),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.mlp", r"vision_model.encoder.layers.\1.mlp"),
    (r"^multi_modal_projector\.layer_norm", "mlp1.0"),
    (r"^multi_modal_projector\.linear_1", "mlp1.1"),
    (r"^multi_modal_projector\.linear_2", "mlp1.3"),
]
TEXT = dict(
    vocab_size=VOCABULARY,
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=512,
    rope_theta=1000000.0,
    rope_scaling={"type": "dynamic", "factor": 2.0},
    rms_norm_eps=1e-5,
    bias=False,
    bos_token_id=1,
    eos_token_id=2,
    tie_word_embeddings=False,
)


def original_names(model) -> dict[str, torch.Tensor]:
    """Tower and connector under the original's names."""
    state, out = model.model.state_dict(), {}
    for name, t in state.items():
        if name.startswith("language_model."):
            continue
        fused = re.match(r"^vision_tower\.encoder\.layer\.(\d+)\.attention\.([qkv])_proj\.(\w+)$", name)
        if fused and fused[2] == "q":
            parts = [state[name.replace("q_proj", f"{p}_proj")] for p in "qkv"]
            out[f"vision_model.encoder.layers.{fused[1]}.attn.qkv.{fused[3]}"] = torch.cat(parts)
        if fused:
            continue
        for pattern, to in RENAMED:
            name = re.sub(pattern, to, name)
        out[name] = t
    return out


def text_tower(folder: str):
    """The original's own decoder. Its config keeps what it does not know, its cache is not used."""
    sys.path.insert(0, str(Path(folder) / "internvl" / "model"))
    configuration = importlib.import_module("internlm2.configuration_internlm2")
    modeling = importlib.import_module("internlm2.modeling_internlm2")
    config = configuration.InternLM2Config(**TEXT)
    config.attn_implementation = "eager"
    modeling.InternLM2ForCausalLM.all_tied_weights_keys = {}
    modeling.InternLM2ForCausalLM.post_init = modeling.InternLM2Model.post_init = lambda self: None
    model = modeling.InternLM2ForCausalLM(config).eval().float()
    randomise(model, 11)
    return model


def prompt(folder: str, parts: list[str]) -> str:
    """`InternVLChatModel.chat`, images where they stand instead of in front."""
    spec = importlib.util.spec_from_file_location("conversation", Path(folder) / "internvl" / "conversation.py")
    conversation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conversation)
    talk = conversation.get_conv_template("internlm2-chat")
    question = "".join("<image>\n" if p.startswith("formula:") else p for p in parts)
    talk.append_message(talk.roles[0], question)
    talk.append_message(talk.roles[1], None)
    return talk.get_prompt().replace("<image>", "<img>" + "<IMG_CONTEXT>" * ROWS + "</img>")


@torch.no_grad()
def main() -> None:
    out, folder = Path(sys.argv[1]), sys.argv[2]
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tower, text = make("qwen2"), text_tower(folder)
    tokenizer = piece_tokenizer(PIECES, ADDED)
    state = original_names(tower) | {f"language_model.{k}": v for k, v in text.state_dict().items() if "inv_freq" not in k}
    save_file({k: v.half().contiguous() for k, v in state.items()}, str(out / "model.safetensors"))
    vision = tower.config.vision_config
    write_json(
        out / "config.json",
        dict(
            model_type="internvl_chat",
            template="internlm2-chat",
            ps_version="v2",
            downsample_ratio=1 / FACTOR,
            select_layer=-1,
            vision_config=dict(
                model_type="intern_vit_6b",
                hidden_size=vision.hidden_size,
                intermediate_size=vision.intermediate_size,
                num_hidden_layers=vision.num_hidden_layers,
                num_attention_heads=vision.num_attention_heads,
                image_size=SIDE,
                patch_size=PATCH,
                hidden_act=vision.hidden_act,
                layer_norm_eps=vision.layer_norm_eps,
                norm_type="layer_norm",
                qkv_bias=True,
                qk_normalization=False,
            ),
            llm_config=TEXT | {"model_type": "internlm2", "hidden_act": "silu", "eos_token_id": [2, PIECES + 1]},
        ),
        indent=1,
    )
    tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", {"bos_token": "<s>", "eos_token": "</s>"})
    settings = dict(feature_extractor_type="CLIPFeatureExtractor", size=SIDE, crop_size=SIDE, resample=3)
    write_json(out / "preprocessor_config.json", settings | {"image_mean": MEAN, "image_std": STD})

    items = []
    for name, parts in parts_of(["formula:waves:32x32", "formula:stripes:75x50"]).items():
        names = [p for p in parts if p.startswith("formula:")]
        ids = tokenizer.encode(prompt(folder, parts), add_special_tokens=False).ids
        ids = [1] + ids  # add_bos_token
        item = {"name": name, "parts": parts, "input_ids": ids}
        embeds = text.model.tok_embeddings(torch.tensor([ids]))
        if names:
            pixels = [np.asarray(picture(n).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for n in names]
            item["pixels_sha256"] = [sha256(p) for p in pixels]
            x = torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
            x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
            seen = []
            hook = tower.model.multi_modal_projector.linear_1.register_forward_pre_hook(lambda _m, a: seen.append(a[0]))
            rows = tower.model.get_image_features(
                x, vision_feature_layer=-1, vision_feature_select_strategy="default"
            ).pooler_output
            hook.remove()
            item["vision"], item["connector"] = summary(seen[0]), summary(rows)
            embeds[torch.tensor([ids]) == PIECES + ADDED.index("<IMG_CONTEXT>")] = rows.reshape(-1, rows.shape[-1])
        item["steps"] = []
        for _ in range(STEPS):
            logits = text(inputs_embeds=embeds, use_cache=False, return_dict=True).logits[0, -1]
            top = logits.topk(10)
            item["steps"].append(
                {"ids": top.indices.tolist(), "logits": top.values.tolist(), "norm": logits.norm().item()}
            )
            embeds = torch.cat([embeds, text.model.tok_embeddings(top.indices[:1].view(1, 1))], 1)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    note = "The text tower is the original's; tower and connector are transformers'. vision enters mlp1.1."
    write_json(
        out / "golden.json",
        {"_comment": comment("internvl2.py", note), "items": items, "words": words(tokenizer, ADDED)},
    )


if __name__ == "__main__":
    main()
