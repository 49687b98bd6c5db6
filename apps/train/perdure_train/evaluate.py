# SPDX-License-Identifier: Apache-2.0
"""Held-out text: the loss of training windows, of the same last targets behind ever longer contexts; and facts recalled."""

import random

import torch
from torch.nn import functional

from .data import TokenFile
from .errors import UsageError
from .generators.dialogue import probe
from .prepare import encode_document
from .tokenizer import BOS

TAIL = 256  # targets that are judged by llama2Rnn's protocol


def window_loss(model, file: TokenFile, window: int, rows: int, batches: int, device, autocast) -> float:
    """Mean loss over evenly spread windows, each begun with the initial memory."""
    count = max(1, min(rows * batches, (len(file.ids) - 1) // window))
    stride = (len(file.ids) - 1 - window) / max(1, count - 1)
    begins, total = [int(i * stride) for i in range(count)], 0.0
    model.eval()
    with torch.no_grad():
        for first in range(0, count, rows):
            windows = [file.window(b, window) for b in begins[first:first + rows]]
            inputs, targets = (torch.stack([torch.from_numpy(w[i]) for w in windows]).to(device) for i in (0, 1))
            with autocast():
                logits, _ = model(inputs)
            total += float(functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())) * len(windows)
    model.train()
    return total / count


def check_lengths(file: TokenFile, lengths) -> None:
    """Errors: UsageError for lengths that the judged targets or the text do not have."""
    if min(lengths) < TAIL or max(lengths) > len(file.ids) - 1:
        raise UsageError(f"--lengths {' '.join(map(str, lengths))}: each must be from {TAIL} tokens, which are judged, to "
                         f"{len(file.ids) - 1}, which the text has")


def loss_by_length(model, file: TokenFile, lengths, samples: int, device) -> dict:
    """{length: losses [samples]} of the same last TAIL targets, evenly spread, behind contexts of every length."""
    longest = max(lengths)
    room = len(file.ids) - 1 - longest
    ends = [longest + int(i * room / max(1, samples - 1)) for i in range(samples)]
    losses = {}
    with torch.no_grad():
        for length in lengths:
            losses[length] = []
            for end in ends:
                inputs, targets, _ = file.window(end - length, length)
                logits, _ = model(torch.from_numpy(inputs)[None].to(device))
                tail = functional.cross_entropy(logits[0, -TAIL:].float(), torch.from_numpy(targets[-TAIL:]).to(device))
                losses[length].append(float(tail))
    return losses


def _answers_rightly(model, ids, answer_length: int, device) -> bool:
    """Whether greedy decoding behind `ids` without their last `answer_length` tokens would write these."""
    logits, _ = model(torch.tensor(ids[:-1], device=device)[None])
    return logits[0, -answer_length:].argmax(-1).tolist() == ids[-answer_length:]


def recall(model, pieces, split: str, distance: int, samples: int, device) -> tuple:
    """(mean tokens between the last fact and the question, share of right answers, share if the memory is reset between)."""
    tokens = right = forgetful = 0
    with torch.no_grad():
        for sample in range(samples):
            ids, answers = encode_document(probe(split, distance, random.Random(f"{split} {distance} {sample}")), pieces)
            length = answers[::-1].index(0)
            question = len(ids) - 1 - ids[::-1].index(BOS)
            tokens += answers[:question][::-1].index(1)
            right += _answers_rightly(model, ids, length, device)
            forgetful += _answers_rightly(model, ids[question:], length, device)
    return tokens / samples, right / samples, forgetful / samples
