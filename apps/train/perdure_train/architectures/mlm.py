# SPDX-License-Identifier: Apache-2.0
"""A llama that sees its whole text and says what stands behind masks (LlamaForMLM of CEPE): the encoder before it serves one.

Parameter names are those of its checkpoints, the llama's own behind `model.`."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from .llama import Attention, Block, ModelArgs, RMSNorm, Transformer

MASK = "<mask>"  # the piece behind those of the vocabulary
_NORM_EPS = 1e-6  # of the published encoder, whatever the decoder's is


class WholeAttention(Attention):
    """Every row sees all rows."""

    def __init__(self, args: ModelArgs):
        super().__init__(args)
        self.causal = False
        self.mask.zero_()


def mask_token(args: ModelArgs) -> int:
    """The id of MASK."""
    return args.vocab_size


def make_encoder(args: ModelArgs) -> Transformer:
    """`args`: its own sizes; its table has a row for the mask."""
    inner = dataclasses.replace(args, architecture="llama", vocab_size=args.vocab_size + 1, norm_eps=_NORM_EPS,
                                shared_classifier=True)
    return Transformer(inner, lambda own, layer: Block(own, WholeAttention(own)))


class Mlm(nn.Module):
    """Tokens [batch, rows] to logits [batch, rows, vocabulary and mask] of the same rows. There is no memory."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        self.model = make_encoder(args)
        self.lm_dense = nn.Linear(args.dim, args.dim)
        self.lm_layer_norm = RMSNorm(args.dim, _NORM_EPS)
        self.lm_bias = nn.Parameter(torch.zeros(args.vocab_size + 1))
        nn.init.normal_(self.lm_dense.weight, std=0.02)
        nn.init.zeros_(self.lm_dense.bias)

    def start(self, memory, fresh):
        return []

    def forward(self, tokens, memory=None):
        hidden, _ = self.model.hidden(self.model.embed(tokens), [None] * self.args.n_layers)
        hidden = self.lm_layer_norm(functional.silu(self.lm_dense(hidden).float()))
        return self.model.classify(hidden) + self.lm_bias, []
