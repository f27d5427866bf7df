"""What all charts of a report have in common: a drawing, and a table of all its numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Optional, Sequence

from svg import plt
from tables import Column, significant

WIDTH = 6.4        # inches
ROW_HEIGHT = 0.24
LONGEST_LABEL = 44
# What a reader can still take in, and a browser can show.
MOST_ROWS, MOST_LINES, MOST_FAMILIES = 200, 40, 60


@dataclass
class Chart:
    title: str
    about: str
    svg: str
    columns: list[Column]


def number(value: Optional[float]) -> str:
    return "-" if value is None else significant(value)


def most_of(things: Sequence, most: int) -> tuple[Sequence, str]:
    """Those that are drawn, and a sentence if there are more."""
    more = f" Drawn are the first {most} of {len(things)}." if len(things) > most else ""
    return things[:most], more


def shortened(text: str) -> str:
    if len(text) <= LONGEST_LABEL:
        return text
    half = LONGEST_LABEL // 2 - 1
    return f"{text[:half]} … {text[-half:]}"


def rows_figure(labels: Sequence[str], width: float = WIDTH) -> tuple:
    """Axes with one row for each label, from the top down, and room above for a legend."""
    figure, axes = plt.subplots(figsize=(width, 0.9 + ROW_HEIGHT * len(labels)))
    axes.set_yticks(range(len(labels)), [shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure, axes


def put_legend(axes: object, columns: int = 4) -> None:
    handles, labels = axes.get_legend_handles_labels()
    # Matplotlib puts lines before bars.
    order = sorted(range(len(labels)), key=lambda i: labels[i] != "ours")
    axes.legend([handles[i] for i in order], [labels[i] for i in order], loc="lower left",
                bbox_to_anchor=(0, 1), ncols=columns, handletextpad=0.4, columnspacing=1.2,
                borderaxespad=0.2)


def ratio_axis(axes: object, axis: object, values: Sequence[float]) -> None:
    """Logarithmic, with ticks that are plain numbers."""
    set_scale = axes.set_xscale if axis is axes.xaxis else axes.set_yscale
    set_scale("log", base=2)
    low = math.floor(math.log2(min([*values, 1])))
    high = math.ceil(math.log2(max([*values, 1.01])))
    step = max(1, math.ceil((high - low) / 6))
    ticks = [2.0 ** power for power in range(low, high + 1, step)]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


# Benchmarks of other projects, whose names say nothing to us.

def family_of(name: str) -> str:
    return re.split(r"[/<]", name, maxsplit=1)[0] or name
