# SPDX-License-Identifier: Apache-2.0
"""The training loop: windows, truncated back-propagation over carried memory, checkpoints, an end that can be advanced."""

import contextlib
import pathlib
import re
import signal
import sys
import time

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint as replayed

from . import checkpoint
from .architectures.mlm import mask_token
from .contexts import figures_of_contexts
from .conversations import Conversations
from .curriculum import Curriculum
from .data import IGNORED, MaskedTokens, TokenFile, Windows
from .distillation import make_teacher
from .errors import UsageError
from .evaluate import window_loss
from .optimizer import Schedule, make_optimizer
from .progress import Progress
from .segments import Documents, recall
from .tokenizer import Tokenizer

_RECALLED = 64  # documents that are asked at a validation


def pick_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(f"--device {name}: take auto, cpu, cuda, or cuda:1 for the second device")
    if name.startswith("cuda") and int(name[5:] or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: this PyTorch sees {torch.cuda.device_count()} CUDA devices; take auto or cpu")
    return torch.device(name)


def pick_autocast(device: torch.device, precision: str):
    """A factory of contexts. 'auto': bf16 on CUDA, f32 elsewhere."""
    if precision == "bf16" or (precision == "auto" and device.type == "cuda"):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext


def is_judged_by_contexts(args) -> bool:
    """Whether a validation says what contexts are worth."""
    return args.architecture == "cepe" and not args.duplicate


class Trainer:
    """One run: `model` on `device`, data, optimiser, and the memory that each micro-batch carries on."""

    def __init__(self, model, device: torch.device, options, folder: pathlib.Path):
        self.options, self.folder = options, folder
        self.device = device
        self.autocast = pick_autocast(self.device, options.precision)
        torch.backends.cuda.matmul.allow_tf32 = True
        self.model = model.to(self.device)
        self.optimizer = make_optimizer(self.model, options)
        self.schedule, self.curriculum = Schedule(options), Curriculum(options)
        window = options.window or model.args.max_seq_len
        self.validation = self._open("validation")
        self.teacher = make_teacher(options, self.validation.vocab_size, self.device)
        self.windows = self._open_windows(window)
        self.window, self.memories, self.steps_done = window, [None] * options.accumulate, 0
        self.stopping, self.not_understood = False, ""
        state = checkpoint.load(folder)
        try:
            unlogged = self._restore(state) if state else (0.0, 0)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise checkpoint.damaged(folder, error) from None
        self.progress = Progress(folder, self.steps_done, self.tokens_before, options.log_every, unlogged)

    def tokens_before(self, step: int) -> int:
        """Read in all steps before this one."""
        return self.options.batch * self.options.accumulate * self.window * self.curriculum.windows_before(step)

    def _open(self, split: str) -> TokenFile:
        if self.model.args.architecture == "mlm":
            return MaskedTokens(self.options.data, split, mask_token(self.model.args))
        return TokenFile(self.options.data, split)

    def _open_windows(self, window: int):
        o = self.options
        if o.reading in ("dialogue", "segments"):
            pieces, rows = Tokenizer(pathlib.Path(o.data) / "tokenizer.model"), o.batch * o.accumulate
            return Conversations(pieces, rows, o, window) if o.reading == "dialogue" else Documents(pieces, rows, window, o.seed)
        return Windows(self._open("train"), o.batch * o.accumulate, window, o.chain, o.reading, o.seed)

    def _restore(self, state: dict) -> tuple:
        """Takes over all of a checkpoint; returns what Progress.unlogged gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.windows.restore(state["windows"])
        self.schedule.steps = state["last_step"]
        self.memories = [m and [t if t is None else t.to(self.device) for t in m] for m in state["memories"]]
        self.steps_done = state["step"]
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and state["cuda_random"] is not None:
            torch.cuda.set_rng_state(state["cuda_random"], self.device)
        return state["unlogged"]

    def save(self) -> None:
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        checkpoint.save(self.folder, {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "windows": self.windows.state(),
            "last_step": self.schedule.steps, "memories": self.memories, "step": self.steps_done,
            "unlogged": self.progress.unlogged(), "random": torch.get_rng_state(), "cuda_random": cuda})

    def _losses(self, logits, targets, weights):
        """(weighted loss, sum of weights, plain loss) summed over all tokens that are judged; `weights` as `targets` [rows,
        tokens]."""
        losses = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none",
                                          ignore_index=IGNORED)
        weights = weights.flatten() * (targets.flatten() != IGNORED)
        return (losses * weights).sum(), weights.sum(), losses.detach().sum()

    def _read(self, inputs, targets, answers, fresh, beside, memory):
        """One window, part by part where questions are asked beside it. Returns what _losses does, and the memory."""
        memory = self.model.start(memory, fresh)
        part = inputs.shape[1] // max(1, len(beside))
        total, weight, plain = 0.0, 0.0, 0.0
        for number, begin in enumerate(range(0, inputs.shape[1], part)):
            here = slice(begin, begin + part)
            with self.autocast():
                logits, memory = self.model(inputs[:, here], memory)
            loss, weights, bare = self._losses(logits, targets[:, here],
                                               1 + (self.options.answer_weight - 1) * answers[:, here].float())
            total, weight, plain = total + loss, weight + weights, plain + bare
            if self.teacher:
                total = total + self.teacher.loss(inputs, logits) * weights
            if beside and len(beside[number].rows):
                loss, weights = self._ask(beside[number], memory)
                total, weight = total + loss, weight + weights
        return total, weight, plain, memory

    def _read_all(self, windows: list, memory):
        """Windows that follow each other, gradients going through all: (mean weighted loss, mean loss per token, memory)."""
        total, weight, plain = 0.0, 0.0, 0.0
        replay = self.options.replay
        with contextlib.nullcontext() if replay else self.autocast():  # which casts every weight once
            for window in windows:
                read = replayed(self._read, *window, memory, use_reentrant=False) if replay else self._read(*window, memory)
                total, weight, plain, memory = total + read[0], weight + read[1], plain + read[2], read[3]
        return total / weight, plain / sum((w[1] != IGNORED).sum() for w in windows), memory

    def _ask(self, questions, memory):
        """The weighted loss of the answers, and their weight. The memory goes on as if nothing had been asked."""
        rows, inputs, targets, answers = (t.to(self.device) for t in questions)
        with self.autocast():
            logits, _ = self.model(inputs, [m if m is None else m[rows] for m in memory])
        return self._losses(logits, targets, self.options.answer_weight * answers.float())[:2]

    def step(self):
        """One update of the parameters. Returns the mean loss per token, on the device."""
        windows = [(*(t.to(self.device) for t in tensors), beside)
                   for *tensors, beside in self.windows.take(self.curriculum.windows(self.steps_done))]
        rate = self.schedule.rate(self.steps_done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        mean, share = 0.0, self.options.batch
        for micro, memory in enumerate(self.memories):
            rows = slice(micro * share, (micro + 1) * share)
            own = [(*(t[rows] for t in tensors), [q.of(rows) for q in beside]) for *tensors, beside in windows]
            loss, plain, carried = self._read_all(own, memory)
            (loss / len(self.memories)).backward()
            self.memories[micro] = [m if m is None else m.detach() for m in carried]
            mean = mean + plain / len(self.memories)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps_done += 1
        return mean, rate

    def validate(self) -> tuple:
        """(loss, other figures by name)."""
        o, figures = self.options, {}
        if o.reading == "segments":
            pieces, distance = Tokenizer(pathlib.Path(o.data) / "tokenizer.model"), self.curriculum.stage(self.steps_done - 1) - 1
            right, total = recall(self.model, pieces, distance, _RECALLED, self.device, "validation")
            figures = {"distance": distance, "recalled": round(right / total, 4)}
        if is_judged_by_contexts(self.model.args):
            figures = figures_of_contexts(self.model, self.validation, self.device)
        return window_loss(self.model, self.validation, self.window, o.batch, o.validation_batches, self.device,
                           self.autocast), figures

    def _cool_down_if_asked(self) -> None:
        """A file `cooldown` in the run folder ends training early: it holds the step to cool down from. Empty, or with a step
        that has passed, it means now. What it means otherwise nobody knows: training goes on as if it were not there."""
        request = self.folder / "cooldown"
        if self.options.schedule != "stable" or not request.is_file():
            return
        text = request.read_text(errors="replace").strip()
        if text and not text.isdecimal():
            if text != self.not_understood:
                print(f"train.py: {request} holds '{text}' and is ignored; write the step to cool down from into it, or "
                      "nothing for now", file=sys.stderr)
            self.not_understood = text
            return
        step = int(text or self.steps_done)
        if not text or step < self.steps_done and step + self.schedule.cooldown < self.schedule.steps:
            step = self.steps_done
            request.write_text(f"{step}\n")  # so that a resumed run does the same
        self.schedule.cool_down_from(step)

    def run(self) -> None:
        """Trains to the last step. SIGTERM and SIGINT end it behind the current step, with a checkpoint."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "stopping", True))
        saved = time.monotonic()
        self.model.train()
        self._cool_down_if_asked()
        while self.steps_done < self.schedule.steps and not self.stopping:
            loss, rate = self.step()
            self._cool_down_if_asked()  # before it is asked whether this step was the last one
            self.progress.step(self.steps_done, self.schedule.steps, loss, rate)
            if self.steps_done % self.options.validate_every == 0 or self.steps_done == self.schedule.steps:
                loss, figures = self.validate()
                self.progress.evaluated(self.steps_done, loss, **figures)
            if time.monotonic() - saved > self.options.checkpoint_seconds:
                self.save()
                saved = time.monotonic()
        self.save()
        self.progress.close()
