#!/usr/bin/env python3
"""Runs the benchmarks in rounds, in each the Python peers last, and prints the table.

    run.py --build BUILD_FOLDER [--rounds N] [--isa best|avx2] [--full] [--no-peers]
           [--markdown FILE] [--save MACHINE] [arguments of lockstep_bench ...]

Leaves Google Benchmark JSON in BUILD_FOLDER/results, one file per round and program, instead of
what an earlier run with the same --isa left. Whatever fails, the table shows what was measured.
Exit status: that of report.py; 1 too if the Python peers failed, which are optional; 2 if
lockstep_bench failed, nothing was measured or an argument is wrong; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

sys.dont_write_bytecode = True  # No caches among the sources.

from footprint import footprint  # noqa: E402
from gb_results import Pool, add_file  # noqa: E402
from outputs import make_folder, print_text, require_writable, run_tool  # noqa: E402
from programs import Unusable, ending, python_with, run_program, say  # noqa: E402
from results import FOLDER, run_of, save  # noqa: E402

HERE = Path(__file__).resolve().parent


# The command line, and what can be found wrong before minutes are spent.

def round_count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of rounds: expected 1 or more")
    return count


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="./dev bench", allow_abbrev=False,
        description="Benchmarks of Lockstep beside its peers; ends with a table.",
        epilog="All other arguments go to lockstep_bench: --backends, --threads, "
               "--benchmark_filter=REGEX, --benchmark_repetitions=N, ...")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=round_count, default=1, metavar="N",
                        help="run everything N times; the table pools the repetitions")
    parser.add_argument("--full", action="store_true", help="all shapes; takes hours")
    parser.add_argument("--isa", choices=["best", "avx2"], default="best",
                        help="widest instruction set, for us and the peers")
    parser.add_argument("--no-peers", action="store_true", help="measure Lockstep alone")
    parser.add_argument("--markdown", type=Path, metavar="FILE",
                        help="write the table to FILE as Markdown too")
    parser.add_argument("--save", metavar="MACHINE",
                        help="keep the results in bench/results, under this name of the machine")
    parser.add_argument("--results", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    return parser.parse_known_args()


def require_program(program: Path) -> None:
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise Unusable(f"there is no program {program}: build it first, with LOCKSTEP_BENCH on")


def require_no_own_output(rest: list[str]) -> None:
    for argument in rest:
        if argument.startswith("--benchmark_out"):
            raise Unusable(f"{argument} cannot be had: the results are written to "
                           "BUILD_FOLDER/results, as JSON")


def empty_results(folder: Path, isa: str) -> None:
    """Older files, of more rounds perhaps, must not be taken for those of this run."""
    make_folder(folder)
    for program in ["lockstep", "python"]:
        for path in folder.glob(f"{program}-{isa}-*.json"):
            path.unlink()


def holds_runs(path: Path) -> bool:
    """Google Benchmark writes while it runs, so an interrupted program leaves no valid JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and bool(content.get("benchmarks"))


# The rounds.

def python_with_numpy() -> str | None:
    python = python_with("numpy")
    if python is None:
        say("no Python with NumPy (python3-numpy, python3-torch): going without these peers")
    return python


def threads_arguments(rest: list[str]) -> list[str]:
    """--threads=1,2 as well as --threads 1 2."""
    found: list[str] = []
    is_value = False
    for argument in rest:
        is_value = not argument.startswith("-") and is_value or argument == "--threads"
        if is_value or argument.startswith("--threads="):
            found.append(argument)
    return found


def min_time_arguments(text: str) -> list[str]:
    """Google Benchmark takes 0.5, 0.5s, and 100x for iterations."""
    if text.endswith("x"):
        say(f"--benchmark_min_time={text} counts iterations, which the Python peers cannot do: "
            "they keep their own time")
        return []
    return ["--min-time=" + (text[:-1] if text.endswith("s") else text)]


