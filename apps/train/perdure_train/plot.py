# SPDX-License-Identifier: Apache-2.0
"""The loss over tokens as SVG."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 360, 48, 36, 16
_TICKS = 5


def _polyline(points, colour: str) -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


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

    def place(point):
        tokens, loss = point
        return (_LEFT + (_WIDTH - _LEFT - 16) * tokens / right,
                _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - loss) / (high - low))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
             'font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for i in range(_TICKS + 1):
        loss, tokens = low + (high - low) * i / _TICKS, right * i / _TICKS
        (x, _), (_, y) = place((tokens, low)), place((0, loss))
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 16}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{loss:.2f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{tokens / 1e6:.1f} M</text>')
    caption = "tokens; training (grey), validation (red)"
    parts.append(f'<text x="{_WIDTH // 2}" y="{_HEIGHT - 4}" text-anchor="middle">{caption}</text>')
    parts.append(_polyline(map(place, trained), "#888"))
    parts.append(_polyline(map(place, validated), "#c22"))
    return "\n".join(parts + ["</svg>"]) + "\n"
