#!/usr/bin/env python3
"""Measures torch.nn.RNN and the NumPy formulation on the shapes of lockstep_bench.

    python_peers.py --program build/release/bench/lockstep_bench --out peers.json

What is timed, as <kernel>/<pytorch or numpy>/<shape>/<threads>, warm:
  rnn_forward  the recurrent layer and the linear layer behind it (NumPy: softmax too);
  rnn_train    the whole step: forward, cross-entropy, backward, clipping, SGD update.
PyTorch computes in float32, NumPy in float64 as the program does that it stands for. Both take the
minibatch time-major, as they are fastest. Of ragged minibatches PyTorch packs the sequences within
the step, and NumPy masks the padding; only true timesteps are counted.

Each thread count is measured in a process of its own, because BLAS libraries and PyTorch read their
settings when they are loaded. Each case is verified before it is timed and refused if it is wrong.
Options that are not listed below go to the program that lists the shapes, as --full does.
Exit status: 0 with what could be measured; 1 if a measuring process failed; 2 for bad usage.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import gc
import importlib
import importlib.util
import json
import math
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence

try:
    import numpy as np
except (ImportError, RuntimeError) as numpy_error:
    np = None
    NUMPY_PROBLEM = str(numpy_error)

CLASSES = 10
LEARNING_RATE = 1e-3
CLIP_NORM = 1.0
# Relative to the largest element of a gradient; float32 against float64.
TOLERANCE = 1e-3
SLOPE_STEP = 1e-5
# A loss of about 2 in float64, over the step.
SLOPE_ROUNDING = 1e-9
# Verification is cut to so many multiply-adds of [x, h] with the weights, to last about a second.
VERIFIED_WORK = 1e8
VERIFIED_TIMESTEPS = 4000
# NumPy does 9 to 50 GFLOP/s on one thread of a server.
NUMPY_FLOPS_PER_SECOND = 10e9
NUMPY_LONGEST_STEP = 20.0
SEED = 20

LISTED_NAME = re.compile(
    r"(?P<kernel>rnn_forward|rnn_train)/.+/(?P<shape>\d+x\d+x\d+x\d+(?:-ragged)?)"
    r"/(?P<threads>[1-9]\d*)(?:/real_time)?")
THREAD_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                    "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"]
AVX2_SETTINGS = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "BLIS_ARCH_TYPE": "haswell"}
ISAS = ["best", "avx512", "avx2"]


class BadUsage(Exception):
    """One sentence for the user; exit status 2."""


def tell(message: str) -> None:
    print(f"python_peers.py: {message}", file=sys.stderr, flush=True)


# Shapes and cases.

@dataclass(frozen=True)
class Shape:
    sequences: int
    timesteps: int
    features: int
    hidden: int
    ragged: bool

    @staticmethod
    def parse(text: str) -> Shape:
        dimensions = text.split("-")[0].split("x")
        return Shape(*map(int, dimensions), ragged=text.endswith("-ragged"))

    def lengths(self) -> list[int]:
        """The formula of the C++ benchmarks, which round halves up."""
        if not self.ragged:
            return [self.timesteps] * self.sequences
        last = max(1, self.sequences - 1)
        return [max(1, math.floor(self.timesteps * (0.25 + 0.75 * i / last) + 0.5))
                for i in range(self.sequences)]

    @property
    def work_per_timestep(self) -> int:
        """Multiply-adds of one timestep of one sequence."""
        return self.hidden * (self.features + self.hidden)

    def affordable(self) -> Shape:
        """As much of this shape as can be verified quickly: two sequences at least, if it has."""
        budget = min(VERIFIED_TIMESTEPS, int(VERIFIED_WORK / self.work_per_timestep))
        timesteps = min(self.timesteps, max(4, budget // min(2, self.sequences)))
        sequences = min(self.sequences, max(2, budget // timesteps))
        return Shape(sequences, timesteps, self.features, self.hidden, self.ragged)


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
        return Shape.parse(self.shape_text)

    @property
    def flops(self) -> int:
        products = 3 if self.kernel == "rnn_train" else 1
        return products * 2 * sum(self.shape.lengths()) * self.shape.work_per_timestep

    @property
    def too_long(self) -> bool:
        # Padding costs as much as what it pads.
        padded = self.shape.sequences * self.shape.timesteps / sum(self.shape.lengths())
        seconds = self.flops * padded / NUMPY_FLOPS_PER_SECOND
        return self.peer == "numpy" and seconds > NUMPY_LONGEST_STEP


# The NumPy formulation.

@dataclass
class Problem:
    """One minibatch, time-major and padded, and the parameters, all in float64."""

    x: np.ndarray
    labels: np.ndarray
    lengths: list[int]
    mask: Optional[np.ndarray]
    weights: dict[str, np.ndarray]

    @staticmethod
    def make(shape: Shape) -> Problem:
        generator = np.random.default_rng(SEED)
        # PyTorch's own way to start.
        bound = shape.hidden ** -0.5
        sizes = {"wx": (shape.features, shape.hidden), "wh": (shape.hidden, shape.hidden),
                 "b": (shape.hidden,), "wo": (shape.hidden, CLASSES), "bo": (CLASSES,)}
        weights = {key: generator.uniform(-bound, bound, size) for key, size in sizes.items()}
        x = generator.standard_normal((shape.timesteps, shape.sequences, shape.features))
        lengths = shape.lengths()
        mask = None
        if shape.ragged:
            mask = np.arange(shape.timesteps)[:, None, None] < np.array(lengths)[None, :, None]
        return Problem(x, np.arange(shape.sequences) % CLASSES, lengths, mask, weights)


def next_state(p: Problem, t: int, h: np.ndarray) -> np.ndarray:
    new = np.tanh(p.x[t] @ p.weights["wx"] + h @ p.weights["wh"] + p.weights["b"])
    return new if p.mask is None else np.where(p.mask[t], new, h)


def first_state(p: Problem) -> np.ndarray:
    return np.zeros((p.x.shape[1], p.weights["wh"].shape[0]))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def probabilities_of(p: Problem, h: np.ndarray) -> np.ndarray:
    return softmax(h @ p.weights["wo"] + p.weights["bo"])


def numpy_probabilities(p: Problem) -> np.ndarray:
    h = first_state(p)
    for t in range(len(p.x)):
        h = next_state(p, t, h)
    return probabilities_of(p, h)


def numpy_gradients(p: Problem) -> dict[str, np.ndarray]:
    """Of the mean cross-entropy, by backpropagation through time."""
    h = [first_state(p)]
    for t in range(len(p.x)):
        h.append(next_state(p, t, h[-1]))
    delta = probabilities_of(p, h[-1])
    delta[np.arange(len(delta)), p.labels] -= 1
    delta /= len(delta)
    gradients = {key: np.zeros_like(p.weights[key]) for key in ["wx", "wh", "b"]}
    gradients["wo"], gradients["bo"] = h[-1].T @ delta, delta.sum(axis=0)
    dh = delta @ p.weights["wo"].T
    for t in reversed(range(len(p.x))):
        da = dh * (1 - h[t + 1] * h[t + 1])
        if p.mask is not None:
            da *= p.mask[t]
        gradients["wx"] += p.x[t].T @ da
        gradients["wh"] += h[t].T @ da
        gradients["b"] += da.sum(axis=0)
        earlier = da @ p.weights["wh"].T
        dh = earlier if p.mask is None else np.where(p.mask[t], earlier, dh)
    return gradients


def numpy_training_step(p: Problem) -> None:
    gradients = numpy_gradients(p)
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
    rate = LEARNING_RATE * min(1.0, CLIP_NORM / norm)
    for key, gradient in gradients.items():
        p.weights[key] -= rate * gradient


# PyTorch.

class TorchModel:
    """The parameters and the minibatch of a problem in PyTorch's hands."""

    def __init__(self, p: Problem) -> None:
        import torch  # The process that only lists shapes must not wait for it.
        self.torch = torch
        features, hidden = p.weights["wx"].shape
        self.rnn = torch.nn.RNN(features, hidden)
        self.head = torch.nn.Linear(hidden, CLASSES)
        with torch.no_grad():
            for parameter, value in self._pairs(p.weights):
                parameter.copy_(torch.from_numpy(value))
            self.rnn.bias_hh_l0.zero_()
        self.x = torch.from_numpy(p.x).float()
        self.labels = torch.from_numpy(p.labels).long()
        self.lengths = None if p.mask is None else torch.tensor(p.lengths)
        self.parameters = [*self.rnn.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(self.parameters, lr=LEARNING_RATE)

    def _pairs(self, values: dict[str, np.ndarray]) -> list[tuple]:
        """PyTorch keeps its matrices transposed, and half of the bias is enough."""
        return [(self.rnn.weight_ih_l0, values["wx"].T), (self.rnn.weight_hh_l0, values["wh"].T),
                (self.rnn.bias_ih_l0, values["b"]), (self.head.weight, values["wo"].T),
                (self.head.bias, values["bo"])]

    def logits(self):
        x = self.x
        if self.lengths is not None:
            x = self.torch.nn.utils.rnn.pack_padded_sequence(x, self.lengths, enforce_sorted=False)
        _, last = self.rnn(x)
        return self.head(last[0])

    def inference(self) -> None:
        with self.torch.inference_mode():
            self.logits()

    def backward(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.torch.nn.functional.cross_entropy(self.logits(), self.labels).backward()

    def training_step(self) -> None:
        self.backward()
        self.torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.optimizer.step()

    def probabilities(self) -> np.ndarray:
        with self.torch.inference_mode():
            return self.torch.softmax(self.logits(), dim=1).numpy()

    def found_and_expected(self, gradients: dict[str, np.ndarray]) -> dict[str, tuple]:
        """After backward(): each gradient beside the expected one."""
        return {key: (parameter.grad.numpy(), expected)
                for key, (parameter, expected) in zip(["wx", "wh", "b", "wo", "bo"],
                                                      self._pairs(gradients))}


# Verification: None, or what is wrong.

def difference(what: str, found: np.ndarray, expected: np.ndarray) -> Optional[str]:
    # Written so that NaN fails.
    if np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max():
        return None
    return f"{what}: off the reference by more than {TOLERANCE:g} of its largest element"


def one_by_one(p: Problem, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Probabilities without minibatches, padding or masks: what the NumPy peer is held to."""
    rows = []
    for i, length in enumerate(p.lengths):
        h = np.zeros(weights["wh"].shape[0])
        for x in p.x[:length, i]:
            h = np.tanh(x @ weights["wx"] + h @ weights["wh"] + weights["b"])
        rows.append(softmax(h @ weights["wo"] + weights["bo"]))
    return np.array(rows)


def slope(p: Problem, key: str, direction: np.ndarray) -> float:
    """How the loss changes along a direction of one parameter, by central differences."""
    def loss(step: float) -> float:
        moved = {**p.weights, key: p.weights[key] + step * direction}
        rows = one_by_one(p, moved)
        return -float(np.log(rows[np.arange(len(rows)), p.labels]).mean())
    return (loss(SLOPE_STEP) - loss(-SLOPE_STEP)) / (2 * SLOPE_STEP)


def verify_gradient(p: Problem, key: str, gradient: np.ndarray) -> Optional[str]:
    """Against the slope in a direction that has a share of the gradient's own and all elements'.

    The first part shows a wrong scale, the second what was left out; they cannot cancel.
    """
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size=gradient.shape)
    if np.vdot(gradient, signs) < 0:
        signs = -signs
    length = float(np.linalg.norm(gradient))
    # Zero is right for the recurrent weights of a single timestep.
    direction = signs + gradient / length if length > 0 else signs
    expected = float(np.vdot(gradient, direction))
    if abs(slope(p, key, direction) - expected) <= TOLERANCE * expected + SLOPE_ROUNDING:
        return None
    return f"gradient {key} differs from the slope of the loss"


def verify_numpy(kernel: str, p: Problem) -> Optional[str]:
    wrong = difference("probabilities", numpy_probabilities(p), one_by_one(p, p.weights))
    if wrong or kernel == "rnn_forward":
        return wrong
    found = (verify_gradient(p, key, gradient) for key, gradient in numpy_gradients(p).items())
    return next(filter(None, found), None)


def verify_torch(kernel: str, p: Problem) -> Optional[str]:
    model = TorchModel(p)
    if kernel == "rnn_forward":
        return difference("probabilities", model.probabilities(), numpy_probabilities(p))
    model.backward()
    both = model.found_and_expected(numpy_gradients(p))
    found = (difference(f"gradient {key}", *pair) for key, pair in both.items())
    return next(filter(None, found), None)


def verify(case: Case) -> Optional[str]:
    check = verify_torch if case.peer == "pytorch" else verify_numpy
    return check(case.kernel, Problem.make(case.shape.affordable()))


# Timing, in the measuring process.

def step_of(case: Case) -> Callable[[], object]:
    problem = Problem.make(case.shape)
    if case.peer == "numpy":
        peer = numpy_training_step if case.kernel == "rnn_train" else numpy_probabilities
        return lambda: peer(problem)
    model = TorchModel(problem)
    return model.training_step if case.kernel == "rnn_train" else model.inference


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
    refused = {case: attempt(lambda: verify(case), case, job) for case in cases}
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
    pattern = re.compile(r"(/\S*lib[^/\s]*(?:blas|blis|mkl_rt|mkl_core)[^/\s]*\.so[^/\s]*)")
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


def library_context() -> dict[str, str]:
    context = {"numpy_version": np.__version__}
    torch = sys.modules.get("torch")
    if torch:
        context["torch_version"] = torch.__version__
        backend = getattr(torch.backends, "cpu", None)
        if hasattr(backend, "get_cpu_capability"):
            context["torch_cpu_capability"] = backend.get_cpu_capability()
    libraries = loaded_blas()
    # Debian's alternatives give every BLAS the same file name, so the folder counts too.
    context["blas"] = ", ".join("/".join(Path(path).parts[-2:]) for path in libraries) or "unknown"
    cores = sorted(set(filter(None, map(openblas_core, libraries))))
    if cores:
        context["openblas_core"] = ", ".join(cores)
    return context


def work(result_path: str) -> int:
    """The measuring process: a job on standard input, the result in a file."""
    try:
        job = json.load(sys.stdin)
        if any(case["peer"] == "pytorch" for case in job["cases"]):
            limit_torch_threads(job["cases"][0]["threads"])
        result = {"benchmarks": measure(job), "context": library_context()}
        Path(result_path).write_text(json.dumps(result))
    except KeyboardInterrupt:
        return 130
    return 0


def limit_torch_threads(threads: int) -> None:
    try:
        import torch
    except Exception:  # Each case will be refused with what is wrong.
        return
    torch.set_num_threads(threads)


# The parent: which cases, under which settings.

def listed_names(program: str, extra: Sequence[str]) -> list[str]:
    command = [program, *extra, "--benchmark_list_tests=true"]
    try:
        listing = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise BadUsage(f"cannot run {program}: {error.strerror}") from error
    if listing.returncode != 0:
        said = (listing.stderr.strip() or listing.stdout.strip() or "it says nothing").splitlines()
        raise BadUsage(f"'{' '.join(command)}' ended with status {listing.returncode}: {said[-1]}")
    return listing.stdout.split()


def find_cases(names: Sequence[str], pattern: re.Pattern[str]) -> list[Case]:
    found: dict[Case, None] = {}
    for match in filter(None, map(LISTED_NAME.fullmatch, names)):
        for peer in ["pytorch", "numpy"]:
            case = Case(match["kernel"], peer, match["shape"], int(match["threads"]))
            if pattern.search(case.name):
                found[case] = None
    return list(found)


def measurable(cases: Sequence[Case]) -> Iterator[Case]:
    """Without the cases that cannot be measured here, each of which is told about."""
    if np is None:
        if cases:
            tell(f"nothing is measured, for NumPy is needed to verify results: {NUMPY_PROBLEM}")
        return
    has_torch = importlib.util.find_spec("torch") is not None
    if not has_torch and any(case.peer == "pytorch" for case in cases):
        tell("pytorch is skipped: torch is not installed for this Python")
    for case in cases:
        if case.peer == "pytorch" and not has_torch:
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


def settings(isa: str, threads: int) -> dict[str, str]:
    """The best honest setting of each library: environment for the measuring process."""
    found = {variable: str(threads) for variable in THREAD_VARIABLES}
    if isa == "avx2":
        return {**found, **AVX2_SETTINGS, "NPY_DISABLE_CPU_FEATURES": wide_numpy_features()}
    cpu = cpu_information()
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(cpu.get("flags", "").split())
    # OpenBLAS takes its AVX2 kernels on many AMD processors that have AVX-512.
    if cpu.get("vendor_id") == "AuthenticAMD" and wide and "OPENBLAS_CORETYPE" not in os.environ:
        found["OPENBLAS_CORETYPE"] = "SkylakeX"
    return found


def run_worker(job: dict, environment: dict[str, str], folder: str) -> tuple[dict, bool]:
    """The worker's result, and whether it ended well."""
    path = Path(folder) / "result.json"
    path.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "--worker", str(path)],
                          input=json.dumps(job), text=True, env={**os.environ, **environment})
    if done.returncode == 0:
        return json.loads(path.read_text()), True
    if done.returncode == 130:
        raise KeyboardInterrupt
    message = f"the measuring process ended with status {done.returncode}"
    tell(f"{message}; all its cases are refused")
    return {"benchmarks": [refusal(Case(**case), job, message) for case in job["cases"]],
            "context": {}}, False


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
               "seed": SEED + options.round}
        environment = settings(options.isa, threads)
        with tempfile.TemporaryDirectory() as folder:
            result, well = run_worker(job, environment, folder)
        benchmarks += result["benchmarks"]
        core_type = environment.get("OPENBLAS_CORETYPE", os.environ.get("OPENBLAS_CORETYPE"))
        context.update(result["context"], openblas_coretype=core_type or "chosen by OpenBLAS")
        all_well = all_well and well
    return {"context": context, "benchmarks": benchmarks}, all_well


