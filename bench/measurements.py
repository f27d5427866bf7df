"""What the gate compares: one value of each benchmark and process, free of the machine's speed.

Repetitions of one process share its addresses and so the luck of its caches and branch predictors;
they are no independent samples. So a process counts as one, with the fastest of its repetitions:
what interrupts a program can only make it slower.
"""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Iterable, Optional, Union

from entries import (
    PROCESS, Entries, cpu_seconds_of, message_of, read_entries, run_name, seconds_of, usable)
from names import Name
from outputs import write_file

# The machine's speed around a repetition, counted by our harness.
CALIBRATION = "calibration_flops_per_second"


@dataclass(frozen=True)
class Measurement:
    """Of one process."""

    seconds: float
    # Work that the machine could have done in that time, in FLOP: the same on a slower machine.
    work: Optional[float]
    # What its speed was taken from: the program's calibration around the timing, or a case of its
    # own. The two do not compare.
    source: str = ""
    repetitions: int = 1  # of which the fastest counts
    cpu_seconds: Optional[float] = None

    @property
    def of_cpu(self) -> Measurement:
        share = self.cpu_seconds / self.seconds
        return replace(self, seconds=self.cpu_seconds, work=self.work and self.work * share)


@dataclass
class Measurements:
    """Of one side, BASE or HEAD."""

    contexts: list[dict] = field(default_factory=list)
    values: dict[str, list[Measurement]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # without a usable time, and why
    warnings: list[str] = field(default_factory=list)
    digest: bytes = b""     # of a saved file
    built_here: bool = False  # from a revision, by what builds the other side too

    @property
    def processes(self) -> int:
        return max(map(len, self.values.values()), default=0)

    @property
    def repetitions(self) -> int:
        """Of a process; one that was refused is missing in some."""
        return max((m.repetitions for values in self.values.values() for m in values), default=0)


def machine_speeds(runs: Iterable[dict]) -> dict[int, float]:
    """FLOP/s by threads, from cases of their own, for programs that do not calibrate each case."""
    rates: dict[int, list[float]] = {}
    for run in runs:
        name = Name.parse(run_name(run))
        if name and name.kernel == "machine" and usable(run.get("flops_per_second")):
            rates.setdefault(name.threads, []).append(run["flops_per_second"])
    return {threads: statistics.median(values) for threads, values in rates.items()}


def machine_speed(run: dict, speeds: dict[int, float]) -> tuple[Optional[float], str]:
    """The speed, and what it was taken from."""
    if usable(run.get(CALIBRATION)):
        return run[CALIBRATION], "around"
    name = Name.parse(run_name(run))
    return speeds.get(name.threads if name else 1), "case"


def fastest_measurement(runs: list[dict], speeds: dict[int, float]) -> Measurement:
    """With the calibration that was made around it."""
    best = min(runs, key=seconds_of)
    speed, source = machine_speed(best, speeds)
    work = seconds_of(best) * speed if speed else None
    return Measurement(seconds_of(best), work, source, len(runs), cpu_seconds_of(best))


def add_process(measurements: Measurements, runs: list[dict]) -> None:
    """The timed repetitions of all benchmarks of one process."""
    speeds = machine_speeds(runs)
    by_name: dict[str, list[dict]] = {}
    for run in runs:
        by_name.setdefault(run_name(run), []).append(run)
    for name, repetitions in by_name.items():
        if not name.startswith("machine/"):
            value = fastest_measurement(repetitions, speeds)
            measurements.values.setdefault(name, []).append(value)


def processes_of(runs: list[dict]) -> list[list[dict]]:
    """What a benchmark program itself has written is all of one process."""
    found: dict[str, list[dict]] = {}
    for run in runs:
        found.setdefault(str(run.get(PROCESS, "")), []).append(run)
    return list(found.values())


def add_entries(measurements: Measurements, entries: Entries) -> None:
    measurements.contexts.append(entries.context)
    for run in entries.refused:
        measurements.refused.setdefault(run_name(run), message_of(run, "error_message"))
    for name, why in entries.left_out:
        measurements.left_out.setdefault(name, why)
    for runs in processes_of(entries.timed):
        add_process(measurements, runs)


def read_measurements(path: Union[str, Path]) -> Measurements:
    """Raises Unusable."""
    entries = read_entries(path)
    measurements = Measurements(warnings=entries.warnings, digest=entries.digest)
    add_entries(measurements, entries)
    return measurements


def finite(run: dict) -> dict:
    """JSON knows no other numbers."""
    return {key: value for key, value in run.items()
            if not isinstance(value, float) or math.isfinite(value)}


def merge(paths: list[Path], into: Path) -> None:
    """One file of many processes' files, as Google Benchmark would write the repetitions of one."""
    files = [read_entries(path) for path in paths]
    seen: dict[str, int] = {}
    runs = []
    for process, entries in enumerate(files):
        for run in [*entries.repetitions, *entries.refused, *entries.skipped]:
            index = seen.get(run_name(run), 0)
            seen[run_name(run)] = index + 1
            runs.append({**finite(run), "repetition_index": index, PROCESS: process})
    for run in runs:
        run["repetitions"] = seen[run_name(run)]
    context = files[0].context if files else {}
    write_file(into, json.dumps({"context": context, "benchmarks": runs}, indent=1) + "\n")
