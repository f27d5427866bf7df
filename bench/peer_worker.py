#!/usr/bin/env python3
"""The process of python_peers.py that verifies and times: one number of threads, loaded afresh.

    peer_worker.py RESULT.json <JOB.json

The job: {"cases": [...], "repetitions": N, "min_time": seconds, "seed": N}, where a case has the
members of Case below. Repetitions of all cases run in random order.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import random
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

sys.dont_write_bytecode = True  # No caches among the sources.

from networks import Problem, Shape, np, verify  # noqa: E402
from numpy_rnn import NumpyModel  # noqa: E402
from onnx_rnn import OnnxModel  # noqa: E402
from outputs import run_tool, write_file  # noqa: E402
from torch_rnn import TorchModel  # noqa: E402

# NumPy does 9 to 50 GFLOP/s on one thread of a server.
NUMPY_FLOPS_PER_SECOND = 10e9
NUMPY_LONGEST_STEP = 20.0


@dataclass(frozen=True)
class Case:
    kernel: str
    peer: str
    shape_text: str
    threads: int

    @property
    def name(self) -> str:
        return f"{self.kernel}/{self.peer}/{self.shape_text}/{self.threads}"

    @property
    def shape(self) -> Shape:
        return Shape.parse(self.kernel.split("_")[0], self.shape_text)

    @property
    def trains(self) -> bool:
        return self.kernel.endswith("_train")

    @property
    def flops(self) -> int:
        products = 3 if self.trains else 1
        return products * 2 * sum(self.shape.lengths()) * self.shape.work_per_timestep

    @property
    def too_long(self) -> bool:
        # Padding costs as much as what it pads.
        padded = self.shape.sequences * self.shape.timesteps / sum(self.shape.lengths())
        seconds = self.flops * padded / NUMPY_FLOPS_PER_SECOND
        return self.peer == "numpy" and seconds > NUMPY_LONGEST_STEP


def model_of(case: Case, problem: Problem):
    if case.peer == "onnxruntime":
        return OnnxModel(problem, case.threads)
    return (TorchModel if case.peer == "pytorch" else NumpyModel)(problem)


def verified(case: Case) -> Optional[str]:
    problem = Problem.make(case.shape.affordable())
    return verify(model_of(case, problem), problem, case.trains)


# Timing.

def step_of(case: Case) -> Callable[[], object]:
    model = model_of(case, Problem.make(case.shape))
    return model.training_step if case.trains else model.inference


def timed(step: Callable[[], object], iterations: int) -> tuple[float, float]:
    """Seconds of the wall and of all threads."""
    gc.collect()
    gc.disable()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(iterations):
            step()
        return time.perf_counter() - wall, time.process_time() - cpu
    finally:
        gc.enable()


def calibrated(step: Callable[[], object], min_time: float) -> int:
    iterations = 1
    while True:
        wall, _ = timed(step, iterations)
        if wall >= min_time:
            return iterations
        # A little more than needed, and never a jump on the word of a much too short run.
        growth = 1.2 * min_time / wall if wall > 0.1 * min_time else 10
        iterations = math.ceil(iterations * max(growth, 1.2))


def entry(case: Case, job: dict, index: int) -> dict:
    return {"name": case.name, "run_name": case.name, "run_type": "iteration",
            "repetitions": job["repetitions"], "repetition_index": index, "threads": 1}


def refusal(case: Case, job: dict, message: str) -> dict:
    return {**entry(case, job, 0), "error_occurred": True, "error_message": message,
            "iterations": 0, "real_time": 0.0, "cpu_time": 0.0, "time_unit": "ms"}


def measurement(case: Case, job: dict, index: int, iterations: dict[str, int]) -> dict:
    # Built anew for each repetition, so that the large shapes need not share the memory.
    step = step_of(case)
    step()
    if case.name not in iterations:
        iterations[case.name] = calibrated(step, job["min_time"])
    count = iterations[case.name]
    wall, cpu = timed(step, count)
    return {**entry(case, job, index), "iterations": count, "real_time": 1e3 * wall / count,
            "cpu_time": 1e3 * cpu / count, "time_unit": "ms",
            "timesteps_per_second": sum(case.shape.lengths()) * count / wall,
            "flops_per_second": case.flops * count / wall}


def attempt(action: Callable[[], object], case: Case, job: dict) -> Optional[dict]:
    """What the action gives; a refusal with its message if that is text or it fails."""
    try:
        found = action()
    except Exception as error:  # One case out of memory, say, must not cost all others.
        found = f"{type(error).__name__}: {error}"
    return refusal(case, job, found) if isinstance(found, str) else found


def measure(job: dict) -> list[dict]:
    cases = [Case(**case) for case in job["cases"]]
    refused = {case: attempt(lambda: verified(case), case, job) for case in cases}
    order = [(case, index) for case in cases for index in range(job["repetitions"])
             if not refused[case]]
    random.Random(job["seed"]).shuffle(order)
    iterations: dict[str, int] = {}
    # random.shuffle leaves the first repetition anywhere; number them as they are run.
    runs: dict[Case, list[dict]] = {case: [] for case in cases}
    for case, _ in order:
        index = len(runs[case])
        runs[case].append(attempt(lambda: measurement(case, job, index, iterations), case, job))
    return [run for case in cases
            for run in ([refused[case]] if refused[case] else runs[case])]


# What was measured with, for the context.

def loaded_blas() -> list[str]:
    """The BLAS libraries in this process, by the files that are mapped."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return []
    # Not those of a GPU, which a PyTorch that could use one loads too.
    pattern = re.compile(
        r"(/\S*lib(?!cublas)[^/\s]*(?:blas|blis|mkl_rt|mkl_core)[^/\s]*\.so[^/\s]*)")
    return sorted(set(pattern.findall(maps)))


