# SPDX-License-Identifier: Apache-2.0
"""What training tells: one line on the terminal, log.jsonl for programs, loss.svg for people."""

import json
import pathlib
import sys
import time

from .plot import loss_curve

_BAR = 24
_SECONDS_BETWEEN_LINES = 30  # where standard error is no terminal


class Progress:
    """Takes the loss of every step; logs the mean of `every` steps. `tokens_before(step)`: how many were read. Resumed, it
    drops what was logged after `step`, and takes the losses that had not been logged from the checkpoint, so that an
    interrupted run leaves the log of any other."""

    def __init__(self, folder: pathlib.Path, step: int, tokens_before, every: int, unlogged: tuple):
        self._folder, self._tokens_before, self._every = folder, tokens_before, every
        self._records = [r for r in _read(folder / "log.jsonl") if r["step"] <= step]
        self._log = open(folder / "log.jsonl", "w")
        for record in self._records:
            self._write(record)
        self._sum, self._count = unlogged
        self._steps = 0  # of this process since the last line: those of `unlogged` took another one's time
        self._since, self._printed = time.monotonic(), 0.0

    def unlogged(self) -> tuple:
        """(sum, count) of the losses since the last line, for the checkpoint."""
        return float(self._sum), self._count

    def close(self) -> None:
        self._log.close()

    def _write(self, record: dict) -> None:
        self._log.write(json.dumps(record) + "\n")
        self._log.flush()

    def step(self, step: int, steps: int, loss, rate: float) -> None:
        """`loss`: a tensor; it is only read when it is shown, so that a device is not waited for in every step."""
        self._sum, self._count, self._steps = self._sum + loss, self._count + 1, self._steps + 1
        if self._count < self._every and step != steps:
            return
        seconds = time.monotonic() - self._since
        tokens = self._tokens_before(step)
        speed = (tokens - self._tokens_before(step - self._steps)) / max(seconds, 1e-9)
        record = {"step": step, "tokens": tokens, "loss": round(float(self._sum) / self._count, 5),
                  "learning_rate": rate, "tokens_per_second": round(speed), "seconds": round(seconds, 2)}
        self._note(record)
        self._show(record, steps, (self._tokens_before(steps) - tokens) / speed)
        self._sum, self._count, self._steps, self._since = 0.0, 0, 0, time.monotonic()

    def evaluated(self, step: int, loss: float, **more: float) -> None:
        """`more`: other figures, by name."""
        self._note({"step": step, "tokens": self._tokens_before(step), "validation_loss": round(loss, 5), **more})
        (self._folder / "loss.svg").write_text(loss_curve(self._records))

    def _note(self, record: dict) -> None:
        self._records.append(record)
        self._write(record)

    def _show(self, record: dict, steps: int, seconds_left: float) -> None:
        now, last = time.monotonic(), record["step"] == steps
        if not sys.stderr.isatty() and not last and now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        done = _BAR * record["step"] // steps
        minutes, seconds = divmod(int(seconds_left), 60)
        line = (f"[{'#' * done}{'.' * (_BAR - done)}] {record['step']}/{steps}  loss {record['loss']:.3f}  "
                f"{record['tokens_per_second']} tokens/s  {minutes}:{seconds:02} left")
        terminal = sys.stderr.isatty()
        print(("\r" if terminal else "") + line, end="\n" if last or not terminal else "", file=sys.stderr, flush=True)


def _read(path: pathlib.Path) -> list:
    """The records of a log; its last line may be cut off."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records
