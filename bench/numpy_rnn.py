"""The RNN in NumPy: shapes, a minibatch, the formulation that is timed, and its verification."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

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
# The most multiply-adds of [x, h] with the weights in a verification: about a second.
VERIFIED_WORK = 1e8
VERIFIED_TIMESTEPS = 4000
SEED = 20


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


# The formulation.

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
