"""RESULTS.md from the kept measurements: a summary, then one table for each question."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

from marks import FALLBACK, SHARED, fallback_sentence, not_judged, shared_sentence
from names import work_of
from results import Day, Result, Setting, newest_rows
from tables import Column, markdown_table, percent, significant
from texts import markdown_prose, plural


@dataclass(frozen=True)
class Question:
    title: str
    suites: tuple[str, ...]
    threads: int = 1
    shown: str = ""  # a pattern of the shapes that get a row; the summary counts them all


LAYERS = (r"^(20x60x1x50|1x1000x16x64|32x28x28x128|64x784x1x128|64x100x64x256|128x50x256x512|"
          r"64x25x512x1024|16x50x1760x1760)$")
STACKS = r"^(32x28x28x2x128-bidirectional|64x100x64x3x256)$"
GATED = ("lstm_train", "gru_train", "lstm_forward", "gru_forward")
PRODUCTS = (r"^(1x64x64|20x50x50|32x128x128|1x1024x1024|64x256x256|128x512x512|16x1760x1760|"
            r"1024x1024x1024|50x50x1200|512x512x6400)$")
QUESTIONS = [
    Question("Training, one thread", ("rnn_train",), 1, LAYERS),
    Question("Training, two threads", ("rnn_train",), 2, LAYERS),
    Question("Inference, one thread", ("rnn_forward",), 1, LAYERS),
    Question("Inference, two threads", ("rnn_forward",), 2, LAYERS),
    Question("Training with gates, one thread", ("lstm_train", "gru_train"), 1, LAYERS),
    Question("Training with gates, two threads", ("lstm_train", "gru_train"), 2, LAYERS),
    Question("Inference with gates, one thread", ("lstm_forward", "gru_forward"), 1, LAYERS),
    Question("Inference with gates, two threads", ("lstm_forward", "gru_forward"), 2, LAYERS),
    Question("Stacks with gates, one thread", GATED, 1, STACKS),
    Question("Stacks with gates, two threads", GATED, 2, STACKS),
    Question("Products, one thread: plain, with B packed beforehand, gradients of weights",
             ("gemm", "gemm_packed", "gemm_tn"), 1, PRODUCTS),
    Question("Products, two threads", ("gemm",), 2, r"^(64x256x256|128x512x512|1024x1024x1024)$"),
    Question("Functions of arrays, one thread", ("tanh", "exp", "sigmoid", "relu"), 1, r"^4096$"),
    Question("Softmax, one thread", ("softmax", "log_softmax"), 1, r"^64x10+$"),
    Question("Start-up and size", ("startup", "size")),
]

INTRODUCTION = """\
# Results

Made by `./dev bench report` from [results/](results): one file for each machine and day, with all
rows, every peer and the 95 % intervals. `./dev bench --save "NAME OF THE MACHINE"` adds to it;
[README.md](README.md) says what is measured and how.

