"""A toy MiniCPM-V 2.6 or 4.0 checkpoint (the original's own code, random weights) and its golden values.

python minicpmv.py OUT_DIR ORIGINAL_DIR [4]

ORIGINAL_DIR holds modeling_navit_siglip.py, resampler.py and image_processing_minicpmv.py of the published repository
(tower, resampler, processor). The decoder is transformers' Qwen2, of 4.0 its Llama, as in modeling_minicpmv.py, whose few lines between
the three (get_vllm_embedding: rows of a picture replace the embeddings of its <unk> tokens) are repeated here. In some
copies of modeling_navit_siglip.py the embeddings are called by the caller, in others by the tower; both work.
"""

import builtins
import inspect
import sys
import typing
from pathlib import Path

import numpy as np
import torch
from family import STEPS, comment, greedy, parts_of, picture, qwen2_tokenizer, randomise, summary, write_json
from formula import sha256
from safetensors.torch import save_file
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

SIDE, PATCH, TABLE, QUERIES = 32, 4, 12, 16
MOST = 5
WORDS = 296
ADDED = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>", "<image>", "</image>"),
    *("<slice>", "</slice>", "<image_id>", "</image_id>"),
]
VISION = dict(
    hidden_size=40,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=5,
    image_size=TABLE * PATCH,
    patch_size=PATCH,
    hidden_act="gelu_pytorch_tanh",
    layer_norm_eps=1e-6,
)
TEXT = dict(
    vocab_size=312,
    hidden_size=128,  # the resampler's heads are 128 wide
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-6,
    rope_theta=1000000.0,
    tie_word_embeddings=False,
)
TEMPLATE = (  # Qwen2's, as in the original's tokenizer_config.json; a message is one text there
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


# What version 4.0 has instead: heads wider than the stream, one list of factors of angles, no system message, and a
# first token that the tokenizer adds.
FACTORS = [0.9977, 1.0146, 1.035, 1.3, 2.41, 5.27, 11.2, 19.5, 24.2, 26.0, 27.4, 28.5, 29.2, 29.8, 30.2, 31.02]
LATER_TEXT = TEXT | dict(
    num_attention_heads=8,
    num_key_value_heads=1,
    head_dim=32,
    rope_theta=10000.0,
    rope_scaling=dict(
        rope_type="longrope",
        factor=1.0,
        short_factor=FACTORS,
        long_factor=FACTORS,
        original_max_position_embeddings=500,
    ),
)
LATER_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


class Toy(torch.nn.Module):
    """The three parts under the original's names."""

    def __init__(self, siglip, resampler, later: bool) -> None:
        super().__init__()
        config = siglip.SiglipVisionConfig(**VISION)
        config._attn_implementation = "eager"
        self.vpm = siglip.SiglipVisionTransformer(config)
        self.resampler = resampler.Resampler(
            num_queries=QUERIES, embed_dim=TEXT["hidden_size"], num_heads=1, kv_dim=40, adaptive=True
        )
        if later:
            self.llm = LlamaForCausalLM(LlamaConfig(**LATER_TEXT, attn_implementation="eager"))
        else:
            self.llm = Qwen2ForCausalLM(Qwen2Config(**TEXT, attn_implementation="eager"))

    def rows(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tower and resampler of pictures of one shape [n, 3, height, width]."""
        n, height, width = len(pixels), pixels.shape[2] // PATCH, pixels.shape[3] // PATCH
        sizes = torch.tensor([[height, width]] * n, dtype=torch.int32)
        patches = torch.nn.functional.unfold(pixels, PATCH, stride=PATCH)  # as reshape_by_patch
        strip = patches.reshape(n, 3, PATCH, PATCH, -1).permute(0, 1, 2, 4, 3).reshape(n, 3, PATCH, -1)
        mask = torch.ones(n, 1, height * width, dtype=torch.bool)
        embedded = self.vpm.embeddings(strip, patch_attention_mask=mask, tgt_sizes=sizes)
        if "hidden_states" in inspect.signature(self.vpm.forward).parameters:
            seen = self.vpm(embedded, mask.view(n, -1))
        else:
            seen = self.vpm(strip, patch_attention_mask=mask, tgt_sizes=sizes).last_hidden_state
        return seen, self.resampler(seen, sizes)

    def forward(self, input_ids, attention_mask, use_cache, rows=None):
        embeds = self.llm.model.embed_tokens(input_ids)
        if rows is not None:
            embeds[input_ids == WORDS + ADDED.index("<unk>")] = rows.reshape(-1, rows.shape[-1])
        return self.llm(inputs_embeds=embeds, attention_mask=attention_mask, use_cache=use_cache)


@torch.no_grad()
def main() -> None:
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sys.path.insert(0, sys.argv[2])
    for name in ("List", "Optional", "Tuple"):  # older torch.nn.functional exported these
        setattr(builtins, name, getattr(typing, name))
    import image_processing_minicpmv
    import modeling_navit_siglip
    import resampler

    later = sys.argv[3:] == ["4"]
    text_config, template = (LATER_TEXT, LATER_TEMPLATE) if later else (TEXT, TEMPLATE)
    model = Toy(modeling_navit_siglip, resampler, later).eval().float()
    randomise(model, 14, weight_mean=0.002, embed_std=0.3)
    generator = torch.Generator().manual_seed(15)
    for name, p in model.named_parameters():
        if name.endswith(("resampler.query", "in_proj_weight")):
            p.copy_((torch.randn(p.shape, generator=generator) * 0.12).half().float())
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, str(out / "model.safetensors"))
    config = dict(
        model_type="minicpmv",
        **({"version": 4.0} if later else {}),
        **text_config,
        vision_config=VISION | {"model_type": "siglip_vision_model"},
        slice_config=dict(patch_size=PATCH, max_slice_nums=MOST, scale_resolution=SIDE, model_type="minicpmv"),
        query_num=QUERIES,
        drop_vision_last_layer=False,
        use_image_id=True,
        slice_mode=True,
    )
    write_json(out / "config.json", config, indent=1)
    words = qwen2_tokenizer(WORDS, ADDED)
    if later:
        first = WORDS + ADDED.index("<|endoftext|>")
        words.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", first)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, chat_template=template)
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    write_json(
        out / "tokenizer_config.json",
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": template},
    )
    settings = dict(
        max_slice_nums=MOST, scale_resolution=SIDE, patch_size=PATCH, use_image_id=True, image_feature_size=QUERIES
    )
    write_json(out / "preprocessor_config.json", {"image_processor_type": "MiniCPMVImageProcessor", **settings})
    processor = image_processing_minicpmv.MiniCPMVImageProcessor(**settings)

    items = []
    prompts = parts_of(["formula:waves:32x32", "formula:stripes:75x50"])
    prompts["two shapes"] = ["formula:waves:20x90", "and", "formula:stripes:75x50", "Compare."]
    prompts["in slices"] = ["What is in", "formula:stripes:75x50", "and", "formula:waves:20x21", "here?"]
    prompts["in many slices"] = ["formula:waves:99x40", "Describe it."]
    if later:  # pictures are the same
        prompts = {name: prompts[name] for name in ("one image", "two images", "text only", "in slices")}
    for name, parts in prompts.items():
        names = [p for p in parts if p.startswith("formula:")]
        most = MOST if "slices" in name else 1
        content = "\n".join("(<image>./</image>)" if p in names else p for p in parts)  # MiniCPMV.chat
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        pictures = [picture(n) for n in names]
        for i, p in enumerate(pictures):
            text = text.replace("(<image>./</image>)", processor.get_slice_image_placeholder(p.size, i, most, True), 1)
        ids = tokenizer(text)["input_ids"]
        item = {"name": name, "parts": parts, "input_ids": ids}
        if most > 1:
            item["max_tiles"] = most + 1
        more = {}
        if names:
            tiles = [np.asarray(t) for p in pictures for t in processor.get_sliced_images(p, most)]
            item["pixels_sha256"] = [sha256(t) for t in tiles]
            pixels = [torch.tensor(t)[None].permute(0, 3, 1, 2).float() / 255 for t in tiles]
            seen, rows = zip(*(model.rows((p - 0.5) / 0.5) for p in pixels))
            seen, more["rows"] = torch.cat([s[0] for s in seen]), torch.cat([r[0] for r in rows])
            item["vision"], item["connector"] = summary(seen), summary(more["rows"])
        item["steps"] = greedy(model, ids, STEPS, **more)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    write_json(
        out / "golden.json",
        {
            "_comment": comment(
                "minicpmv.py",
                "Tower, resampler and processor are the original's, pictures and slices one by one. vision is what "
                "enters the resampler's kv_proj.",
            ),
            "items": items,
        },
    )


if __name__ == "__main__":
    main()
