#!/usr/bin/env python3
"""Tables from Google Benchmark's JSON: ours beside the best peer, by kernel, threads and shape.

    report.py FILE.json [FILE.json ...] [--markdown] [--kernel REGEX] [--all-backends]

Repetitions are pooled by name over all files: several rounds, or the Python peers' own file. Names
are <kernel>/<contender>/<shape>/<threads>[/cold]; runs with other names stand in a plain table.
Exit status: 0; 1 if a run of ours, of the kernels shown, was refused; 2 if a file or an argument
cannot be used.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import re
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Iterator, Optional, Sequence

KERNEL_ORDER = ["gemm", "gemm_tn", "gemm_packed", "tanh", "exp", "softmax", "loss", "pack",
                "pack_tn", "rnn_forward", "rnn_backward", "rnn_train", "rnn_fit"]
PER_ELEMENT = {"tanh", "exp", "softmax", "loss"}
# Not every peer can pack beforehand, and whoever uses it then calls the plain product.
STANDS_IN_FOR = {"gemm_packed": "gemm"}

# A row is too noisy to judge when the ratio's interval is wider than this share of the ratio.
NOISY_WIDTH = 0.10
CONFIDENCE = 0.95
# With few repetitions even the whole range is no 95 % interval; below this it is none at all.
LEAST_CONFIDENCE = 0.90
# Under this many samples quartiles mean little, and the whole range is shown.
SAMPLES_FOR_QUARTILES = 5

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
COUNTERS = ["flops_per_second", "bytes_per_second", "timesteps_per_second", "of_peak"]
# What Google Benchmark itself appends to a name.
LIBRARY_SUFFIX = re.compile(
    r"/(?:real_time|process_time|manual_time|"
    r"(?:min_time|min_warmup_time|iterations|repeats):[^/]+)$")
NAME = re.compile(
    r"(?P<kernel>[a-z]\w*)/(?P<contender>[A-Za-z]\w*(?:/[A-Za-z]\w*)?)/"
    r"(?P<shape>[^/\s:]+)/(?P<threads>[1-9]\d*)(?P<cold>/cold)?")


class UnusableInput(Exception):
    """One sentence for the user; exit status 2."""


@dataclass(frozen=True)
class Name:
    kernel: str
    contender: str
    shape: str
    threads: int
    cold: bool

    @staticmethod
    def parse(text: str) -> Optional[Name]:
        match = NAME.fullmatch(text)
        if not match:
            return None
        parts = match.groupdict()
        return Name(parts["kernel"], parts["contender"], parts["shape"], int(parts["threads"]),
                    parts["cold"] is not None)

    @property
    def ours(self) -> bool:
        return "/" in self.contender or self.contender == "reference"

    @property
    def case(self) -> tuple[str, bool]:
        """What makes a row of a table."""
        return self.shape, self.cold

    @property
    def elements(self) -> Optional[int]:
        if not re.fullmatch(r"\d+(x\d+)*", self.shape):
            return None
        return math.prod(map(int, self.shape.split("x")))


@dataclass
class Samples:
    """The repetitions of one run: seconds per iteration, and what was counted."""

    seconds: list[float] = field(default_factory=list)
    counters: dict[str, list[float]] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def counter(self, name: str) -> Optional[float]:
        values = self.counters.get(name)
        return statistics.median(values) if values else None


@dataclass
class Pool:
    """All that the files hold."""

    runs: dict[str, Samples] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    contexts: list[tuple[str, dict]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def named(self) -> Iterator[tuple[Name, Samples]]:
        for text, samples in self.runs.items():
            name = Name.parse(text)
            if name:
                yield name, samples

    @property
    def default_backend(self) -> Optional[str]:
        found = (context.get("default_backend") for _, context in self.contexts)
        return next((str(backend) for backend in found if backend), None)


# Reading.

def read_json(path: str) -> dict:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UnusableInput(f"cannot read {path}: {reason}") from error
    if not text.strip():
        raise UnusableInput(f"{path} is empty; expected Google Benchmark's JSON (did the filter "
                            "match no benchmark?)")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableInput(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("benchmarks"), list):
        raise UnusableInput(f'{path} is not Google Benchmark\'s JSON: it has no list "benchmarks"')
    return content


def strip_library_suffixes(text: str) -> str:
    while True:
        shorter = LIBRARY_SUFFIX.sub("", text)
        if shorter == text:
            return text
        text = shorter


def run_name(run: dict) -> str:
    full = str(run.get("run_name") or run.get("name"))
    short = strip_library_suffixes(full)
    return short if Name.parse(short) else full


def usable(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value) and value > 0)


def add_run(pool: Pool, run: dict) -> bool:
    """False if the run has no usable time."""
    name = run_name(run)
    if run.get("error_occurred"):
        pool.refused.setdefault(name, str(run.get("error_message") or "no reason given"))
        return True
    if run.get("skipped"):
        pool.skipped.setdefault(name, str(run.get("skip_message") or "no reason given"))
        return True
    unit = SECONDS.get(str(run.get("time_unit", "ns")))
    if unit is None or not usable(run.get("real_time")):
        return False
    samples = pool.runs.setdefault(name, Samples())
    samples.seconds.append(run["real_time"] * unit)
    for counter in COUNTERS:
        if usable(run.get(counter)):
            samples.counters.setdefault(counter, []).append(run[counter])
    return True


def add_file(pool: Pool, path: str) -> None:
    content = read_json(path)
    context = content.get("context")
    pool.contexts.append((path, context if isinstance(context, dict) else {}))
    everything = [run for run in content["benchmarks"]
                  if isinstance(run, dict) and ("name" in run or "run_name" in run)]
    single = [run for run in everything
              if run.get("run_type", "iteration") == "iteration" and "aggregate_name" not in run]
    if not single:
        pool.warnings.append(
            f"{path} holds aggregates only; run without --benchmark_report_aggregates_only"
            if everything else f"{path} holds no runs")
    unusable = sum(not add_run(pool, run) for run in single)
    unusable += len(content["benchmarks"]) - len(everything)
    if unusable:
        pool.warnings.append(f"{path}: {unusable} entries without a name or a time were left out")


def context_warnings(pool: Pool) -> Iterator[str]:
    for key in ["cpu", "isa"]:
        values: dict[str, str] = {}
        for path, context in pool.contexts:
            if key in context:
                values.setdefault(" ".join(str(context[key]).split()), path)
        if len(values) > 1:
            listed = ", ".join(f"{value} ({path})" for value, path in values.items())
            yield f"the files differ in {key}, so their figures do not compare: {listed}"


# Statistics.

@functools.lru_cache(maxsize=None)
def rank_sum_counts(m: int, n: int) -> tuple[int, ...]:
    """How many orders of m and n samples have Mann and Whitney's U = 0, 1, ..., m*n."""
    if m == 0 or n == 0:
        return (1,)
    counts = [0] * (m * n + 1)
    for u, count in enumerate(rank_sum_counts(m - 1, n)):
        counts[u + n] += count
    for u, count in enumerate(rank_sum_counts(m, n - 1)):
        counts[u] += count
    return tuple(counts)


