# SPDX-License-Identifier: Apache-2.0
"""RWKV version 7: a recurrent network without attention. Parameter names and shapes are those of its checkpoints.

The recurrence is computed in chunks of 16 tokens: inside a chunk the delta rule is a unit lower triangular system, which
is solved for all chunks at once, so that only the state passes from chunk to chunk in order (docs: the triangular form)."""

import math

import torch
from torch import nn
from torch.nn import functional

from .llama import ModelArgs

_CHUNK = 16  # decays are at least 0.545 per token: 0.545^16 is still far from the end of F32
_DECAY = 0.606531  # exp(-1/2), rounded as in the published checkpoints' code
_GROUP_NORM_EPS = 64e-5


def _rank(dim: int, factor: float) -> int:
    """Columns of a low-rank pair, as the published models choose them."""
    return max(32, round(factor * math.sqrt(dim) / 32) * 32)


def _orthogonal(rows: int, columns: int, scale: float):
    gain = math.sqrt(rows / columns) if rows > columns else 1.0
    return nn.init.orthogonal_(torch.empty(rows, columns), gain=gain * scale)


def _uniform(linear: nn.Linear, scale: float) -> None:
    bound = scale / math.sqrt(linear.in_features)
    nn.init.uniform_(linear.weight, -bound, bound)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


def _shifted(x, first):
    """Row t becomes row t - 1; row 0 is `first` [batch, dim]."""
    return torch.cat((first[:, None], x[:, :-1]), 1)


