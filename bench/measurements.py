"""What the gate compares: one value of each benchmark and process, free of the machine's speed.

Repetitions of one process share its addresses and so the luck of its caches and branch predictors;
they are no independent samples. So a process counts as one, with the fastest of its repetitions:
what interrupts a program can only make it slower.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Optional

from gb_results import SECONDS, Name, read_json, representative_runs, run_name, usable

# The machine's speed around a repetition, counted by our harness.
CALIBRATION = "calibration_flops_per_second"
# In a file of many processes: which one a repetition is from.
PROCESS = "process"


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


@dataclass
class Measurements:
    """Of one side, BASE or HEAD."""

    contexts: list[dict] = field(default_factory=list)
    values: dict[str, list[Measurement]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
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
    def seconds(run: dict) -> float:
        return run["real_time"] * SECONDS[run.get("time_unit", "ns")]

    best = min(runs, key=seconds)
    speed, source = machine_speed(best, speeds)
    work = seconds(best) * speed if speed else None
    return Measurement(seconds(best), work, source, len(runs))


def has_time(run: dict) -> bool:
    return usable(run.get("real_time")) and str(run.get("time_unit", "ns")) in SECONDS


def add_process(measurements: Measurements, runs: list[dict]) -> None:
    """The repetitions of all benchmarks of one process."""
    for run in runs:
        if run.get("error_occurred"):
            message = str(run.get("error_message") or "no reason given")
            measurements.refused.setdefault(run_name(run), message)
    good = [run for run in runs if not run.get("error_occurred") and not run.get("skipped")
            and has_time(run)]
    speeds = machine_speeds(good)
    by_name: dict[str, list[dict]] = {}
    for run in good:
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


def read_measurements(path: Path) -> Measurements:
    """Raises Unusable."""
    content = read_json(str(path))
    context = content.get("context")
    measurements = Measurements([context if isinstance(context, dict) else {}])
    single, aggregates = representative_runs(content)
    for runs in processes_of(single + aggregates):
        add_process(measurements, runs)
    return measurements


def merge(paths: list[Path], into: Path) -> None:
    """One file of many processes' files, as Google Benchmark would write the repetitions of one."""
    contents = [read_json(str(path)) for path in paths]
    seen: dict[str, int] = {}
    runs = []
    for process, content in enumerate(contents):
        for run in representative_runs(content)[0]:
            index = seen.get(run_name(run), 0)
            seen[run_name(run)] = index + 1
            runs.append({**run, "repetition_index": index, PROCESS: process})
    for run in runs:
        run["repetitions"] = seen[run_name(run)]
    context = contents[0].get("context", {}) if contents else {}
    into.write_text(json.dumps({"context": context, "benchmarks": runs}, indent=1),
                    encoding="utf-8")
