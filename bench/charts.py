"""The charts of a report, each with a table of all its numbers."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Optional, Sequence

from comparison import Index, Row, kernel_rank, work_of
from gb_results import Name, Pool, Samples
from sections import Report, Section, working_set
from svg import CARD, INK, MARKERS, RULE, SERIES, SOFT, plt, tip, to_svg
from tables import Column, plural, significant, time_figure

WIDTH = 6.4        # inches
ROW_HEIGHT = 0.24
LONGEST_LABEL = 44


@dataclass
class Chart:
    title: str
    about: str
    svg: str
    columns: list[Column]


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


def geometric_mean(values: Iterable[float]) -> float:
    return statistics.geometric_mean(list(values))


def number(value: Optional[float]) -> str:
    return "-" if value is None else significant(value)


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
    axes.set_axisbelow(True)
    return figure, axes


def put_legend(axes: object, columns: int = 4) -> None:
    handles, labels = axes.get_legend_handles_labels()
    # Matplotlib puts lines before bars.
    order = sorted(range(len(labels)), key=lambda i: labels[i] != "ours")
    axes.legend([handles[i] for i in order], [labels[i] for i in order], loc="lower left",
                bbox_to_anchor=(0, 1), ncols=columns, handletextpad=0.4, columnspacing=1.2,
                borderaxespad=0.2)


# Bars: ours beside the peers.

@dataclass
class Group:
    """Of one kernel and number of threads: by row, ours and all peers."""

    labels: list[str]
    ours: list[Optional[Samples]]
    peers: dict[str, list[Optional[Samples]]]

    @property
    def everything(self) -> list[Samples]:
        return [s for column in [self.ours, *self.peers.values()] for s in column if s]


def label_of(row: Row) -> str:
    return row.name.shape + (" cold" if row.name.cold else "")


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


def draw_bars(group: Group, metric: Metric, title: str) -> str:
    figure, axes = rows_figure(group.labels)

    def said(who: str, row: int, value: float) -> str:
        return f"{group.labels[row]}, {who}: {number(value)} {metric.unit}"

    for row, samples in enumerate(group.ours):
        value = metric.of(samples) if samples else None
        if value is not None:
            bar, = axes.barh([row], [value], height=0.62, color=SERIES[0], alpha=0.6,
                             label=None if axes.patches else "ours")
            tip(bar, said("ours", row, value))
    styles = itertools.cycle(zip(SERIES[1:], MARKERS[1:]))
    for (name, column), (colour, marker) in zip(group.peers.items(), styles):
        found = [(row, metric.of(s)) for row, s in enumerate(column) if s and metric.of(s)]
        for i, (row, value) in enumerate(found):
            mark, = axes.plot([value], [row], marker, color=colour, markersize=6.5,
                              markeredgecolor=CARD, markeredgewidth=0.7,
                              label=name if i == 0 else None)
            tip(mark, said(name, row, value))
    if metric is TIME:
        axes.set_xscale("log")
    axes.set_xlabel(metric.unit + (", less is better" if metric is TIME else ""))
    put_legend(axes)
    return to_svg(figure, f"{title}: bars of ours and marks of the peers, numbers in the table")


def bars(index: Index, section: Section, all_backends: bool) -> Chart:
    label = (lambda row: f"{label_of(row)} {row.backend}") if all_backends else label_of
    group = group_of(index, section, label)
    metric = metric_for(group.everything)
    return Chart(section.title, "", draw_bars(group, metric, section.title),
                 bar_columns(group, metric))


# One chart of all kernels.

def overview(report: Report) -> Optional[Chart]:
    rows = [(section.title, [row.ratio for row in section.rows if row.ratio is not None])
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
    axes.set_xlabel("time of the best peer over ours; right of 1, ours is faster")
    put_legend(axes)
    columns = [Column("kernel", [title for title, _ in rows], right=False),
               Column("geometric mean", [f"{geometric_mean(r):.2f}" for _, r in rows]),
               Column("smallest", [f"{min(r):.2f}" for _, r in rows]),
               Column("largest", [f"{max(r):.2f}" for _, r in rows]),
               Column("shapes", [str(len(r)) for _, r in rows])]
    return Chart("All kernels", "Ours beside the best peer of each shape.",
                 to_svg(figure, "All kernels: ratio of the best peer's time to ours"), columns)


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


# Roofline.

@dataclass
class Roof:
    peak: Optional[float]                   # FLOP/s
    bandwidths: list[tuple[str, float]]     # level, bytes/s, fastest first

    def at(self, intensity: float, bandwidth: float) -> float:
        return min(self.peak or math.inf, intensity * bandwidth)


def roof_of(pool: Pool, threads: int) -> Roof:
    """The most that was measured of the machine's own limits."""
    flops: list[float] = []
    levels: list[tuple[str, float]] = []
    for name, samples in pool.named():
        if name.kernel != "machine" or name.threads != threads:
            continue
        flops += samples.counters.get("flops_per_second", [])
        if "bytes_per_second" in samples.counters:
            level = f"copy of {working_set(name.shape)}"
            levels.append((level, max(samples.counters["bytes_per_second"])))
    return Roof(max(flops, default=None), sorted(levels, key=lambda level: -level[1]))


