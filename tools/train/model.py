"""The network: EfficientNet-Lite2, a projector of two linear layers and a Llama decoder, written for fast training.

The layout is that of transformers' FastVlmForConditionalGeneration (a convolutional tower whose last feature map becomes
image tokens); export.py writes a checkpoint of that class, and tools/golden shows that both compute the same.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from tower import BLOCKS, HEAD_WIDTH, Tower

HEAD = 64
STRIDE = 32


@dataclass
class Shape:
    """Sizes of every part; the defaults are the bundled 20.4M-parameter model."""

    image: int = 288
    vocab: int = 6144
    width: int = 384
    layers: int = 8
    kv_heads: int = 2
    ffn: int = 1024
    rope_theta: float = 10000.0
    max_positions: int = 512
    image_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.image_tokens = (self.image // STRIDE) ** 2


def split_heads(x: torch.Tensor) -> torch.Tensor:
    batch, tokens, width = x.shape
    return x.view(batch, tokens, width // HEAD, HEAD).transpose(1, 2)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    batch, heads, tokens, _ = x.shape
    return x.transpose(1, 2).reshape(batch, tokens, heads * HEAD)


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        f = x.float()
        return (self.weight * (f * torch.rsqrt(f.square().mean(-1, keepdim=True) + 1e-5))).to(x.dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class TextAttention(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        kv = s.kv_heads * HEAD
        self.q_proj = nn.Linear(s.width, s.width, bias=False)
        self.k_proj, self.v_proj = nn.Linear(s.width, kv, bias=False), nn.Linear(s.width, kv, bias=False)
        self.o_proj = nn.Linear(s.width, s.width, bias=False)

    def forward(self, x, cos, sin, cache=None):
        q, k, v = (split_heads(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cos.to(q.dtype), sin.to(q.dtype)), rotate(k, cos.to(k.dtype), sin.to(k.dtype))
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        return self.o_proj(merge_heads(out))


class TextMlp(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(s.width, s.ffn, bias=False), nn.Linear(s.width, s.ffn, bias=False)
        self.down_proj = nn.Linear(s.ffn, s.width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class TextLayer(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(s.width), RMSNorm(s.width)
        self.self_attn, self.mlp = TextAttention(s), TextMlp(s)

    def forward(self, x, cos, sin, drop: float, cache=None):
        x = x + F.dropout(self.self_attn(self.input_layernorm(x), cos, sin, cache), drop, drop > 0).to(x.dtype)
        return x + F.dropout(self.mlp(self.post_attention_layernorm(x)), drop, drop > 0).to(x.dtype)


class TextModel(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(s.vocab, s.width)
        self.layers = nn.ModuleList(TextLayer(s) for _ in range(s.layers))
        self.norm = RMSNorm(s.width)
        steps = 1.0 / s.rope_theta ** (torch.arange(0, HEAD, 2).float() / HEAD)
        angles = torch.arange(s.max_positions).float()[:, None] * steps
        angles = torch.cat([angles, angles], -1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: torch.Tensor, drop: float = 0.0, caches: list[list] | None = None) -> torch.Tensor:
        start = caches[0][0].shape[2] if caches and caches[0] else 0
        cos, sin = self.cos[start : start + x.shape[1]], self.sin[start : start + x.shape[1]]
        for i, layer in enumerate(self.layers):
            if self.training and caches is None:
                x = layer(x, cos, sin, drop)
            else:
                x = layer.forward(x, cos, sin, drop, None if caches is None else caches[i])
        return self.norm(x)


class Projector(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(HEAD_WIDTH, s.width), nn.Linear(s.width, s.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.linear_2(F.gelu(self.linear_1(tokens)))


class Captioner(nn.Module):
    def __init__(self, shape: Shape | None = None, fixed: int = BLOCKS) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.model = nn.Module()
        self.model.vision_tower = Tower(fixed).to(memory_format=torch.channels_last)
        self.model.multi_modal_projector = Projector(self.shape)
        self.model.language_model = TextModel(self.shape)
        for name, p in self.named_parameters():
            if p.ndim >= 2 and "vision_tower" not in name:
                nn.init.trunc_normal_(p, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    @property
    def tower(self) -> Tower:
        return self.model.vision_tower

    @property
    def text(self) -> TextModel:
        return self.model.language_model

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids, self.text.embed_tokens.weight)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.text.embed_tokens.weight)

    def image_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model.multi_modal_projector(self.tower(pixels))

    def compile_layers(self) -> None:
        """Compiles layer by layer. Only training mode runs the compiled layers: its shapes never change."""
        for layer in self.text.layers:
            layer.compile(dynamic=False)


@torch.no_grad()
def generate(
    model: Captioner,
    pixels: torch.Tensor,
    head: list[int],
    image_at: int,
    end: int,
    pad: int,
    max_new: int = 32,
    temperature: float = 0.0,
    samples: int = 1,
) -> torch.Tensor:
    """Continues `head` for every image: greedily, or `samples` draws each at a temperature. Rows padded after `end`."""
    images = model.image_tokens(pixels).repeat_interleave(samples, 0)
    batch = len(images)
    x = model.embed(torch.tensor(head, device=pixels.device)).to(images.dtype).expand(batch, -1, -1)
    x = torch.cat([x[:, :image_at], images, x[:, image_at + images.shape[1] :]], 1)
    caches: list[list] = [[] for _ in model.text.layers]
    done = torch.zeros(batch, dtype=torch.bool, device=x.device)
    out = []
    for _ in range(max_new):
        scores = model.logits(model.text(x, caches=caches)[:, -1]).float()
        if temperature > 0:
            token = torch.multinomial((scores / temperature).softmax(-1), 1)[:, 0]
        else:
            token = scores.argmax(-1)
        token = torch.where(done, pad, token)
        out.append(token)
        done |= token == end
        if bool(done.all()):
            break
        x = model.embed(token)[:, None].to(images.dtype)
    return torch.stack(out, 1)
