#!/usr/bin/env python3
"""Tables from Google Benchmark's JSON: ours beside the best peer, by kernel, threads and shape.

    report.py FILE.json [FILE.json ...] [--markdown] [--kernel REGEX] [--all-backends]

Repetitions are pooled by name over all files: several rounds, or the Python peers' own file. Names
are <kernel>/<contender>/<shape>/<threads>[/cold]; runs with other names stand in a plain table.
First comes when, where and with which versions this was measured, as far as the files say.
Exit status: 0; 1 if a run of ours, of the kernels shown, was refused; 2 if a file or an argument
cannot be used.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import sys
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

sys.dont_write_bytecode = True  # The modules beside this one stand among the sources.

from comparison import (  # noqa: E402
    CONFIDENCE, NOISY_SPREAD, NOISY_WIDTH, SAMPLES_FOR_QUARTILES, Index, Row, build_rows, spread)
from gb_results import (  # noqa: E402
    SECONDS, Name, Pool, Samples, UnusableInput, add_file, context_warnings)

PER_ELEMENT = {"tanh", "exp", "sigmoid", "relu", "softmax", "log_softmax", "loss"}
PYTHON_PEERS = {"pytorch", "numpy"}


# Figures and tables.

def significant(value: float) -> str:
    """Three digits, never in exponent form."""
    if value >= 100:
        return f"{value:.0f}"
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 2
    return f"{value:.{min(max(decimals, 1), 6)}f}"


def time_figure(seconds: float) -> tuple[str, str]:
    unit = next((u for u in ["s", "ms", "us"] if seconds >= SECONDS[u]), "ns")
    return significant(seconds / SECONDS[unit]), unit


def figure(name: Name, samples: Optional[Samples]) -> tuple[str, str]:
    """The number and its unit that say most about this kernel."""
    if samples is None:
        return "-", ""
    if name.kernel in PER_ELEMENT and name.elements:
        return significant(samples.median * 1e9 / name.elements), "ns/element"
    for counter, unit in [("flops_per_second", "GFLOP/s"), ("bytes_per_second", "GB/s")]:
        rate = samples.counter(counter)
        if rate is not None:
            return significant(rate / 1e9), unit
    return time_figure(samples.median)


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


def our_figure(row: Row) -> tuple[str, str]:
    """Marked as noisy where there is no ratio to mark."""
    number, unit = figure(row.name, row.ours)
    return ("~" if row.noisy and row.ratio is None else "") + number, unit


def ratio_cell(row: Row) -> str:
    return "-" if row.ratio is None else ("~" if row.noisy else "") + f"{row.ratio:.2f}"


def interval_cell(row: Row) -> str:
    return f"{row.interval[0]:.2f}..{row.interval[1]:.2f}" if row.interval else "-"


def spread_cell(samples: Optional[Samples]) -> str:
    """The whole range bears a mark."""
    width = spread(samples)
    if width is None:
        return "-"
    return f"{100 * width:.1f}%" + ("*" if len(samples.seconds) < SAMPLES_FOR_QUARTILES else "")


def timesteps_cell(row: Row) -> str:
    rate = row.ours.counter("timesteps_per_second") if row.ours else None
    return "-" if rate is None else significant(rate / 1e6)


def columns_of(rows: list[Row], threads: int) -> list[Column]:
    shapes = [row.name.shape + (" cold" if row.name.cold else "") for row in rows]
    columns = [Column("shape", shapes, right=False),
               Column("backend", [row.backend for row in rows], right=False),
               figure_column("ours", [our_figure(row) for row in rows])]
    timesteps = [timesteps_cell(row) for row in rows]
    if any(cell != "-" for cell in timesteps):
        columns.append(Column("M timesteps/s", timesteps))
    columns += [
        Column("best peer", [row.peer_name for row in rows], right=False),
        figure_column("peer", [figure(row.name, row.peer) for row in rows]),
        Column("ratio", [ratio_cell(row) for row in rows]),
        Column("interval", [interval_cell(row) for row in rows]),
        Column("of peak", [percent(row.ours.counter("of_peak") if row.ours else None)
                           for row in rows]),
        Column("spread", [f"{spread_cell(row.ours)} / {spread_cell(row.peer)}" for row in rows])]
    if threads > 1:
        columns.append(Column("speed-up", [significant(row.speed_up) if row.speed_up else "-"
                                           for row in rows]))
    return columns


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


# The report.

LEGEND = [
    "ratio: time of the best peer over ours, medians; above 1, ours is faster.",
    f"interval: {CONFIDENCE:.0%} for the ratio, from the ranks of all pairs of repetitions (Mann "
    "and Whitney); the whole range where there are too few for that. It takes the best peer as "
    "given; that this peer was chosen by the same medians, which favours it a little, is ignored.",
    f"~: too noisy to judge: the interval is wider than {NOISY_WIDTH:.0%} of the ratio, or, at "
    f"ours, where there is no peer, the spread is above {NOISY_SPREAD:.0%}; or there are too few "
    "repetitions. With five, one outlier is enough; more rounds help.",
    "undecided, in the last lines: the interval holds 1, or there is none.",
    "of peak: share of this machine's own limit, as measured in the same process.",
    "spread, ours / peer: half the interquartile range over the median; *: the whole range over "
    f"the median, for fewer than {SAMPLES_FOR_QUARTILES} repetitions.",
]
ABOUT_ONEDNN = (
    "{kernels}: onednn2 and onednn3 are the recurrent layer only, without loss, output layer, "
    "clipping and update; but they always compute the gradient of the input too, which ours, "
    "PyTorch and NumPy do not: D / (3D + 3H) of its training step's FLOP, a sixth where D = H.")
ABOUT_PYTHON = (
    "{peers}: run after all others in each round, in random order among themselves, so the "
    "machine may have changed in between; more rounds help.")


def legend(rows: Sequence[Row]) -> Iterator[str]:
    yield from LEGEND
    kernels = {row.name.kernel for row in rows} & {"rnn_backward", "rnn_train"}
    if kernels:
        yield ABOUT_ONEDNN.format(kernels=", ".join(sorted(kernels)))
    peers = {row.peer_name for row in rows} & PYTHON_PEERS
    if peers:
        yield ABOUT_PYTHON.format(peers=", ".join(sorted(peers)))


# What the context says, so that a page of results needs no other source.

def sentence(pool: Pool, parts: Iterable[tuple[str, str]]) -> str:
    """Of each (words, key), the words and what the files say; several answers if they differ."""
    found = ((words, " or ".join(pool.in_contexts(key))) for words, key in parts)
    return ", ".join(f"{words} {values}".strip() for words, values in found if values)


def dates(pool: Pool) -> str:
    found = sorted(pool.in_contexts("date"))
    return " to ".join(dict.fromkeys([found[0], found[-1]])) if found else ""


def header(pool: Pool) -> Iterator[str]:
    lines = {
        "date": dates(pool),
        "machine": sentence(pool, [("cpu", "cpu"), ("CPUs", "num_cpus"), ("isa", "isa"),
                                   ("governor", "governor")]),
        "ours": sentence(pool, [
            ("lockstep", "lockstep_version"), ("Highway", "highway_version"),
            ("xsimd", "xsimd_version"), ("default backend", "default_backend"),
            ("compiler", "compiler"), ("flags", "flags")]),
        "peers": sentence(pool, [("", "peers")]),
        "Python peers": sentence(pool, [
            ("numpy", "numpy_version"), ("torch", "torch_version"),
            ("CPU capability", "torch_cpu_capability"), ("Python", "python_version"),
            ("BLAS", "blas"), ("kernels", "openblas_core")])}
    yield from (f"{title}: {line}" for title, line in lines.items() if line)


@dataclass
class Style:
    markdown: bool

    def section(self, title: str, columns: list[Column]) -> Iterator[str]:
        yield f"### {title}" if self.markdown else title
        if self.markdown:
            yield ""
        yield from (markdown_table if self.markdown else text_table)(columns)
        yield ""

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        found = list(lines)
        yield from (f"- {line}" if self.markdown else line for line in found)
        if found:
            yield ""


def plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def summary(kernel: str, rows: Sequence[Row]) -> Optional[str]:
    judged = [row for row in rows if row.ratio is not None]
    if not judged:
        return None
    mean = statistics.geometric_mean([row.ratio for row in judged])
    wins = sum(row.interval is not None and row.interval[0] > 1 for row in judged)
    losses = sum(row.interval is not None and row.interval[1] < 1 for row in judged)
    undecided = len(judged) - wins - losses
    loss_word = "loss" if losses == 1 else "losses"
    return (f"{kernel}: geometric mean ratio {mean:.2f} over {plural(len(judged), 'row')}; "
            f"{plural(wins, 'win')}, {losses} {loss_word}, {undecided} undecided")


def summaries(rows: Sequence[Row], by_backend: bool) -> Iterator[str]:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        title = f"{row.name.kernel}, {row.backend}" if by_backend else row.name.kernel
        parts.setdefault(title, []).append(row)
    yield from filter(None, (summary(title, part) for title, part in parts.items()))


def machine_line(pool: Pool) -> Optional[str]:
    """How far the machine's own limits moved while it was measured."""
    parts = []
    found = ((name, samples) for name, samples in pool.named() if name.kernel == "machine")
    for name, samples in sorted(found, key=lambda run: (run[0].contender, run[0].shape,
                                                        run[0].threads)):
        values, unit, scale = samples.seconds, "ns", 1e9
        for counter, its_unit in [("flops_per_second", "GFLOP/s"), ("bytes_per_second", "GB/s")]:
            if counter in samples.counters:
                values, unit, scale = samples.counters[counter], its_unit, 1e-9
                break
        low, middle, high = (significant(f(values) * scale)
                             for f in (min, statistics.median, max))
        what = name.contender + ("" if name.shape == "-" else f" {name.shape}")
        parts.append(f"{what}, {plural(name.threads, 'thread')}: {middle} {unit} ({low}..{high})")
    return "machine, median and range: " + "; ".join(parts) if parts else None