@dataclass
class Point:
    kernel: str
    label: str
    intensity: float
    rate: float


def points_of(runs: Iterable[tuple[str, str, Samples]]) -> Iterator[Point]:
    """Of all that count FLOP and bytes both."""
    for kernel, label, samples in runs:
        flops, moved = samples.counter("flops_per_second"), samples.counter("bytes_per_second")
        if flops and moved:
            yield Point(kernel, label, flops / moved, flops)


def our_runs(report: Report, threads: int) -> Iterator[tuple[str, str, Samples]]:
    for section in report.sections:
        for row in section.rows:
            if row.ours and row.name.threads == threads and not row.name.cold:
                yield row.name.kernel, label_of(row), row.ours


def draw_roofline(points: Sequence[Point], roof: Roof, title: str) -> str:
    figure, axes = plt.subplots(figsize=(WIDTH, 4.2))
    low = min(p.intensity for p in points) / 2
    high = max(p.intensity for p in points) * 2
    for level, bandwidth in roof.bandwidths:
        turn = min(high, max(low, roof.peak / bandwidth)) if roof.peak else high
        xs = [low, turn]
        axes.plot(xs, [roof.at(x, bandwidth) / 1e9 for x in xs], color=SOFT, linewidth=1)
        axes.annotate(f"{level}, {bandwidth / 1e9:.0f} GB/s", (low, roof.at(low, bandwidth) / 1e9),
                      color=SOFT, fontsize=8, xytext=(3, 4), textcoords="offset points")
    if roof.peak:
        axes.axhline(roof.peak / 1e9, color=INK, linewidth=1.2)
        axes.annotate(f"multiply-add peak {roof.peak / 1e9:.0f} GFLOP/s", (high, roof.peak / 1e9),
                      fontsize=8, ha="right", xytext=(0, 4), textcoords="offset points")
    kernels = sorted({p.kernel for p in points}, key=kernel_rank)
    for kernel, colour, marker in zip(kernels, itertools.cycle(SERIES), itertools.cycle(MARKERS)):
        for i, p in enumerate(q for q in points if q.kernel == kernel):
            mark, = axes.plot([p.intensity], [p.rate / 1e9], marker, color=colour, markersize=6,
                              label=shortened(kernel) if i == 0 else None)
            tip(mark, f"{kernel} {p.label}: {number(p.rate / 1e9)} GFLOP/s at "
                      f"{number(p.intensity)} FLOP/byte")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xlim(low, high)
    axes.grid()
    axes.set_xlabel("FLOP per byte of the operands")
    axes.set_ylabel("GFLOP/s")
    put_legend(axes)
    return to_svg(figure, f"{title}: rates under the machine's limits, numbers in the table")


def roofline_columns(points: Sequence[Point], roof: Roof) -> list[Column]:
    columns = [Column("case", [f"{p.kernel} {p.label}" for p in points], right=False),
               Column("FLOP/byte", [number(p.intensity) for p in points]),
               Column("GFLOP/s", [number(p.rate / 1e9) for p in points])]
    if roof.peak:
        columns.append(Column("of the peak", [f"{p.rate / roof.peak:.0%}" for p in points]))
    columns += [Column(f"roof of {level}, GFLOP/s",
                       [number(roof.at(p.intensity, bandwidth) / 1e9) for p in points])
                for level, bandwidth in roof.bandwidths]
    return columns


