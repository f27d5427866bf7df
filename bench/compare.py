#!/usr/bin/env python3
"""Says whether HEAD is slower than BASE, each a git revision, a build folder or a saved JSON file.

    compare.py BASE HEAD [options] [arguments of the benchmark program ...]

Revisions are built under build/compare. Programs are run alternately, process by process in random
order, until the intervals are narrow or the time is over; gate.py has the statistics. Leaves
base.json and head.json, Google Benchmark's JSON with all repetitions, in the folder of the results.
Exit status: 0 no regression; 1 a regression beyond the tolerance, with significance; 2 could not
judge, or an argument is wrong; 130 after Ctrl-C. The first line of the output says which and why.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys
from pathlib import Path
from typing import Iterator, Optional, Sequence

sys.dont_write_bytecode = True  # No caches among the sources.

from outputs import (  # noqa: E402
    STANDARD_OUTPUT, make_folder, print_text, require_writable, run_tool, write)
from programs import Unusable, need_module, say  # noqa: E402


def could_not_judge(problem: object) -> str:
    """A sentence, and behind it what a program has said."""
    first, *said = str(problem).splitlines()
    return "\n".join([f"Could not judge: {first}" + ("" if said else "."), *said])


def not_judged(problem: object) -> int:
    """Says so in the place of the verdict; the exit status."""
    print_text(could_not_judge(problem))
    return 2


try:
    need_module("scipy", "python3-scipy")
    from gate import (
        Comparison, Limits, Verdict, compare, is_narrow, needed_processes, pairs_of, shared_core,
        verdict)
except (Unusable, ImportError) as missing:
    reason = missing
    run_tool(lambda: not_judged(reason))

from alternation import Effort, Runner, alternate  # noqa: E402
from measurements import Measurements, merge  # noqa: E402
from sides import Builder, Saved, Side, resolve  # noqa: E402
from tables import Column, interval_text, markdown_table, text_table, time_figure  # noqa: E402
from texts import (  # noqa: E402
    listing, markdown_block, markdown_items, markdown_prose, plural)

ROOT = Path(__file__).resolve().parent.parent
ROLES = ["BASE", "HEAD"]
OWN_PROGRAM = Path("bench/lockstep_bench")
OWN_ARGUMENTS = ["--no-peers", "--benchmark_min_time=0.01"]
OWN_THREADS = ["--threads", "1"]
OWN_CMAKE_ARGUMENTS = ["-DLOCKSTEP_TESTS=OFF", "-DLOCKSTEP_COMMAND=OFF", "-DLOCKSTEP_BENCH=ON"]


# The command line.

def share(text: str) -> float:
    """5 as well as 5%."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1
    if not 0 <= value < 10:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of per cent")
    return value


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return int(text)


def parse_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="./dev bench compare", allow_abbrev=False,
        description="Whether HEAD is slower than BASE: each a git revision, a build folder or a "
                    "saved JSON file.",
        epilog="All other arguments go to the benchmark program: --benchmark_filter=REGEX, --full, "
               "... Lockstep's own gets --threads 1 unless you give others.")
    parser.add_argument("base", metavar="BASE", help="-: JSON on the standard input")
    parser.add_argument("head", metavar="HEAD")
    parser.add_argument("--tolerance", type=share, default=Limits.tolerance, metavar="PERCENT",
                        help="smaller slow-downs are no regression (3)")
    parser.add_argument("--resolution", type=share, default=Limits.resolution, metavar="PERCENT",
                        help="slow-downs from here on must be found or excluded (10)")
    parser.add_argument("--processes", type=positive, default=Limits.least, metavar="N",
                        help="of each side, at least (9, and more for many benchmarks)")
    parser.add_argument("--budget", type=positive, default=900, metavar="SECONDS",
                        help="after which no round begins beyond the least (900)")
    parser.add_argument("--markdown", metavar="FILE",
                        help="the report as GitHub's Markdown too; -: alone, on standard output")
    parser.add_argument("--results", type=Path, metavar="FOLDER",
                        help="for base.json and head.json (build/compare/results)")
    parser.add_argument("--scratch", type=Path, default=ROOT / "build/compare", metavar="FOLDER",
                        help="for worktrees and builds (build/compare)")
    parser.add_argument("--repository", type=Path, default=ROOT, metavar="FOLDER",
                        help="whose revisions BASE and HEAD are (this one)")
    parser.add_argument("--program", type=Path, default=OWN_PROGRAM, metavar="PATH",
                        help=f"the benchmarks, below a build folder ({OWN_PROGRAM})")
    parser.add_argument("--cmake", action="append", default=[], metavar="ARGUMENT",
                        help="for configuring revisions, as --cmake=-DOPTION=ON; repeatable")
    options, rest = parser.parse_known_args(arguments)
    options.results = options.results or options.scratch / "results"
    return options, own_arguments(rest) if options.program == OWN_PROGRAM else rest


