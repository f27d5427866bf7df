#!/usr/bin/env python3
"""Measures PyTorch, ONNX Runtime and NumPy on the networks of lockstep_bench.

    python_peers.py --program build/release/bench/lockstep_bench --out peers.json

What is timed, as <suite>/<pytorch, onnxruntime or numpy>/<shape>/<threads>, warm:
  *_forward  the recurrent layers and the linear layer behind them (NumPy: softmax too);
  *_train    the whole step: forward, cross-entropy, backward, clipping, SGD update.
ONNX Runtime does inference only, NumPy one vanilla layer only. NumPy computes in float64 like the
program that Lockstep began as, the others in float32. All take the minibatch time-major, their
fastest layout. Of ragged minibatches PyTorch packs the sequences within the step, ONNX Runtime
knows the lengths, and NumPy masks the padding; only true timesteps are counted.

Each thread count is measured in a process of its own, because BLAS libraries and PyTorch read their
settings when they are loaded; one thread count after the other, repetitions of its cases in random
order. ./dev bench runs all this after lockstep_bench in each round, not interleaved with it: a
machine that changes in between moves these peers' figures against all others.

Each case is verified before it is timed and refused if it is wrong. Settings of the libraries in
the environment are kept, except the numbers of threads. An OpenBLAS that takes kernels of fewer
lanes than the CPU has is set to others by OPENBLAS_CORETYPE; what still runs such kernels bears
"fallback_lanes" in the file. BLIS behind NumPy is never restricted: its
names differ between releases, and a wrong one aborts. ONNX Runtime cannot be restricted, and is
left out where it would have to be.
Options that are not listed below go to the program that lists the shapes, as --full does.
Exit status: 0 with what could be measured; 1 if a measuring process failed; 2 for bad usage.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.util
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, Sequence

sys.dont_write_bytecode = True  # No caches among the sources.

import networks  # noqa: E402
from outputs import require_writable, run_tool, write_file  # noqa: E402
from programs import Unusable, say  # noqa: E402
from peer_worker import (  # noqa: E402
    NUMPY_LONGEST_STEP, Case, openblas_cores, refusal)
from vectors import core_to_set, cpu_lanes, fallback_lanes  # noqa: E402

WORKER = Path(__file__).resolve().parent / "peer_worker.py"
LISTED_NAME = re.compile(
    rf"(?P<kernel>(?:{'|'.join(networks.GATES)})_(?:forward|train))/.+/"
    rf"(?P<shape>{networks.SHAPE.pattern})/(?P<threads>[1-9]\d*)(?:/real_time)?")
# The modules that each peer needs beside NumPy, which verifies all.
PEERS = {"pytorch": ["torch"], "onnxruntime": ["onnxruntime", "onnx"], "numpy": []}
THREAD_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                    "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"]
AVX2_SETTINGS = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def tell(message: str) -> None:
    say(message, "python_peers.py")


# Which cases, under which settings.

def listed_names(program: str, extra: Sequence[str]) -> list[str]:
    command = [program, *extra, "--benchmark_list_tests=true"]
    try:
        listing = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise Unusable(f"cannot run {program}: {error.strerror}") from error
    if listing.returncode != 0:
        said = (listing.stderr.strip() or listing.stdout.strip() or "it says nothing").splitlines()
        raise Unusable(f"'{' '.join(command)}' ended with status {listing.returncode}: {said[-1]}")
    return listing.stdout.split()


def does(case: Case) -> bool:
    """Whether the peer has such a network and this pass over it."""
    if case.peer == "onnxruntime":
        return not case.trains
    shape = case.shape
    return case.peer != "numpy" or (shape.cell == "rnn" and len(list(shape.parts())) == 1)


def find_cases(names: Sequence[str], is_selected: Callable[[str], bool]) -> list[Case]:
    found: dict[Case, None] = {}
    for match in filter(None, map(LISTED_NAME.fullmatch, names)):
        for peer in PEERS:
            case = Case(match["kernel"], peer, match["shape"], int(match["threads"]))
            if does(case) and is_selected(f"{case.name}/real_time"):
                found[case] = None
    return list(found)


def obstacle(peer: str, isa: str) -> Optional[str]:
    """Why a peer cannot be measured here."""
    missing = [module for module in PEERS[peer] if importlib.util.find_spec(module) is None]
    if missing:
        return f"{' and '.join(missing)} not installed for this Python"
    return "it cannot be held to AVX2" if peer == "onnxruntime" and isa == "avx2" else None


def measurable(cases: Sequence[Case], isa: str) -> Iterator[Case]:
    """Without the cases that cannot be measured here, each of which is reported."""
    if networks.np is None:
        if cases:
            tell("nothing is measured, for NumPy is needed to verify results: "
                 f"{networks.NUMPY_PROBLEM}")
        return
    obstacles = {peer: obstacle(peer, isa) for peer in dict.fromkeys(case.peer for case in cases)}
    for peer, why in obstacles.items():
        if why:
            tell(f"{peer} is skipped: {why}")
    for case in cases:
        if obstacles[case.peer]:
            continue
        if case.too_long:
            tell(f"{case.name} is skipped: one step would take more than {NUMPY_LONGEST_STEP:g} s")
            continue
        yield case


def cpu_information() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def wide_numpy_features() -> str:
    """Of NumPy's own loops, those beyond AVX2 that this version has and this CPU would run."""
    for package in ["numpy._core", "numpy.core"]:
        try:
            module = importlib.import_module(f"{package}._multiarray_umath")
        except ImportError:
            continue
        return " ".join(feature for feature in module.__cpu_dispatch__
                        if feature.startswith(("AVX512", "X86_V4"))
                        and module.__cpu_features__.get(feature))
    return ""


