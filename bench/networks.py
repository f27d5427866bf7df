"""What the Python peers compute: shapes, a minibatch, each cell's definition in float64, and how a
peer's results are verified."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Iterator, Optional

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

# Sums of a unit, by what the names of suites begin with.
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
SHAPE = re.compile(
    r"(?P<sequences>\d+)x(?P<timesteps>\d+)x(?P<features>\d+)x(?:(?P<layers>\d+)x)?(?P<hidden>\d+)"
    r"(?P<bidirectional>-bidirectional)?(?P<ragged>-ragged)?")


@dataclass(frozen=True)
class Shape:
    cell: str
    sequences: int
    timesteps: int
    features: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False
    ragged: bool = False

    @staticmethod
    def parse(cell: str, text: str) -> Shape:
        found = SHAPE.fullmatch(text)
        sizes = {key: int(found[key] or 1)
                 for key in ["sequences", "timesteps", "features", "hidden", "layers"]}
        return Shape(cell, **sizes, bidirectional=found["bidirectional"] is not None,
                     ragged=found["ragged"] is not None)

    def lengths(self) -> list[int]:
        """The formula of the C++ benchmarks, which round halves up."""
        if not self.ragged:
            return [self.timesteps] * self.sequences
        last = max(1, self.sequences - 1)
        return [max(1, math.floor(self.timesteps * (0.25 + 0.75 * i / last) + 0.5))
                for i in range(self.sequences)]

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def inputs_of(self, layer: int) -> int:
        return self.directions * self.hidden if layer else self.features

    def parts(self) -> Iterator[tuple[int, str]]:
        """Each layer and direction: the number of inputs, and how its parameters' names end."""
        for layer in range(self.layers):
            for suffix in ["", "_reverse"][:self.directions]:
                yield self.inputs_of(layer), f"l{layer}{suffix}"

    @property
    def work_per_timestep(self) -> int:
        """Multiply-adds of one timestep of one sequence."""
        columns = GATES[self.cell] * self.hidden
        return sum(columns * (inputs + self.hidden) for inputs, _ in self.parts())

    def affordable(self) -> Shape:
        """As much of this shape as can be verified quickly: two sequences at least, if it has."""
        budget = min(VERIFIED_TIMESTEPS, int(VERIFIED_WORK / self.work_per_timestep))
        timesteps = min(self.timesteps, max(4, budget // min(2, self.sequences)))
        sequences = min(self.sequences, max(2, budget // timesteps))
        return replace(self, sequences=sequences, timesteps=timesteps)


Weights = dict[str, "np.ndarray"]


@dataclass
class Problem:
    """One minibatch, time-major and padded, and the parameters by PyTorch's names and in its
    layouts, all in float64."""

    shape: Shape
    x: np.ndarray
    labels: np.ndarray
    weights: Weights

    @staticmethod
    def make(shape: Shape) -> Problem:
        generator = np.random.default_rng(SEED)
        # PyTorch's own way to start.
        bound = shape.hidden ** -0.5
        rows = GATES[shape.cell] * shape.hidden
        sizes: dict[str, tuple[int, ...]] = {}
        for inputs, name in shape.parts():
            sizes |= {f"weight_ih_{name}": (rows, inputs),
                      f"weight_hh_{name}": (rows, shape.hidden),
                      f"bias_ih_{name}": (rows,), f"bias_hh_{name}": (rows,)}
        sizes |= {"head.weight": (CLASSES, shape.directions * shape.hidden),
                  "head.bias": (CLASSES,)}
        weights = {key: generator.uniform(-bound, bound, size) for key, size in sizes.items()}
        x = generator.standard_normal((shape.timesteps, shape.sequences, shape.features))
        return Problem(shape, x, np.arange(shape.sequences) % CLASSES, weights)


# The definition: sequences of one length at a time, without padding or masks.

def sigma(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def rnn_step(of_x: np.ndarray, of_h: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple:
    return np.tanh(of_x + of_h), c


def lstm_step(of_x: np.ndarray, of_h: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple:
    i, f, g, o = np.split(of_x + of_h, 4, axis=-1)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    return sigma(o) * np.tanh(c), c


def gru_step(of_x: np.ndarray, of_h: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple:
    (r_x, z_x, n_x), (r_h, z_h, n_h) = (np.split(sums, 3, axis=-1) for sums in [of_x, of_h])
    n = np.tanh(n_x + sigma(r_x + r_h) * n_h)
    z = sigma(z_x + z_h)
    return (1 - z) * n + z * h, c


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}


def direction_outputs(shape: Shape, x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Of one layer, [T][N][H], from x [T][N][D]."""
    of_x = x @ weights[f"weight_ih_{name}"].T + weights[f"bias_ih_{name}"]
    w, b = weights[f"weight_hh_{name}"].T, weights[f"bias_hh_{name}"]
    h = c = np.zeros((x.shape[1], shape.hidden))
    outputs = []
    for sums in of_x:
        h, c = STEPS[shape.cell](sums, h @ w + b, h, c)
        outputs.append(h)
    return np.array(outputs)


def last_states(shape: Shape, x: np.ndarray, weights: Weights) -> np.ndarray:
    """Forward after the last timestep, backward after the first."""
    for layer in range(shape.layers):
        both = [direction_outputs(shape, x, weights, f"l{layer}")]
        if shape.bidirectional:
            backward = direction_outputs(shape, x[::-1], weights, f"l{layer}_reverse")
            both.append(backward[::-1])
        x = np.concatenate(both, axis=-1)
    return np.concatenate([both[0][-1], *(outputs[0] for outputs in both[1:])], axis=-1)


def defined_probabilities(p: Problem, weights: Weights) -> np.ndarray:
    lengths = np.array(p.shape.lengths())
    found = np.empty((len(lengths), CLASSES))
    for length in np.unique(lengths):
        members = lengths == length
        states = last_states(p.shape, p.x[:length, members], weights)
        found[members] = softmax(states @ weights["head.weight"].T + weights["head.bias"])
    return found


# Verification: None, or what is wrong.

def difference(what: str, found: np.ndarray, expected: np.ndarray) -> Optional[str]:
    # Written so that NaN fails.
    if np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max():
        return None
    return f"{what}: off the reference by more than {TOLERANCE:g} of its largest element"


def slope(p: Problem, key: str, direction: np.ndarray) -> float:
    """How the loss changes along a direction of one parameter, by central differences."""
    def loss(step: float) -> float:
        moved = {**p.weights, key: p.weights[key] + step * direction}
        rows = defined_probabilities(p, moved)
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


def verify(model, p: Problem, trains: bool) -> Optional[str]:
    """A peer's model of the problem: its probabilities, and gradients by PyTorch's names."""
    wrong = difference("probabilities", model.probabilities(), defined_probabilities(p, p.weights))
    if wrong or not trains:
        return wrong
    found = (verify_gradient(p, key, gradient.astype(float))
             for key, gradient in model.gradients().items())
    return next(filter(None, found), None)
