# SPDX-License-Identifier: Apache-2.0
"""What depends on positions: rotation, xpos and log-n factors (llama2Rnn's extend_method)."""

import math
import re

import torch

from .errors import UsageError

# The words of extend_method that a model can be trained with here; the other ones belong to evaluation.
_KNOWN = re.compile(r"memlayer\d+|extrapolation|interpolation|nope|xpos[1-9]\d*|xpos|logn|train|SWAHalf|SWAQuater|SWA|BCA|"
                    "emamem")


def check_extend_method(text: str) -> None:
    unknown = _KNOWN.sub("", text).replace("_", "").strip()
    if unknown:
        raise UsageError(f"extend_method '{text}': '{unknown}' is not known to the trainer; known are memlayerN, "
                         "extrapolation, interpolation, nope, xposN, logn, train, SWA, BCA, SWAHalf, SWAQuater, emamem")


class Positions(torch.nn.Module):
    """Tables for positions 0..length-1: rotates queries and keys [batch, heads, rows, head size] at `offset`.

    `beside_memory`: of memory attention, in which `nope` is without effect, as in the original."""

    def __init__(self, args, length: int, beside_memory: bool = False):
        super().__init__()
        method, self.length = args.extend_method, length
        index = torch.arange(0, args.head_size, 2).float()
        position = torch.arange(length).float()
        stretch = args.extend_seq_len / args.max_seq_len if "interpolation" in method else 1.0
        angle = torch.outer(position / stretch, 1.0 / args.theta ** (index / args.head_size))
        self.rotates = beside_memory or "nope" not in method
        self.register_buffer("turn", torch.polar(torch.ones_like(angle), angle), persistent=False)
        decay = re.search(r"xpos(\d*)", method)
        if decay:
            base = float(decay.group(1) or 32)
            rate = torch.log((index / args.head_size + base) / (1 + base))
            # Only differences of positions count; around the middle neither factor overflows.
            exponent = (position - length // 2)[:, None] * rate
            self.register_buffer("query_factor", exponent.exp(), persistent=False)
            self.register_buffer("key_factor", (-exponent).exp(), persistent=False)
        else:
            self.query_factor = self.key_factor = None
        self.register_buffer("log_n", self._log_n(method, position, args.max_seq_len), persistent=False)

    @staticmethod
    def _log_n(method: str, position, train_length: int):
        if "logn" not in method:
            return None
        factor = torch.log(position + 1) / math.log(train_length)
        return factor if "train" in method else factor.clamp(min=1.0)

    def _turn(self, x, offset: int, factor):
        rows = slice(offset, offset + x.shape[-2])
        pairs = x.float().reshape(*x.shape[:-1], -1, 2)
        if self.rotates:
            pairs = torch.view_as_real(torch.view_as_complex(pairs) * self.turn[rows])
        if factor is not None:
            pairs = pairs * factor[rows].unsqueeze(-1)
        return pairs.reshape(x.shape)

    def queries(self, q, offset: int = 0):
        q = self._turn(q, offset, self.query_factor)
        if self.log_n is not None:
            q = q * self.log_n[offset:offset + q.shape[-2], None]
        return q

    def keys(self, k, offset: int = 0):
        return self._turn(k, offset, self.key_factor)
