"""The network: a SmolVLM-layout captioner written for fast training.

Module and parameter names are those of transformers' SmolVLMForConditionalGeneration, so a state dict of this class
is a checkpoint of that one (tools/golden checks that both compute the same).
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

HEAD = 64


@dataclass
class Shape:
    """Sizes of every part; the defaults are the bundled 30.5M-parameter model."""

    image: int = 224
    patch: int = 16
    vision_width: int = 320
    vision_layers: int = 12
    vision_ffn: int = 1280
    shuffle: int = 2
    vocab: int = 6144
    width: int = 384
    layers: int = 8
    kv_heads: int = 2
    ffn: int = 1024
    rope_theta: float = 10000.0
    max_positions: int = 512
    grid: int = field(init=False)
    image_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.grid = self.image // self.patch
        self.image_tokens = (self.grid // self.shuffle) ** 2


def split_heads(x: torch.Tensor) -> torch.Tensor:
    batch, tokens, width = x.shape
    return x.view(batch, tokens, width // HEAD, HEAD).transpose(1, 2)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    batch, heads, tokens, _ = x.shape
    return x.transpose(1, 2).reshape(batch, tokens, heads * HEAD)


class VisionAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(merge_heads(F.scaled_dot_product_attention(q, k, v)))


class VisionMlp(nn.Module):
    def __init__(self, width: int, ffn: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, ffn), nn.Linear(ffn, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class VisionLayer(nn.Module):
    def __init__(self, width: int, ffn: int) -> None:
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.self_attn, self.mlp = VisionAttention(width), VisionMlp(width, ffn)

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """keep (2, batch, 1, 1) scales the two branches: ones, or stochastic depth's 0 and 1/(1-p)."""
        x = x + self.self_attn(self.layer_norm1(x)).to(x.dtype) * keep[0]
        return x + self.mlp(self.layer_norm2(x)).to(x.dtype) * keep[1]


class VisionEmbeddings(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, s.vision_width, s.patch, stride=s.patch)
        self.position_embedding = nn.Embedding(s.grid**2, s.vision_width)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        return patches + self.position_embedding.weight.to(patches.dtype)


class VisionEncoder(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(s.vision_width, s.vision_ffn) for _ in range(s.vision_layers))


class VisionTower(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.embeddings, self.encoder = VisionEmbeddings(s), VisionEncoder(s)
        self.post_layernorm = nn.LayerNorm(s.vision_width, eps=1e-6)

    def forward(
        self, pixels: torch.Tensor, drop_path: float = 0.0, tap: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Pixels in [-1, 1] to (tokens, the residual stream after layer `tap`)."""
        x = self.embeddings(pixels).contiguous()
        layers, tapped = self.encoder.layers, None
        for i, layer in enumerate(layers):
            p = drop_path * i / (len(layers) - 1)
            keep = torch.ones(2, len(x), 1, 1, device=x.device, dtype=x.dtype)
            if p > 0:
                keep = (torch.rand_like(keep, dtype=torch.float32) >= p).to(x.dtype) / (1 - p)
            x = layer(x, keep) if self.training else layer.forward(x, keep)
            if i == tap:
                tapped = x
        return self.post_layernorm(x), tapped


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


class Connector(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.shuffle = s.shuffle
        self.modality_projection = nn.Module()
        self.modality_projection.proj = nn.Linear(s.vision_width * s.shuffle**2, s.width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.modality_projection.proj(pixel_shuffle(tokens, self.shuffle))


def pixel_shuffle(tokens: torch.Tensor, n: int) -> torch.Tensor:
    """Each n x n square of tokens becomes one token n*n times as wide."""
    batch, count, width = tokens.shape
    grid = round(count**0.5)
    x = tokens.reshape(batch, grid // n, n, grid // n, n, width).transpose(2, 3)
    return x.reshape(batch, count // n**2, width * n**2)


class Captioner(nn.Module):
    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.model = nn.Module()
        self.model.vision_model = VisionTower(self.shape)
        self.model.connector = Connector(self.shape)
        self.model.text_model = TextModel(self.shape)
        for name, p in self.named_parameters():
            if p.ndim >= 2:
                nn.init.trunc_normal_(p, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    @property
    def vision(self) -> VisionTower:
        return self.model.vision_model

    @property
    def text(self) -> TextModel:
        return self.model.text_model

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids, self.text.embed_tokens.weight)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.text.embed_tokens.weight)

    def image_tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model.connector(self.vision(pixels)[0])

    def compile_layers(self) -> None:
        """Compiles layer by layer. Only training mode runs the compiled layers: its shapes never change."""
        for layer in [*self.vision.encoder.layers, *self.text.layers]:
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