def own_arguments(given: Sequence[str]) -> list[str]:
    names_threads = any(argument.partition("=")[0] == "--threads" for argument in given)
    return [*OWN_ARGUMENTS, *([] if names_threads else OWN_THREADS), *given]


def builder_of(options: argparse.Namespace) -> Builder:
    own = OWN_CMAKE_ARGUMENTS if options.program == OWN_PROGRAM else []
    return Builder(options.repository.resolve(), options.scratch.resolve(), options.program,
                   [*own, *options.cmake])


# Measuring.

def new_folder(folder: Path) -> None:
    make_folder(folder)
    for path in folder.iterdir():
        if re.fullmatch(r"(base|head)(-\d+)?\.json", path.name):
            path.unlink()


def runner_of(side: Side, stem: Path, arguments: Sequence[str]) -> Optional[Runner]:
    if isinstance(side, Saved):
        return None
    runner = Runner(side.label, side.path, arguments, stem)
    runner.measurements.built_here = side.built_here
    return runner


def merged(runner: Optional[Runner], path: Path) -> None:
    if runner and runner.files:
        merge(runner.files, path)
        for file in runner.files:
            file.unlink()


def measure(sides: Sequence[Side], options: argparse.Namespace, limits: Limits,
            arguments: Sequence[str]) -> list[Measurements]:
    stems = [options.results / "base", options.results / "head"]
    runners = [runner_of(side, stem, arguments) for side, stem in zip(sides, stems)]
    found = [runner.measurements if runner else side.measurements
             for runner, side in zip(runners, sides)]
    if any(runners):
        new_folder(options.results)
        try:
            alternate([runner for runner in runners if runner],
                      Effort(limits.least, options.budget),
                      lambda: needed_processes(len(pairs_of(*found)), limits),
                      lambda: all(is_narrow(c, limits) for c in compare(*found, limits)))
        finally:
            for runner, stem in zip(runners, stems):
                merged(runner, stem.with_suffix(".json"))
    return found


def warnings(sides: Sequence[Side], found: Sequence[Measurements],
             comparisons: Sequence[Comparison]) -> Iterator[str]:
    if any(isinstance(side, Saved) for side in sides):
        yield ("nothing tells that BASE and HEAD were measured alternately: whatever changed in "
               "the machine in between, beyond its clock, shows as a difference")
    base, head = found
    if base.digest and base.digest == head.digest:
        yield "BASE and HEAD hold the same measurements"
    for role, measurements in zip(ROLES, found):
        yield from (f"{role}: {text}" for text in dict.fromkeys(measurements.warnings))
    if comparisons and not all(c.calibrated for c in comparisons):
        yield "the times are not calibrated, so a slowed machine shows as a slower program"
    why, unjudged = shared_core(base, head)
    if unjudged and comparisons:
        yield f"{why}: {listing(sorted(unjudged))}"
    for role, names in zip(ROLES, [set(base.values) - set(head.values),
                                   set(head.values) - set(base.values)]):
        if names:
            yield (f"{plural(len(names), 'benchmark')} only in {role}, not compared: "
                   + listing(sorted(names)))


