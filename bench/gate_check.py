#!/usr/bin/env python3
"""Measures the gate itself: how often it cries wolf, and how often it finds a planted slow-down.

    gate_check.py --program lockstep_planted_bench [--seconds N] [--load] [--results FOLDER]

Rounds of five processes in random order: the same program twice, and once with 5, 10 and 25 % more
work planted in tanh (tests/planted_bench.cc). Rounds are added to those of earlier calls, quiet
ones and ones under background load apart; --seconds 0 only evaluates. Groups of consecutive rounds
are then handed to the gate as if each were a comparison: the same program against itself must be
quiet, also with the two exchanged in any of the rounds, which is as likely (in overlapping groups,
to have more of them); the planted ones must be found.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

sys.dont_write_bytecode = True  # No caches among the sources.

from programs import Unusable, need_module, say  # noqa: E402

try:
    need_module("scipy", "python3-scipy")
except Unusable as missing:
    say(str(missing))
    sys.exit(2)

from alternation import Runner  # noqa: E402
from gate import Limits, Status, Verdict, compare, needed_processes, verdict  # noqa: E402
from measurements import Measurement, Measurements  # noqa: E402
from outputs import make_folder, print_text, run_tool  # noqa: E402

# One case or two of each kernel, a process in half a second.
SUITE = ("^(gemm|gemm_packed)/.*/(20x50x50|64x256x256)/1/real|^(tanh|exp)/.*/4096/|"
         "^softmax/.*/64x100/|^loss/.*/64x10/|^pack/.*/50x50/|"
         "^rnn_(forward|train)/.*/(20x18x12x64)/")
ARGUMENTS = [f"--benchmark_filter={SUITE}", "--benchmark_min_time=0.005"]
PLANTED_IN = "tanh/"
PLANTED = {"5 %": "1.05", "10 %": "1.10", "25 %": "1.25"}
CLEAN = ("clean", "clean again")
# Exchanges of the two clean programs that are tried for each group of rounds.
EXCHANGES = 10
LIMITS = Limits()

# The values of one process by benchmark; of a round by variant; of a condition round by round.
Process = dict[str, list[float]]
Round = dict[str, Process]


# Background load.

def load(seed: int) -> None:
    """Bursts of arithmetic or of copying, with pauses as long in the mean: half a core."""
    numbers = random.Random(seed)
    memory = bytearray(1 << 25)
    while True:
        end = time.monotonic() + numbers.expovariate(1 / 0.3)
        copies = numbers.random() < 0.5
        while time.monotonic() < end:
            if copies:
                memory[:] = bytes(memory)
            else:
                sum(range(10_000))
        time.sleep(numbers.expovariate(1 / 0.3))


@contextmanager
def background_load(wanted: bool) -> Iterator[None]:
    process = multiprocessing.Process(target=load, args=(os.getpid(),), daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.terminate()
            process.join()


# Measuring.

def runners(program: Path, folder: Path) -> dict[str, Runner]:
    variants = {**dict.fromkeys(CLEAN, ""), **PLANTED}
    return {variant: Runner(variant, program, ARGUMENTS, folder / f"process-{i}",
                            {**os.environ, "LOCKSTEP_PLANTED": factor or "1"})
            for i, (variant, factor) in enumerate(variants.items())}


def one_process(runner: Runner) -> Process:
    runner.measurements = Measurements()
    runner.run()
    runner.files.pop().unlink()
    return {name: [values[0].seconds, values[0].work]
            for name, values in runner.measurements.values.items()}


def measure(program: Path, folder: Path, path: Path, seconds: float) -> None:
    variants = runners(program, folder)
    end = time.monotonic() + seconds
    with path.open("a", encoding="utf-8") as out:
        while time.monotonic() < end:
            order = random.sample(list(variants), len(variants))
            measured = {variant: one_process(variants[variant]) for variant in order}
            print(json.dumps(measured), file=out, flush=True)


def rounds_in(path: Path) -> list[Round]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# Evaluating.

def measurements(processes: Sequence[Process]) -> Measurements:
    found = Measurements()
    for process in processes:
        for name, (seconds, work) in process.items():
            found.values.setdefault(name, []).append(Measurement(seconds, work))
    return found


def groups(rounds: Sequence[Round], size: int, step: int) -> list[Sequence[Round]]:
    return [rounds[i:i + size] for i in range(0, len(rounds) - size + 1, step)]


def status_of(base: Sequence[Process], head: Sequence[Process]) -> Status:
    sides = measurements(base), measurements(head)
    return verdict(*sides, compare(*sides, LIMITS), LIMITS)[0]


def exchanged(group: Sequence[Round], numbers: random.Random) -> Status:
    pairs = [numbers.sample(CLEAN, 2) for _ in group]
    return status_of([r[a] for r, (a, _) in zip(group, pairs)],
                     [r[b] for r, (_, b) in zip(group, pairs)])


def is_found(group: Sequence[Round], planted: str, clean: str) -> bool:
    sides = [measurements([r[variant] for r in group]) for variant in (clean, planted)]
    return any(c.verdict is Verdict.SLOWER and c.name.startswith(PLANTED_IN)
               for c in compare(*sides, LIMITS))


def real_ratio(rounds: Sequence[Round], planted: str) -> float:
    sides = [measurements([r[variant] for r in rounds]) for variant in (CLEAN[0], planted)]
    return next(c.ratio for c in compare(*sides, LIMITS) if c.name.startswith(PLANTED_IN))


def share(found: Sequence[bool]) -> str:
    return f"{sum(found)} of {len(found)} ({sum(found) / len(found):.1%})"


def evaluate(title: str, rounds: Sequence[Round], size: int) -> Iterator[str]:
    parts = groups(rounds, size, step=size)
    if not parts:
        return
    numbers = random.Random(1)
    plain = [status_of([r[CLEAN[0]] for r in part], [r[CLEAN[1]] for r in part]) for part in parts]
    mixed = [exchanged(part, numbers) for part in groups(rounds, size, step=1)
             for _ in range(EXCHANGES)]
    yield f"{title}, {len(rounds)} rounds, {size} processes of each side:"
    for words, found in [("as run", plain), ("exchanged", mixed)]:
        yield (f"  the same program, {words}: false alarms "
               f"{share([s is Status.REGRESSION for s in found])}, could not judge "
               f"{share([s is Status.NOT_JUDGED for s in found])}")
    for planted in PLANTED:
        found = [is_found(part, planted, clean) for part in parts for clean in CLEAN]
        yield f"  {planted} planted (ratio {real_ratio(rounds, planted):.3f}): found {share(found)}"


# The command.

def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench gate-check", allow_abbrev=False,
                                     description="Measures false alarms and detection of the gate.")
    parser.add_argument("--program", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=150, help="to measure (150)")
    parser.add_argument("--load", action="store_true",
                        help="under background load; taskset keeps it on the core that is measured")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    make_folder(options.results)
    paths = {title: options.results / f"{title}.jsonl" for title in ["quiet", "load"]}
    with background_load(options.load):
        measure(options.program.resolve(), options.results,
                paths["load" if options.load else "quiet"], options.seconds)
    for title, path in paths.items():
        rounds = rounds_in(path)
        least = needed_processes(len(rounds[0][CLEAN[0]]), LIMITS) if rounds else 1
        for size in [least, 3 * least]:
            print_text("\n".join(evaluate(title, rounds, size)))
    return 0


if __name__ == "__main__":
    run_tool(main)
