"""Beside torch, scikit-learn and numba (which aeon brings) in one process: the same weights to the
bit, whoever comes first, and none of them waits for ever after a fork."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

TIMEOUT = 120  # seconds, for programs that take some: what hangs fails

# What every program begins with. `lockstep_hash` trains on two threads.
COMMON = """
import concurrent.futures, multiprocessing, threading
import numpy as np

def data():
    import lockstep
    x = np.random.default_rng(2).standard_normal((64, 20, 3)).astype(np.float32)
    return lockstep.Dataset(x, labels=np.arange(64) % 2)

def lockstep_hash():
    import lockstep
    train = data()
    model = lockstep.Model(train, hidden=32, epochs=2, batch_size=32, threads=2)
    model.fit(train)
    return model.weights_hash()

def use_torch():
    import torch
    torch.set_num_threads(2)
    weights = torch.ones(300, 300, requires_grad=True)
    for _ in range(3):
        (torch.ones(300, 300) @ weights).square().mean().backward()
        with torch.no_grad():
            weights -= 0.01 * weights.grad
        weights.grad = None

def use_sklearn():
    from sklearn.ensemble import HistGradientBoostingClassifier
    x = np.random.default_rng(3).standard_normal((600, 4))
    HistGradientBoostingClassifier(max_iter=3).fit(x, x[:, 0] > 0)

def use_aeon():
    from aeon.transformations.collection.convolution_based import Rocket
    x = np.random.default_rng(4).standard_normal((12, 1, 30))
    Rocket(n_kernels=20, n_jobs=2, random_state=1).fit_transform(x)

def in_child(work):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(work()))
    child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
        raise SystemExit("the child hangs")
    if child.exitcode != 0:
        raise SystemExit(f"the child ended with {child.exitcode}")
    return queue.get()
"""

# Packages, and the function of COMMON that trains by them.
NEIGHBOURS = {"torch": "use_torch", "sklearn": "use_sklearn", "aeon": "use_aeon"}


def need(*packages):
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")


def printed(code):
    """What a program prints, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("OMP_NUM_THREADS", None)
    result = subprocess.run(
        [sys.executable, "-c", COMMON + code],
        env=environment,
        cwd=pathlib.Path(__file__).parent,  # not where the package lies without its module
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.split()


@pytest.fixture(scope="module")
def alone():
    """The hash of a process that has nothing but NumPy and Lockstep."""
    (digits,) = printed("print(lockstep_hash())")
    return digits


@pytest.mark.parametrize("package", NEIGHBOURS)
def test_imported_after_another_library_that_has_threads(alone, package):
    need(package)
    use = NEIGHBOURS[package]
    code = f"""
import {package}
{use}()
print(lockstep_hash())
print(in_child(lockstep_hash))
{use}()
print(lockstep_hash())
"""
    assert printed(code) == [alone] * 3


def test_imported_before_all_others_that_are_installed(alone):
    """A child, and its own, have the threads of Lockstep whatever threads the parent has made."""
    names = [name for name in NEIGHBOURS if importlib.util.find_spec(name) is not None]
    need(*(names or NEIGHBOURS))
    code = f"""
import lockstep
print(lockstep_hash())
import {", ".join(names)}
for use in {", ".join(NEIGHBOURS[name] for name in names)},:
    use()
    print(lockstep_hash())
print(in_child(lockstep_hash))
print(in_child(lambda: in_child(lockstep_hash)))
print(lockstep_hash())
"""
    assert printed(code) == [alone] * (4 + len(names))


def test_workers_of_a_data_loader_of_torch(alone):
    need("torch")
    code = """
import lockstep, torch
train = data()

class Sequences(torch.utils.data.Dataset):
    def __len__(self):
        return len(train)
    def __getitem__(self, i):
        return lockstep.kernels.tanh(train[i]), lockstep_hash() if i % 32 == 0 else ""

use_torch()
print(lockstep_hash())
loader = torch.utils.data.DataLoader(
    Sequences(), batch_size=16, num_workers=2, multiprocessing_context="fork", timeout=60
)
batches = list(loader)
expected = lockstep.kernels.tanh(np.stack([train[i] for i in range(64)]))
assert np.array_equal(torch.cat([x for x, _ in batches]).numpy(), expected)
print(*{digits for _, group in batches for digits in group if digits})
print(lockstep_hash())
"""
    assert printed(code) == [alone] * 3


def test_processes_and_threads_of_joblib(alone):
    need("joblib", "sklearn")
    code = """
import joblib, sklearn, lockstep
use_sklearn()
print(lockstep_hash())
for backend in "loky", "threading", "multiprocessing":
    print(*joblib.Parallel(2, backend=backend, timeout=60)(
        joblib.delayed(lockstep_hash)() for _ in range(2)))
"""
    assert printed(code) == [alone] * 7


def test_threads_that_each_fit_a_model_beside_torch(alone):
    need("torch")
    code = """
import lockstep, torch
stop = threading.Event()

def keep_torch_busy():
    while not stop.is_set():
        use_torch()

busy = threading.Thread(target=keep_torch_busy)
busy.start()
try:
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        print(*threads.map(lambda _: lockstep_hash(), range(4)))
finally:
    stop.set()
    busy.join()
"""
    assert printed(code) == [alone] * 4


def test_what_belongs_to_the_process_is_left_as_it_was():
    """Denormal numbers, rounding, CPUs, signals and OpenMP's settings."""
    code = """
import ctypes, os, signal, sys
environment, mask = dict(os.environ), os.sched_getaffinity(0)
handlers = [signal.getsignal(s) for s in signal.valid_signals()]
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
libm = ctypes.CDLL("libm.so.6")
rounding = libm.fegetround()
tiny = np.float32(1e-40)

def check(what):
    assert np.multiply(tiny, np.float32(0.5)) > 0, what
    assert np.multiply(np.float32(1e-20), np.float32(1e-20)) > 0, what
    assert libm.fegetround() == rounding, what
    assert os.sched_getaffinity(0) == mask, what
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked, what
    assert [signal.getsignal(s) for s in signal.valid_signals()] == handlers, what
    assert dict(os.environ) == environment, what

import lockstep
check("import")
train = data()
model = lockstep.Model(train, hidden=32, epochs=2, batch_size=32, threads=2)
check("Model")
model.fit(train, on_batch=lambda *_: check("on_batch"), on_epoch=lambda _: check("on_epoch"))
check("fit")
model.predict_proba(train)
check("predict_proba")
model.evaluate(train)
check("evaluate")
lockstep.Stream(model).feed(train[0])
check("feed")
square = np.ones((300, 300), np.float32)
for name in "tanh", "exp", "sigmoid", "relu", "softmax", "log_softmax":
    getattr(lockstep.kernels, name)(square)
    check(name)
lockstep.kernels.gemm(square, square, threads=2)
check("gemm")
lockstep.kernels.cross_entropy(square, np.zeros(300, int))
check("cross_entropy")
try:
    model.fit(train, on_batch=lambda *_: 1 / 0)
except ZeroDivisionError:
    check("an error in a callback")
"""
    assert printed(code) == []
