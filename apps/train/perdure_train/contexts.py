# SPDX-License-Identifier: Apache-2.0
"""What contexts are worth to a model of architecture cepe: the loss of the same windows with the chunks before them, with these
shuffled, with chunks of another place, and without any. Where a split marks answers, these alone are judged."""

import math

import torch
from torch.nn import functional

from .data import TokenFile
from .errors import UsageError

_SAMPLES = 16  # windows of a validation
CONTROLS = ("given", "shuffled", "foreign")


def _tokens_before(model, count: int) -> int:
    return count * model.args.chunk


def _begins(file: TokenFile, before: int, window: int, samples: int) -> list:
    """Of windows in which something is judged, evenly spread, with room for `before` tokens."""
    room = len(file.ids) - 1 - window - before
    begins = [before + int(i * room / max(1, samples - 1)) for i in range(samples)]
    return [begin for begin in begins if _judged(file, begin, window).any()]


def _judged(file: TokenFile, begin: int, window: int):
    """[window]: whether a target is."""
    answers = torch.from_numpy(file.window(begin, window)[2] != 0)
    return answers if file.answers.any() else ~answers


def _contexts(file: TokenFile, begin: int, tokens: int, control: str):
    """[1, tokens] for the window at `begin`. Foreign ones are as far away as can be, of another book where there are two."""
    if control == "foreign":
        begin = tokens + (begin - tokens + len(file.ids) // 2) % (len(file.ids) - tokens)
    ids = torch.from_numpy(file.window(begin - tokens, tokens)[0])
    if control == "shuffled":
        ids = ids[torch.randperm(tokens, generator=torch.Generator().manual_seed(begin))]
    return ids[None]


def losses(model, file: TokenFile, counts, samples: int, device) -> dict:
    """{(number of contexts, control): losses [samples]} of the same windows; without contexts there is `given` alone."""
    window, most, result = model.args.max_seq_len, _tokens_before(model, max(counts)), {}
    begins, training = _begins(file, most, window, samples), model.training
    model.eval()
    with torch.no_grad():
        for count in counts:
            for control in CONTROLS if count else CONTROLS[:1]:
                result[count, control] = [_loss(model, file, begin, _tokens_before(model, count), control, device)
                                          for begin in begins]
    model.train(training)
    return result


def _loss(model, file: TokenFile, begin: int, tokens: int, control: str, device) -> float:
    inputs, targets = (torch.from_numpy(x)[None].to(device) for x in file.window(begin, model.args.max_seq_len)[:2])
    states = model.encode(_contexts(file, begin, tokens, control).to(device))
    judged = _judged(file, begin, model.args.max_seq_len).to(device)
    return float(functional.cross_entropy(model.decode(inputs, states)[0, judged].float(), targets[0, judged]))


def figures_of_contexts(model, file: TokenFile, device) -> dict:
    """For the log: mean losses without contexts and with as many as in training, the controls of these among them."""
    counts = (0, model.args.contexts)
    return {f"{control}_{count}": round(sum(values) / len(values), 5)
            for (count, control), values in losses(model, file, counts, _SAMPLES, device).items()}


def check(model, file: TokenFile, counts) -> None:
    """Errors: UsageError if the text has not so much before a window."""
    needed = 2 * _tokens_before(model, max(counts)) + model.args.max_seq_len + 1
    if len(file.ids) < needed:
        raise UsageError(f"{max(counts)} contexts, and others from elsewhere, need a split of {needed} tokens; this one has "
                         f"{len(file.ids)}")
    if len(_begins(file, _tokens_before(model, max(counts)), model.args.max_seq_len, _SAMPLES)) < 2:
        raise UsageError("hardly a window of this split holds an answer; take data with more of them, or a greater max_seq_len")


def _interval(values) -> tuple:
    """(mean, half of its 95 % interval)."""
    mean = sum(values) / len(values)
    spread = sum((x - mean) ** 2 for x in values) / max(1, len(values) - 1)
    return mean, 1.96 * math.sqrt(spread / len(values))


def tell(model, file: TokenFile, counts, samples: int, device) -> None:
    """A line per number of contexts and control: the loss, and its difference to the loss of the same windows without."""
    check(model, file, counts)
    found = losses(model, file, sorted({0, *counts}), samples, device)
    for (count, control), values in found.items():
        mean, half = _interval(values)
        change, about = _interval([with_ - without for with_, without in zip(values, found[0, CONTROLS[0]])])
        print(f"{count:>8} {control:<9} {mean:.4f} +- {half:.4f}   {change:+.4f} +- {about:.4f}")
