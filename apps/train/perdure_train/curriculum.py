# SPDX-License-Identifier: Apache-2.0
"""Through how many windows an update goes back, step by step."""

import itertools

import numpy


class Curriculum:
    """`segments` windows; from 1 on, in equal stages over `segments_grow` steps; with `vary_segments` every other step any
    number up to that, so that what was learnt over few is not lost. A function of the options and the step alone."""

    def __init__(self, options):
        self._most, self._grow = options.segments, options.segments_grow
        self._vary, self._seed = options.vary_segments, options.seed
        self._sums = [0]

    def stage(self, step: int) -> int:
        """The most windows of an update at this step."""
        return self._most if step >= self._grow else 1 + step * self._most // self._grow

    def windows(self, step: int) -> int:
        most = self.stage(step)
        if not self._vary or step % 2:
            return most
        return int(numpy.random.default_rng([self._seed, step]).integers(1, most + 1))

    def windows_before(self, step: int) -> int:
        """Of a row, in all steps before this one."""
        if self._most == 1:
            return step
        if step >= len(self._sums):
            more = map(self.windows, range(len(self._sums) - 1, step))
            self._sums = self._sums[:-1] + list(itertools.accumulate(more, initial=self._sums[-1]))
        return self._sums[step]