def roofline(pool: Pool, report: Report, threads: int) -> Optional[Chart]:
    runs = list(our_runs(report, threads))
    if not runs and threads == 1:
        runs = [(family_of(name), name, s) for name, s in foreign_runs(pool, report)]
    points = list(points_of(runs))
    if not points:
        return None
    roof = roof_of(pool, threads)
    title = f"Roofline, {plural(threads, 'thread')}"
    about = ("Bytes are those of the operands, each counted once. " + (
        "The roof is what this machine did in the same run." if roof.peak or roof.bandwidths else
        "The file holds no measurement of the machine's own limits, so there is no roof."))
    return Chart(title, about, draw_roofline(points, roof, title),
                 roofline_columns(points, roof))


# Thread scaling.

# Kernel, shape: threads to seconds.
Times = dict[tuple[str, str], dict[int, float]]
FOREIGN_THREADS = re.compile(r"/threads:(\d+)")


def times_by_threads(pool: Pool, report: Report) -> Times:
    times: Times = {}
    for section in report.sections:
        for row in section.rows:
            if row.ours:
                found = times.setdefault((row.name.kernel, label_of(row)), {})
                found.setdefault(row.name.threads, row.ours.median)
    for name, samples in foreign_runs(pool, report):
        match = FOREIGN_THREADS.search(name)
        if match:
            bare = FOREIGN_THREADS.sub("", name)
            found = times.setdefault((family_of(bare), bare), {})
            found[int(match.group(1))] = samples.median
    return {key: found for key, found in times.items() if 1 in found and len(found) > 1}


def scaling(pool: Pool, report: Report) -> Optional[Chart]:
    times = times_by_threads(pool, report)
    if not times:
        return None
    counts = sorted({threads for found in times.values() for threads in found})
    kernels = list(dict.fromkeys(kernel for kernel, _ in times))
    figure, axes = plt.subplots(figsize=(WIDTH, 3.8))
    axes.plot(counts, counts, "--", color=SOFT, linewidth=1, label="as many times as threads")
    means: list[float] = []
    for kernel, colour, marker in zip(kernels, itertools.cycle(SERIES), itertools.cycle(MARKERS)):
        line = []
        for threads in counts:
            ratios = [found[1] / found[threads] for (k, _), found in times.items()
                      if k == kernel and threads in found]
            if ratios:
                line.append((threads, geometric_mean(ratios)))
        means += [mean for _, mean in line]
        axes.plot(*zip(*line), marker + "-", color=colour, label=shortened(kernel))
        for threads, mean in line:
            mark, = axes.plot([threads], [mean], marker, color=colour)
            tip(mark, f"{kernel}, {plural(threads, 'thread')}: {mean:.2f} times one thread")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xticks([], minor=True)
    ratio_axis(axes, axes.yaxis, [*means, *map(float, counts)])
    axes.grid()
    axes.set_xlabel("threads")
    axes.set_ylabel("times one thread")
    put_legend(axes, columns=3)
    keys = list(times)
    columns = [Column("kernel", [kernel for kernel, _ in keys], right=False),
               Column("shape", [shape for _, shape in keys], right=False)]
    for threads in counts[1:]:
        columns.append(Column(plural(threads, "thread"), [
            f"{times[key][1] / times[key][threads]:.2f}" if threads in times[key] else "-"
            for key in keys]))
    return Chart("Thread scaling", "Speed on several threads over that on one, ours; lines are "
                 "geometric means over the shapes.",
                 to_svg(figure, "Thread scaling: speed over that of one thread"), columns)


# History.

def point_of_time(pool: Pool) -> str:
    dates = sorted(pool.in_contexts("date"))
    return dates[0][:16].replace("T", " ") if dates else pool.contexts[0][0]


def kernel_of(text: str) -> str:
    name = Name.parse(text)
    return name.kernel if name else family_of(text)


