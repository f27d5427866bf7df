import signal

import numpy as np
import pytest

import lockstep

# What a shell runs in the background ignores Ctrl-C, and so would the tests of it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def ragged(rng):
    """Thirty sequences of two channels and unequal length, of three classes."""
    labels = np.arange(30) % 3
    sequences = [
        (rng.standard_normal((5 + i % 7, 2)) + label).astype(np.float32)
        for i, label in enumerate(labels)
    ]
    return lockstep.Dataset(sequences, labels=labels, class_names=["a", "b", "c"])


@pytest.fixture
def numbers(rng):
    """Twenty sequences with two numbers each."""
    x = rng.standard_normal((20, 6, 2)).astype(np.float32)
    values = np.stack([x.sum((1, 2)), 100 + 10 * x[:, 0, 0]], 1)
    return lockstep.Dataset(x, values=values, class_names=["sum", "first"])


def small(data, **options):
    """A model that trains in no time."""
    return lockstep.Model(data, **{"hidden": 8, "epochs": 3, **options})
