# SPDX-License-Identifier: Apache-2.0
"""What the command lines share: one sentence for what is wrong, and numbers within their ranges. Needs Python alone."""

import argparse
import math

LARGEST = 2**31 - 1  # what the headers of model files hold


class Parser(argparse.ArgumentParser):
    """Says what is wrong without telling the whole usage first."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def _number(kind, allowed, wanted: str):
    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not allowed(value):
            raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")
        return value
    return parse


count = _number(int, lambda v: 1 <= v <= LARGEST, f"a whole number from 1 to {LARGEST}")
count_or_zero = _number(int, lambda v: 0 <= v <= LARGEST, f"a whole number from 0 to {LARGEST}")
seed = _number(int, lambda v: 0 <= v < 2**63, "a whole number from 0 to 2^63 - 1")
above_zero = _number(float, lambda v: 0 < v < math.inf, "a number above 0")
zero_or_above = _number(float, lambda v: 0 <= v < math.inf, "a number from 0 on")
