"""Pools the repetitions of each run over all files."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Optional

from entries import cpu_seconds_of, message_of, read_entries, run_name, seconds_of, usable
from marks import Peaks, higher, stated_peaks
from names import Name
from texts import cleaned, listing

COUNTERS = ["flops_per_second", "bytes_per_second", "timesteps_per_second", "items_per_second",
            "of_peak", "fallback_lanes"]
CPU = "cpu_seconds"


def context_value(context: dict, key: str) -> str:
    """As text, in which white space does not count; empty if the file says nothing."""
    value = context.get(key, "")
    return cleaned(value if isinstance(value, str) else json.dumps(value))


def context_values(contexts: Iterable[dict], key: str) -> list[str]:
    """What the files say about this, each answer once."""
    values = (context_value(context, key) for context in contexts)
    return list(dict.fromkeys(filter(None, values)))


def program_of(context: dict) -> str:
    """Without its folder; empty if the file says nothing."""
    return re.split(r"[/\\]", context_value(context, "executable"))[-1]


@dataclass
class Samples:
    """The repetitions of one run: seconds per iteration, and what was counted."""

    seconds: list[float] = field(default_factory=list)
    counters: dict[str, list[float]] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def counter(self, name: str) -> Optional[float]:
        values = self.counters.get(name)
        return statistics.median(values) if values else None

    @property
    def fallback_lanes(self) -> Optional[float]:
        """Of the kernels, where they have fewer than the run allows."""
        return self.counter("fallback_lanes")


@dataclass
class Pool:
    """All that the files hold."""

    runs: dict[str, Samples] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    contexts: list[tuple[str, dict]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    digests: dict[bytes, str] = field(default_factory=dict)  # of the files, with their names
    programs: dict[str, dict[str, str]] = field(default_factory=dict)  # of each run, with a file

    def named(self) -> Iterator[tuple[Name, Samples]]:
        for text, samples in self.runs.items():
            name = Name.parse(text)
            if name:
                yield name, samples

    def in_contexts(self, key: str) -> list[str]:
        return context_values((context for _, context in self.contexts), key)

    @property
    def peaks(self) -> Peaks:
        """Of the widest vectors."""
        measured = ({name.threads: max(samples.counters["flops_per_second"]) / 1e9}
                    for name, samples in self.named()
                    if name.kernel == "machine" and "flops_per_second" in samples.counters)
        return higher(*measured, *(stated_peaks(context) for _, context in self.contexts))

    @property
    def default_backend(self) -> Optional[str]:
        return next(iter(self.in_contexts("default_backend")), None)


def add_run(pool: Pool, run: dict) -> None:
    """Whose time is usable."""
    samples = pool.runs.setdefault(run_name(run), Samples())
    samples.seconds.append(seconds_of(run))
    cpu = cpu_seconds_of(run)
    if cpu is not None:
        samples.counters.setdefault(CPU, []).append(cpu)
    for counter in COUNTERS:
        if usable(run.get(counter)):
            samples.counters.setdefault(counter, []).append(run[counter])


def add_file(pool: Pool, path: str) -> None:
    """Raises Unusable."""
    entries = read_entries(path)
    if entries.digest in pool.digests:
        pool.warnings.append(f"{entries.label} holds the same as {pool.digests[entries.digest]} "
                             "and is not counted")
        return
    pool.digests[entries.digest] = entries.label
    pool.contexts.append((entries.label, entries.context))
    pool.warnings += entries.warnings
    program = program_of(entries.context)
    for run in entries.timed:
        add_run(pool, run)
        pool.programs.setdefault(run_name(run), {}).setdefault(program, entries.label)
    for run in entries.refused:
        pool.refused.setdefault(run_name(run), message_of(run, "error_message"))
    for run in entries.skipped:
        pool.skipped.setdefault(run_name(run), message_of(run, "skip_message"))


def context_warnings(pool: Pool) -> Iterator[str]:
    for key in ["cpu", "isa"]:
        values: dict[str, str] = {}
        for path, context in pool.contexts:
            if context_value(context, key):
                values.setdefault(context_value(context, key), path)
        if len(values) > 1:
            listed = ", ".join(f"{value} ({path})" for value, path in values.items())
            yield f"the files differ in {key}, so their figures do not compare: {listed}"
    shared = {name: programs for name, programs in pool.programs.items() if len(programs) > 1}
    if shared:
        parts = [f"{name} ({' and '.join(f'{what} in {path}' for what, path in found.items())})"
                 for name, found in shared.items()]
        yield f"benchmarks of several programs have one name and are pooled: {listing(parts)}"