def plain_columns(runs: dict[str, Samples]) -> list[Column]:
    medians = [time_figure(samples.median) for samples in runs.values()]
    return [Column("name", list(runs), right=False),
            figure_column("median", medians),
            Column("spread", [spread_cell(samples) for samples in runs.values()])]


def is_ours(text: str) -> bool:
    """Whatever is not known to be a peer counts, so that no refusal goes unnoticed."""
    name = Name.parse(text)
    return name is None or name.ours or name.kernel == "machine"


def wanted(text: str, pattern: re.Pattern[str]) -> bool:
    name = Name.parse(text)
    return pattern.search(name.kernel if name else text) is not None


def comparison(pool: Pool, style: Style, options: argparse.Namespace) -> Iterator[str]:
    """A table for each kernel and thread count, what the columns mean, and the summaries."""
    index = Index((name, s) for name, s in pool.named() if name.kernel != "machine")
    everything: list[Row] = []
    for kernel, threads in index.groups():
        if not options.kernel.search(kernel):
            continue
        rows = list(build_rows(index, kernel, threads, pool.default_backend, options.all_backends))
        yield from style.section(f"{kernel}, {plural(threads, 'thread')}",
                                 columns_of(rows, threads))
        everything += rows
    if everything:
        yield from style.lines(legend(everything))
    yield from style.lines(summaries(everything, options.all_backends))


