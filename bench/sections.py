"""What a report says of the runs in a pool, whatever form it takes: text, Markdown or a page."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Optional, Sequence

from comparison import (
    CONFIDENCE, NOISY_SPREAD, NOISY_WIDTH, SAMPLES_FOR_QUARTILES, Row, build_rows, kernels_index,
    spread)
from entries import says_something_else
from gb_results import CPU, Pool, Samples, context_warnings
from marks import (
    FALLBACK, SHARED, fallback_sentence, not_judged, shared_sentence)
from names import Name, work_of
from stacks import stack_lines
from tables import Column, figure_column, interval_text, percent, significant, time_figure
from texts import plural

PER_ELEMENT = {"tanh", "exp", "sigmoid", "relu", "softmax", "log_softmax", "loss",
               "update_sgd", "update_adamw", "update_rmsprop"}
BACK_THROUGH_TIME = {f"{cell}_{part}" for cell in ["rnn", "lstm", "gru"]
                     for part in ["backward", "train"]}
PYTHON_PEERS = {"pytorch", "onnxruntime", "numpy"}
PLAIN_RATES = {"bytes_per_second": "MB/s", "items_per_second": "M items/s",
               "flops_per_second": "MFLOP/s"}


LEGEND = [
    "ratio: time of the best peer over ours, medians; above 1, Lockstep is faster.",
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
    "clipping and update; but they always compute the gradient of the input too, which Lockstep, "
    "PyTorch and NumPy do not: D / (3D + 3H) of its training step's FLOP, a sixth where D = H.")
ABOUT_PYTHON = (
    "{peers}: run after all others in each round, in random order among themselves, so the "
    "machine may have changed in between; more rounds help.")


# Cells.


def figure_value(name: Name, samples: Samples) -> tuple[float, str]:
    """The number and its unit that say most about this kernel."""
    if name.kernel in PER_ELEMENT and name.elements:
        return samples.median * 1e9 / name.elements, "ns/element"
    for counter, unit in [("flops_per_second", "GFLOP/s"), ("bytes_per_second", "GB/s")]:
        rate = samples.counter(counter)
        if rate is not None:
            return rate / 1e9, unit
    return samples.median * 1e3, "ms"


def figure(name: Name, samples: Optional[Samples]) -> tuple[str, str]:
    if samples is None:
        return "-", ""
    value, unit = figure_value(name, samples)
    return time_figure(samples.median) if unit == "ms" else (significant(value), unit)


def our_figure(row: Row) -> tuple[str, str]:
    """Marked as noisy where there is no ratio to mark."""
    number, unit = figure(row.name, row.ours)
    return ("~" if row.noisy and row.ratio is None else "") + number, unit


def ratio_cell(row: Row) -> str:
    ratio = "-" if row.ratio is None else ("~" if row.noisy else "") + f"{row.ratio:.2f}"
    return ratio + row.marks


def spread_cell(samples: Optional[Samples]) -> str:
    """The whole range bears a mark."""
    width = spread(samples)
    if width is None:
        return "-"
    return f"{100 * width:.1f}%" + ("*" if len(samples.seconds) < SAMPLES_FOR_QUARTILES else "")


def timesteps_cell(row: Row) -> str:
    rate = row.ours.counter("timesteps_per_second") if row.ours else None
    return "-" if rate is None else significant(rate / 1e6)


def label_of(row: Row) -> str:
    return row.name.shape + (" cold" if row.name.cold else "")


def columns_of(rows: list[Row], threads: int) -> list[Column]:
    columns = [Column("shape", [label_of(row) for row in rows], right=False),
               Column("backend", [row.backend for row in rows], right=False),
               figure_column("ours", [our_figure(row) for row in rows])]
    timesteps = [timesteps_cell(row) for row in rows]
    if any(cell != "-" for cell in timesteps):
        columns.append(Column("M timesteps/s", timesteps))
    columns += [
        Column("best peer", [row.peer_name for row in rows], right=False),
        figure_column("peer", [figure(row.name, row.peer) for row in rows]),
        Column("ratio", [ratio_cell(row) for row in rows]),
        Column("interval", [interval_text(row.interval, 2) for row in rows]),
        Column("of peak", [percent(row.ours.counter("of_peak") if row.ours else None)
                           for row in rows]),
        Column("spread", [f"{spread_cell(row.ours)} / {spread_cell(row.peer)}" for row in rows])]
    if threads > 1:
        columns.append(Column("speed-up", [significant(row.speed_up) if row.speed_up else "-"
                                           for row in rows]))
    return columns


def plain_columns(runs: dict[str, Samples]) -> list[Column]:
    """Of programs whose names say nothing to us: times, and the rates that they counted."""
    columns = [Column("name", list(runs), right=False, names=True),
               figure_column("median", [time_figure(samples.median) for samples in runs.values()]),
               Column("spread", [spread_cell(samples) for samples in runs.values()])]
    cpu_times = [samples.counter(CPU) for samples in runs.values()]
    if any(says_something_else(cpu, samples.median)
           for cpu, samples in zip(cpu_times, runs.values())):
        columns.append(figure_column("CPU", [time_figure(cpu) if cpu else ("-", "")
                                             for cpu in cpu_times]))
    for counter, unit in PLAIN_RATES.items():
        rates = [samples.counter(counter) for samples in runs.values()]
        if any(rates):
            columns.append(Column(unit, ["-" if rate is None else significant(rate / 1e6)
                                         for rate in rates]))
    return columns


# Lines.


def legend(rows: Sequence[Row]) -> Iterator[str]:
    yield from LEGEND
    for gain in {row.gain for row in rows if row.gain}:
        yield f"{SHARED}: {shared_sentence(gain)}."
    fallbacks = {peer: lanes for row in rows for peer, lanes in row.fallbacks.items()}
    if fallbacks:
        yield f"{FALLBACK}: {fallback_sentence(fallbacks)}."
    kernels = {row.name.kernel for row in rows} & BACK_THROUGH_TIME
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


def header_lines(pool: Pool) -> dict[str, str]:
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
            ("ONNX Runtime", "onnxruntime_version"),
            ("CPU capability", "torch_cpu_capability"), ("BLAS of torch", "torch_blas"),
            ("Python", "python_version"),
            ("BLAS", "blas"), ("kernels", "openblas_core"),
            ("by itself", "openblas_own_core")])}
    return {title: line for title, line in lines.items() if line}


def summary(kernel: str, rows: Sequence[Row]) -> Optional[str]:
    judged = [row for row in rows if row.judged]
    unjudged = not_judged(sum(row.ratio is not None and not row.judged for row in rows))
    if not judged:
        return f"{kernel}: {', '.join(unjudged)}" if unjudged else None
    mean = statistics.geometric_mean([row.ratio for row in judged])
    wins = sum(row.interval is not None and row.interval[0] > 1 for row in judged)
    losses = sum(row.interval is not None and row.interval[1] < 1 for row in judged)
    undecided = len(judged) - wins - losses
    loss_word = "loss" if losses == 1 else "losses"
    counts = [plural(wins, "win"), f"{losses} {loss_word}", f"{undecided} undecided", *unjudged]
    return (f"{kernel}: geometric mean ratio {mean:.2f} over {plural(len(judged), 'row')}; "
            + ", ".join(counts))


def summaries(rows: Sequence[Row], by_backend: bool) -> Iterator[str]:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        title = f"{row.name.kernel}, {row.backend}" if by_backend else row.name.kernel
        parts.setdefault(title, []).append(row)
    yield from filter(None, (summary(title, part) for title, part in parts.items()))


def working_set(text: str) -> str:
    if not text.isdigit():
        return text
    size = int(text) // 1024
    return f"{size} KiB" if size < 1024 else f"{size / 1024:g} MiB"


def is_ours(text: str) -> bool:
    """Whatever is not known to be a peer counts, so that no refusal is overlooked."""
    name = Name.parse(text)
    return name is None or name.ours or name.kernel == "machine"


def wanted(text: str, pattern: re.Pattern[str]) -> bool:
    name = Name.parse(text)
    return pattern.search(name.kernel if name else text) is not None


def machine_line(pool: Pool) -> Optional[str]:
    """How far the machine's own limits moved while it was measured."""
    parts = []
    found = ((name, samples) for name, samples in pool.named() if name.kernel == "machine")
    for name, samples in sorted(found, key=lambda run: (run[0].contender, work_of(run[0].shape),
                                                        run[0].threads)):
        values, unit, scale = samples.seconds, "ns", 1e9
        for counter, its_unit in [("flops_per_second", "GFLOP/s"), ("bytes_per_second", "GB/s")]:
            if counter in samples.counters:
                values, unit, scale = samples.counters[counter], its_unit, 1e-9
                break
        low, middle, high = (significant(f(values) * scale)
                             for f in (min, statistics.median, max))
        what = name.contender + ("" if name.shape == "-" else f" of {working_set(name.shape)}")
        parts.append(f"{what}, {plural(name.threads, 'thread')}: {middle} {unit} ({low}..{high})")
    return "machine, median and range: " + "; ".join(parts) if parts else None


