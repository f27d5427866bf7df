"""The chart of training speed for the README, and the sentence above it, from the kept results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from statistics import geometric_mean
from typing import Iterator, Optional, Sequence

from names import work_of
from programs import Unusable
from results import Day, Result, Setting, newest_rows
from results_page import LAYERS
from tables import percent, significant
from texts import markdown_prose, plural
from theme import COLOURS

# Names, and how those of contenders begin.
PEERS = {"oneDNN": "onednn", "PyTorch": "pytorch"}
NAMES = {**PEERS, "ONNX Runtime": "onnxruntime", "NumPy": "numpy"}
COLOURS_OF = ["c0", "c1", "c3"]
# Where things are in the drawing, about pixels.
WIDTH, LEFT, RIGHT, TOP = 840, 232, 150, 92
BAR, GAP = 12, 16
STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); font-size: 12px; } .small { font-size: 11px; }
.title { font-size: 17px; font-weight: 650; } .ratio { font-size: 15px; font-weight: 650; }
.card { fill: var(--card); stroke: var(--rule); } .grid { stroke: var(--rule); }
"""


@dataclass
class Speeds:
    setting: Setting
    date: str
    rows: list[Result]

    def peer(self, row: Result, name: str) -> Optional[float]:
        """The fastest of that name, such as of two versions."""
        return max((value for peer, value in row.peers.items()
                    if peer.startswith(PEERS[name]) and peer not in row.fallbacks),
                   default=None)

    @property
    def peers(self) -> list[str]:
        return [name for name in PEERS if any(self.peer(row, name) for row in self.rows)]


def speeds_of(day: Day, suite: str) -> Iterator[Speeds]:
    """On one thread, of each setting."""
    for setting, rows in newest_rows([day], [suite], 1).items():
        shown = [row for row in rows if re.search(LAYERS, row.shape) and row.judged]
        if shown:
            yield Speeds(setting, day.date, sorted(shown, key=lambda row: work_of(row.shape)))


def training_speeds(days: Sequence[Day]) -> Speeds:
    """The newest day's; of its settings the one with the most figures of peers."""
    for day in days:
        found = list(speeds_of(day, "rnn_train"))
        if found:
            return max(found, key=lambda speeds: sum(len(row.peers) for row in speeds.rows))
    raise Unusable("no results are kept of rnn_train on one thread")


# Drawing.

def text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> str:
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" class="{style}">'
            f"{escape(content)}</text>")


def bar(y: float, length: float, colour: str, said: str) -> str:
    return (f'<rect x="{LEFT}" y="{y:.1f}" width="{length:.1f}" height="{BAR - 1}" rx="2" '
            f'fill="var(--{colour})"><title>{escape(said)}</title></rect>')


def legend(names: Sequence[str]) -> Iterator[str]:
    x = LEFT
    for name, colour in zip(names, COLOURS_OF):
        yield f'<rect x="{x}" y="66" width="12" height="12" rx="2" fill="var(--{colour})"/>'
        yield text(x + 18, 76, name)
        x += 50 + 8 * len(name)


def axis(step: float, scale: float, bottom: float) -> Iterator[str]:
    for tick in range(6):
        x = LEFT + tick * step * scale
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom:.0f}" class="grid"/>'
        yield text(x, bottom + 16, f"{tick * step:g}", "soft", "middle")
    yield text(x + 18, bottom + 16, "GFLOP/s", "soft")


def group(y: float, row: Result, speeds: Speeds, scale: float) -> Iterator[str]:
    """The bars of one shape, its name before them and the ratio behind."""
    sizes = dict(zip(["sequences", "steps", "features", "units"], row.shape.split("x")))
    middle = y + BAR * (1 + len(speeds.peers)) / 2
    yield text(LEFT - 12, middle - 1, plural(int(sizes["units"]), "unit"), "", "end")
    yield text(LEFT - 12, middle + 14, f"{plural(int(sizes['sequences']), 'sequence')} × "
               f"{sizes['steps']} steps × {sizes['features']}", "soft", "end")
    bars = [("Lockstep", row.ours), *((name, speeds.peer(row, name)) for name in speeds.peers)]
    for i, ((name, value), colour) in enumerate(zip(bars, COLOURS_OF)):
        if value is None:
            continue
        at = y + i * BAR
        yield bar(at, value * scale, colour, f"{row.shape}, {name}: {significant(value)} GFLOP/s")
        yield text(LEFT + value * scale + 5, at + BAR - 2, significant(value), "soft small")
    x = WIDTH - RIGHT + 48
    digits = 1 if row.ratio >= 2 else 2
    yield text(x, middle + 1, f"{'~' if row.noisy else ''}{row.ratio:.{digits}f}×", "ratio")
    if row.of_peak is not None:
        yield text(x, middle + 16, f"{percent(row.of_peak)} of peak", "soft")


def chart(speeds: Speeds) -> str:
    rows = speeds.rows
    names = ["Lockstep", *speeds.peers]
    most = max(value for row in rows for value in [row.ours, *row.peers.values()])
    step = next(s for s in [5, 10, 20, 25, 50, 100, 200, 500, 1000] if 5 * s >= most)
    scale = (WIDTH - LEFT - RIGHT) / (5 * step)
    height = BAR * len(names) + GAP
    bottom = TOP + height * len(rows) + 4
    title = "Training a recurrent network, one thread"
    parts = [f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{bottom + 27:.0f}" rx="10" '
             'class="card"/>', text(24, 34, title, "title"),
             text(24, 54, f"{speeds.setting}, {speeds.date}. GFLOP/s of a training step, more is "
                  "better; at the right, Lockstep over the fastest peer.", "soft"),
             text(LEFT - 12, 76, "sequences × steps × features", "soft", "end"), *legend(names),
             *axis(step, scale, bottom)]
    for i, row in enumerate(rows):
        parts += group(TOP + 8 + i * height, row, speeds, scale)
    said = "; ".join(f"{row.shape}: {significant(row.ours)} GFLOP/s" for row in rows)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 28:.0f}" '
            f'role="img" aria-label="{escape(f"{title}, {speeds.setting}. {said}")}">\n'
            f"<style>\n{COLOURS}{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>")


# The README's sentence.

BEGIN, END = "<!-- Made by ./dev bench report -->", "<!-- end -->"


def times_as_fast(speeds: Speeds) -> tuple[str, str]:
    ratios = [row.ratio for row in speeds.rows]
    return (f"{min(ratios):.1f} to {max(ratios):.1f} times as fast as",
            f"geometric mean {geometric_mean(ratios):.1f}")


def rival(speeds: Speeds) -> str:
    names = [name for name, begin in NAMES.items() if any(
        peer.startswith(begin) for row in speeds.rows for peer in row.peers)]
    if len(names) == 1:
        return names[0]
    return f"the fastest of {', '.join(names[:-1])} and {names[-1]}"


def claim(days: Sequence[Day]) -> str:
    training = training_speeds(days)
    times, mean = times_as_fast(training)
    setting = markdown_prose(str(training.setting))
    lines = [f"On one thread ({setting}, {training.date}) Lockstep trains",
             f"**{times} {rival(training)}** ({mean} of {len(training.rows)} shapes)"]
    for speeds in (speeds for day in days for speeds in speeds_of(day, "rnn_forward")):
        if (speeds.setting, speeds.date) == (training.setting, training.date):
            times, mean = times_as_fast(speeds)
            lines.append(f"and predicts {times} {rival(speeds)} ({mean})")
    return "\n".join(lines) + "."


def with_claim(readme: str, days: Sequence[Day]) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n{claim(days)}\n{END}{after}" if end else readme