# The report.

def columns_of(comparisons: Sequence[Comparison]) -> list[Column]:
    return [Column("benchmark", [c.name for c in comparisons], right=False, names=True),
            Column("base", [" ".join(time_figure(c.base_seconds)) for c in comparisons]),
            Column("head", [" ".join(time_figure(c.head_seconds)) for c in comparisons]),
            Column("ratio", [f"{c.ratio:.3f}" for c in comparisons]),
            Column("interval", [interval_text(c.interval, 3) for c in comparisons]),
            Column("p", [f"{c.p:.2g}" for c in comparisons]),
            Column("", [c.verdict.value for c in comparisons], right=False)]


LEGEND = ("base, head: medians over processes of the time as it was taken. ratio: HEAD over BASE, "
          "of medians; above 1, HEAD is slower. Where all processes are calibrated it is one of "
          "time that the machine's own speed around each timing is divided out of. interval: 95 %. "
          "p: Mann and Whitney, two-sided, after Holm.")


def as_text(sentence: str, notes: Sequence[str], comparisons: Sequence[Comparison]) -> str:
    table = [*text_table(columns_of(comparisons)), "", LEGEND] if comparisons else []
    return "\n".join([sentence, *notes, "", *table])


def as_markdown(sentence: str, notes: Sequence[str] = (),
                comparisons: Sequence[Comparison] = ()) -> str:
    """Whatever follows the sentence's first line is what a program has said."""
    first, *said = sentence.splitlines()
    lines = [f"**{markdown_prose(first)}**", "", *markdown_block(said), *markdown_items(notes), ""]
    notable = [c for c in comparisons if c.verdict is not Verdict.SAME]
    if notable:
        lines += [*markdown_table(columns_of(notable)), ""]
    if comparisons:
        lines += [f"<details><summary>All {len(comparisons)} benchmarks</summary>", "",
                  *markdown_table(columns_of(comparisons)), "", LEGEND, "", "</details>"]
    return "\n".join(lines).rstrip()


def publish(markdown: Optional[str], sentence: str, notes: Sequence[str],
            comparisons: Sequence[Comparison]) -> None:
    """Wherever it can be written, also if one of two places is full."""
    try:
        if markdown not in STANDARD_OUTPUT:
            print_text(as_text(sentence, notes, comparisons))
    finally:
        if markdown:
            write(markdown, as_markdown(sentence, notes, comparisons))


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    if options.markdown:
        require_writable(options.markdown)
    limits = Limits(options.tolerance, options.resolution, least=options.processes)
    builder = builder_of(options)
    sides = [resolve(text, builder) for text in (options.base, options.head)]
    found = measure(sides, options, limits, rest)
    comparisons = sorted(compare(*found, limits), key=lambda c: -c.ratio)
    status, sentence = verdict(*found, comparisons, limits)
    notes = [f"{role}: {side.label}, measured {plural(measurements.processes, 'time')}"
             for role, side, measurements in zip(ROLES, sides, found)]
    notes += [f"warning: {text}" for text in warnings(sides, found, comparisons)]
    try:
        publish(options.markdown, sentence, notes, comparisons)
    except Unusable as problem:
        say(str(problem))  # Not where the verdict may be already.
        return 2
    return status.value


def main(arguments: Sequence[str]) -> int:
    # The worktree must go and the program end, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options, rest = parse_arguments(arguments)
    try:
        return run(options, rest)
    except Unusable as problem:
        if options.markdown:
            with contextlib.suppress(Unusable):  # It may be what is wrong.
                write(options.markdown, as_markdown(could_not_judge(problem)))
        raise


if __name__ == "__main__":
    run_tool(lambda: main(sys.argv[1:]), not_judged)