@functools.lru_cache(maxsize=None)
def interval_rank(m: int, n: int) -> Optional[int]:
    """Which of the sorted m*n ratios, from either end, bounds the interval; None: too few."""
    if m * n > 400:
        deviation = math.sqrt(m * n * (m + n + 1) / 12)
        z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        return max(0, math.floor(m * n / 2 - z * deviation) - 1)
    total = math.comb(m + n, m)
    if 2 > (1 - LEAST_CONFIDENCE) * total * (1 + 1e-9):
        return None
    rank, below = 0, 0
    for count in rank_sum_counts(m, n):
        below += count
        if 2 * below > (1 - CONFIDENCE) * total:
            break
        rank += 1
    return max(0, rank - 1)


def ratio_interval(peer: Samples, ours: Samples) -> Optional[tuple[float, float]]:
    """Mann and Whitney's interval for peer time / our time; assumes no distribution."""
    rank = interval_rank(len(peer.seconds), len(ours.seconds))
    if rank is None:
        return None
    ratios = sorted(p / o for p in peer.seconds for o in ours.seconds)
    # The ratio of medians, which the table shows, can lie outside for lopsided samples.
    ratio = peer.median / ours.median
    return min(ratio, ratios[rank]), max(ratio, ratios[-1 - rank])


def spread(samples: Optional[Samples]) -> str:
    """Half the interquartile range over the median, or the whole range with a mark."""
    if samples is None or len(samples.seconds) < 2:
        return "-"
    if len(samples.seconds) < SAMPLES_FOR_QUARTILES:
        width = max(samples.seconds) - min(samples.seconds)
        return f"{100 * width / samples.median:.1f}%*"
    low, _, high = statistics.quantiles(samples.seconds, n=4, method="inclusive")
    return f"{100 * (high - low) / 2 / samples.median:.1f}%"


# Rows.

@dataclass
class Row:
    name: Name
    backend: str
    ours: Optional[Samples]
    peer_name: str
    peer: Optional[Samples]
    speed_up: Optional[float]

    @property
    def ratio(self) -> Optional[float]:
        if self.ours is None or self.peer is None:
            return None
        return self.peer.median / self.ours.median

    @functools.cached_property
    def interval(self) -> Optional[tuple[float, float]]:
        if self.ours is None or self.peer is None:
            return None
        return ratio_interval(self.peer, self.ours)

    @property
    def noisy(self) -> bool:
        if self.ratio is None:
            return False
        if self.interval is None:
            return True
        return self.interval[1] - self.interval[0] > NOISY_WIDTH * self.ratio


