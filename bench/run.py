#!/usr/bin/env python3
"""Runs the benchmarks in rounds, the Python peers after ours in each, and prints the table.

    run.py --build BUILD_FOLDER [--rounds N] [--isa best|avx2] [--full] [--no-peers]
           [--markdown FILE] [arguments of lockstep_bench ...]

Leaves Google Benchmark JSON in BUILD_FOLDER/results: one file per round and program. Exit status:
that of report.py; 2 if a program fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="./dev bench", allow_abbrev=False,
        description="Benchmarks of Lockstep beside its peers; ends with a table.",
        epilog="All other arguments go to lockstep_bench: --backends, --threads, "
               "--benchmark_filter=REGEX, --benchmark_repetitions=N, ...")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=1, metavar="N",
                        help="run everything N times; the table pools the repetitions")
    parser.add_argument("--full", action="store_true", help="all shapes; takes hours")
    parser.add_argument("--isa", choices=["best", "avx2"], default="best",
                        help="widest instruction set, for us and the peers")
    parser.add_argument("--no-peers", action="store_true", help="measure Lockstep alone")
    parser.add_argument("--markdown", type=Path, metavar="FILE",
                        help="write the table to FILE as Markdown too")
    return parser.parse_known_args()


def python_with_numpy() -> str | None:
    """The first interpreter that has NumPy; PYTHON, if set, is asked first."""
    for name in (os.environ.get("PYTHON"), sys.executable, "/usr/bin/python3"):
        if name and shutil.which(name) and subprocess.run(
                [name, "-c", "import numpy"], capture_output=True, check=False).returncode == 0:
            return name
    return None


def run_python_peers(options: argparse.Namespace, selection: list[str], program: Path, out: Path,
                     number: int) -> bool:
    python = python_with_numpy()
    if python is None:
        print("bench: no Python with NumPy (python3-numpy, python3-torch): going without these "
              "peers", file=sys.stderr)
        return False
    subprocess.run([python, HERE / "python_peers.py", "--program", program, "--out", out,
                    "--isa", options.isa, "--round", str(number), *selection], check=True)
    return True


def python_selection(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """What of our own selection the Python peers understand."""
    selection = ["--full"] if options.full else []
    for position, argument in enumerate(rest):
        if argument.startswith("--benchmark_filter="):
            selection += ["--filter", argument.split("=", 1)[1]]
        elif argument.startswith("--benchmark_repetitions="):
            selection += ["--repetitions", argument.split("=", 1)[1]]
        elif argument.startswith("--threads="):
            selection.append(argument)
        elif argument == "--threads":
            selection += rest[position:position + 2]
    return selection


def run_round(options: argparse.Namespace, rest: list[str], number: int) -> list[Path]:
    program = options.build / "bench" / "lockstep_bench"
    results = options.build / "results"
    results.mkdir(exist_ok=True)
    ours = results / f"lockstep-{options.isa}-{number}.json"
    arguments = ["--isa", options.isa, f"--benchmark_out={ours}", "--benchmark_out_format=json"]
    if options.full:
        arguments.append("--full")
    if options.no_peers:
        arguments.append("--no-peers")
    subprocess.run([program, *arguments, *rest], check=True)
    files = [ours]
    peers = results / f"python-{options.isa}-{number}.json"
    if not options.no_peers and run_python_peers(options, python_selection(options, rest), program,
                                                 peers, number):
        files.append(peers)
    return files


def main() -> int:
    options, rest = parse_arguments()
    files: list[Path] = []
    try:
        for number in range(1, options.rounds + 1):
            files += run_round(options, rest, number)
    except subprocess.CalledProcessError as error:
        print(f"bench: {error.cmd[0]} ended with status {error.returncode}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        if not files:
            return 130
    report = [sys.executable, HERE / "report.py", *files]
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as out:
            subprocess.run([*report, "--markdown"], stdout=out, check=False)
    print()
    status = subprocess.run(report, check=False).returncode
    print("\nresults:", *files)
    return status


if __name__ == "__main__":
    sys.exit(main())
