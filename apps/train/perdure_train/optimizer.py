# SPDX-License-Identifier: Apache-2.0
"""AdamW as llama2Rnn sets it, and learning rates over the steps."""

import math

import torch


def make_optimizer(model, options):
    """Weight decay on parameters of two and more dimensions; frozen ones are left out."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trained if p.dim() >= 2], "weight_decay": options.weight_decay},
              {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=options.learning_rate, betas=(0.9, 0.95))


class Schedule:
    """Warm-up, then 'cosine' to 0 at `steps`, or 'stable': constant until a cool-down of `cooldown` steps, linear to 0."""

    def __init__(self, options):
        self._options = options
        self.steps = options.steps
        self.cooldown = min(options.cooldown or max(1, options.steps // 5), options.steps)

    def cool_down_from(self, step: int) -> None:
        """Starts the cool-down at `step`, if that is earlier than planned, so that training ends sooner."""
        self.steps = min(self.steps, step + self.cooldown)

    def rate(self, step: int) -> float:
        o = self._options
        warm = (step + 1) / o.warmup if step < o.warmup else 1.0
        if o.schedule == "stable":
            return o.learning_rate * min(warm, max(0, self.steps - step) / self.cooldown)
        if step < o.warmup:
            return o.learning_rate * warm
        return 0.5 * o.learning_rate * (1 + math.cos(math.pi * (step - o.warmup) / max(1, o.steps - o.warmup)))