def write_atomically(path: Path, content: dict) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(content, indent=1) + "\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


# The command.

def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = kind(text)
        if not (value > 0 and math.isfinite(value)):
            raise ValueError
        return value
    convert.__name__ = f"positive {kind.__name__}"
    return convert


def regular_expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}")


def parse_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    parser.add_argument("--program", required=True, help="lockstep_bench, which lists the shapes")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.json")
    parser.add_argument("--filter", type=regular_expression, default=re.compile(""),
                        metavar="REGEX", help="only cases in whose name this is found")
    parser.add_argument("--repetitions", type=positive(int), default=5, metavar="N")
    parser.add_argument("--min-time", type=positive(float), default=0.05, metavar="SECONDS",
                        help="of each repetition (default: 0.05)")
    parser.add_argument("--round", type=int, default=0, metavar="N",
                        help="recorded in the file; each round has its own random order")
    parser.add_argument("--isa", choices=ISAS, default=os.environ.get("LOCKSTEP_BENCH_ISA", "best"),
                        help="avx2 holds every library to AVX2 (default: $LOCKSTEP_BENCH_ISA or "
                             "best)")
    return parser.parse_known_args(arguments)


def check_usage(options: argparse.Namespace) -> None:
    """What argparse does not see, before minutes are spent."""
    if options.isa not in ISAS:
        raise BadUsage(f"LOCKSTEP_BENCH_ISA is '{options.isa}'; expected one of {', '.join(ISAS)}")
    folder = options.out.absolute().parent
    if options.out.is_dir() or not os.access(folder, os.W_OK):
        raise BadUsage(f"cannot write {options.out}: expected a file in a writable folder")


def run(arguments: Sequence[str]) -> int:
    options, extra = parse_arguments(arguments)
    check_usage(options)
    cases = find_cases(listed_names(options.program, extra), options.filter)
    if not cases:
        tell("the program lists no rnn_forward or rnn_train that the filter lets through")
    content, all_well = measure_all(list(measurable(cases)), options)
    try:
        write_atomically(options.out, content)
    except OSError as error:
        raise BadUsage(f"cannot write {options.out}: {error.strerror}") from error
    for entry_ in content["benchmarks"]:
        if entry_.get("error_occurred"):
            tell(f"refused: {entry_['name']}: {entry_['error_message']}")
    return 0 if all_well else 1


def main(arguments: Sequence[str]) -> int:
    if list(arguments[:1]) == ["--worker"]:
        return work(arguments[1])
    # Ends like Ctrl-C, with the measuring process and without a half-written file.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(arguments)
    except BadUsage as problem:
        tell(str(problem))
        return 2
    except KeyboardInterrupt:
        tell("interrupted; nothing is written")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
