"""Results of other tools than Google Benchmark: whose they are, and how to convert them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Callable, Optional


def has_entries(content: object, key: Optional[str], *members: str) -> bool:
    """Whether a list, of this key or on top, begins with an object that has these members."""
    entries = content.get(key) if key and isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        return False
    return all(member in entries[0] for member in members)


def has_members(content: object, *members: str) -> bool:
    return isinstance(content, dict) and all(member in content for member in members)


@dataclass(frozen=True)
class Tool:
    what: str
    is_it: Callable[[object], bool]
    advice: str   # in words, or before the program
    program: str = ""  # of jq

    def advice_for(self, path: str) -> str:
        if not self.program:
            return self.advice
        file = "" if path == "-" else f" {shlex.quote(path)}"
        return f"{self.advice}:\njq {shlex.quote(self.program)}{file}"


CONVERT = "this converts it"
TOOLS = [
    Tool("pytest-benchmark's", lambda c: has_entries(c, "benchmarks", "stats"), CONVERT,
         '{benchmarks: [.benchmarks[] | {name: .fullname, real_time: .stats.median, '
         'time_unit: "s"}]}'),
    Tool("nanobench's", lambda c: has_entries(c, "results", "name", "median(elapsed)"), CONVERT,
         '{benchmarks: [.results[] | {name: (.title + "/" + .name), '
         'real_time: ."median(elapsed)", time_unit: "s"}]}'),
    Tool("JMH's", lambda c: has_entries(c, None, "primaryMetric"),
         "throughput is no time, but this converts results of -bm avgt",
         '{benchmarks: [.[] | select(.mode != "thrpt") | {name: ([.benchmark, '
         '(.params // {} | .[])] | join("/")), real_time: .primaryMetric.score, '
         'time_unit: (.primaryMetric.scoreUnit | rtrimstr("/op"))}]}'),
    Tool("hyperfine's", lambda c: has_entries(c, "results", "command", "median"), CONVERT,
         '{benchmarks: [.results[] | {name: .command, real_time: .median, time_unit: "s"}]}'),
    Tool("BenchmarkDotNet's", lambda c: has_entries(c, "Benchmarks", "FullName", "Statistics"),
         CONVERT, '{benchmarks: [.Benchmarks[] | {name: .FullName, '
                  'real_time: .Statistics.Median, time_unit: "ns"}]}'),
    Tool("Criterion.rs's", lambda c: has_members(c, "mean", "median", "std_dev"),
         CONVERT + ", whose name is not in it",
         '{benchmarks: [{name: "NAME", real_time: .median.point_estimate, time_unit: "ns"}]}'),
    Tool("one of Lockstep's kept results", lambda c: has_members(c, "machine", "date", "runs"),
         "./dev bench report without a file makes pages of all of them, --results names their "
         "folder"),
]


def tool_of(content: object) -> Optional[Tool]:
    return next((tool for tool in TOOLS if tool.is_it(content)), None)