def report(pool: Pool, options: argparse.Namespace) -> Iterator[str]:
    style = Style(options.markdown)
    yield from style.lines(header(pool))
    warnings = [*pool.warnings, *context_warnings(pool)]
    yield from style.lines(f"warning: {warning}" for warning in warnings)
    yield from comparison(pool, style, options)
    foreign = {text: samples for text, samples in pool.runs.items()
               if Name.parse(text) is None and options.kernel.search(text)}
    if foreign:
        yield from style.section("Other benchmarks", plain_columns(foreign))
    yield from style.lines(filter(None, [machine_line(pool)]))
    for title, runs in [("skipped", pool.skipped), ("refused", pool.refused)]:
        yield from style.lines(f"{title}: {name}: {message}" for name, message in runs.items()
                               if wanted(name, options.kernel))


# The command.

def regular_expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Tables from Google Benchmark's JSON, ours beside the best peer.")
    parser.add_argument("files", nargs="+", metavar="FILE.json")
    parser.add_argument("--markdown", action="store_true", help="GitHub's Markdown, not text")
    parser.add_argument("--kernel", type=regular_expression, default=re.compile(""),
                        metavar="REGEX", help="only kernels in whose name this is found")
    parser.add_argument("--all-backends", action="store_true",
                        help="a row for each of our backends, not for the default one alone")
    return parser.parse_args(arguments)


def print_to_pipe(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has seen enough; the interpreter's last flush must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)
    pool = Pool()
    try:
        for path in options.files:
            add_file(pool, path)
    except UnusableInput as problem:
        print(f"report.py: {problem}", file=sys.stderr)
        return 2
    lines = "\n".join(report(pool, options)).rstrip()
    print_to_pipe(lines or "Nothing to show: no run matches.")
    refused = [name for name in pool.refused if wanted(name, options.kernel)]
    return 1 if any(map(is_ours, refused)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
