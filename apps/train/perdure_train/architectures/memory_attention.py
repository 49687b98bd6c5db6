# SPDX-License-Identifier: Apache-2.0
"""llama2Rnn's memory attention: chunks of M tokens see themselves and M rows of memory made from the chunk before."""

import torch
from torch import nn

from ..rotary import Positions
from .llama import FeedForward, ModelArgs, ProjectedAttention, RMSNorm, additive_mask, attend, norm_keys

# Of emamem, as in the original: this much of the old memory stays when one window follows another.
_EMA = 0.6


class MemoryAttention(ProjectedAttention):
    """The memory [batch, M, dim] is the raw output of a chunk's heads; `refresh` makes keys and values of it."""

    def __init__(self, args: ModelArgs):
        super().__init__(args)
        self.length = args.memseqlen
        if args.do_wm:
            self.wm = nn.Linear(args.dim, args.dim, bias=False)
        if args.do_memory_ffn:
            self.ffn_norm = RMSNorm(args.dim, args.norm_eps)
            self.feed_forward = FeedForward(args)
        if args.memory_norm:
            self.memory_norm = RMSNorm(args.dim, args.norm_eps)
        if not args.reuse_kv:
            kv = args.n_kv_heads * args.head_size
            self.wkm = nn.Linear(args.dim, kv, bias=False)
            self.wvm = nn.Linear(args.dim, kv, bias=False)
        origin = torch.zeros(1, self.length, args.dim)
        if args.train_orimem:
            self.origin_mem = nn.Parameter(origin)
        else:
            self.register_buffer("origin_mem", origin, persistent=False)
        self.positions = Positions(args, 2 * self.length, beside_memory=True)
        seen = torch.ones(self.length, 2 * self.length, dtype=torch.bool).tril(self.length)
        self.register_buffer("mask", additive_mask(seen), persistent=False)

    def initial_memory(self):
        return self.origin_mem

    def refresh(self, memory):
        """Keys and values [batch, heads, M, head size] of raw memory rows."""
        if self.args.do_wm:
            memory = self.wm(memory)
        if self.args.do_memory_ffn:
            memory = memory + self.feed_forward(self.ffn_norm(memory))
        if self.args.memory_norm:
            memory = self.memory_norm(memory)
        wk, wv = (self.wk, self.wv) if self.args.reuse_kv else (self.wkm, self.wvm)
        return self._keys(wk(memory), 0), self.heads(wv(memory))

    def _keys(self, k, offset: int):
        k = self.positions.keys(self.heads(k), offset)
        return norm_keys(k) if self.args.key_norm else k

    def _project(self, x):
        """Queries, keys and values chunk by chunk; every chunk's rows stand at the positions M..2M-1."""
        batch, rows = x.shape[:2]
        chunked = x.reshape(-1, min(self.length, rows), x.shape[-1])
        q = self.positions.queries(self.heads(self.wq(chunked)), self.length)
        k = self._keys(self.wk(chunked), self.length)
        return tuple(t.reshape(batch, -1, *t.shape[1:]).unbind(1) for t in (q, k, self.heads(self.wv(chunked))))

    def forward(self, x, memory):
        rows, outputs, first = x.shape[1], [], memory
        whole = rows - rows % self.length
        parts = [x] if whole in (0, rows) else [x[:, :whole], x[:, whole:]]  # an incomplete chunk comes last
        for part in parts:
            for q, k, v in zip(*self._project(part)):
                memory = self._chunk(q, k, v, memory)
                outputs.append(memory)
        if "emamem" in self.args.extend_method and memory.shape == first.shape:
            memory = _EMA * first + (1 - _EMA) * memory
        return self.wo(torch.cat(outputs, 1)), memory

    def _chunk(self, q, k, v, memory):
        memory_k, memory_v = self.refresh(memory)
        k = torch.cat((memory_k, k), 2).to(v.dtype)
        v = torch.cat((memory_v.to(v.dtype), v), 2)
        rows = q.shape[2]
        out = attend(q.to(v.dtype), k, v, self.mask[:rows, :self.length + rows])
        return out.transpose(1, 2).flatten(2)
