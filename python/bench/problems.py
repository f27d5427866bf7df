"""What is fitted: sequences, a vanilla network with the same first weights for all, plain SGD."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np

RATE = 0.01


@dataclass
class Problem:
    name: str
    sequences: list[np.ndarray]
    labels: np.ndarray
    hidden: int
    classes: int
    batch: int
    epochs: int

    def __post_init__(self) -> None:
        self.features = self.sequences[0].shape[1]
        self.lengths = np.array([len(s) for s in self.sequences])
        self.is_ragged = len(set(self.lengths.tolist())) > 1
        x = np.zeros((len(self.sequences), self.lengths.max(), self.features), np.float32)
        for row, sequence in zip(x, self.sequences):
            row[: len(sequence)] = sequence
        self.x = x
        self.timesteps = self.epochs * int(self.lengths.sum())
        rng = np.random.default_rng(2)
        scale = 1 / np.sqrt(self.hidden)
        sizes = [(self.features, self.hidden), (self.hidden, self.hidden)]
        sizes += [(self.hidden,), (self.hidden, self.classes), (self.classes,)]
        self.weights = [rng.uniform(-scale, scale, size) for size in sizes]

    def copied_weights(self) -> list[np.ndarray]:
        """Wx, Wh, B, Wy, By as the NumPy class has them."""
        return [w.copy() for w in self.weights]

    def torch_weights(self) -> dict[str, np.ndarray]:
        """By the names of torch's modules."""
        wx, wh, b, wy, by = (w.astype(np.float32) for w in self.weights)
        return {
            "rnn.weight_ih_l0": wx.T.copy(),
            "rnn.weight_hh_l0": wh.T.copy(),
            "rnn.bias_ih_l0": b,
            "rnn.bias_hh_l0": np.zeros_like(b),
            "head.weight": wy.T.copy(),
            "head.bias": by,
        }


def made(batch: int, timesteps: int, features: int, hidden: int, epochs: int) -> Problem:
    """Ten minibatches of noise with a class that shifts it."""
    rng = np.random.default_rng(1)
    n, classes = 10 * batch, 10
    labels = np.arange(n) % classes
    x = rng.standard_normal((n, timesteps, features)) + labels[:, None, None] / classes
    name = f"{batch}x{timesteps}x{features}x{hidden}"
    return Problem(name, list(x.astype(np.float32)), labels, hidden, classes, batch, epochs)


def japanese_vowels(path: pathlib.Path, epochs: int) -> Problem:
    import lockstep

    data = lockstep.Dataset.load(path)
    labels = np.array(data.labels, np.int64)
    sequences = [np.array(data[i]) for i in range(len(data))]
    return Problem("JapaneseVowels", sequences, labels, 64, data.n_classes, 20, epochs)


def problems(data: str | None, epochs: int) -> list[Problem]:
    found = [made(20, 60, 1, 50, epochs), made(32, 28, 28, 128, epochs)]
    if data:
        path = pathlib.Path(data)
        file = path / "JapaneseVowels_TRAIN.ts" if path.is_dir() else path
        found.append(japanese_vowels(file, epochs))
    return found