def openblas_core(library: str) -> Optional[str]:
    try:
        handle = ctypes.CDLL(library)
    except OSError:
        return None
    for symbol in ["openblas_get_corename", "openblas_get_corename64_",
                   "scipy_openblas_get_corename64_", "scipy_openblas_get_corename"]:
        if hasattr(handle, symbol):
            function = getattr(handle, symbol)
            function.restype = ctypes.c_char_p
            return function().decode()
    return None


def openblas_cores() -> list[str]:
    """Of the copies of OpenBLAS in this process."""
    return sorted(set(filter(None, map(openblas_core, loaded_blas()))))


def library_context() -> dict[str, str]:
    context = {"numpy_version": np.__version__}
    onnxruntime = sys.modules.get("onnxruntime")
    if onnxruntime:
        context["onnxruntime_version"] = onnxruntime.__version__
    torch = sys.modules.get("torch")
    if torch:
        context["torch_version"] = torch.__version__
        backend = getattr(torch.backends, "cpu", None)
        if hasattr(backend, "get_cpu_capability"):
            context["torch_cpu_capability"] = backend.get_cpu_capability()
        linked = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
        if linked:
            context["torch_blas"] = linked.group(1)
    libraries = loaded_blas()
    # Debian's alternatives give every BLAS the same file name, so the folder counts too.
    context["blas"] = ", ".join("/".join(Path(path).parts[-2:]) for path in libraries) or "unknown"
    cores = openblas_cores()
    if cores:
        context["openblas_core"] = ", ".join(cores)
    return context


# The command.

def work(result_path: str) -> int:
    try:
        job = json.load(sys.stdin)
        if any(case["peer"] == "pytorch" for case in job["cases"]):
            limit_torch_threads(job["cases"][0]["threads"])
        result = {"benchmarks": measure(job), "context": library_context()}
        write_file(result_path, json.dumps(result))
    except KeyboardInterrupt:
        return 130
    return 0


def limit_torch_threads(threads: int) -> None:
    try:
        import torch
    except Exception:  # Each case will be refused with what is wrong.
        return
    torch.set_num_threads(threads)


if __name__ == "__main__":
    run_tool(lambda: work(sys.argv[1]))
