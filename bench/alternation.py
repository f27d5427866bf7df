"""Runs the programs of both sides process by process, in random order within each pair."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from entries import read_entries
from measurements import Measurements, add_entries
from programs import Unusable, ending, last_lines, run_program, say

# In each process, in random order among those of all benchmarks, so that a short disturbance hits
# few of one benchmark.
REPETITIONS = 5


@dataclass
class Runner:
    """Runs one program again and again; each time leaves a file of Google Benchmark's JSON."""

    label: str
    program: Path
    arguments: Sequence[str]
    stem: Path  # of the files
    environment: Optional[Mapping[str, str]] = None

    def __post_init__(self) -> None:
        self.measurements = Measurements()
        self.files: list[Path] = []

    def command(self, path: Path) -> list[object]:
        return [self.program, f"--benchmark_repetitions={REPETITIONS}",
                "--benchmark_enable_random_interleaving=true", *self.arguments,
                f"--benchmark_out={path}", "--benchmark_out_format=json"]

    def run(self) -> None:
        path = self.stem.with_name(f"{self.stem.name}-{len(self.files) + 1}.json")
        log = self.stem.with_name(f"{self.stem.name}.log")
        with log.open("w", encoding="utf-8") as out:
            status = run_program(self.command(path), stdout=out, stderr=subprocess.STDOUT,
                                 env=self.environment)
        if status != 0:
            raise Unusable(f"the program of {self.label} {ending(status)}; the last lines of "
                           f"{log}:\n{last_lines(log)}")
        entries = replace(read_entries(path), label=self.label)
        self.files.append(path)
        add_entries(self.measurements, replace(entries, aggregates=[]))
        self.measurements.warnings += entries.warnings


@dataclass(frozen=True)
class Effort:
    """How long to go on."""

    rounds: int     # at least
    seconds: float  # after these no round is begun, but for those that there have to be


def alternate(runners: Sequence[Runner], effort: Effort, least: Callable[[], int],
              enough: Callable[[], bool], seed: Optional[int] = None) -> None:
    """Until there are `least()` rounds and either `enough()` or no time."""
    order = random.Random(seed)
    start = time.monotonic()
    rounds = 0
    while True:
        for runner in order.sample(list(runners), len(runners)):
            runner.run()
        rounds += 1
        elapsed = time.monotonic() - start
        needed = max(effort.rounds, least())
        say(f"round {rounds} of at least {needed}, {elapsed:.0f} s")
        if rounds >= needed and (enough() or elapsed * (1 + 1 / rounds) > effort.seconds):
            return
