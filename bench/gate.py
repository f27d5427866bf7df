"""Whether HEAD is slower than BASE: statistics of two sets of measurements, and the verdict.

Every benchmark has a ratio of medians, HEAD over BASE, of work where both sides were calibrated and
else of time; an interval for it; and the p of Mann and Whitney's test, corrected by Holm for the
number of benchmarks. Nothing is assumed of the distributions.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from enum import Enum
from typing import Iterator, Optional, Sequence

from scipy.stats import mannwhitneyu

from comparison import ratio_interval, relative_width
from entries import says_something_else
from gb_results import Samples, context_values
from marks import higher, shared_gain, shared_sentence, stated_peaks
from measurements import Measurement, Measurements
from names import Name
from texts import listing

# What must be equal for figures to compare. "caches" is all that a foreign file says of the CPU.
SAME = {"cpu": "CPU", "isa": "ISA", "num_cpus": "number of CPUs",
        "default_threads": "number of threads", "caches": "caches"}
# Differences in these are part of the change for revisions built here, else forbid comparing.
SAME_BUILD = {"compiler": "compiler", "flags": "compiler flags"}
EXACT_PAIRS = 10_000
# Resolutions; where an interval is wider, as a share of the ratio, small differences are chance.
CHAOTIC = 3


@dataclass(frozen=True)
class Limits:
    tolerance: float = 0.03   # smaller slow-downs are no regression, however significant
    resolution: float = 0.10  # slow-downs from here on must be found or excluded
    alpha: float = 0.01       # of at least one false alarm among all benchmarks
    least: int = 9            # processes of each side


class Verdict(Enum):
    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNDECIDED = "undecided"


class Status(Enum):
    """Exit statuses."""

    NO_REGRESSION = 0
    REGRESSION = 1
    NOT_JUDGED = 2


@dataclass(frozen=True)
class Comparison:
    """Of one benchmark; above 1, HEAD is slower."""

    name: str
    base_seconds: float
    head_seconds: float
    ratio: float
    interval: Optional[tuple[float, float]]
    p: float
    calibrated: bool
    verdict: Verdict


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted, so that none below alpha is false with probability 1 - alpha."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def needed_processes(benchmarks: int, limits: Limits) -> int:
    """Of each side, so that a difference can pass even the first of Holm's steps."""
    n = limits.least
    while 4 * 2 / math.comb(2 * n, n) * benchmarks > limits.alpha:
        n += 1
    return n


def p_of_difference(base: Sequence[float], head: Sequence[float]) -> float:
    # The approximation is far off in the tail that Holm's correction needs of few processes.
    method = "exact" if len(base) * len(head) <= EXACT_PAIRS else "asymptotic"
    return float(mannwhitneyu(head, base, alternative="two-sided", method=method).pvalue)


def comparable_values(base: Sequence[Measurement], head: Sequence[Measurement],
                      ) -> tuple[list[float], list[float], bool]:
    """Work if every measurement has it, and of the same kind, else seconds."""
    everything = [*base, *head]
    if all(m.work is not None for m in everything) and len({m.source for m in everything}) == 1:
        return [m.work for m in base], [m.work for m in head], True
    return [m.seconds for m in base], [m.seconds for m in head], False


def is_believable(ratio: float, interval: tuple[float, float], limits: Limits) -> bool:
    """Where figures scatter widely, a significant one is believed only if the whole interval is a
    large difference."""
    is_large = interval[0] > 1 + limits.resolution or interval[1] < 1 / (1 + limits.resolution)
    return is_large or relative_width(interval, ratio) <= CHAOTIC * limits.resolution


def judged(ratio: float, interval: Optional[tuple[float, float]], p: float,
           limits: Limits) -> Verdict:
    if interval is None:
        return Verdict.UNDECIDED
    if p < limits.alpha and is_believable(ratio, interval, limits):
        if ratio > 1 + limits.tolerance:
            return Verdict.SLOWER
        if ratio < 1 / (1 + limits.tolerance):
            return Verdict.FASTER
    return Verdict.UNDECIDED if interval[1] > 1 + limits.resolution else Verdict.SAME


def has_other_cpu_time(*sides: Sequence[Measurement]) -> bool:
    """As when it waits, or has threads of its own."""
    if any(m.cpu_seconds is None for side in sides for m in side):
        return False
    return any(says_something_else(statistics.median(m.cpu_seconds for m in side),
                                   statistics.median(m.seconds for m in side)) for side in sides)


def shared_core(base: Measurements, head: Measurements) -> tuple[str, list[str]]:
    """Which benchmarks on two threads are not judged since these share a core, and the sentence."""
    gain = shared_gain(higher(*map(stated_peaks, [*base.contexts, *head.contexts])))
    if gain is None:
        return "", []
    named = ((text, Name.parse(text)) for text in base.values if text in head.values)
    return shared_sentence(gain), [text for text, name in named if name and name.threads == 2]


Pairs = dict[str, tuple[Sequence[Measurement], Sequence[Measurement]]]


