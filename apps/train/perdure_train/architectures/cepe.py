# SPDX-License-Identifier: Apache-2.0
"""CEPE (Yen, Gao and Chen 2024): the last layers of a llama attend also to contexts, chunks that a small encoder has read each
by itself. Here the contexts of a window are the chunks before it, so one reading of the encoder serves all windows of a row."""

import torch
from torch import nn

from .llama import Attention, Block, ModelArgs, RMSNorm, Transformer, attend
from .mlm import make_encoder


def _encoder_args(args: ModelArgs) -> ModelArgs:
    return ModelArgs(dim=args.encoder_dim, n_layers=args.encoder_layers, n_heads=args.encoder_heads,
                     n_kv_heads=args.encoder_kv_heads, hidden_dim=args.encoder_hidden_dim, multiple_of=args.multiple_of,
                     vocab_size=args.vocab_size, max_seq_len=args.max_seq_len, dropout=args.dropout)


class CrossAttention(nn.Module):
    """To states [batch, tokens of contexts, encoder_dim], which have neither places nor an order."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.head_size, kv = args.head_size, args.n_kv_heads * args.head_size
        self.layernorm = RMSNorm(args.dim, args.norm_eps)
        self.q_proj = nn.Linear(args.dim, args.dim, bias=False)
        self.k_proj = nn.Linear(args.encoder_dim, kv, bias=False)
        self.v_proj = nn.Linear(args.encoder_dim, kv, bias=False)
        self.o_proj = nn.Linear(args.dim, args.dim, bias=False)

    def _heads(self, x):
        return x.view(*x.shape[:2], -1, self.head_size).transpose(1, 2)

    def forward(self, x, states):
        q, k, v = (self._heads(y) for y in (self.q_proj(self.layernorm(x)), self.k_proj(states), self.v_proj(states)))
        out = attend(q.to(v.dtype), k, v, q.new_zeros(1, 1))
        return self.o_proj(out.transpose(1, 2).flatten(2))

    def copy(self, attention: Attention, norm: RMSNorm) -> None:
        """What the warm-up starts from: the layer's self-attention, keys and values as far as the encoder is wide."""
        with torch.no_grad():
            self.q_proj.weight.copy_(attention.wq.weight)
            self.o_proj.weight.copy_(attention.wo.weight)
            self.layernorm.weight.copy_(norm.weight)
            for own, other in ((self.k_proj.weight, attention.wk.weight), (self.v_proj.weight, attention.wv.weight)):
                width = min(own.shape[1], other.shape[1])
                own[:, :width] = other[:, :width]


class CrossBlock(Block):
    """A block with cross-attention behind its self-attention. In the place of a memory it is given the contexts' states."""

    def __init__(self, args: ModelArgs, attention: nn.Module):
        super().__init__(args, attention)
        self.cross_attn = CrossAttention(args)

    def between(self, x, memory):
        return x if memory is None else x + self.dropout(self.cross_attn(x, memory))


def _block(args: ModelArgs, layer: int) -> Block:
    kind = CrossBlock if layer >= args.n_layers - args.cross_layers else Block
    return kind(args, Attention(args))


class Cepe(nn.Module):
    """Tokens [batch, rows] to logits [batch, rows, vocabulary]: windows of max_seq_len from the left, each with the last
    `contexts` chunks before it, or with its own (`duplicate`). Nothing is carried to the next row."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        self.model = Transformer(args, _block)
        self.encoder = make_encoder(_encoder_args(args))

    def begin(self, encoder=None, silent: bool = False) -> None:
        """Starts the warm-up: cross-attention is copied from self-attention, the encoder from the weights of an Mlm.
        `silent`: what cross-attention adds is 0 at first."""
        for block in self.model.layers[-self.args.cross_layers:]:
            block.cross_attn.copy(block.attention, block.ffn_norm)
            if silent:
                nn.init.zeros_(block.cross_attn.o_proj.weight)
        if encoder:
            prefix = "model."
            self.encoder.load_state_dict({n[len(prefix):]: w for n, w in encoder.items() if n.startswith(prefix)})

    def start(self, memory, fresh):
        return []

    def encode(self, tokens):
        """[batch, tokens] in chunks, the last of which may be short, to states [batch, tokens, encoder_dim]."""
        whole = tokens.shape[1] // self.args.chunk * self.args.chunk
        parts = [self._read_chunks(part, size) for part, size in
                 ((tokens[:, :whole], self.args.chunk), (tokens[:, whole:], tokens.shape[1] - whole)) if part.shape[1]]
        return torch.cat(parts, 1) if parts else tokens.new_zeros(*tokens.shape, self.args.encoder_dim).float()

    def _read_chunks(self, tokens, size: int):
        chunks = tokens.reshape(-1, size)
        states, _ = self.encoder.hidden(self.encoder.embed(chunks), [None] * self.args.encoder_layers)
        return states.view(*tokens.shape, -1)

    def decode(self, tokens, states):
        """A window [batch, rows] with the states of its contexts, if there are any, to logits."""
        memory = [states if states.shape[1] else None] * self.args.n_layers
        hidden, _ = self.model.hidden(self.model.embed(tokens), memory)
        return self.model.classify(hidden)

    def _seen_from(self, begin: int, end: int) -> slice:
        if self.args.duplicate:
            return slice(begin, end)
        return slice(max(0, begin - self.args.contexts * self.args.chunk), begin)

    def forward(self, tokens, memory=None):
        size, rows = self.args.max_seq_len, tokens.shape[1]
        begins = range(0, rows, size)
        states = self.encode(tokens if self.args.duplicate else tokens[:, :begins[-1]])
        parts = [self.decode(tokens[:, at:at + size], states[:, self._seen_from(at, min(rows, at + size))]) for at in begins]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1), []