def python_selection(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """What of our own selection the Python peers understand."""
    selection = ["--full"] if options.full else []
    for argument in rest:
        flag, _, value = argument.partition("=")
        if flag == "--benchmark_filter":
            selection.append(f"--filter={value}")
        elif flag == "--benchmark_repetitions":
            selection.append(f"--repetitions={value}")
        elif flag == "--benchmark_min_time":
            selection += min_time_arguments(value)
    return selection + threads_arguments(rest)


@dataclass
class Bench:
    """The commands without what differs between rounds, and the files with results so far."""

    ours: list[object]
    python_peers: list[object] | None
    results: Path
    isa: str
    files: list[Path]

    def keep(self, path: Path) -> bool:
        if holds_runs(path):
            self.files.append(path)
            return True
        return False

    def measure_ours(self, number: int) -> bool:
        path = self.results / f"lockstep-{self.isa}-{number}.json"
        status = run_program([*self.ours, f"--benchmark_out={path}"])
        if not self.keep(path):
            say(f"no results of lockstep_bench in round {number}")
        if status != 0:
            say(f"lockstep_bench {ending(status)} in round {number}")
        # It leaves an empty file if the filter selects Python peers alone.
        return status == 0 and path.exists()

    def measure_python_peers(self, number: int) -> bool:
        if self.python_peers is None:
            return True
        path = self.results / f"python-{self.isa}-{number}.json"
        status = run_program([*self.python_peers, "--out", path, "--round", number])
        kept = self.keep(path)
        if status != 0:
            say(f"the Python peers failed in round {number}: python_peers.py {ending(status)}; "
                + ("going on with what it measured" if kept else "going on without"))
        return status == 0

    def measure(self, rounds: int) -> int:
        """The exit status as far as it does not depend on the results."""
        well = True
        try:
            for number in range(1, rounds + 1):
                if not self.measure_ours(number):
                    return 2
                well = self.measure_python_peers(number) and well
        except KeyboardInterrupt:
            say("interrupted")
            return 130
        return 0 if well else 1


def command_of_ours(options: argparse.Namespace, rest: list[str]) -> list[object]:
    program = options.build / "bench" / "lockstep_bench"
    require_program(program)
    flags = ["--full"] * options.full + ["--no-peers"] * options.no_peers
    return [program, "--isa", options.isa, "--benchmark_out_format=json", *flags, *rest]


def command_of_python_peers(options: argparse.Namespace, rest: list[str],
                            program: object) -> list[object] | None:
    python = None if options.no_peers else python_with_numpy()
    return python and [python, HERE / "python_peers.py", "--program", program, "--isa",
                       options.isa, *python_selection(options, rest)]


def prepare(options: argparse.Namespace, rest: list[str]) -> Bench:
    results = options.build / "results"
    ours = command_of_ours(options, rest)
    require_no_own_output(rest)
    if options.markdown:
        require_writable(options.markdown)
    empty_results(results, options.isa)
    return Bench(ours, command_of_python_peers(options, rest, ours[0]), results, options.isa, [])


# The end.

def report_on(files: list[Path], markdown: Path | None) -> int:
    if not files:
        say("nothing was measured")
        return 2
    report = [sys.executable, HERE / "report.py", *files]
    written = 0
    if markdown:
        written = subprocess.run([*report, f"--markdown={markdown}"], check=False).returncode
    print_text("")
    status = subprocess.run(report, check=False).returncode
    print_text(" ".join(["\nresults:", *map(str, files)]))
    return max(status, written)


# What is kept.

def commit() -> Optional[str]:
    """Of the sources beside this one, marked where they differ from it."""
    found = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty", "--exclude=*"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           check=False)
    return found.stdout.strip() or None


def command_line() -> str:
    """As the user gave it, without the folders of this machine."""
    kept: list[str] = []
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        flag, _, value = argument.partition("=")
        if flag not in ("--build", "--markdown", "--results"):
            kept.append(argument)
        elif not value:
            next(arguments, None)
    return shlex.join(["./dev", "bench", *kept])


def keep(files: list[Path], options: argparse.Namespace) -> None:
    pool = Pool()
    for path in files:
        add_file(pool, str(path))
    run = run_of(pool, commit(), command_line())
    run.rows += footprint(options.build, pool.default_backend or "-")
    path = save(run, options.save, options.results)
    say(f"saved {path}; ./dev bench report makes the pages of it")


def main() -> int:
    # Takes the program along that is being run, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, rest = parse_arguments()
    if any(argument.startswith("--benchmark_list_tests") for argument in rest):
        return run_program(command_of_ours(options, rest))
    bench = prepare(options, rest)
    status = bench.measure(options.rounds)
    status = max(status, report_on(bench.files, options.markdown))
    if options.save and status < 2:
        keep(bench.files, options)
    return status


if __name__ == "__main__":
    run_tool(main)
