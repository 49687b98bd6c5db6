# SPDX-License-Identifier: Apache-2.0
"""The network of recurrent-memory-transformer-pytorch: rows in front that read the memory, rows behind that write it.

Parameter names are those of its checkpoints; which of its options it has is what `constructor` writes: learned places, its
default mask, no keys kept from segment to segment (its wrapper trains without them too)."""

import torch
from torch import nn
from torch.nn import functional

from .llama import ModelArgs, RMSNorm, additive_mask, attend
from .rmt import InSegments

_EPS = 2.0 ** -23  # PyTorch's of float32
_STREAMS = 4


def streams_of(args: ModelArgs) -> int:
    return args.num_residual_streams or _STREAMS


def constructor(args: ModelArgs) -> dict:
    """The arguments with which the original makes the same network."""
    whole = round(1.5 * args.hidden_dim / args.dim)
    fits = int(args.dim * whole * 2 / 3) == args.hidden_dim
    return {"dim": args.dim, "num_tokens": args.vocab_size, "depth": args.n_layers, "num_memory_tokens": args.num_mem_tokens,
            "seq_len": args.max_seq_len, "heads": args.n_heads, "dim_head": args.head_size,
            "ff_mult": whole if fits else 1.5 * (args.hidden_dim + 0.25) / args.dim,  # which is cut to hidden_dim
            "num_residual_streams": streams_of(args), "use_xl_memories": False}


class Attention(nn.Module):
    """Rows [batch, rows, dim] and the values of layer 0 (None in it) to rows and these values."""

    def __init__(self, args: ModelArgs, layer: int):
        super().__init__()
        inner = args.n_heads * args.head_size
        self.heads = args.n_heads
        self.norm = RMSNorm(args.dim, _EPS)
        self.to_q = nn.Linear(args.dim, inner, bias=False)
        self.to_kv = nn.Linear(args.dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, args.dim, bias=False)
        self.null_kv = nn.Parameter(torch.randn(2, args.n_heads, args.head_size))
        if layer > 0:
            self.learned_value_residual_mix = nn.Sequential(nn.Linear(args.dim, args.n_heads, bias=False), nn.Sigmoid())

    def _split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _behind_null(self, number: int, x):
        return torch.cat((self.null_kv[number][None, :, None].expand(x.shape[0], -1, -1, -1).to(x.dtype), x), 2)

    def forward(self, x, mask, first_values):
        x = self.norm(x)
        q, (k, v) = self._split(self.to_q(x)), map(self._split, self.to_kv(x).chunk(2, -1))
        if first_values is None:
            first_values = v
        else:
            v = v + self.learned_value_residual_mix(x).transpose(1, 2)[..., None] * (first_values - v)
        out = attend(q, self._behind_null(0, k).to(q.dtype), self._behind_null(1, v), mask)
        return self.to_out(out.transpose(1, 2).flatten(2)), first_values


class GatedGelu(nn.Module):
    def forward(self, x):
        x, gate = x.chunk(2, -1)
        return x * functional.gelu(gate.float())


def feed_forward(args: ModelArgs) -> nn.Sequential:
    return nn.Sequential(RMSNorm(args.dim, _EPS), nn.Linear(args.dim, 2 * args.hidden_dim, bias=False), GatedGelu(),
                         nn.Dropout(args.dropout), nn.Linear(args.hidden_dim, args.dim, bias=False))


class StreamNorm(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        return functional.normalize(x.float(), dim=-1) * (x.shape[-1] ** 0.5 * (self.gamma + 1))


class Connection(nn.Module):
    """A branch beside the residual streams [batch, streams, rows, dim] (hyper-connections; one stream: x + branch(x))."""

    def __init__(self, branch: nn.Module, args: ModelArgs, number: int):
        super().__init__()
        self.branch = branch
        self.streams = streams_of(args)
        if self.streams > 1:
            self.norm = StreamNorm(args.dim)
            first = functional.one_hot(torch.tensor([number % self.streams]), self.streams).T.float()
            self.static_alpha = nn.Parameter(torch.cat((first, torch.eye(self.streams)), 1))
            self.dynamic_alpha_fn = nn.Parameter(torch.zeros(args.dim, self.streams + 1))
            self.dynamic_alpha_scale = nn.Parameter(torch.tensor(0.01))
            self.static_beta = nn.Parameter(torch.ones(self.streams))
            self.dynamic_beta_fn = nn.Parameter(torch.zeros(args.dim))
            self.dynamic_beta_scale = nn.Parameter(torch.tensor(0.01))

    def read(self, streams):
        """(input of the branch, the streams mixed anew, how much of the branch's output each gets)."""
        if self.streams == 1:
            return streams[:, 0], streams, 1.0
        with torch.autocast(streams.device.type, enabled=False):
            normed = self.norm(streams)
            alpha = torch.tanh(normed @ self.dynamic_alpha_fn) * self.dynamic_alpha_scale + self.static_alpha[:, None]
            beta = torch.tanh(normed @ self.dynamic_beta_fn) * self.dynamic_beta_scale + self.static_beta[:, None]
            mixed = torch.einsum("bsnt,bsnd->btnd", alpha, streams)
        return mixed[:, 0], mixed[:, 1:], beta[..., None]


class RmtNetwork(InSegments):
    """Begins with zeros: nothing is remembered yet."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        self.token_emb = nn.Embedding(args.vocab_size, args.dim)
        self.pos_emb = nn.Embedding(args.max_seq_len, args.dim)
        self.read_memory_emb = nn.Parameter(torch.randn(args.num_mem_tokens, args.dim) * 0.02)
        self.memory_tokens = nn.Parameter(torch.randn(args.num_mem_tokens, args.dim) * 0.02)
        self.layers = nn.ModuleList(nn.ModuleList((Connection(Attention(args, layer), args, 2 * layer),
                                                   Connection(feed_forward(args), args, 2 * layer + 1)))
                                    for layer in range(args.n_layers))
        self.norm = RMSNorm(args.dim, _EPS)
        self.to_logits = nn.Linear(args.dim, args.vocab_size)
        self.dropout = nn.Dropout(args.dropout)

    def initial(self):
        return torch.zeros_like(self.read_memory_emb)

    def segment(self, tokens, state):
        rows = self.token_emb(tokens) + self.pos_emb.weight[:tokens.shape[1]]
        x = torch.cat((state + self.read_memory_emb, self.dropout(rows), self.memory_tokens.expand_as(state)), 1)
        mask = self._mask(tokens.shape[1]).to(x.device)
        streams, values = x[:, None].expand(-1, streams_of(self.args), -1, -1), None
        for attention, feeding in self.layers:
            x, mixed, share = attention.read(streams)
            x, values = attention.branch(x, mask, values)
            streams = mixed + share * x[:, None]
            x, mixed, share = feeding.read(streams)
            streams = mixed + share * feeding.branch(x)[:, None]
        count = state.shape[1]
        x = self.norm(streams.sum(1))
        return self.to_logits(x[:, count:-count]), x[:, -count:]

    def _mask(self, length: int):
        """[rows, 1 + rows]: in front is seen by all, tokens by later ones, all by what is behind; and the null key by all."""
        memory = self.args.num_mem_tokens
        rows = 2 * memory + length
        visible = torch.ones(rows, rows, dtype=torch.bool).tril()
        visible[:memory, :memory] = True
        visible[-memory:] = True
        return additive_mask(torch.cat((torch.ones(rows, 1, dtype=torch.bool), visible), 1))
