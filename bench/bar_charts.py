"""Bars: Lockstep beside the peers by shape, all kernels in one chart, and other projects' times."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Callable, Iterator, Optional, Sequence

from charts import (
    MOST_FAMILIES, MOST_ROWS, Chart, family_of, most_of, number, put_legend, ratio_axis,
    rows_figure)
from comparison import Index, Row
from gb_results import Samples
from sections import Report, Section, label_of
from svg import CARD, INK, MARKERS, SERIES, tip, to_svg
from tables import Column, time_figure


@dataclass(frozen=True)
class Metric:
    """What a bar's length means; more is better, but for time."""

    counter: Optional[str]
    unit: str
    scale: float

    def of(self, samples: Samples) -> Optional[float]:
        if self.counter:
            rate = samples.counter(self.counter)
            return None if rate is None else rate * self.scale
        return samples.median * self.scale


RATES = [Metric("flops_per_second", "GFLOP/s", 1e-9), Metric("bytes_per_second", "GB/s", 1e-9)]
TIME = Metric(None, "ms", 1e3)


def metric_for(everything: Sequence[Samples]) -> Metric:
    """The first rate that was counted for all, else the time."""
    return next((rate for rate in RATES if all(rate.of(s) is not None for s in everything)), TIME)


@dataclass
class Group:
    """Of one kernel and number of threads: by row, ours and all peers."""

    labels: list[str]
    ours: list[Optional[Samples]]
    peers: dict[str, list[Optional[Samples]]]

    @property
    def everything(self) -> list[Samples]:
        return [s for column in [self.ours, *self.peers.values()] for s in column if s]


def group_of(index: Index, section: Section, label: Callable[[Row], str]) -> Group:
    beside = [index.peers(row.name.kernel, row.name.threads, row.name.case)
              for row in section.rows]
    names = sorted({name for peers in beside for name in peers})
    return Group([label(row) for row in section.rows], [row.ours for row in section.rows],
                 {name: [peers.get(name) for peers in beside] for name in names})


def bar_columns(group: Group, metric: Metric) -> list[Column]:
    def cells(column: Sequence[Optional[Samples]]) -> list[str]:
        return [number(metric.of(s)) if s else "-" for s in column]

    return [Column("shape", group.labels, right=False),
            Column(f"ours {metric.unit}", cells(group.ours)),
            *(Column(f"{name} {metric.unit}", cells(column))
              for name, column in group.peers.items())]


def styles_of(index: Index) -> dict[str, tuple[str, str]]:
    """Colour and marker of every peer, the same in all charts."""
    names = sorted({name for kernel, threads in index.groups()
                    for case in index.cases(kernel, threads)
                    for name in index.peers(kernel, threads, case)})
    # The lengths of the two have no common divisor, so that pairs differ for long.
    return dict(zip(names, zip(itertools.cycle(SERIES[1:]), itertools.cycle(MARKERS[1:]))))


def draw_bars(group: Group, metric: Metric, title: str,
              styles: dict[str, tuple[str, str]]) -> str:
    figure, axes = rows_figure(group.labels)

    def said(who: str, row: int, value: float) -> str:
        return f"{group.labels[row]}, {who}: {number(value)} {metric.unit}"

    for row, samples in enumerate(group.ours):
        value = metric.of(samples) if samples else None
        if value is not None:
            bar, = axes.barh([row], [value], height=0.62, color=SERIES[0], alpha=0.6,
                             label=None if axes.patches else "ours")
            tip(bar, said("ours", row, value))
    for name, column in group.peers.items():
        colour, marker = styles[name]
        found = [(row, metric.of(s)) for row, s in enumerate(column) if s and metric.of(s)]
        for i, (row, value) in enumerate(found):
            mark, = axes.plot([value], [row], marker, color=colour, markersize=6.5,
                              markeredgecolor=CARD, markeredgewidth=0.7,
                              label=name if i == 0 else None)
            tip(mark, said(name, row, value))
    if metric is TIME:
        axes.set_xscale("log")
    axes.set_xlabel(metric.unit + (", less is better; logarithmic" if metric is TIME else ""))
    put_legend(axes)
    return to_svg(figure, f"{title}: bars of Lockstep and marks of the peers, numbers in the table")


def bars(index: Index, section: Section, all_backends: bool) -> Chart:
    label = (lambda row: f"{label_of(row)} {row.backend}") if all_backends else label_of
    group = group_of(index, section, label)
    metric = metric_for(group.everything)
    return Chart(section.title, "", draw_bars(group, metric, section.title, styles_of(index)),
                 bar_columns(group, metric))


# One chart of all kernels.

def overview(report: Report) -> Optional[Chart]:
    rows = [(section.title, [row.ratio for row in section.rows if row.judged])
            for section in report.sections]
    rows = [(title, ratios) for title, ratios in rows if ratios]
    if not rows:
        return None
    figure, axes = rows_figure([title for title, _ in rows])
    for row, (title, ratios) in enumerate(rows):
        mean = geometric_mean(ratios)
        axes.plot([min(ratios), max(ratios)], [row, row], color=SERIES[0], alpha=0.35, linewidth=6,
                  solid_capstyle="butt", label="range over the shapes" if row == 0 else None)
        mark, = axes.plot([mean], [row], "o", color=SERIES[0], markersize=8,
                          label="geometric mean" if row == 0 else None)
        tip(mark, f"{title}: {mean:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    axes.axvline(1, color=INK, linewidth=1)
    ratio_axis(axes, axes.xaxis, [r for _, ratios in rows for r in ratios])
    axes.set_xlabel("time of the best peer over Lockstep's; right of 1, Lockstep is faster")
    put_legend(axes)
    columns = [Column("kernel", [title for title, _ in rows], right=False),
               Column("geometric mean", [f"{geometric_mean(r):.2f}" for _, r in rows]),
               Column("smallest", [f"{min(r):.2f}" for _, r in rows]),
               Column("largest", [f"{max(r):.2f}" for _, r in rows]),
               Column("shapes", [str(len(r)) for _, r in rows])]
    return Chart("All kernels", "Lockstep beside the best peer of each shape.",
                 to_svg(figure, "All kernels: the best peer's time over Lockstep's"), columns)


# Other projects' benchmarks.

def families_of(report: Report) -> dict[str, list[tuple[str, Samples]]]:
    families: dict[str, list[tuple[str, Samples]]] = {}
    for name, samples in report.foreign.items():
        families.setdefault(family_of(name), []).append((name, samples))
    return families


def foreign(report: Report) -> Iterator[Chart]:
    for family, runs in itertools.islice(families_of(report).items(), MOST_FAMILIES):
        runs, more = most_of(runs, MOST_ROWS)
        figure, axes = rows_figure([name for name, _ in runs])
        for row, (name, samples) in enumerate(runs):
            bar, = axes.barh([row], [samples.median], height=0.62, color=SERIES[0])
            tip(bar, f"{name}: {' '.join(time_figure(samples.median))}")
        medians = [samples.median for _, samples in runs]
        is_wide = max(medians) > 20 * min(medians)
        if is_wide:
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: " ".join(time_figure(x)) if x > 0 else "0")
        axes.tick_params(axis="x", labelsize=8)
        axes.set_xlabel("time of one iteration, less is better" + "; logarithmic" * is_wide)
        columns = [Column("name", [name for name, _ in runs], right=False),
                   Column("median", [" ".join(time_figure(value)) for value in medians])]
        yield Chart(family, more.strip(), to_svg(figure, f"{family}: times, numbers in the table"),
                    columns)