def _chunks(x, heads: int):
    """[batch, rows, dim] to [chunks, batch * heads, 16, head size]."""
    batch, rows, dim = x.shape
    x = x.view(batch, rows // _CHUNK, _CHUNK, heads, dim // heads)
    return x.permute(1, 0, 3, 2, 4).reshape(rows // _CHUNK, batch * heads, _CHUNK, dim // heads)


def _unchunked(y, batch: int, heads: int):
    chunks, _, length, size = y.shape
    return y.view(chunks, batch, heads, length, size).permute(1, 0, 3, 2, 4).reshape(batch, chunks * length, heads * size)


def recurrence(r, log_w, k, v, a, b, state, heads: int):
    """S_t = S_{t-1} (diag(w_t) + a_t b_t^T) + v_t k_t^T and y_t = S_t r_t, head by head.

    All inputs [batch, rows, dim] F32; state [batch, heads, value, key]. Returns (y [batch, rows, dim], state)."""
    batch, rows, dim = r.shape
    missing = -rows % _CHUNK
    if missing:  # rows that change nothing: no decay, nothing written
        r, log_w, k, v, a, b = (functional.pad(t, (0, 0, 0, missing)) for t in (r, log_w, k, v, a, b))
    r, log_w, k, v, a, b = (_chunks(t, heads) for t in (r, log_w, k, v, a, b))
    total = log_w.cumsum(-2)
    here, before = total.exp(), (total - log_w).exp()  # decay from the chunk's start: with and without the row's own
    back = (-total).exp()
    r_here, a_before, k_back, b_back = r * here, a * before, k * back, b * back
    strict = torch.ones(_CHUNK, _CHUNK, device=r.device).tril(-1)
    upto = torch.ones(_CHUNK, _CHUNK, device=r.device).tril()
    a_b, a_k = (a_before @ x.transpose(-1, -2) * strict for x in (b_back, k_back))
    r_b, r_k = (r_here @ x.transpose(-1, -2) * upto for x in (b_back, k_back))
    unit = torch.eye(_CHUNK, device=r.device).expand_as(a_b)
    solved = torch.linalg.solve_triangular(unit - a_b, unit, upper=False, unitriangular=True)
    end = here[..., -1:, :]
    # A chunk takes the state S to S @ kept + added, and its rows are S seen by `query`, plus what the chunk itself tells.
    corrected, seen = solved.transpose(-1, -2) @ (b_back * end), r_b @ solved
    written = a_k @ v
    kept = torch.diag_embed(end.squeeze(-2)) + a_before.transpose(-1, -2) @ corrected
    added = v.transpose(-1, -2) @ (k_back * end) + written.transpose(-1, -2) @ corrected
    states = [state.reshape(batch * heads, *state.shape[2:])]
    for c in range(r.shape[0]):
        states.append(torch.baddbmm(added[c], states[-1], kept[c]))
    query = r_here + seen @ a_before
    y = query @ torch.stack(states[:-1]).transpose(-1, -2) + r_k @ v + seen @ written
    return _unchunked(y, batch, heads)[:, :rows], states[-1].view(state.shape)


class TimeMix(nn.Module):
    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        self.layer, self.heads, dim = layer, args.n_heads, args.dim
        depth = layer / max(1, args.n_layers - 1)
        shallow = 1 - layer / args.n_layers
        place = torch.arange(dim) / dim
        for name, power in (("r", 0.2), ("w", 0.9), ("k", 0.7), ("v", 0.7), ("a", 0.9), ("g", 0.2)):
            self._vector(f"x_{name}", 1 - place ** (power * shallow))
        size, even = args.head_size, torch.arange(dim) / max(1, dim - 1)
        within = (torch.arange(dim) % size - (size - 1) / 2) / max(0.5, (size - 1) / 2)
        zigzag, line = within * within.abs(), even - 0.5
        self._vector("w0", -6 + 6 * even ** (1 + depth ** 0.3) + 0.5 + 2.5 * zigzag)
        self._vector("a0", -0.19 + 0.3 * zigzag + 0.4 * line)
        self._low_rank("w", dim, 2.5)
        self._low_rank("a", dim, 2.5)
        self._low_rank("g", dim, 5)
        if layer > 0:
            self._vector("v0", 0.73 - 0.4 * line)
            self._low_rank("v", dim, 1.7)
        self._vector("k_k", 0.71 - 0.1 * line)
        self._vector("k_a", torch.full((dim,), 1.02))
        self.r_k = nn.Parameter(torch.full((args.n_heads, size), -0.04))
        for name, scale in (("receptance", 0.5), ("key", 0.05), ("value", 0.5), ("output", 0)):
            setattr(self, name, _linear(dim, dim))
            _uniform(getattr(self, name), scale)
        self.ln_x = nn.GroupNorm(args.n_heads, dim, eps=_GROUP_NORM_EPS)
        nn.init.constant_(self.ln_x.weight, ((1 + layer) / args.n_layers) ** 0.7)

    def _vector(self, name: str, values) -> None:
        setattr(self, name, nn.Parameter(values.float()[None, None]))

    def _low_rank(self, name: str, dim: int, factor: float) -> None:
        rank = _rank(dim, factor)
        setattr(self, f"{name}1", nn.Parameter(torch.zeros(dim, rank)))
        setattr(self, f"{name}2", nn.Parameter(_orthogonal(rank, dim, 0.1)))

    def _per_head(self, x):
        return x.view(*x.shape[:2], self.heads, -1)

    def forward(self, x, previous, state, first_value):
        """x [batch, rows, dim]; returns (output, state, the value of layer 0)."""
        change = _shifted(x, previous) - x
        x_r, x_w, x_k, x_v, x_a, x_g = (x + change * getattr(self, f"x_{c}") for c in "rwkvag")
        r, k, v = self.receptance(x_r).float(), self.key(x_k).float(), self.value(x_v).float()
        log_w = -_DECAY * torch.sigmoid((self.w0 + torch.tanh(x_w @ self.w1) @ self.w2).float())
        rate = torch.sigmoid((self.a0 + (x_a @ self.a1) @ self.a2).float())
        gate = torch.sigmoid(x_g @ self.g1) @ self.g2
        removed = functional.normalize(self._per_head(k * self.k_k), dim=-1, eps=1e-12).flatten(2)
        k = k * (1 + (rate - 1) * self.k_a)
        if self.layer == 0:
            first_value = v
        else:
            v = v + (first_value - v) * torch.sigmoid((self.v0 + (x_v @ self.v1) @ self.v2).float())
        with torch.autocast(x.device.type, enabled=False):
            y, state = recurrence(r, log_w, k, v, -removed, removed * rate, state, self.heads)
        y = self.ln_x(y.flatten(0, 1)).view_as(y)
        bonus = (self._per_head(r * k) * self.r_k).sum(-1, keepdim=True) * self._per_head(v)
        return self.output((y + bonus.flatten(2)) * gate), state, first_value


class ChannelMix(nn.Module):
    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        place = torch.arange(args.dim) / args.dim
        self.x_k = nn.Parameter((1 - place ** ((1 - layer / args.n_layers) ** 4))[None, None])
        self.key, self.value = _linear(args.dim, args.hidden_dim), _linear(args.hidden_dim, args.dim)
        _uniform(self.key, 0.5)
        nn.init.zeros_(self.value.weight)

    def forward(self, x, previous):
        mixed = x + (_shifted(x, previous) - x) * self.x_k
        return self.value(torch.relu(self.key(mixed)) ** 2)


class Block(nn.Module):
    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        if layer == 0:
            self.ln0 = nn.LayerNorm(args.dim)
        self.ln1, self.ln2 = nn.LayerNorm(args.dim), nn.LayerNorm(args.dim)
        self.att, self.ffn = TimeMix(args, layer), ChannelMix(args, layer)


class Rwkv7(nn.Module):
    """Tokens [batch, rows] to logits [batch, rows, vocabulary]. The memory of a layer is one tensor [batch, values]: the last
    input of its time mix, its state head by head (value by key), the last input of its channel mix."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        self.emb = nn.Embedding(args.vocab_size, args.dim)
        nn.init.uniform_(self.emb.weight, -1e-4, 1e-4)
        self.blocks = nn.ModuleList(Block(args, layer) for layer in range(args.n_layers))
        self.ln_out = nn.LayerNorm(args.dim)
        self.head = _linear(args.dim, args.vocab_size)
        wide = math.sqrt(args.vocab_size / args.dim) if args.vocab_size > args.dim else 1.0
        nn.init.orthogonal_(self.head.weight, gain=0.5 * wide)
        self.dropout = nn.Dropout(args.dropout)

    def start(self, memory, fresh):
        """What a window begins with: `memory`, but zeros in the rows [batch] where `fresh` is True."""
        values = self.args.dim * (2 + self.args.head_size)
        zeros = torch.zeros(fresh.shape[0], values, device=fresh.device)
        return [zeros if m is None else torch.where(fresh[:, None], zeros, m)
                for m in memory or [None] * self.args.n_layers]

    def forward(self, tokens, memory=None):
        if memory is None:
            memory = self.start(None, torch.ones(tokens.shape[0], dtype=torch.bool, device=tokens.device))
        x = self.dropout(self.blocks[0].ln0(self.emb(tokens)))
        carried, first_value = [], None
        for block, past in zip(self.blocks, memory):
            x, past, first_value = self._block(block, x, past, first_value)
            carried.append(past)
        return self.head(self.ln_out(x)), carried

    def _block(self, block, x, past, first_value):
        dim, heads, size = self.args.dim, self.args.n_heads, self.args.head_size
        att_x, state, ffn_x = past.split((dim, dim * size, dim), 1)
        normed = block.ln1(x).float()
        mixed, state, first_value = block.att(normed, att_x, state.view(-1, heads, size, size), first_value)
        x = x + self.dropout(mixed)
        again = block.ln2(x).float()
        x = x + self.dropout(block.ffn(again, ffn_x))
        return x, torch.cat((normed[:, -1], state.flatten(1), again[:, -1]), 1), first_value
