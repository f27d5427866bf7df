"""The report as one HTML page that needs nothing else, and as one SVG.

No script: charts follow the theme through CSS, tooltips are SVG's own, and what is folded opens by
keyboard as by touch. Every chart is followed by a table of all its numbers.
"""

from __future__ import annotations

import re
from html import escape
from typing import Iterable, Iterator, Optional, Sequence

from bar_charts import bars, families_of, foreign, overview
from charts import MOST_FAMILIES, Chart, most_of
from comparison import kernels_index
from gb_results import Pool
from programs import Unusable
from roofline import roofline
from sections import Report, Section
from svg import standing_alone
from tables import Column
from theme import CSS
from trends import history, scaling


def table(columns: Sequence[Column], label: str) -> str:
    """The first column names its row. It scrolls, by keyboard too."""
    def cell(column: Column, text: str, tag: str) -> str:
        style = "" if column.right else ' class="left"'
        return f"<{tag}{style}>{escape(text)}</{tag.split()[0]}>"

    head = "".join(cell(c, c.heading, 'th scope="col"') for c in columns)
    body = "\n".join(
        "<tr>" + "".join(cell(c, c.cells[i], "td" if j else 'th scope="row"')
                         for j, c in enumerate(columns)) + "</tr>"
        for i in range(len(columns[0].cells)))
    return (f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
            f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n")


def folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>\n{content}</details>\n"


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


class Sections:
    """The page's sections, with names that are unique."""

    def __init__(self) -> None:
        self.titles: dict[str, str] = {}
        self.html: list[str] = []

    def add(self, title: str, content: str) -> None:
        name = anchor(title)
        while name in self.titles:
            name += "-"
        self.titles[name] = title
        self.html.append(f'<section id="{name}" aria-label="{escape(title)}">'
                         f"<h2>{escape(title)}</h2>\n{content}</section>\n")

    def navigation(self) -> str:
        links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>\n'
                        for name, title in self.titles.items())
        return f'<nav aria-label="Sections"><ul>\n{links}</ul></nav>\n'


def drawing(chart: Chart) -> str:
    about = f"<p>{escape(chart.about)}</p>\n" if chart.about else ""
    return (f'{about}<div class="scroll" tabindex="0" role="region" '
            f'aria-label="{escape(chart.title)}, chart">{chart.svg}</div>\n')


def with_table(chart: Chart) -> str:
    return drawing(chart) + folded("All numbers of this chart",
                                   table(chart.columns, f"{chart.title}, numbers"))


def items(lines: Iterable[Optional[str]]) -> str:
    found = "".join(f"<li>{escape(line)}</li>\n" for line in lines if line)
    return f"<ul>\n{found}</ul>\n" if found else ""


def thread_counts(report: Report) -> list[int]:
    return sorted({row.name.threads for s in report.sections for row in s.rows}) or [1]


def pictures(pool: Pool, report: Report, older: Sequence[Pool]) -> Iterator[Optional[Chart]]:
    """Those of the whole, before the kernels one by one."""
    yield overview(report)
    for threads in thread_counts(report):
        yield roofline(pool, report, threads)
    yield scaling(pool, report)
    yield history([*older, pool], report)


def has_several_backends(section: Section) -> bool:
    shown = [(row.name.shape, row.name.cold) for row in section.rows]
    return len(set(shown)) < len(shown)


def add_kernels(sections: Sections, pool: Pool, report: Report) -> None:
    index = kernels_index(pool)
    for section in report.sections:
        chart = bars(index, section, has_several_backends(section))
        sections.add(section.title, drawing(chart)
                     + folded("Beside the best peer", table(section.columns, section.title))
                     + folded("All contenders", table(chart.columns, f"{section.title}, all")))


def add_others(sections: Sections, report: Report) -> None:
    if report.others:
        _, more = most_of(list(families_of(report)), MOST_FAMILIES)
        sections.add(report.others.title, table(report.others.columns, report.others.title)
                     + (f"<p>{more.strip()}</p>\n" if more else ""))
        for chart in foreign(report):
            sections.add(chart.title, with_table(chart))


def page(title: str, pool: Pool, report: Report, older: Sequence[Pool]) -> str:
    sections = Sections()
    for chart in pictures(pool, report, older):
        if chart:
            sections.add(chart.title, with_table(chart))
    add_kernels(sections, pool, report)
    add_others(sections, report)
    if report.summaries:
        sections.add("Wins and losses", items(report.summaries))
    if report.legend:
        sections.add("How to read the tables", items(report.legend))
    if not sections.html:
        sections.add("Nothing to show", "<p>No run matches.</p>\n")
    about = items([*report.header[:2], *report.warnings, *report.troubles]) + folded(
        "What was measured with", items([*report.header[2:], report.machine]))
    return ('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
            f"<style>\n{CSS}</style>\n</head>\n<body>\n"
            '<a class="skip" href="#content">To the results</a>\n<main>\n'
            f'<h1>{escape(title)}</h1>\n{about}{sections.navigation()}'
            f'<div id="content">\n{"".join(sections.html)}</div>\n'
            "</main>\n</body>\n</html>")


def overview_svg(pool: Pool, report: Report) -> str:
    """All kernels beside their peers; of a file without peers, the first chart that there is."""
    chart = overview(report) or next(
        (chart for chart in pictures(pool, report, []) if chart), None) or next(
        foreign(report), None)
    if chart is None:
        raise Unusable("there is nothing to draw in an SVG")
    return standing_alone(chart.svg)
