# SPDX-License-Identifier: Apache-2.0
"""MicroRWKV without a look ahead: RWKV 5's time mix (twice in a block), channel mix, attention over the last 256 tokens,
attention among the heads of one token, experts. Parameter names and shapes are those of MicroRWKV's checkpoints, but the
network is the one that perdure runs under `strategy: rwkv`; the published one sees what comes after a token."""

import math

import torch
from torch import nn
from torch.nn import functional

from .llama import ModelArgs

_CHUNK = 64
_WINDOW = 256  # tokens that a token sees, itself included
_EXPERTS = 4
_GROUP_NORM_EPS = 64e-5
_PARTS = 4  # of a row of grouped attention, and pieces of a part: query, key, value, weight


def _shifted(x, first):
    """Row t becomes row t - 1; row 0 is `first` [batch, dim]."""
    return torch.cat((first[:, None], x[:, :-1]), 1)


def _normed(x):
    return x / (x.square().mean(-1, keepdim=True).sqrt() + 1e-8)


def _chunk(r, k, v, decay, bonus, state):
    """r, k, v [batch, heads, rows, size], decay and bonus [heads], state [batch, heads, key, value]."""
    rows = r.shape[2]
    place = torch.arange(rows, device=r.device)
    back = place[:, None] - place - 1  # decays between a row and an earlier one
    powers = decay[:, None, None] ** back.clamp(min=0)
    share = torch.where(back >= 0, powers, torch.where(back == -1, bonus[:, None, None], torch.zeros_like(powers)))
    faded = decay[:, None, None] ** place[:, None]  # [heads, rows, 1]
    y = (r @ k.transpose(-1, -2) * share) @ v + (r * faded) @ state
    left = decay[:, None, None] ** (rows - 1 - place[:, None])
    return y, state * decay[:, None, None] ** rows + (k * left).transpose(-1, -2) @ v


def recurrence(r, k, v, decay, bonus, state):
    """S_t = w S_{t-1} + k_t v_t^T and y_t = r_t (S_{t-1} + u k_t v_t^T), head by head, in chunks. Shapes as in _chunk."""
    outputs = []
    for begin in range(0, r.shape[2], _CHUNK):
        here = slice(begin, begin + _CHUNK)
        y, state = _chunk(r[:, :, here], k[:, :, here], v[:, :, here], decay, bonus, state)
        outputs.append(y)
    return torch.cat(outputs, 2), state


class TimeMix(nn.Module):
    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        self.heads, dim = args.n_heads, args.dim
        depth, shallow = layer / max(1, args.n_layers - 1), 1 - layer / args.n_layers
        place = torch.arange(dim) / dim
        for name, power, more in (("k", 1.0, 0.0), ("v", 1.0, 0.3 * depth), ("r", 0.5, 0.0), ("g", 0.5, 0.0)):
            setattr(self, f"time_maa_{name}", nn.Parameter((1 - (place ** (power * shallow) + more))[None, None]))
        head = torch.arange(args.n_heads) / max(1, args.n_heads - 1)
        self.time_decay = nn.Parameter((-6 + 5 * head ** (0.7 + 1.3 * depth))[:, None])
        self.time_faaaa = nn.Parameter((depth * (1 - head) + 0.1 * ((torch.arange(args.n_heads) + 1) % 3 - 1))[:, None])
        for name in ("receptance", "key", "value", "gate", "output"):
            setattr(self, name, nn.Linear(dim, dim, bias=False))
        self.ln_x = nn.GroupNorm(args.n_heads, dim, eps=_GROUP_NORM_EPS)

    def forward(self, x, previous, state):
        """x [batch, rows, dim]; returns (output, state)."""
        change = _shifted(x, previous) - x
        x_k, x_v, x_r, x_g = (x + change * getattr(self, f"time_maa_{c}") for c in "kvrg")
        r, k, v = (part.float().view(*x.shape[:2], self.heads, -1).transpose(1, 2)
                   for part in (self.receptance(x_r), self.key(x_k), self.value(x_v)))
        gate = functional.silu(self.gate(x_g))
        with torch.autocast(x.device.type, enabled=False):
            decay = torch.exp(-torch.exp(self.time_decay.float())).flatten()
            y, state = recurrence(r, k, v, decay, self.time_faaaa.float().flatten(), state)
        y = y.transpose(1, 2).reshape(x.shape)
        y = self.ln_x(y.flatten(0, 1)).view_as(y)
        return self.output(y * gate), state


class ChannelMix(nn.Module):
    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        place, shallow = torch.arange(args.dim) / args.dim, 1 - layer / args.n_layers
        for name in "kr":
            setattr(self, f"time_maa_{name}", nn.Parameter((1 - place ** shallow)[None, None]))
        self.key = nn.Linear(args.dim, 3 * args.dim, bias=False)
        self.value = nn.Linear(3 * args.dim, args.dim, bias=False)
        self.receptance = nn.Linear(args.dim, args.dim, bias=False)

    def forward(self, x, previous):
        change = _shifted(x, previous) - x
        k = torch.relu(self.key(x + change * self.time_maa_k)) ** 2
        return torch.sigmoid(self.receptance(x + change * self.time_maa_r)) * self.value(k)