# The whole.

@dataclass
class Section:
    """A table, and the rows that it was made of where these are ours beside peers."""

    title: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)


@dataclass
class Report:
    header: list[str]
    warnings: list[str]
    sections: list[Section]
    legend: list[str]
    summaries: list[str]
    foreign: dict[str, Samples]  # runs whose names say nothing to us
    others: Optional[Section]    # the table of these
    machine: Optional[str]
    troubles: list[str]


def comparisons(pool: Pool, pattern: re.Pattern[str], all_backends: bool) -> Iterator[Section]:
    """One for each kernel and number of threads."""
    index = kernels_index(pool)
    for kernel, threads in index.groups():
        if pattern.search(kernel):
            rows = list(build_rows(index, kernel, threads, pool.default_backend, all_backends))
            yield Section(f"{kernel}, {plural(threads, 'thread')}", columns_of(rows, threads), rows)


def foreign_runs(pool: Pool, pattern: re.Pattern[str]) -> dict[str, Samples]:
    return {text: samples for text, samples in pool.runs.items()
            if Name.parse(text) is None and pattern.search(text)}


def troubles(pool: Pool, pattern: re.Pattern[str]) -> Iterator[str]:
    for title, runs in [("skipped", pool.skipped), ("refused", pool.refused)]:
        yield from (f"{title}: {name}: {message}" for name, message in runs.items()
                    if wanted(name, pattern))


def build_report(pool: Pool, pattern: re.Pattern[str], all_backends: bool) -> Report:
    sections = list(comparisons(pool, pattern, all_backends))
    rows = [row for section in sections for row in section.rows]
    foreign = foreign_runs(pool, pattern)
    return Report(
        header=[f"{title}: {line}" for title, line in header_lines(pool).items()],
        warnings=[f"warning: {text}" for text in [*pool.warnings, *context_warnings(pool)]],
        sections=sections,
        legend=list(legend(rows)) if rows else [],
        summaries=[*summaries(rows, all_backends), *stack_lines(rows)],
        foreign=foreign,
        others=Section("Other benchmarks", plain_columns(foreign)) if foreign else None,
        machine=machine_line(pool),
        troubles=list(troubles(pool, pattern)))