def shown_names(report: Report, pool: Pool) -> list[str]:
    """Ours, the machine's own and foreign ones: peers have no history here."""
    shown = {(row.name.kernel, row.name.threads, row.name.case, row.backend)
             for section in report.sections for row in section.rows}
    foreign = {name for name, _ in foreign_runs(pool, report)}
    found = []
    for text in pool.runs:
        name = Name.parse(text)
        if text in foreign or name and (
                (name.kernel, name.threads, name.case, name.contender) in shown
                or name.kernel == "machine" and name.contender.startswith("fma")):
            found.append(text)
    return found


def history(pools: Sequence[Pool], report: Report) -> Optional[Chart]:
    """The last pool is the present, to which all others are compared."""
    if len(pools) < 2:
        return None
    present = pools[-1]
    times: dict[str, list[Optional[float]]] = {
        name: [pool.runs[name].median if name in pool.runs else None for pool in pools]
        for name in shown_names(report, present)}
    dates = [point_of_time(pool) for pool in pools]
    kernels = sorted(dict.fromkeys(map(kernel_of, times)),
                     key=lambda kernel: (kernel == "machine", kernel_rank(kernel)))
    figure, axes = plt.subplots(figsize=(WIDTH, 3.8))
    everything = []
    for kernel, colour, marker in zip(kernels, itertools.cycle(SERIES), itertools.cycle(MARKERS)):
        line = []
        for i in range(len(pools)):
            ratios = [values[i] / values[-1] for name, values in times.items()
                      if kernel_of(name) == kernel and values[i]]
            if ratios:
                line.append((i, geometric_mean(ratios)))
        is_machine = kernel == "machine"
        label = "the machine's own speed" if is_machine else shortened(kernel)
        axes.plot(*zip(*line), marker + ("--" if is_machine else "-"), label=label,
                  color=INK if is_machine else colour)
        for i, mean in line:
            mark, = axes.plot([i], [mean], marker, color=INK if is_machine else colour)
            tip(mark, f"{kernel}, {dates[i]}: {mean:.3f} of the present time")
        everything += [mean for _, mean in line]
    axes.set_xticks(range(len(pools)), dates, rotation=30, ha="right")
    ratio_axis(axes, axes.yaxis, everything)
    axes.axhline(1, color=RULE, linewidth=1)
    axes.grid()
    axes.set_ylabel("time, present = 1")
    put_legend(axes, columns=3)
    columns = [Column("name", list(times), right=False),
               *(Column(date, [" ".join(time_figure(values[i])) if values[i] else "-"
                               for values in times.values()]) for i, date in enumerate(dates))]
    return Chart("History", "Time over that of the present, geometric means; less is faster. "
                 "Points of time on shared machines differ by factors for the machine alone.",
                 to_svg(figure, "History: time over that of the present"), columns)


# Other projects' benchmarks.

def family_of(name: str) -> str:
    return re.split(r"[/<]", name, maxsplit=1)[0]


def foreign_runs(pool: Pool, report: Report) -> list[tuple[str, Samples]]:
    names = report.others.columns[0].cells if report.others else []
    return [(name, pool.runs[name]) for name in names]


def foreign(pool: Pool, report: Report) -> Iterator[Chart]:
    families: dict[str, list[tuple[str, Samples]]] = {}
    for name, samples in foreign_runs(pool, report):
        families.setdefault(family_of(name), []).append((name, samples))
    for family, runs in families.items():
        figure, axes = rows_figure([name for name, _ in runs])
        for row, (name, samples) in enumerate(runs):
            bar, = axes.barh([row], [samples.median], height=0.62, color=SERIES[0])
            tip(bar, f"{name}: {' '.join(time_figure(samples.median))}")
        medians = [samples.median for _, samples in runs]
        if max(medians) > 20 * min(medians):
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: " ".join(time_figure(x)) if x > 0 else "0")
        axes.tick_params(axis="x", labelsize=8)
        axes.set_xlabel("time of one iteration, less is better")
        columns = [Column("name", [name for name, _ in runs], right=False),
                   Column("median", [" ".join(time_figure(value)) for value in medians])]
        yield Chart(family, "", to_svg(figure, f"{family}: times, numbers in the table"), columns)
