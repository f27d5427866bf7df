import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import lockstep
from conftest import small
from lockstep import Dataset


@pytest.fixture(autouse=True)
def usual_threads():
    yield
    lockstep.threads(0)


def test_threads_are_set_for_all_calls(ragged):
    usual = lockstep.threads()
    assert usual >= 1
    assert lockstep.threads(3) == 3
    assert lockstep.threads() == 3 and lockstep.info()["threads"] == 3
    model = small(ragged)
    assert model.fit(ragged).threads == 3
    model.set_options(threads=2)
    assert model.fit(ragged).threads == 2
    assert lockstep.threads(0) == usual
    for wrong in (-1, 1025):
        with pytest.raises(ValueError, match="threads"):
            lockstep.threads(wrong)


def test_the_environment_says_how_many():
    code = "import lockstep; print(lockstep.threads())"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "1\n"


def test_threadpoolctl_sees_and_limits_them():
    threadpoolctl = pytest.importorskip("threadpoolctl", minversion="3.2")
    (own,) = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "lockstep"]
    assert own["num_threads"] == lockstep.threads()
    assert own["version"] == lockstep.__version__
    lockstep.threads(4)
    with threadpoolctl.threadpool_limits(1):
        assert lockstep.threads() == 1
    assert lockstep.threads() == 4
    with threadpoolctl.threadpool_limits(2, user_api="lockstep"):
        assert lockstep.threads() == 2
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert lockstep.threads() == 4


def test_no_openmp_comes_with_it():
    code = "import lockstep; print(open('/proc/self/maps').read())"
    maps = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "_core" in maps
    assert "gomp" not in maps and "libomp" not in maps
    assert lockstep.info()["threading"] == "std::thread"


def large_data():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((64, 20, 3)).astype(np.float32)
    return Dataset(x, labels=np.arange(64) % 2)


def train(queue):
    data = large_data()
    model = lockstep.Model(data, hidden=32, epochs=2, batch_size=32, threads=2)
    model.fit(data)
    queue.put((model.weights_hash(), lockstep.kernels.tanh(np.ones(3, np.float32)).tolist()))


def test_children_after_a_fork_have_threads_too():
    context = multiprocessing.get_context("fork")
    data = large_data()
    model = lockstep.Model(data, hidden=32, epochs=2, batch_size=32, threads=2)
    model.fit(data)
    queue = context.Queue()
    children = [context.Process(target=train, args=(queue,)) for _ in range(2)]
    for child in children:
        child.start()
    results = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert {result[0] for result in results} == {model.weights_hash()}


def test_a_fork_during_a_training_does_not_hang():
    context = multiprocessing.get_context("fork")
    data = large_data()
    model = lockstep.Model(data, hidden=32, epochs=1000000, batch_size=32, threads=2)
    started, stop = threading.Event(), threading.Event()

    def on_batch(*_):
        started.set()
        return not stop.is_set()

    worker = threading.Thread(target=lambda: model.fit(data, on_batch=on_batch))
    worker.start()
    try:
        assert started.wait(60)
        queue = context.Queue()
        child = context.Process(target=train, args=(queue,))
        child.start()
        result = queue.get(timeout=60)
        child.join(60)
        assert child.exitcode == 0
    finally:
        stop.set()
        worker.join(60)
    own = context.SimpleQueue()
    train(own)
    assert own.get()[0] == result[0]


WORK_OF_DAEMONS = {
    "fit": "long.fit(data)",
    "callback": "long.fit(data, on_batch=lambda *_: sum(range(99)))",
    "fits": "model.fit(data)",
    "predict": "model.predict(data)",
    "gemm": "lockstep.kernels.gemm(square, square)",
}


@pytest.mark.parametrize("work", WORK_OF_DAEMONS.values(), ids=WORK_OF_DAEMONS)
def test_the_interpreter_ends_while_a_daemon_thread_works(work):
    code = f"""
import threading, time
import numpy as np
import lockstep
square = np.ones((300, 300), np.float32)
data = lockstep.Dataset(np.ones((500, 20, 3), np.float32), labels=np.arange(500) % 2)
model = lockstep.Model(data, hidden=32, epochs=1, batch_size=32, threads=2)
long = lockstep.Model(data, hidden=32, epochs=10**9, batch_size=32, threads=2)
def run():
    while True:
        {work}
threading.Thread(target=run, daemon=True).start()
time.sleep(0.2)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def test_several_threads_may_be_the_first_to_need_numpy():
    """It is imported then, which lets other threads run."""
    code = """
import sys, threading
import lockstep
assert "numpy" not in sys.modules
sys.setswitchinterval(1e-6)
begin = threading.Barrier(3)
def work():
    begin.wait()
    lockstep.Dataset([[[1.0], [2.0]]] * 3, labels=[0, 1, 0])
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
