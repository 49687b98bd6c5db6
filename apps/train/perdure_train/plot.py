# SPDX-License-Identifier: Apache-2.0
"""Curves as SVG: the loss over tokens, and how many facts are recalled over how many tokens."""

import math

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 640, 360, 48, 28, 36, 16
_TICKS = 5


class _Chart:
    """White ground, a grid, a caption; `x` and `y` are the ranges that the frame shows."""

    def __init__(self, x, y, caption: str):
        self._x, self._y = x, y
        self._parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
                       'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
        self._text(_WIDTH // 2, _HEIGHT - 4, "middle", caption)

    def _text(self, x, y, anchor: str, text: str) -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>')

    def place(self, point):
        (left, right), (low, high) = self._x, self._y
        return (_LEFT + (_WIDTH - _LEFT - _RIGHT) * (point[0] - left) / (right - left),
                _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - point[1]) / (high - low))

    def row(self, value: float, label: str) -> None:
        y = self.place((self._x[0], value))[1]
        self._parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        self._text(_LEFT - 6, y + 4, "end", label)

    def column(self, value: float, label: str) -> None:
        self._text(self.place((value, self._y[0]))[0], _HEIGHT - _BOTTOM + 16, "middle", label)

    def line(self, points, colour: str) -> None:
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self.place, points))
        self._parts.append(f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="1.5"/>')

    def interval(self, x: float, low: float, high: float, colour: str) -> None:
        (at, top), (_, bottom) = self.place((x, high)), self.place((x, low))
        self._parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>')

    def svg(self) -> str:
        return "\n".join(self._parts + ["</svg>"]) + "\n"


def loss_curve(records) -> str:
    """`records`: lines of log.jsonl with `tokens` and `loss` or `validation_loss`."""
    trained = [(r["tokens"], r["loss"]) for r in records if "loss" in r]
    validated = [(r["tokens"], r["validation_loss"]) for r in records if "validation_loss" in r]
    both = trained + validated
    if not both:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    right = max(t for t, _ in both) or 1
    low, high = min(v for _, v in both), max(v for _, v in both)
    high = max(high, low + 1e-3)
    chart = _Chart((0, right), (low, high), "tokens; training (grey), validation (red)")
    for i in range(_TICKS + 1):
        loss, tokens = low + (high - low) * i / _TICKS, right * i / _TICKS
        chart.row(loss, f"{loss:.2f}")
        chart.column(tokens, f"{tokens / 1e6:.1f} M")
    chart.line(trained, "#888")
    chart.line(validated, "#c22")
    return chart.svg()


def recall_curve(points) -> str:
    """`points`: (tokens, recalled, control) by growing tokens; the last two are (share, low, high)."""
    at = [math.log(tokens) for tokens, _, _ in points]
    room = 0.05 * (at[-1] - at[0]) or 1
    caption = "tokens between a fact and its question; recalled (red), memory reset before the question (grey)"
    chart = _Chart((at[0] - room, at[-1] + room), (0, 1), caption)
    for i in range(_TICKS + 1):
        chart.row(i / _TICKS, f"{100 * i // _TICKS} %")
    for x, (tokens, _, _) in zip(at, points):
        chart.column(x, f"{tokens:,.0f}")
    for index, colour in ((2, "#888"), (1, "#c22")):
        chart.line([(x, p[index][0]) for x, p in zip(at, points)], colour)
        for x, p in zip(at, points):
            chart.interval(x, p[index][1], p[index][2], colour)
    return chart.svg()