class WindowAttention(nn.Module):
    """The last _WINDOW rows, those of earlier windows included: `past` [batch, _WINDOW - 1, 2 dim] keys and values, of which
    the last `known` [batch] are there."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.heads = args.n_heads
        self.qkv = nn.Linear(args.dim, 3 * args.dim, bias=False)
        self.proj = nn.Linear(args.dim, args.dim, bias=False)

    def forward(self, x, past, known):
        batch, rows, dim = x.shape
        q, keys_values = self.qkv(x).split((dim, 2 * dim), -1)
        all_rows = torch.cat((past.to(keys_values.dtype), keys_values), 1)
        k, v = (t.view(batch, -1, self.heads, dim // self.heads).transpose(1, 2) for t in all_rows.split(dim, -1))
        q = q.view(batch, rows, self.heads, -1).transpose(1, 2)
        before = _WINDOW - 1
        back = torch.arange(rows, device=x.device)[:, None] + before - torch.arange(before + rows, device=x.device)
        there = torch.arange(before + rows, device=x.device) >= before - known[:, None]
        seen = (back >= 0) & (back < _WINDOW) & there[:, None]  # [batch, rows, keys]
        scores = (q @ k.transpose(-1, -2)).float() / math.sqrt(q.shape[-1])
        weights = scores.masked_fill(~seen[:, None], -math.inf).softmax(-1).to(v.dtype)
        y = (weights @ v).transpose(1, 2).reshape(x.shape)
        return self.proj(y), all_rows[:, -before:].float()


class GroupAttention(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.heads = args.n_heads
        self.qkvw = nn.Linear(args.dim, 4 * args.dim, bias=False)
        self.out = nn.Linear(args.dim, args.dim, bias=False)

    def forward(self, x):
        pieces = self.qkvw(x).view(*x.shape[:2], _PARTS, 4, self.heads, -1)
        q, k, v, weight = pieces.unbind(3)  # [batch, rows, parts, heads, values]
        scores = (q @ k.transpose(-1, -2)).float() / math.sqrt(q.shape[-1])
        return self.out((scores.softmax(-1).to(v.dtype) @ v * weight).reshape(x.shape))


class Experts(nn.Module):
    """All of them, weighed by the gate."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.gate = nn.Linear(args.dim, _EXPERTS)
        self.experts = nn.ModuleList(nn.Linear(args.dim, args.hidden_dim) for _ in range(_EXPERTS))
        self.fc = nn.Linear(args.hidden_dim, args.dim)

    def forward(self, x):
        scores = self.gate(x).softmax(-1)
        return self.fc(sum(scores[..., i:i + 1] * expert(x) for i, expert in enumerate(self.experts)))


class Block(nn.Module):
    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        self.tmix, self.cmix = TimeMix(args, layer), ChannelMix(args, layer)
        self.sliding_attn, self.grouped_attn, self.moe = WindowAttention(args), GroupAttention(args), Experts(args)


class MicroRwkv(nn.Module):
    """Tokens [batch, rows] to logits [batch, rows, vocabulary]. The memory of a layer is one tensor [batch, values]: tokens
    read, the last inputs of both time mixes and of the channel mix, both states, the last keys and values."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(args.vocab_size, args.dim), "wpe": nn.Embedding(args.max_seq_len, args.dim),
            "h": nn.ModuleList(Block(args, layer) for layer in range(args.n_layers)), "ln_f": nn.LayerNorm(args.dim)})
        self.dropout = nn.Dropout(args.dropout)
        self.apply(self._initialise)
        for name, weight in self.named_parameters():  # what is added to the residual stream, five times a block
            if name.endswith(("output.weight", "value.weight", "proj.weight", "out.weight", "fc.weight")) and "tmix.value" not in name:
                nn.init.normal_(weight, 0, 0.02 / math.sqrt(5 * args.n_layers))

    @staticmethod
    def _initialise(module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, 0, 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def _sizes(self) -> list:
        dim, matrix = self.args.dim, self.args.dim * self.args.head_size
        return [1, dim, dim, dim, matrix, matrix, (_WINDOW - 1) * 2 * dim]

    def start(self, memory, fresh):
        """What a window begins with: `memory`, but zeros in the rows [batch] where `fresh` is True."""
        zeros = torch.zeros(fresh.shape[0], sum(self._sizes()), device=fresh.device)
        return [zeros if m is None else torch.where(fresh[:, None], zeros, m)
                for m in memory or [None] * self.args.n_layers]

    def forward(self, tokens, memory=None):
        if memory is None:
            memory = self.start(None, torch.ones(tokens.shape[0], dtype=torch.bool, device=tokens.device))
        places = (memory[0][:, :1].long() + torch.arange(tokens.shape[1], device=tokens.device)) % self.args.max_seq_len
        x = self.dropout(self.transformer["wte"](tokens) + self.transformer["wpe"](places))
        carried = []
        for block, past in zip(self.transformer["h"], memory):
            x, past = self._block(block, x, past)
            carried.append(past)
        return functional.linear(self.transformer["ln_f"](x), self.transformer["wte"].weight), carried

    def _block(self, block, x, past):
        batch, rows, dim = x.shape
        heads, size = self.args.n_heads, self.args.head_size
        known, att_x, att_x_2, ffn_x, state, state_2, keys = past.split(self._sizes(), 1)
        matrices = (batch, heads, size, size)
        first = _normed(x.float())
        mixed, state = block.tmix(first, att_x, state.view(matrices))
        x = x + self.dropout(mixed)
        second = _normed(x.float())
        x = x + self.dropout(block.cmix(second, ffn_x))
        mixed, keys = block.sliding_attn(x, keys.view(batch, _WINDOW - 1, -1), known.flatten())
        x = x + self.dropout(mixed)
        third = x.float()
        mixed, state_2 = block.tmix(third, att_x_2, state_2.view(matrices))
        x = x + self.dropout(block.grouped_attn(mixed))
        x = x + self.dropout(block.moe(x))
        last = (known + rows, first[:, -1], third[:, -1], second[:, -1], state.flatten(1), state_2.flatten(1), keys.flatten(1))
        return x, torch.cat(last, 1)
