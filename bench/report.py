#!/usr/bin/env python3
"""Reports from Google Benchmark's JSON: Lockstep beside the best peer, by kernel and threads.

    report.py FILE.json [FILE.json ...] [--markdown FILE] [--html FILE] [--svg FILE]
              [--history OLDER.json ...] [--kernel REGEX] [--all-backends] [--title TEXT]
    report.py [--results FOLDER] [--markdown FILE] [--chart FILE] [--readme FILE]

Without a FILE.json: makes bench/RESULTS.md, docs/training-speed.svg and the README's sentence about
speed from the kept results, or what is asked for of these.

Prints text tables, or writes what was asked for; - as a FILE is the standard output. Repetitions
are pooled by name over all files: several rounds, or the Python peers' own file; each file after
--history is an earlier point of time instead. Names are <kernel>/<contender>/<shape>/<threads>
[/cold]; runs with other names get a plain table and chart. A report begins with when, where and
with which versions this was measured, as far as the files say.
Exit status: 0; 1 if a run of ours, of the kernels shown, was refused; 2 if a file or an argument
cannot be used.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Callable, Iterable, Iterator, Optional, Sequence

sys.dont_write_bytecode = True  # No caches among the sources.

from gb_results import Pool, add_file  # noqa: E402
from outputs import run_tool, write  # noqa: E402
from programs import Unusable, need_module, say  # noqa: E402
from results import FOLDER, read_days  # noqa: E402
from results_page import results_page  # noqa: E402
from sections import Report, Section, build_report, is_ours, wanted  # noqa: E402
from speed_chart import chart, training_speeds, with_claim  # noqa: E402
from tables import markdown_table, text_table  # noqa: E402
from texts import markdown_items, markdown_prose  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


# Text and Markdown.

def section_lines(section: Section, markdown: bool) -> Iterator[str]:
    yield from ([f"### {markdown_prose(section.title)}", ""] if markdown else [section.title])
    yield from (markdown_table if markdown else text_table)(section.columns)
    yield ""


def listed(lines: Iterable[Optional[str]], markdown: bool) -> Iterator[str]:
    found = [line for line in lines if line]
    yield from markdown_items(found) if markdown else found
    if found:
        yield ""


def lines_of(report: Report, markdown: bool) -> Iterator[str]:
    yield from listed(report.header, markdown)
    yield from listed(report.warnings, markdown)
    for section in report.sections:
        yield from section_lines(section, markdown)
    yield from listed(report.legend, markdown)
    yield from listed(report.summaries, markdown)
    if report.others:
        yield from section_lines(report.others, markdown)
    yield from listed([report.machine], markdown)
    yield from listed(report.troubles, markdown)


def as_text(report: Report, markdown: bool) -> str:
    return "\n".join(lines_of(report, markdown)).rstrip() or "Nothing to show: no run matches."


# The command.

def regular_expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench report", allow_abbrev=False,
        description="Reports from Google Benchmark's JSON, Lockstep beside the best peer. Without "
                    "an output, text tables on the standard output. Without a file, the pages made "
                    "of bench/results: RESULTS.md, the README's chart and its sentence on speed.")
    parser.add_argument("files", nargs="*", metavar="FILE.json")
    parser.add_argument("--markdown", metavar="FILE", help="GitHub's Markdown; -: standard output")
    parser.add_argument("--html", metavar="FILE", help="a page that needs nothing else")
    parser.add_argument("--svg", metavar="FILE", help="one chart of all kernels")
    parser.add_argument("--history", nargs="+", default=[], metavar="OLDER.json",
                        help="earlier results, each file a point of time on the page")
    parser.add_argument("--results", type=Path, metavar="FOLDER", default=FOLDER,
                        help="kept results; for --chart, --readme and, without a file, --markdown")
    parser.add_argument("--chart", metavar="FILE", help="training speed from the kept results, SVG")
    parser.add_argument("--readme", metavar="FILE", help="renews its sentence on speed")
    parser.add_argument("--title", default="Benchmarks", help="of the page")
    parser.add_argument("--kernel", type=regular_expression, default=re.compile(""),
                        metavar="REGEX", help="only kernels in whose name this is found")
    parser.add_argument("--all-backends", action="store_true",
                        help="a row for each of our backends, not for the default one alone")
    return parser.parse_args(arguments)


def pool_of(files: Iterable[str]) -> Pool:
    pool = Pool()
    for path in files:
        add_file(pool, path)
    return pool


def outputs(options: argparse.Namespace, pool: Pool, report: Report, history: Sequence[Pool],
            ) -> Iterator[tuple[str, Callable[[], str]]]:
    """Where to, and what; charts are imported for those alone that want them."""
    if options.markdown:
        yield options.markdown, lambda: as_text(report, markdown=True)
    if options.html or options.svg:
        from page import overview_svg, page
        if options.html:
            yield options.html, lambda: page(options.title, pool, report, history)
        if options.svg:
            yield options.svg, lambda: overview_svg(pool, report)
    if not (options.markdown or options.html or options.svg):
        yield "-", lambda: as_text(report, markdown=False)


def write_kept(options: argparse.Namespace) -> None:
    """The pages of the kept results: those that are asked for, else all."""
    if options.html or options.svg:
        raise Unusable("--html and --svg need a FILE.json")
    if not (options.markdown or options.chart or options.readme):
        options.markdown = str(ROOT / "bench" / "RESULTS.md")
        options.chart = str(ROOT / "docs" / "training-speed.svg")
        options.readme = str(ROOT / "README.md")
    days = read_days(options.results)
    if options.markdown:
        write(options.markdown, results_page(days))
    if options.chart:
        write(options.chart, chart(training_speeds(days)))
    if options.readme:
        text = Path(options.readme).read_text(encoding="utf-8")
        write(options.readme, with_claim(text, days).rstrip("\n"))


def write_report(options: argparse.Namespace) -> int:
    """Of files; the exit status."""
    # First, since the standard input can be read but once.
    if options.html or options.svg:
        need_module("matplotlib", "python3-matplotlib")
    pool = pool_of(options.files)
    history = [pool_of([path]) for path in options.history]
    if not (pool.runs or pool.refused or pool.skipped):
        raise Unusable(f"there is nothing to report: {'; '.join(pool.warnings)}")
    pool.warnings += [warning for older in history for warning in older.warnings]
    report = build_report(pool, options.kernel, options.all_backends)
    for path, text in outputs(options, pool, report, history):
        write(path, text())
    refused = [name for name in pool.refused if wanted(name, options.kernel)]
    return 1 if any(map(is_ours, refused)) else 0


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)
    if options.files:
        return write_report(options)
    write_kept(options)
    return 0


if __name__ == "__main__":
    run_tool(lambda: main(sys.argv[1:]), lambda problem: say(problem, "report.py"))
