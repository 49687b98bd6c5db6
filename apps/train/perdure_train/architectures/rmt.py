# SPDX-License-Identifier: Apache-2.0
"""The Recurrent Memory Transformer of its authors: memory tokens before and behind every segment of a llama.

Parameter names are those of their checkpoints: `memory_cell.memory`, and the llama's own behind `memory_cell.model.`."""

import dataclasses
from typing import Optional

import torch
from torch import nn

from .llama import ModelArgs, Transformer


def inner_args(args: ModelArgs) -> ModelArgs:
    """Those of the llama inside: its positions run over a segment and both blocks of memory."""
    length = args.max_seq_len + 2 * args.num_mem_tokens
    return dataclasses.replace(args, architecture="llama", num_mem_tokens=0, max_seq_len=length, extend_seq_len=length)


class MemoryCell(nn.Module):
    """One segment: the state [batch, M, dim] stands before and behind its tokens; the last M outputs are the next state."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.model = Transformer(inner_args(args))
        self.memory = nn.Parameter(torch.empty(args.num_mem_tokens, args.dim))
        self.initialise_memory()

    def initialise_memory(self) -> None:
        """As large as the embeddings are, so that a llama that was trained before takes it for tokens."""
        with torch.no_grad():
            self.memory.normal_().mul_(self.model.tok_embeddings.weight.std())

    def forward(self, tokens, state):
        rows = torch.cat((state, self.model.embed(tokens).to(state.dtype), state), 1)
        hidden, _ = self.model.hidden(rows, [None] * len(self.model.layers))
        count = state.shape[1]
        return self.model.classify(hidden[:, count:-count]), hidden[:, -count:]


class InSegments(nn.Module):
    """Tokens [batch, rows] to logits [batch, rows, vocabulary], in segments of max_seq_len from the left; the last may be
    short. The memory is a list of one tensor [batch, M, dim]. A subclass has `args`, `initial()`, the state [M, dim] that a
    text begins with, and `segment(tokens, state)`, which returns (logits, state)."""

    def start(self, memory: Optional[list], fresh):
        """What a window begins with: `memory`, but the initial one in the rows [batch] where `fresh` is True."""
        initial = self.initial().expand(fresh.shape[0], -1, -1)
        return [initial if memory is None else torch.where(fresh[:, None, None], initial, memory[0])]

    def forward(self, tokens, memory: Optional[list] = None):
        if memory is None:
            memory = self.start(None, torch.ones(tokens.shape[0], dtype=torch.bool, device=tokens.device))
        state, parts = memory[0], []
        for segment in tokens.split(self.args.max_seq_len, 1):
            logits, state = self.segment(segment, state)
            parts.append(logits)
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1), [state]


class Rmt(InSegments):
    """Begins with the learned memory."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        self.memory_cell = MemoryCell(args)

    def initial(self):
        return self.memory_cell.memory

    def segment(self, tokens, state):
        return self.memory_cell(tokens, state)
