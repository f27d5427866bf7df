"""Figures as text, and tables of them as text and as Markdown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, Optional, Sequence

from entries import SECONDS
from texts import markdown_cell, markdown_code, markdown_figure, markdown_prose, width_of


# Longer cells, such as names of templates, do not widen the rows of all others.
WIDEST = 100


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
    names: bool = False  # of benchmarks, which others chose


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
    widths = [min(WIDEST, max(map(width_of, [c.heading, *c.cells]))) for c in columns]
    for line in zip(*([c.heading, *c.cells] for c in columns)):
        blanks = (" " * (width - width_of(cell)) for cell, width in zip(line, widths))
        cells = (blank + cell if column.right else cell + blank
                 for cell, blank, column in zip(line, blanks, columns))
        yield "  ".join(cells).rstrip()


def markdown_cells(column: Column) -> list[str]:
    as_markdown = (markdown_code if column.names else
                   markdown_figure if column.right else markdown_prose)
    return [markdown_cell(as_markdown(cell)) for cell in column.cells]


def markdown_table(columns: list[Column]) -> Iterator[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    yield line([markdown_cell(markdown_prose(c.heading)) for c in columns])
    yield line(["---:" if c.right else "---" for c in columns])
    yield from map(line, zip(*map(markdown_cells, columns)))