- A table shows, of each machine and vector width, the newest day that has an answer: Lockstep's
  figure (share of the machine's own limit), then its speed divided by that of the best peer.
  **Above 1 Lockstep is faster.**
- `~`: too noisy to judge: the interval is wider than 10 % of the ratio, or not known.
- GFLOP/s: more is better; ns/element, us and MB: less is better. Shapes: m x n x k of products;
  sequences x timesteps x features x units of a layer, x layers x units of a stack; rows x columns.
- oneDNN does the recurrent layer of a training step alone, without output layer, loss, clipping and
  update, but always the gradient of the inputs too, up to a sixth of its work.
"""


# Cells.

def ours_cell(row: Optional[Result]) -> str:
    if row is None:
        return "-"
    share = f" ({percent(row.of_peak)})" if row.of_peak is not None else ""
    return f"{significant(row.ours)}{share}"


def ratio_cell(row: Optional[Result]) -> str:
    if row is None or row.ratio is None:
        return "-"
    return f"{'~' if row.noisy else ''}{row.ratio:.2f} {row.best}{row.marks}"


def columns_of(found: dict[Setting, dict[tuple[str, str], Result]],
               keys: Sequence[tuple[str, str]], several: bool) -> Iterator[Column]:
    yield Column("shape", [f"{suite} {shape}" if several else shape for suite, shape in keys],
                 right=False)
    for setting, rows in found.items():
        units = " or ".join(dict.fromkeys(rows[key].unit for key in keys if key in rows))
        yield Column(f"{setting}: {units}", [ours_cell(rows.get(key)) for key in keys])
        yield Column("ratio", [ratio_cell(rows.get(key)) for key in keys])


def table_of(question: Question, days: Sequence[Day]) -> Iterator[str]:
    found = {}
    for setting, rows in newest_rows(days, question.suites, question.threads).items():
        shown = {(row.suite, row.shape): row for row in rows
                 if re.search(question.shown, row.shape)}
        if shown:
            found[setting] = shown
    if not found:
        return
    keys = sorted({key for rows in found.values() for key in rows},
                  key=lambda key: (question.suites.index(key[0]), work_of(key[1]), key[1]))
    yield from ["", f"## {question.title}", ""]
    yield from markdown_table(list(columns_of(found, keys, len(question.suites) > 1)))


# The summary.

def mean_ratio(rows: Iterable[Result]) -> Optional[float]:
    ratios = [row.ratio for row in rows if row.judged]
    return statistics.geometric_mean(ratios) if ratios else None


def summary_cell(rows: Sequence[Result]) -> str:
    judged = [row for row in rows if row.judged]
    unjudged = not_judged(sum(row.ratio is not None and not row.judged for row in rows))
    if not judged:
        return ", ".join(unjudged) or "-"
    wins = sum(row.interval is not None and row.interval[0] > 1 for row in judged)
    losses = sum(row.interval is not None and row.interval[1] < 1 for row in judged)
    counts = ", ".join(map(str, [wins, losses, len(judged) - wins - losses, *unjudged]))
    return f"{mean_ratio(judged):.2f} ({counts})"


def summary(days: Sequence[Day]) -> Iterator[str]:
    cases = dict.fromkeys((suite, question.threads) for question in QUESTIONS
                          for suite in question.suites)
    answers = {case: newest_rows(days, [case[0]], case[1]) for case in cases}
    answers = {case: found for case, found in answers.items()
               if any(row.ratio is not None for rows in found.values() for row in rows)}
    settings = list(dict.fromkeys(setting for found in answers.values() for setting in found))
    yield from ["## Summary", "",
                "The geometric mean of the ratios to the best peer over all shapes, and how many",
                "are wins, losses and undecided (the interval holds 1).", ""]
    yield from markdown_table([
        Column("suite", [f"{suite}, {plural(threads, 'thread')}" for suite, threads in answers],
               right=False),
        *(Column(str(setting), [summary_cell(found.get(setting, [])) for found in answers.values()])
          for setting in settings)])


def explained_marks(days: Sequence[Day]) -> Iterator[str]:
    """Of those alone that a row bears."""
    rows = [(day, row) for day in days for run in day.runs for row in run.rows]
    gains: dict[str, list[float]] = {}
    for day, row in rows:
        if row.gain:
            gains.setdefault(day.machine, []).append(row.gain)
    yield from (f"- `{SHARED}`: on {markdown_prose(machine)} {shared_sentence(max(found))}."
                for machine, found in gains.items())
    fallbacks = {peer: lanes for _, row in rows for peer, lanes in row.fallbacks.items()}
    if fallbacks:
        yield f"- `{FALLBACK}`: {fallback_sentence(fallbacks)}."


def listing(values: Iterable[Optional[str]], between: str) -> str:
    return between.join(dict.fromkeys(filter(None, values)))


def source_of(day: Day) -> str:
    peaks: dict[str, float] = {}
    for run in day.runs:
        peaks |= run.peak_gflops
    limits = ", ".join(f"{peaks[threads]:g} on {threads}" for threads in sorted(peaks, key=int))
    machines = (re.sub(", isa .*", "", run.about.get("machine", "")) for run in day.runs)
    parts = [listing((run.commit or "not recorded" for run in day.runs), ", "),
             listing(machines, " or "), f"peak in GFLOP/s by threads: {limits}" if limits else "",
             listing((run.source for run in day.runs), "; ")]
    about = f"{day.date}: commit {'; '.join(filter(None, parts))}"
    return f"- **{markdown_prose(day.machine)}**, {markdown_prose(about)}"


def results_page(days: Sequence[Day]) -> str:
    lines = [*INTRODUCTION.splitlines(), *explained_marks(days), "", *summary(days)]
    for question in QUESTIONS:
        lines += table_of(question, days)
    return "\n".join([*lines, "", "## Measured with", "", *map(source_of, days)])
