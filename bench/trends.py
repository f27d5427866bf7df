"""Lines over the number of threads, and over time."""

from __future__ import annotations

import itertools
import re
from statistics import geometric_mean
from typing import Optional, Sequence

from charts import (
    MOST_LINES, WIDTH, Chart, family_of, most_of, put_legend, ratio_axis, shortened)
from comparison import kernel_rank
from gb_results import Pool, context_warnings
from marks import shared_gain, shared_sentence
from names import Name
from sections import Report, label_of
from svg import INK, MARKERS, RULE, SERIES, SOFT, plt, tip, to_svg
from tables import Column, time_figure
from texts import plural


# Thread scaling.

# Kernel, shape, backend (of foreign ones none): threads to seconds.
Times = dict[tuple[str, str, str], dict[int, float]]
FOREIGN_THREADS = re.compile(r"/threads:([1-9]\d{0,8})(?=/|$)")


def times_by_threads(report: Report) -> Times:
    times: Times = {}
    for section in report.sections:
        for row in section.rows:
            if row.ours:
                found = times.setdefault((row.name.kernel, label_of(row), row.backend), {})
                found[row.name.threads] = row.ours.median
    for name, samples in report.foreign.items():
        match = FOREIGN_THREADS.search(name)
        if match:
            bare = FOREIGN_THREADS.sub("", name)
            found = times.setdefault((family_of(bare), bare, ""), {})
            found[int(match.group(1))] = samples.median
    return {key: found for key, found in times.items() if 1 in found and len(found) > 1}


def scaling(pool: Pool, report: Report) -> Optional[Chart]:
    times = times_by_threads(report)
    gain = shared_gain(pool.peaks)
    if not times:
        return None
    counts = sorted({threads for found in times.values() for threads in found})
    kernels, left_out = most_of(list(dict.fromkeys(kernel for kernel, _, _ in times)), MOST_LINES)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.8))
    axes.plot(counts, counts, "--", color=SOFT, linewidth=1, label="as many times as threads")
    means: list[float] = []
    for kernel, colour, marker in zip(kernels, itertools.cycle(SERIES), itertools.cycle(MARKERS)):
        line = []
        for threads in counts:
            ratios = [found[1] / found[threads] for (k, _, _), found in times.items()
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
    columns = [Column(heading, list(cells), right=False)
               for heading, cells in zip(["kernel", "shape", "backend"], zip(*keys)) if any(cells)]
    for threads in counts[1:]:
        columns.append(Column(plural(threads, "thread"), [
            f"{times[key][1] / times[key][threads]:.2f}" if threads in times[key] else "-"
            for key in keys]))
    return Chart("Thread scaling", "Speed on several threads over that on one, ours; lines are "
                 f"geometric means over the shapes.{left_out}"
                 + (f" Here {shared_sentence(gain)}." if gain else ""),
                 to_svg(figure, "Thread scaling: speed over that of one thread"), columns)


# History.

def point_of_time(pool: Pool) -> str:
    dates = sorted(pool.in_contexts("date"))
    return dates[0][:16].replace("T", " ") if dates else pool.contexts[0][0]


def kernel_of(text: str) -> str:
    name = Name.parse(text)
    return name.kernel if name else family_of(text)


def shown_names(report: Report, pool: Pool) -> list[str]:
    """Lockstep's, the machine's own and foreign ones: peers have no history here."""
    shown = {(row.name.kernel, row.name.threads, row.name.case, row.backend)
             for section in report.sections for row in section.rows}
    found = []
    for text in pool.runs:
        name = Name.parse(text)
        if text in report.foreign or name and (
                (name.kernel, name.threads, name.case, name.contender) in shown
                or name.kernel == "machine" and name.contender.startswith("fma")):
            found.append(text)
    return found


History = dict[str, list[Optional[float]]]  # of each name a time at each point


def mean_ratios(times: History, kernel: str) -> list[tuple[int, float]]:
    """To the present, at each point of time at which something of the kernel was measured."""
    ours = [values for name, values in times.items() if kernel_of(name) == kernel]
    line = []
    for i in range(len(ours[0])):
        ratios = [values[i] / values[-1] for values in ours if values[i]]
        if ratios:
            line.append((i, geometric_mean(ratios)))
    return line


def history(pools: Sequence[Pool], report: Report) -> Optional[Chart]:
    """The last pool is the present, to which all others are compared."""
    if len(pools) < 2:
        return None
    present = pools[-1]
    times: History = {
        name: [pool.runs[name].median if name in pool.runs else None for pool in pools]
        for name in shown_names(report, present)}
    dates = [point_of_time(pool) for pool in pools]
    kernels, left_out = most_of(
        sorted(dict.fromkeys(map(kernel_of, times)),
               key=lambda kernel: (kernel == "machine", kernel_rank(kernel))), MOST_LINES)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.8))
    everything = []
    for kernel, colour, marker in zip(kernels, itertools.cycle(SERIES), itertools.cycle(MARKERS)):
        line = mean_ratios(times, kernel)
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
    everywhere = Pool(contexts=[context for pool in pools for context in pool.contexts])
    differences = "".join(f" Warning: {text}." for text in context_warnings(everywhere))
    return Chart("History", "Time over that of the present, geometric means; less is faster. "
                 "Points of time on shared machines differ by factors for the machine alone."
                 + left_out + differences,
                 to_svg(figure, "History: time over that of the present"), columns)