Contenders = dict[str, Samples]


class Index:
    """Looks runs up by what a row needs."""

    def __init__(self, runs: Iterable[tuple[Name, Samples]]) -> None:
        self._cases: dict[tuple, dict[str, tuple[Name, Samples]]] = {}
        for name, samples in runs:
            key = (name.kernel, name.threads, name.case)
            self._cases.setdefault(key, {})[name.contender] = (name, samples)

    def groups(self) -> list[tuple[str, int]]:
        return sorted({(kernel, threads) for kernel, threads, _ in self._cases},
                      key=lambda group: (kernel_rank(group[0]), group))

    def cases(self, kernel: str, threads: int) -> list[tuple[str, bool]]:
        return [case for k, t, case in self._cases if (k, t) == (kernel, threads)]

    def contenders(self, kernel: str, threads: int, case: tuple[str, bool],
                   ours: bool) -> Contenders:
        found = self._cases.get((kernel, threads, case), {})
        return {c: samples for c, (name, samples) in found.items() if name.ours == ours}

    def peers(self, kernel: str, threads: int, case: tuple[str, bool]) -> Contenders:
        peers = self.contenders(kernel, threads, case, ours=False)
        plain = STANDS_IN_FOR.get(kernel)
        if plain:
            for peer, samples in self.contenders(plain, threads, case, ours=False).items():
                peers[f"{peer} ({plain})"] = samples
        return peers


def kernel_rank(kernel: str) -> int:
    return KERNEL_ORDER.index(kernel) if kernel in KERNEL_ORDER else len(KERNEL_ORDER)


def fastest(contenders: Contenders) -> Optional[str]:
    return min(contenders, key=lambda name: contenders[name].median, default=None)


def shown_backends(ours: Contenders, default: Optional[str], everything: bool) -> list[str]:
    """At least one name, so that a row with peers alone is shown too."""
    if everything and ours:
        return sorted(ours, key=lambda name: ours[name].median)
    return [default if default in ours else fastest(ours) or "-"]


def build_rows(index: Index, kernel: str, threads: int, default: Optional[str],
               everything: bool) -> Iterator[Row]:
    for case in index.cases(kernel, threads):
        ours = index.contenders(kernel, threads, case, ours=True)
        alone = index.contenders(kernel, 1, case, ours=True)
        peers = index.peers(kernel, threads, case)
        best = fastest(peers)
        for backend in shown_backends(ours, default, everything):
            mine = ours.get(backend)
            speed_up = None
            if mine and threads > 1 and backend in alone:
                speed_up = alone[backend].median / mine.median
            yield Row(Name(kernel, backend, case[0], threads, case[1]), backend, mine,
                      best or "-", peers[best] if best else None, speed_up)


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


def ratio_cell(row: Row) -> str:
    return "-" if row.ratio is None else ("~" if row.noisy else "") + f"{row.ratio:.2f}"


def interval_cell(row: Row) -> str:
    return f"{row.interval[0]:.2f}..{row.interval[1]:.2f}" if row.interval else "-"


def timesteps_cell(row: Row) -> str:
    rate = row.ours.counter("timesteps_per_second") if row.ours else None
    return "-" if rate is None else significant(rate / 1e6)


def columns_of(rows: list[Row], threads: int) -> list[Column]:
    shapes = [row.name.shape + (" cold" if row.name.cold else "") for row in rows]
    columns = [Column("shape", shapes, right=False),
               Column("backend", [row.backend for row in rows], right=False),
               figure_column("ours", [figure(row.name, row.ours) for row in rows])]
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
        Column("spread", [f"{spread(row.ours)} / {spread(row.peer)}" for row in rows])]
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
    "and Whitney); the whole range where there are too few for that.",
    f"~: too noisy to judge: the interval is wider than {NOISY_WIDTH:.0%} of the ratio, or there "
    "are too few repetitions for one. With five, one outlier is enough; more rounds help.",
    "undecided, in the last lines: the interval holds 1, or there is none.",
    "of peak: share of this machine's own limit, as measured in the same process.",
    "spread, ours / peer: half the interquartile range over the median; *: the whole range over "
    f"the median, for fewer than {SAMPLES_FOR_QUARTILES} repetitions.",
]


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
    for name, samples in pool.named():
        if name.kernel != "machine":
            continue
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
            Column("spread", [spread(samples) for samples in runs.values()])]


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
        yield from style.lines(LEGEND)
    yield from style.lines(summaries(everything, options.all_backends))


def report(pool: Pool, options: argparse.Namespace) -> Iterator[str]:
    style = Style(options.markdown)
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
