"""How busy SRs and hosts were over time, as a picture (SVG) of a run's data.

    python -m bench.schedule --pools 1 --launches 500 --spans run.json
    python -m bench.plot run.json picture.svg [--title TEXT]

The data is ``{"srs": {NAME: [[START, END], …]}, "hosts": {NAME: [[START, END], …]}}``, in seconds
from the request; a host works on several starts at once. The model and `bench.makespan` both write
it. Each SR and each host is a row; a row is as dark as its part works, and says how much it did.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from scheduler.slots import AT_ONCE, HOST, SR

Spans = Sequence[Sequence[float]]
Busy = Mapping[str, Mapping[str, Spans]]

KINDS: Final = {"srs": AT_ONCE[SR], "hosts": AT_ONCE[HOST]}
SLICES: Final = 144
SHADES: Final = 8
LEFT, RIGHT, TOP, ROW, WIDTH = 76, 58, 40, 18, 720

STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #222 }
.ground { fill: #fff } .row { fill: #eee } .axis { stroke: #888 }
.srs { fill: #1f6f8b } .hosts { fill: #b35900 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .ground { fill: #16181a } .row { fill: #2a2d30 } .axis { stroke: #999 }
  .srs { fill: #5fb3d1 } .hosts { fill: #f0a04b } }
"""


def end_of(busy: Busy) -> float:
    """When the last piece of work ended."""
    return max(
        (end for kind in busy.values() for one in kind.values() for _, end in one), default=0
    )


def worked(spans: Spans, begin: float, end: float) -> float:
    """How many seconds of work lie between two moments.

    >>> worked([[0, 2], [1, 5]], 1, 3)
    3.0
    """
    return float(sum(max(0.0, min(end, b) - max(begin, a)) for a, b in spans))


def levels(spans: Spans, at_once: int, end: float, slices: int = SLICES) -> list[float]:
    """Which part of what it could do it did, in each slice of the time.

    >>> levels([[0, 1], [0, 2]], 2, 2, slices=2)
    [1.0, 0.5]
    """
    length = end / slices
    done = [0.0] * slices
    for begin, until in spans:
        for number in range(int(begin / length), min(slices, int(until / length) + 1)):
            done[number] += worked([[begin, until]], number * length, (number + 1) * length)
    return [min(1.0, one / (at_once * length)) for one in done]


def draw(busy: Busy, title: str = "") -> str:
    """The picture."""
    end = end_of(busy)
    rows = [(kind, name, busy[kind][name]) for kind in KINDS for name in _in_order(busy[kind])]
    height = TOP + ROW * len(rows) + 36
    whole = LEFT + WIDTH + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{whole}" height="{height}"/>',
        f'<text x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    for number, (kind, name, spans) in enumerate(rows):
        parts += _row(kind, name, spans, end, TOP + ROW * number)
    parts += _axis(end, TOP + ROW * len(rows))
    return "\n".join([*parts, "</svg>", ""])


def _in_order(names: Iterable[str]) -> list[str]:
    """As people count: host-2 comes before host-10."""
    return sorted(names, key=lambda name: (len(name), name))


def _row(kind: str, name: str, spans: Spans, end: float, top: int) -> list[str]:
    middle = top + ROW - 5
    part = worked(spans, 0, end) / (KINDS[kind] * end) if end else 0.0
    return [
        f'<text x="{LEFT - 6}" y="{middle}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="row" x="{LEFT}" y="{top}" width="{WIDTH}" height="{ROW - 2}"/>',
        *_bars(kind, levels(spans, KINDS[kind], end) if end else [], top),
        f'<text x="{LEFT + WIDTH + 6}" y="{middle}">{part:.0%}</text>',
    ]


def _bars(kind: str, found: Sequence[float], top: int) -> list[str]:
    """All slices of one shade are one path."""
    width, shades = WIDTH / SLICES, [round(level * SHADES) for level in found]
    bars = []
    for shade in range(1, SHADES + 1):
        lines = [
            f"M{LEFT + number * width:g} {top}h{width:g}v{ROW - 2}h-{width:g}z"
            for number, one in enumerate(shades)
            if one == shade
        ]
        if lines:
            opacity = shade / SHADES
            bars.append(f'<path class="{kind}" opacity="{opacity:g}" d="{"".join(lines)}"/>')
    return bars


def _axis(end: float, top: int) -> list[str]:
    step = _step(end)
    parts = [f'<path class="axis" d="M{LEFT} {top + 4}h{WIDTH}"/>']
    for number in range(int(end / step) + 1 if end else 0):
        x = LEFT + WIDTH * number * step / end
        parts.append(f'<path class="axis" d="M{x:.1f} {top + 4}v5"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{top + 23}" text-anchor="middle">{number * step:g} s</text>'
        )
    return parts


def _step(end: float) -> float:
    """A round number of seconds that fits some five to ten times.

    >>> _step(161), _step(3.4)
    (20, 0.5)
    """
    size = 0.1
    while True:
        for factor in (1, 2, 5):
            if end <= 10 * size * factor:
                found = size * factor
                return int(found) if found >= 1 else round(found, 1)
        size *= 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--title", default="What each SR and each host worked on")
    args = parser.parse_args()
    busy = json.loads(args.data.read_text(encoding="utf-8"))
    args.picture.write_text(draw(busy, args.title), encoding="utf-8")


if __name__ == "__main__":
    main()
