# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters beside the matrices of attention and feed-forward; merged into them before export."""

import torch
from torch import nn

_TARGETS = ("wq", "wk", "wv", "wo", "w1", "w2", "w3", "wm", "wkm", "wvm")


class AdaptedLinear(nn.Module):
    """y = W x + (alpha / rank) B A x. W is frozen; B starts at zero, so that nothing changes at first."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.linear = linear
        self.linear.weight.requires_grad_(False)
        self.scale = alpha / rank
        self.a = nn.Parameter(torch.randn(rank, linear.in_features) / rank)
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + nn.functional.linear(nn.functional.linear(x, self.a), self.b) * self.scale

    def merged(self) -> nn.Linear:
        with torch.no_grad():
            self.linear.weight += self.scale * self.b @ self.a
        return self.linear


def _replace(model: nn.Module, wanted, make) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(parent, AdaptedLinear) and wanted(name, child):
                setattr(parent, name, make(child))


def add_adapters(model: nn.Module, rank: int, alpha: float) -> None:
    _replace(model, lambda name, child: name in _TARGETS and isinstance(child, nn.Linear),
             lambda linear: AdaptedLinear(linear, rank, alpha))


def merge_adapters(model: nn.Module) -> None:
    _replace(model, lambda _, child: isinstance(child, AdaptedLinear), lambda adapted: adapted.merged())