def pairs_of(base: Measurements, head: Measurements) -> Pairs:
    """What is compared: each benchmark's time, and its CPU time where that says something else."""
    found: Pairs = {}
    _, unjudged = shared_core(base, head)
    for name, b in base.values.items():
        h = head.values.get(name)
        if h and name not in unjudged:
            found[name] = b, h
            if has_other_cpu_time(b, h):
                found[f"{name}, CPU time"] = [m.of_cpu for m in b], [m.of_cpu for m in h]
    return found


def compare(base: Measurements, head: Measurements, limits: Limits) -> list[Comparison]:
    pairs = pairs_of(base, head)
    values = {name: comparable_values(*pair) for name, pair in pairs.items()}
    p_values = holm([p_of_difference(b, h) for b, h, _ in values.values()])
    found = []
    for name, p in zip(pairs, p_values):
        b, h, calibrated = values[name]
        ratio = statistics.median(h) / statistics.median(b)
        interval = ratio_interval(Samples(h), Samples(b))
        found.append(Comparison(
            name, *(statistics.median(m.seconds for m in side) for side in pairs[name]), ratio,
            interval, p, calibrated, judged(ratio, interval, p, limits)))
    return found


def is_narrow(comparison: Comparison, limits: Limits) -> bool:
    """Looks at the width alone, since stopping at a wanted result makes false ones likelier. The
    width is relative to the ratio, so that exchanging the sides changes nothing."""
    return (comparison.interval is not None
            and relative_width(comparison.interval, comparison.ratio) <= limits.resolution)


def context_differences(base: Measurements, head: Measurements) -> Iterator[str]:
    keys = SAME if base.built_here and head.built_here else {**SAME, **SAME_BUILD}
    for key, words in keys.items():
        b, h = context_values(base.contexts, key), context_values(head.contexts, key)
        if b and h and set(b) != set(h):
            yield f"not the same {words} ({' and '.join(b)} at BASE, {' and '.join(h)} at HEAD)"


def differences(base: Measurements, head: Measurements) -> Iterator[str]:
    """Beside the programs, which forbid a verdict."""
    yield from context_differences(base, head)
    if base.repetitions != head.repetitions and base.values and head.values:
        yield (f"not the same number of repetitions, of which the fastest counts "
               f"({base.repetitions} at BASE, {head.repetitions} at HEAD)")


# The verdict, each in a sentence.

def with_ratio(comparison: Comparison) -> str:
    return f"{comparison.name} ({comparison.ratio:.2f})"


def single_processes(base: Measurements, head: Measurements) -> Iterator[str]:
    for words, measurements in [("BASE", base), ("HEAD", head)]:
        if measurements.processes == 1:
            yield (f"{words} was measured by one process alone, whose repetitions share addresses "
                   "and caches and say nothing of other processes")


def obstacles(base: Measurements, head: Measurements,
              comparisons: Sequence[Comparison], limits: Limits) -> Iterator[str]:
    """Why this cannot be judged."""
    yield from differences(base, head)
    yield from single_processes(base, head)
    if not comparisons:
        why, unjudged = shared_core(base, head)
        yield why if unjudged else "BASE and HEAD have no benchmark in common"
    refused = [name for name in head.refused if name not in base.refused]
    if refused:
        reasons = [f"{name} ({head.refused[name]})" for name in refused]
        yield f"HEAD refused to time what BASE did not refuse: {listing(reasons)}"
    lost = [f"{name} ({why})" for name, why in head.left_out.items()
            if name in base.values and name not in head.values]
    if lost:
        yield f"HEAD has no usable time of what BASE has timed: {listing(lost)}"
    undecided = [c for c in comparisons if c.verdict is Verdict.UNDECIDED]
    if undecided:
        yield (f"of {len(undecided)} of {len(comparisons)} benchmarks the scatter, or a number of "
               f"processes that is too small, leaves a slow-down of {limits.resolution:.0%} "
               f"possible: {listing([with_ratio(c) for c in undecided])}")


def verdict(base: Measurements, head: Measurements, comparisons: Sequence[Comparison],
            limits: Limits) -> tuple[Status, str]:
    reasons = list(obstacles(base, head, comparisons, limits))
    slower = [c for c in comparisons if c.verdict is Verdict.SLOWER]
    differs = any(differences(base, head))
    count = len(comparisons)
    if slower and not differs:
        by_size = sorted(slower, key=lambda c: -c.ratio)
        return Status.REGRESSION, (
            f"Regression: {len(slower)} of {count} benchmarks are slower by more than "
            f"{limits.tolerance:.0%}, each with p < {limits.alpha:g} after Holm's correction: "
            f"{listing([with_ratio(c) for c in by_size])}.")
    if reasons:
        return Status.NOT_JUDGED, f"Could not judge: {'; '.join(reasons)}."
    return Status.NO_REGRESSION, (
        f"No regression: of {count} benchmarks none is slower by more than "
        f"{limits.tolerance:.0%} with p < {limits.alpha:g} after Holm's correction, and their "
        f"intervals exclude slow-downs above {limits.resolution:.0%}.")
