"""The measurements that are kept: bench/results/*.json, one file for each machine and day.

A file holds the runs of that day: when, at which commit, by which command, with which versions, and
a row for each case with our figure, every peer's, the ratio to the best peer and its interval.
`source` says of figures that were copied from an older report where they come from.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Iterator, Optional

from comparison import NOISY_WIDTH, Row, build_rows, kernels_index, relative_width
from gb_results import Pool, Samples
from marks import FALLBACK, SHARED
from outputs import make_folder, write_file
from programs import Unusable
from sections import figure_value, header_lines, label_of

FOLDER = Path(__file__).resolve().parent / "results"
# What a backend's name says of its vectors.
VECTORS = {"avx3": "AVX-512", "avx512": "AVX-512", "avx2": "AVX2", "fma3": "AVX2", "sve": "SVE",
           "neon": "NEON", "sse": "SSE"}


@dataclass
class Result:
    """One case of one run."""

    suite: str
    shape: str
    threads: int
    backend: str
    unit: str
    ours: Optional[float] = None
    peers: dict[str, float] = field(default_factory=dict)
    best: Optional[str] = None
    ratio: Optional[float] = None
    interval: Optional[tuple[float, float]] = None
    of_peak: Optional[float] = None
    # Of two threads' peak over one's, where they share a core.
    gain: Optional[float] = None
    # Lanes of the kernels of peers that have fewer than the run allowed.
    fallbacks: dict[str, int] = field(default_factory=dict)

    @property
    def marks(self) -> str:
        """Why its ratio is not judged; empty if it is."""
        return (SHARED if self.gain else "") + (FALLBACK if self.best in self.fallbacks else "")

    @property
    def judged(self) -> bool:
        return self.ratio is not None and not self.marks

    @property
    def case(self) -> tuple[str, str, int, str]:
        return self.suite, self.shape, self.threads, self.backend

    @property
    def vectors(self) -> str:
        target = self.backend.split("/")[-1]
        return next((name for prefix, name in VECTORS.items() if target.startswith(prefix)),
                    target)

    @property
    def noisy(self) -> bool:
        if self.ratio is None:
            return False
        return self.interval is None or relative_width(self.interval, self.ratio) > NOISY_WIDTH


@dataclass
class Run:
    date: str
    command: str
    about: dict[str, str]           # machine, ours, peers, Python peers
    peak_gflops: dict[str, float]   # by threads
    rows: list[Result]
    commit: Optional[str] = None
    source: Optional[str] = None


@dataclass
class Day:
    """A file: what was measured on a machine on one day."""

    machine: str
    date: str
    runs: list[Run]

    @property
    def path(self) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", self.machine.lower()).strip("-")
        return f"{slug}-{self.date}.json"


# From a pool of Google Benchmark's runs.

def rounded(value: Optional[float], digits: int = 4) -> Optional[float]:
    return None if value is None else float(f"{value:.{digits}g}")


def result_of(row: Row, peers: dict[str, Samples]) -> Result:
    shown = row.ours or row.peer
    _, unit = figure_value(row.name, shown)
    return Result(
        row.name.kernel, label_of(row), row.name.threads, row.backend, unit,
        rounded(figure_value(row.name, row.ours)[0]) if row.ours else None,
        {peer: rounded(figure_value(row.name, samples)[0]) for peer, samples in peers.items()},
        row.peer_name if row.peer else None, rounded(row.ratio),
        row.interval and (rounded(row.interval[0]), rounded(row.interval[1])),
        rounded(row.ours.counter("of_peak"), 3) if row.ours else None, rounded(row.gain, 3),
        {peer: int(lanes) for peer, lanes in row.fallbacks.items()})


def results_of(pool: Pool) -> Iterator[Result]:
    index = kernels_index(pool)
    for kernel, threads in index.groups():
        for row in build_rows(index, kernel, threads, pool.default_backend, everything=False):
            if row.ours or row.peer:
                yield result_of(row, index.peers(kernel, threads, row.name.case))


def peaks_of(pool: Pool) -> dict[str, float]:
    return {str(threads): rounded(peak) for threads, peak in pool.peaks.items()}


def run_of(pool: Pool, commit: Optional[str], command: str) -> Run:
    about = header_lines(pool)
    date = about.pop("date", "")
    if not date:
        raise Unusable("the files do not say when they were measured, so nothing is saved")
    return Run(date[:16], command, about, peaks_of(pool), list(results_of(pool)), commit)


# Files.

def as_text(day: Day) -> str:
    """One row on a line, so that a change reads well."""
    def members(of: object, without: str) -> Iterator[str]:
        for key, value in vars(of).items():
            if key != without and value is not None:
                yield f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"

    def row_text(row: Result) -> str:
        return json.dumps({key: value for key, value in vars(row).items()
                           if value is not None and value != {}}, ensure_ascii=False)

    def run_text(run: Run) -> str:
        lines = [*members(run, "rows"),
                 '"rows": [\n    ' + ",\n    ".join(map(row_text, run.rows)) + "]"]
        return "  {" + ",\n   ".join(lines) + "}"

    return ("{" + ",\n ".join(members(day, "runs")) + ',\n "runs": [\n'
            + ",\n".join(map(run_text, day.runs)) + "]}\n")


def read_day(path: Path) -> Day:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        runs = [Run(**{**run, "rows": [Result(**row) for row in run["rows"]]})
                for run in content["runs"]]
        return Day(content["machine"], content["date"], runs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path} is no file of kept results: {error}") from error


def read_days(folder: Path) -> list[Day]:
    """The newest first."""
    days = [read_day(path) for path in sorted(folder.glob("*.json"))]
    if not days:
        raise Unusable(f"no results are kept in {folder}: expected files that --save has written")
    return sorted(days, key=lambda day: day.date, reverse=True)


def save(run: Run, machine: str, folder: Path) -> Path:
    """Adds a run to its machine's day; the same cases of earlier runs of that day are dropped."""
    day = Day(machine, run.date[:10], [])
    path = folder / day.path
    if path.exists():
        day = read_day(path)
    measured = {row.case for row in run.rows}
    for older in day.runs:
        older.rows = [row for row in older.rows if row.case not in measured]
    day.runs = [older for older in day.runs if older.rows] + [run]
    make_folder(folder)
    write_file(path, as_text(day))
    return path


# What a report asks.

@dataclass(frozen=True)
class Setting:
    """A column: a machine and the vectors that were used."""

    machine: str
    vectors: str

    def __str__(self) -> str:
        return f"{self.machine}, {self.vectors}"


def newest_rows(days: Iterable[Day], suites: Iterable[str], threads: int,
                ) -> dict[Setting, list[Result]]:
    """Of each setting the rows of the newest day that has any; later runs of that day win."""
    found: dict[Setting, dict[tuple, Result]] = {}
    from_day: dict[Setting, Day] = {}
    for day in days:
        for run in day.runs:
            for row in run.rows:
                if row.suite in suites and row.threads == threads and row.ours is not None:
                    setting = Setting(day.machine, row.vectors)
                    if from_day.setdefault(setting, day) is day:
                        found.setdefault(setting, {})[row.suite, row.shape] = row
    return {setting: list(rows.values()) for setting, rows in found.items()}
