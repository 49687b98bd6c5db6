# SPDX-License-Identifier: Apache-2.0
"""CEPE-Distilled's objective: the likeliest tokens of a teacher that reads everything, as targets of a student that reads
contexts through its encoder."""

import re

import torch

from .errors import UsageError
from .importing import load_base_model

_DROP = "drop"


def check_mode(mode: str) -> None:
    """Errors: UsageError for words other than smooth_NUMBER and drop."""
    if mode != _DROP and not re.fullmatch(r"smooth_\d+(\.\d+)?(e-?\d+)?", mode):
        raise UsageError(f"--kl-mode {mode}: take drop, or smooth_ and a number, for example smooth_1e-6")


def top(logits, count: int) -> tuple:
    """(probabilities [..., count + 1], tokens [..., count]): the likeliest tokens, and last what is left of 1."""
    values, tokens = logits.float().softmax(-1).topk(count, -1)
    return _with_rest(values), tokens


def _with_rest(values):
    return torch.cat((values, (1 - values.sum(-1, keepdim=True)).clamp(min=0)), -1)


def divergence(logits, probabilities, tokens, mode: str):
    """KL(teacher || student) per row, over the last rows of `logits` [batch, rows, vocabulary], as many as the teacher's
    `probabilities` and `tokens` (those of `top`) have. `mode`: smooth_D adds D to every probability, drop forgets the rest."""
    own = logits[:, -tokens.shape[1]:].float().softmax(-1).gather(-1, tokens)
    own = _with_rest(own)
    if mode == _DROP:
        own, probabilities = own[..., :-1], probabilities[..., :-1]
    else:
        more = float(mode.split("_")[1])
        own, probabilities = ((p + more) / (1 + more * p.shape[-1]) for p in (own, probabilities))
    terms = torch.xlogy(probabilities, probabilities) - probabilities * own.log()
    return terms.sum() / tokens[..., 0].numel()


class Teacher:
    """A frozen model of any architecture that reads a row whole."""

    def __init__(self, model, options):
        self._model, self._options = model.eval().requires_grad_(False), options

    def loss(self, inputs, logits):
        """What is added to a mean loss per token."""
        o = self._options
        with torch.no_grad():
            probabilities, tokens = top(self._model(inputs)[0], min(o.kl_top, logits.shape[-1] - 1))
        with torch.autocast(logits.device.type, enabled=False):
            return o.kl_weight * divergence(logits, probabilities, tokens, o.kl_mode)


def make_teacher(options, vocab_size: int, device):
    """The model that --teacher names, or None. Errors: UsageError if it does not say of the same pieces what follows."""
    if not options.teacher:
        return None
    model = load_base_model(options.teacher)
    if model.args.architecture == "mlm" or model.args.vocab_size != vocab_size:
        raise UsageError(f"--teacher {options.teacher} must say which of the {vocab_size} pieces of the data follows; it is "
                         f"{model.args.architecture} and knows {model.args.vocab_size}")
    return Teacher(model.to(device), options)
