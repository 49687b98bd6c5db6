# SPDX-License-Identifier: Apache-2.0
"""What depends on positions: rotation, xpos and log-n factors (llama2Rnn's extend_method)."""

import math
import re

import torch

from .errors import UsageError

# What a table of angles is made by: the first of these words that occurs in extend_method, as in the original.
_TABLES = ("extrapolation", "interpolation", "NTK-RoPE", "radix", "ntk", "rotate", "PEClip")
# The words of extend_method that a model can be trained with here; the other ones belong to evaluation.
_KNOWN = re.compile("|".join(_TABLES) + r"|freqsAbs|memlayer\d+|nope|xpos[1-9]\d*|xpos|logn|train|SWAHalf|SWAQuater|SWA|"
                    "BCA|emamem")


def _table(method: str) -> str:
    return next((word for word in _TABLES if word in method), "")


def check_extend_method(args) -> None:
    """Errors: UsageError for words that are not known, and for tables that these lengths and heads do not have."""
    method = args.extend_method
    unknown = _KNOWN.sub("", method).replace("_", "").strip()
    if unknown:
        raise UsageError(f"extend_method '{method}': '{unknown}' is not known to the trainer; known are {', '.join(_TABLES)}, "
                         "freqsAbs, memlayerN, nope, xposN, logn, train, SWA, BCA, SWAHalf, SWAQuater, emamem")
    if "rotate" in method and method != "rotate":
        raise UsageError(f"extend_method '{method}': rotate must be the whole string; the original ignores it elsewhere")
    if _table(method) in ("rotate", "PEClip") and args.extend_seq_len % args.max_seq_len:
        raise UsageError(f"extend_method '{method}' needs an extend_seq_len that is a multiple of max_seq_len = "
                         f"{args.max_seq_len}, not {args.extend_seq_len}")
    if _table(method) == "NTK-RoPE" and args.head_size < 4:
        raise UsageError(f"extend_method '{method}' needs heads of 4 values or more; take fewer heads or a larger dim")


def _angles(args, length: int):
    """[length, head size / 2]; k is how much longer the text is than those of training."""
    size, k, theta, fade = args.head_size, args.extend_seq_len / args.max_seq_len, args.theta, 1.0
    index, position, table = torch.arange(0, size, 2).float(), torch.arange(length).float(), _table(args.extend_method)
    if table == "interpolation":
        position = position / k
    elif table == "NTK-RoPE":
        theta *= k ** (size / (size - 2))
    elif table == "radix":
        theta *= k
    elif table == "ntk":
        fade = torch.exp(-math.log(k) * ((index + 2) / size) ** 0.75)
    elif table == "rotate":
        position = position % args.max_seq_len
    elif table == "PEClip":  # all but the last max_seq_len tokens stand at 0
        position = (position - (int(k) - 1) * args.max_seq_len).clamp(min=0)
    return torch.outer(position, 1.0 / theta ** (index / size) * fade)


class Positions(torch.nn.Module):
    """Tables for positions 0..length-1: rotates queries and keys [batch, heads, rows, head size] at `offset`.

    `beside_memory`: of memory attention, in which `nope` is without effect, as in the original."""

    def __init__(self, args, length: int, beside_memory: bool = False):
        super().__init__()
        method, self.length = args.extend_method, length
        index = torch.arange(0, args.head_size, 2).float()
        position = torch.arange(length).float()
        angle = _angles(args, length)
        self.rotates = beside_memory or "nope" not in method
        turn = torch.polar(torch.ones_like(angle), angle)
        if "freqsAbs" in method:
            turn = torch.complex(turn.real.abs(), turn.imag.abs())
        self.register_buffer("turn", turn, persistent=False)
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
