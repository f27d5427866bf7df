"""Google Benchmark's JSON: reads files and pools the repetitions of each run over all of them."""

from __future__ import annotations

import json
import math
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Iterator, Optional

from programs import Unusable

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
COUNTERS = ["flops_per_second", "bytes_per_second", "timesteps_per_second", "items_per_second",
            "of_peak"]
# A file without single repetitions is represented by the first of these.
AGGREGATES = ["median", "mean"]
# What Google Benchmark itself appends to a name.
LIBRARY_SUFFIX = re.compile(
    r"/(?:real_time|process_time|manual_time|"
    r"(?:min_time|min_warmup_time|iterations|repeats):[^/]+)$")
NAME = re.compile(
    r"(?P<kernel>[a-z]\w*)/(?P<contender>[A-Za-z]\w*(?:/[A-Za-z]\w*)?)/"
    r"(?P<shape>[^/\s:]+)/(?P<threads>[1-9]\d*)(?P<cold>/cold)?")


@dataclass(frozen=True)
class Name:
    kernel: str
    contender: str
    shape: str
    threads: int
    cold: bool

    @staticmethod
    def parse(text: str) -> Optional[Name]:
        match = NAME.fullmatch(text)
        if not match:
            return None
        parts = match.groupdict()
        return Name(parts["kernel"], parts["contender"], parts["shape"], int(parts["threads"]),
                    parts["cold"] is not None)

    @property
    def ours(self) -> bool:
        return "/" in self.contender or self.contender == "reference"

    @property
    def case(self) -> tuple[str, bool]:
        """What makes a row of a table."""
        return self.shape, self.cold

    @property
    def elements(self) -> Optional[int]:
        if not re.fullmatch(r"\d+(x\d+)*", self.shape):
            return None
        return math.prod(map(int, self.shape.split("x")))


def context_value(context: dict, key: str) -> str:
    """As text, in which white space does not count; empty if the file says nothing."""
    value = context.get(key, "")
    return " ".join((value if isinstance(value, str) else json.dumps(value)).split())


def context_values(contexts: Iterable[dict], key: str) -> list[str]:
    """What the files say about this, each answer once."""
    values = (context_value(context, key) for context in contexts)
    return list(dict.fromkeys(filter(None, values)))


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


@dataclass
class Pool:
    """All that the files hold."""

    runs: dict[str, Samples] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    contexts: list[tuple[str, dict]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def named(self) -> Iterator[tuple[Name, Samples]]:
        for text, samples in self.runs.items():
            name = Name.parse(text)
            if name:
                yield name, samples

    def in_contexts(self, key: str) -> list[str]:
        return context_values((context for _, context in self.contexts), key)

    @property
    def default_backend(self) -> Optional[str]:
        return next(iter(self.in_contexts("default_backend")), None)


def read_json(path: str) -> dict:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Unusable(f"cannot read {path}: {reason}") from error
    if not text.strip():
        raise Unusable(f"{path} is empty; expected Google Benchmark's JSON (did the filter "
                       "match no benchmark?)")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("benchmarks"), list):
        raise Unusable(f'{path} is not Google Benchmark\'s JSON: it has no list "benchmarks"')
    return content


def strip_library_suffixes(text: str) -> str:
    while True:
        shorter = LIBRARY_SUFFIX.sub("", text)
        if shorter == text:
            return text
        text = shorter


def run_name(run: dict) -> str:
    full = str(run.get("run_name") or run["name"])
    if "run_name" not in run and run.get("aggregate_name"):
        full = full.removesuffix(f"_{run['aggregate_name']}")
    short = strip_library_suffixes(full)
    return short if Name.parse(short) else full


def usable(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value) and value > 0)


def add_run(pool: Pool, run: dict) -> bool:
    """False if the run has no usable time."""
    name = run_name(run)
    if run.get("error_occurred"):
        pool.refused.setdefault(name, str(run.get("error_message") or "no reason given"))
        return True
    if run.get("skipped"):
        pool.skipped.setdefault(name, str(run.get("skip_message") or "no reason given"))
        return True
    unit = SECONDS.get(str(run.get("time_unit", "ns")))
    if unit is None or not usable(run.get("real_time")):
        return False
    samples = pool.runs.setdefault(name, Samples())
    samples.seconds.append(run["real_time"] * unit)
    for counter in COUNTERS:
        if usable(run.get(counter)):
            samples.counters.setdefault(counter, []).append(run[counter])
    return True


def has_name(run: object) -> bool:
    return isinstance(run, dict) and bool(run.get("run_name") or run.get("name"))


def is_repetition(run: dict) -> bool:
    return run.get("run_type", "iteration") == "iteration" and "aggregate_name" not in run


def best_aggregates(aggregates: list[dict]) -> list[dict]:
    """One for each name."""
    found: dict[str, dict] = {}
    for kind in AGGREGATES:
        for run in aggregates:
            if run.get("aggregate_name") == kind:
                found.setdefault(run_name(run), run)
    return list(found.values())


def representative_runs(content: dict) -> tuple[list[dict], list[dict]]:
    """The single repetitions, and of names that have none an aggregate."""
    everything = [run for run in content["benchmarks"] if has_name(run)]
    single = [run for run in everything if is_repetition(run)]
    known = {run_name(run) for run in single}
    return single, best_aggregates([run for run in everything if not is_repetition(run)
                                    and run_name(run) not in known])


def add_file(pool: Pool, path: str) -> None:
    content = read_json(path)
    context = content.get("context")
    pool.contexts.append((path, context if isinstance(context, dict) else {}))
    single, aggregates = representative_runs(content)
    if aggregates:
        pool.warnings.append(
            f"{path}: {len(aggregates)} benchmarks are known by an aggregate only, so nothing is "
            "known of their noise; run without --benchmark_report_aggregates_only")
    elif not single:
        pool.warnings.append(f"{path} holds no runs")
    unusable = sum(not add_run(pool, run) for run in single + aggregates)
    unusable += sum(not has_name(run) for run in content["benchmarks"])
    if unusable:
        pool.warnings.append(f"{path}: {unusable} entries without a name or a time were left out")


def context_warnings(pool: Pool) -> Iterator[str]:
    for key in ["cpu", "isa"]:
        values: dict[str, str] = {}
        for path, context in pool.contexts:
            if context_value(context, key):
                values.setdefault(context_value(context, key), path)
        if len(values) > 1:
            listed = ", ".join(f"{value} ({path})" for value, path in values.items())
            yield f"the files differ in {key}, so their figures do not compare: {listed}"
