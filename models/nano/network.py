"""The network: a Llama decoder in the layout of llama.cpp's `llama` architecture.

Rotary positions turn neighbouring pairs (2i, 2i+1) of each head, so the weights go into a GGUF file without a
permutation. Embedding and output share one matrix.
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 2048
    width: int = 160
    layers: int = 5
    heads: int = 5
    kv_heads: int = 5
    feed_forward: int = 448
    context: int = 2048
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def rotary_table(shape: Shape, length: int) -> torch.Tensor:
    """cos and sin for every position and pair: [length, head_width / 2, 2], float32."""
    frequency = shape.rope_base ** (-torch.arange(0, shape.head_width, 2).float() / shape.head_width)
    angle = torch.outer(torch.arange(length).float(), frequency)
    return torch.stack((angle.cos(), angle.sin()), dim=-1)


def rotate(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """x: [batch, length, heads, head_width]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = table[None, :, None, :, 0].to(x.dtype), table[None, :, None, :, 1].to(x.dtype)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention, [batch, length, heads, head_width], in plain products: torch's own kernel took 40 % of a step on CPU.

    The query heads that share a key head are stacked along the length, so keys and values are not copied.
    """
    batch, length, heads, width = q.shape
    kv_heads = k.shape[2]
    group = heads // kv_heads
    q = q.view(batch, length, kv_heads, group, width).permute(0, 2, 3, 1, 4).reshape(batch * kv_heads, group * length, width)
    k = k.transpose(1, 2).reshape(batch * kv_heads, length, width)
    v = v.transpose(1, 2).reshape(batch * kv_heads, length, width)
    scores = torch.bmm(q, k.mT).view(batch * kv_heads, group, length, length).float() * width**-0.5
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(future, float("-inf")).softmax(-1).to(v.dtype)
    mixed = torch.bmm(weights.view(batch * kv_heads, group * length, length), v)
    return mixed.view(batch, kv_heads, group, length, width).permute(0, 3, 1, 2, 4)


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.epsilon)
        return (x.float() * scale * self.weight).to(x.dtype)


class Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        kv_width = shape.kv_heads * shape.head_width
        self.attn_norm = RMSNorm(shape.width, shape.norm_epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, kv_width, bias=False)
        self.attn_v = nn.Linear(shape.width, kv_width, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = RMSNorm(shape.width, shape.norm_epsilon)
        self.ffn_gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        shape = self.shape
        h = self.attn_norm(x)
        q = rotate(self.attn_q(h).view(batch, length, shape.heads, shape.head_width), table)
        k = rotate(self.attn_k(h).view(batch, length, shape.kv_heads, shape.head_width), table)
        v = self.attn_v(h).view(batch, length, shape.kv_heads, shape.head_width)
        x = x + self.attn_output(attend(q, k, v).reshape(batch, length, width))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Network(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = RMSNorm(shape.width, shape.norm_epsilon)
        self.register_buffer("table", rotary_table(shape, shape.context), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02 if "token_embd" in name else parameter.shape[1] ** -0.5)
        for block in self.blk:
            nn.init.zeros_(block.attn_output.weight)
            nn.init.zeros_(block.ffn_down.weight)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Hidden states before the output matrix: [batch, length, width]."""
        x = self.token_embd(tokens)
        table = self.table[: tokens.shape[1]]
        for block in self.blk:
            x = block(x, table)
        return self.output_norm(x)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.token_embd.weight)