def avx2_settings() -> dict[str, str]:
    features = wide_numpy_features()
    return {**AVX2_SETTINGS, **({"NPY_DISABLE_CPU_FEATURES": features} if features else {})}


def best_settings(own_cores: Sequence[str], cpu: Mapping[str, str]) -> dict[str, str]:
    """For an OpenBLAS that is older than the CPU and takes one of these cores by itself."""
    found = (core_to_set(core, cpu_lanes(cpu), cpu.get("vendor_id", "")) for core in own_cores)
    return {"OPENBLAS_CORETYPE": core for core in found if core}


def settings(isa: str, threads: int) -> dict[str, str]:
    """Environment for the measuring process; the user's settings win, except for the threads."""
    found = (avx2_settings() if isa == "avx2" else
             best_settings(openblas_cores(), cpu_information()))
    return {**found, **os.environ, **{variable: str(threads) for variable in THREAD_VARIABLES}}


def run_worker(job: dict, environment: dict[str, str], folder: str) -> tuple[dict, bool]:
    """The worker's result, and whether it ended well."""
    path = Path(folder) / "result.json"
    path.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, str(WORKER), str(path)],
                          input=json.dumps(job), text=True, env=environment)
    if done.returncode == 0:
        return json.loads(path.read_text()), True
    if done.returncode == 130:
        raise KeyboardInterrupt
    message = f"the measuring process ended with status {done.returncode}"
    tell(f"{message}; all its cases are refused")
    return {"benchmarks": [refusal(Case(**case), job, message) for case in job["cases"]],
            "context": {}}, False


def with_fallbacks(entries: Sequence[dict], context: Mapping[str, str], isa: str,
                   cpu: Mapping[str, str]) -> list[dict]:
    lanes = cpu_lanes(cpu)
    allowed = min(lanes, 8) if lanes and isa == "avx2" else lanes
    return [{**entry, **fallback_lanes(entry["name"].split("/")[1], context, allowed)}
            for entry in entries]


def base_context(options: argparse.Namespace) -> dict[str, object]:
    return {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "executable": "python_peers.py", "num_cpus": os.cpu_count(),
            "cpu": cpu_information().get("model name") or platform.processor() or "unknown",
            "isa": options.isa, "python_version": platform.python_version(),
            "round": options.round}


def measure_all(cases: Sequence[Case], options: argparse.Namespace) -> tuple[dict, bool]:
    benchmarks: list[dict] = []
    context = base_context(options)
    all_well = True
    thread_counts = sorted({case.threads for case in cases})
    context["threads"] = ", ".join(map(str, thread_counts))
    for threads in thread_counts:
        mine = [case.__dict__ for case in cases if case.threads == threads]
        tell(f"measuring {len(mine)} cases with threads = {threads}")
        job = {"cases": mine, "repetitions": options.repetitions, "min_time": options.min_time,
               "seed": networks.SEED + options.round}
        environment = settings(options.isa, threads)
        with tempfile.TemporaryDirectory() as folder:
            result, well = run_worker(job, environment, folder)
        benchmarks += with_fallbacks(result["benchmarks"], result["context"], options.isa,
                                     cpu_information())
        core_type = environment.get("OPENBLAS_CORETYPE") or "chosen by OpenBLAS"
        context.update(result["context"], openblas_coretype=core_type)
        # This process has the environment of the user alone.
        if openblas_cores():
            context["openblas_own_core"] = ", ".join(openblas_cores())
        all_well = all_well and well
    return {"context": context, "benchmarks": benchmarks}, all_well


# The command.

def number(kind: Callable[[str], float], least: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = kind(text)
        if not (value >= least and math.isfinite(value)):
            raise ValueError
        return value
    convert.__name__ = f"{kind.__name__} (from {least} on)"
    return convert


def name_filter(text: str) -> Callable[[str], bool]:
    """What --benchmark_filter means: a leading minus selects the names that do not match."""
    is_negative = text.startswith("-")
    expression = text[1:] if is_negative else text
    try:
        pattern = re.compile("" if text == "all" else expression)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}")
    return lambda name: (pattern.search(name) is None) == is_negative


def parse_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    parser.add_argument("--program", required=True, help="lockstep_bench, which lists the shapes")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.json")
    parser.add_argument("--filter", type=name_filter, default="", metavar="REGEX",
                        help="only cases in whose name, with /real_time behind it, this is found; "
                             "after a minus (--filter=-REGEX): is not found")
    parser.add_argument("--repetitions", type=number(int, 1), default=5, metavar="N")
    parser.add_argument("--min-time", type=number(float, 0), default=0.05, metavar="SECONDS",
                        help="of each repetition (default: 0.05)")
    parser.add_argument("--round", type=int, default=0, metavar="N",
                        help="recorded in the file; each round has its own random order")
    parser.add_argument("--isa", choices=["best", "avx2"], default="best",
                        help="avx2 holds every library to AVX2, except BLIS")
    return parser.parse_known_args(arguments)


def run(arguments: Sequence[str]) -> int:
    options, extra = parse_arguments(arguments)
    require_writable(options.out)  # before minutes are spent
    cases = find_cases(listed_names(options.program, extra), options.filter)
    if not cases:
        tell("the program lists no forward pass and no training that the filter lets through")
    content, all_well = measure_all(list(measurable(cases, options.isa)), options)
    write_file(options.out, json.dumps(content, indent=1) + "\n")
    for entry_ in content["benchmarks"]:
        if entry_.get("error_occurred"):
            tell(f"refused: {entry_['name']}: {entry_['error_message']}")
    return 0 if all_well else 1


def main(arguments: Sequence[str]) -> int:
    # Ends like Ctrl-C, with the measuring process and without a half-written file.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return run(arguments)


if __name__ == "__main__":
    run_tool(lambda: main(sys.argv[1:]), tell)
