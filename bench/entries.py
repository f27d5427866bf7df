"""The entries of a Google Benchmark file: repetitions with a usable time, aggregates where there
are none, and what became of all others. Benchmarks of one name are told apart.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Optional, Union

from json_files import Document, read_document
from names import Name, strip_library_suffixes
from texts import cleaned, listing, plural

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# A time in seconds, or a rate, outside of these is none.
LEAST, MOST = 1e-30, 1e30
# In a file of many processes: which one a repetition is from.
PROCESS = "process"
# A benchmark without single repetitions is represented by the first of these that there is.
AGGREGATES = ["median", "mean"]
# Marks of benchmarks whose time is not that of the CPU, which it is by default.
OTHER_TIME = re.compile(r"/(?:real_time|manual_time)(?:/|$)")
# Of several sizes: no time of any.
FITS = ["BigO", "RMS"]
# The library has marked aggregates since version 1.5; before, they are known by their names alone.
BY_NAME = re.compile(rf"(?P<stem>.+)_(?P<kind>mean|median|stddev|cv|min|max|{'|'.join(FITS)})")


@dataclass
class Entries:
    label: str  # of the file
    context: dict
    repetitions: list[dict] = field(default_factory=list)
    aggregates: list[dict] = field(default_factory=list)  # of names that have no repetition
    refused: list[dict] = field(default_factory=list)
    skipped: list[dict] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # name and reason
    notes: list[str] = field(default_factory=list)
    digest: bytes = b""

    @property
    def timed(self) -> list[dict]:
        return self.repetitions + self.aggregates

    @property
    def warnings(self) -> list[str]:
        found = [f"{self.label}: {note}" for note in self.notes]
        if self.left_out:
            reasons = dict.fromkeys(f"{name} ({why})" for name, why in self.left_out)
            count = plural(len(self.left_out), "entry", "entries")
            found.append(f"{self.label}: {count} left out: {listing(list(reasons))}")
        if not (self.timed or self.refused or self.skipped or self.left_out):
            found.append(f"{self.label} holds no benchmarks")
        if self.aggregates:
            found.append(f"{self.label}: {plural(len(self.aggregates), 'benchmark')} known by an "
                         "aggregate only, so nothing is known of their noise; run without "
                         "--benchmark_report_aggregates_only")
        return found


# One entry.

def run_name(run: dict) -> str:
    full = str(run.get("run_name") or run["name"])
    if run.get("aggregate_name") and full == str(run.get("name", full)):
        full = full.removesuffix(f"_{run['aggregate_name']}")
    short = strip_library_suffixes(full)
    return short if Name.parse(short) else full


def usable(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and LEAST < value < MOST)


def seconds_of(run: dict) -> float:
    """Of an entry without a flaw."""
    return run["real_time"] * SECONDS[run.get("time_unit", "ns")]


def cpu_seconds_of(run: dict) -> Optional[float]:
    """Nothing of a benchmark that was told to measure another time."""
    time = run.get("cpu_time")
    if not usable(time) or OTHER_TIME.search(str(run.get("name") or run["run_name"])):
        return None
    return time * SECONDS[run.get("time_unit", "ns")]


def says_something_else(cpu: Optional[float], clock: float) -> bool:
    """A CPU time beside that of the clock, as of what waits or has threads of its own."""
    return cpu is not None and not 0.5 < cpu / clock < 2


def flaw_of(run: dict) -> Optional[str]:
    """Why it has no usable time."""
    unit, time = str(run.get("time_unit", "ns")), run.get("real_time")
    if unit not in SECONDS:
        return f"its time unit is '{unit}'; expected {', '.join(SECONDS)}"
    if usable(time) and usable(time * SECONDS[unit]):
        return None
    return "it has no real_time" if time is None else f"its real_time is {str(time)[:20]}"


def is_aggregate(run: dict) -> bool:
    return run.get("run_type", "iteration") != "iteration" or "aggregate_name" in run


def message_of(run: dict, key: str) -> str:
    return str(run.get(key) or "no reason given")


# All entries.

def named_entries(benchmarks: list, left_out: list[tuple[str, str]]) -> list[dict]:
    """Without what a terminal would obey."""
    found = []
    for number, run in enumerate(benchmarks, start=1):
        if isinstance(run, dict):
            run = {key: cleaned(value) if isinstance(value, str) else value
                   for key, value in run.items()}
            if "aggregate_name" in run:
                run["aggregate_name"] = str(run["aggregate_name"])
            if run.get("run_name") or run.get("name"):
                found.append(run)
                continue
        left_out.append((f"entry {number}", "it has no name"))
    return found


def kind_by_name(run: dict, names: Counter[str]) -> Optional[re.Match[str]]:
    """Only with its like beside it: a benchmark too may be called so."""
    match = BY_NAME.fullmatch(str(run.get("run_name") or run["name"]))
    if not match or is_aggregate(run) or "run_type" in run:
        return None
    stem, kind = match["stem"], match["kind"]
    has_both = all(names[f"{stem}_{other}"] for other in ["mean", "stddev"])
    if has_both or "big_o" in run or "rms" in run:
        return match
    return match if names[stem] > (0 if kind in ["stddev", "cv", *FITS] else 1) else None


def with_marked_aggregates(runs: list[dict], notes: list[str]) -> list[dict]:
    names = Counter(str(run.get("run_name") or run["name"]) for run in runs)
    found, by_name = [], []
    for run in runs:
        match = kind_by_name(run, names)
        if match:
            by_name.append(match[0])
            run = {**run, "run_type": "aggregate", "aggregate_name": match["kind"],
                   "run_name": match["stem"]}
        found.append(run)
    if by_name:
        notes.append(f"{plural(len(by_name), 'entry', 'entries')} taken for aggregates by their "
                     f"names, as those of old versions of the library: {listing(by_name)}")
    return found


def place_of(run: dict) -> Optional[tuple[int, int]]:
    """Of a benchmark in its program, which newer versions of the library write."""
    place = run.get("family_index"), run.get("per_family_instance_index")
    return place if all(isinstance(index, int) for index in place) else None


def numbered(identities: Iterable[tuple]) -> dict[tuple, tuple[int, int]]:
    """Of each identity its number among those of its name, and how many there are."""
    by_name: dict[str, set] = {}
    for name, place in identities:
        by_name.setdefault(name, set()).add(place)
    return {(name, place): (number, len(places)) for name, places in by_name.items()
            for number, place in enumerate(sorted(places), start=1)}


def identities_of(runs: list[dict], notes: list[str]) -> list[tuple]:
    """Names with places in the program, or with the turn among repetitions of the same number."""
    seen: Counter[tuple] = Counter()
    found = []
    pooled: dict[str, None] = {}
    repeated = {run_name(run) for run in runs if not is_aggregate(run)}
    aggregated = {run_name(run) for run in runs if is_aggregate(run)}
    for run in runs:
        name, place, index = run_name(run), place_of(run), run.get("repetition_index")
        is_numbered = name not in repeated if is_aggregate(run) else index is not None
        key = name, place, str(index), run.get("aggregate_name"), str(run.get(PROCESS))
        turn, seen[key] = seen[key], seen[key] + 1
        if turn and not is_aggregate(run) and (place or not is_numbered):
            pooled[name] = None
        found.append((name, place or (turn if is_numbered else 0, 0)))
    doubtful = [name for name in pooled if name not in aggregated]
    if doubtful:
        notes.append("entries of one name that have no numbers of repetitions, or the same, are "
                     f"taken for repetitions of one benchmark: {listing(doubtful)}")
    return found


def told_apart(runs: list[dict], notes: list[str]) -> list[dict]:
    """Each of several benchmarks with one name gets a name of its own."""
    identities = identities_of(runs, notes)
    numbers = numbered(identities)
    several = dict.fromkeys(name for name, place in identities if numbers[name, place][1] > 1)
    if several:
        notes.append("several benchmarks have the same name and are told apart by their order: "
                     + listing(list(several)))
    found = []
    for run, (name, place) in zip(runs, identities):
        number, count = numbers[name, place]
        found.append({**run, "run_name": f"{name} ({number} of {count})"} if count > 1 else run)
    return found


def best_aggregates(runs: Iterable[dict], left_out: list[tuple[str, str]]) -> list[dict]:
    """One for each name and process."""
    found: dict[tuple, list[dict]] = {}
    for run in runs:
        if run.get("aggregate_name") not in FITS:
            found.setdefault((str(run.get(PROCESS)), run_name(run)), []).append(run)
    best = []
    for (_, name), kinds in found.items():
        wanted = next((run for kind in AGGREGATES for run in kinds
                       if run.get("aggregate_name") == kind and not flaw_of(run)), None)
        if wanted:
            best.append(wanted)
        else:
            left_out.append((name, "it has aggregates, but no usable median or mean"))
    return best


def entries_of(document: Document) -> Entries:
    context = document.content.get("context")
    found = Entries(document.label, context if isinstance(context, dict) else {},
                    notes=document.notes, digest=document.digest)
    runs = named_entries(document.content["benchmarks"], found.left_out)
    runs = told_apart(with_marked_aggregates(runs, found.notes), found.notes)
    known = set()
    for run in runs:
        if run.get("error_occurred"):
            found.refused.append(run)
        elif run.get("skipped"):
            found.skipped.append(run)
        elif is_aggregate(run):
            continue
        elif flaw_of(run):
            found.left_out.append((run_name(run), flaw_of(run)))
        else:
            found.repetitions.append(run)
        known.add(run_name(run))
    found.aggregates = best_aggregates(
        (run for run in runs if is_aggregate(run) and run_name(run) not in known), found.left_out)
    return found


def read_entries(path: Union[str, Path]) -> Entries:
    """Raises Unusable."""
    return entries_of(read_document(path))
