"""The roofline: rates beside what the machine can do at the same FLOP per byte."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

from charts import WIDTH, Chart, family_of, number, put_legend, shortened
from comparison import kernel_rank
from gb_results import Pool, Samples
from sections import Report, label_of, working_set
from svg import INK, MARKERS, SERIES, SOFT, plt, tip, to_svg
from tables import Column
from texts import plural


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


def draw_roof(axes: object, roof: Roof, low: float, high: float) -> None:
    axes.set_xlim(low, high)
    starts = []
    for level, bandwidth in roof.bandwidths:
        turn = min(high, max(low * 2, roof.peak / bandwidth)) if roof.peak else high
        line = [(x, roof.at(x, bandwidth) / 1e9) for x in [low, turn]]
        axes.plot(*zip(*line), color=SOFT, linewidth=1)
        starts.append((f"{level}, {bandwidth / 1e9:.0f} GB/s", *line))
    if roof.peak:
        axes.axhline(roof.peak / 1e9, color=INK, linewidth=1.2)
        axes.annotate(f"multiply-add peak {roof.peak / 1e9:.0f} GFLOP/s", (high, roof.peak / 1e9),
                      fontsize=8, ha="right", xytext=(0, 4), textcoords="offset points")
    # Along the lines, whose slope is known when the limits are.
    axes.set_ylim(*axes.get_ylim())
    for text, start, end in starts:
        (x0, y0), (x1, y1) = axes.transData.transform([start, end])
        axes.annotate(text, start, color=SOFT, fontsize=8, rotation_mode="anchor",
                      rotation=math.degrees(math.atan2(y1 - y0, x1 - x0)), xytext=(5, 8),
                      textcoords="offset points")


def draw_roofline(points: Sequence[Point], roof: Roof, title: str) -> str:
    figure, axes = plt.subplots(figsize=(WIDTH, 4.2))
    low = min(p.intensity for p in points) / 4
    high = max(p.intensity for p in points) * 2
    kernels = sorted({p.kernel for p in points}, key=kernel_rank)
    for kernel, colour, marker in zip(kernels, itertools.cycle(SERIES), itertools.cycle(MARKERS)):
        for i, p in enumerate(q for q in points if q.kernel == kernel):
            mark, = axes.plot([p.intensity], [p.rate / 1e9], marker, color=colour, markersize=6,
                              label=shortened(kernel) if i == 0 else None)
            tip(mark, f"{kernel} {p.label}: {number(p.rate / 1e9)} GFLOP/s at "
                      f"{number(p.intensity)} FLOP/byte")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    draw_roof(axes, roof, low, high)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
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
        runs = [(family_of(name), name, s) for name, s in report.foreign.items()]
    points = list(points_of(runs))
    if not points:
        return None
    roof = roof_of(pool, threads)
    title = f"Roofline, {plural(threads, 'thread')}"
    about = ("What counts FLOP and bytes both, which of Lockstep's kernels the products alone do. "
             "Bytes are those of the operands, each counted once. " + (
        "The roof is what this machine did in the same run." if roof.peak or roof.bandwidths else
        "The file holds no measurement of the machine's own limits, so there is no roof."))
    return Chart(title, about, draw_roofline(points, roof, title),
                 roofline_columns(points, roof))
