"""Figures as text, and tables of them as text and as Markdown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

from gb_results import SECONDS


def significant(value: float) -> str:
    """Three digits, never in exponent form."""
    if value >= 100:
        return f"{value:.0f}"
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 2
    return f"{value:.{min(max(decimals, 1), 6)}f}"


def time_figure(seconds: float) -> tuple[str, str]:
    unit = next((u for u in ["s", "ms", "us"] if seconds >= SECONDS[u]), "ns")
    return significant(seconds / SECONDS[unit]), unit


@dataclass
class Column:
    heading: str
    cells: list[str]
    right: bool = True


def figure_column(who: str, figures: list[tuple[str, str]]) -> Column:
    """The unit goes into the heading if one fits the whole column."""
    units = {unit for _, unit in figures if unit}
    if len(units) == 1:
        return Column(f"{who} {units.pop()}", [number for number, _ in figures])
    return Column(who, [f"{number} {unit}".strip() for number, unit in figures])


def percent(fraction: Optional[float]) -> str:
    return "-" if fraction is None else f"{100 * fraction:.0f}%"


def interval_text(interval: Optional[tuple[float, float]], digits: int) -> str:
    return "-" if interval is None else f"{interval[0]:.{digits}f}..{interval[1]:.{digits}f}"


def text_table(columns: list[Column]) -> Iterator[str]:
    widths = [max(map(len, [c.heading, *c.cells])) for c in columns]
    for line in zip(*([c.heading, *c.cells] for c in columns)):
        cells = (cell.rjust(width) if column.right else cell.ljust(width)
                 for cell, width, column in zip(line, widths, columns))
        yield "  ".join(cells).rstrip()


def markdown_table(columns: list[Column]) -> Iterator[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    yield line(c.heading for c in columns)
    yield line("---:" if c.right else "---" for c in columns)
    # A tilde before each of two cells would strike out what is between in some renderers.
    yield from (line(cell.replace("~", "\\~") for cell in row)
                for row in zip(*(c.cells for c in columns)))


def plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def listing(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
