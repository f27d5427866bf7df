"""The vanilla RNN in NumPy and float64, as in the program that Lockstep began as."""

from __future__ import annotations

import math
from typing import Optional

from networks import CLIP_NORM, LEARNING_RATE, Problem, Weights, np, softmax


def mask_of(p: Problem) -> Optional[np.ndarray]:
    """Which timesteps are no padding."""
    if not p.shape.ragged:
        return None
    return np.arange(p.shape.timesteps)[:, None, None] < np.array(p.shape.lengths())[None, :, None]


class NumpyModel:
    """One layer; sequences that end early are masked."""

    def __init__(self, p: Problem) -> None:
        self.x, self.labels, self.mask = p.x, p.labels, mask_of(p)
        given = p.weights
        self.weights = {"wx": np.ascontiguousarray(given["weight_ih_l0"].T),
                        "wh": np.ascontiguousarray(given["weight_hh_l0"].T),
                        "b": given["bias_ih_l0"] + given["bias_hh_l0"],
                        "wo": np.ascontiguousarray(given["head.weight"].T),
                        "bo": given["head.bias"].copy()}

    def first_state(self) -> np.ndarray:
        return np.zeros((self.x.shape[1], self.weights["wh"].shape[0]))

    def next_state(self, t: int, h: np.ndarray) -> np.ndarray:
        w = self.weights
        new = np.tanh(self.x[t] @ w["wx"] + h @ w["wh"] + w["b"])
        return new if self.mask is None else np.where(self.mask[t], new, h)

    def probabilities_of(self, h: np.ndarray) -> np.ndarray:
        return softmax(h @ self.weights["wo"] + self.weights["bo"])

    def probabilities(self) -> np.ndarray:
        h = self.first_state()
        for t in range(len(self.x)):
            h = self.next_state(t, h)
        return self.probabilities_of(h)

    inference = probabilities

    def back_through_time(self) -> Weights:
        """Gradients of the mean cross-entropy."""
        h = [self.first_state()]
        for t in range(len(self.x)):
            h.append(self.next_state(t, h[-1]))
        delta = self.probabilities_of(h[-1])
        delta[np.arange(len(delta)), self.labels] -= 1
        delta /= len(delta)
        gradients = {key: np.zeros_like(self.weights[key]) for key in ["wx", "wh", "b"]}
        gradients["wo"], gradients["bo"] = h[-1].T @ delta, delta.sum(axis=0)
        dh = delta @ self.weights["wo"].T
        for t in reversed(range(len(self.x))):
            da = dh * (1 - h[t + 1] * h[t + 1])
            if self.mask is not None:
                da *= self.mask[t]
            gradients["wx"] += self.x[t].T @ da
            gradients["wh"] += h[t].T @ da
            gradients["b"] += da.sum(axis=0)
            earlier = da @ self.weights["wh"].T
            dh = earlier if self.mask is None else np.where(self.mask[t], earlier, dh)
        return gradients

    def gradients(self) -> Weights:
        """By PyTorch's names, for the verification."""
        found = self.back_through_time()
        return {"weight_ih_l0": found["wx"].T, "weight_hh_l0": found["wh"].T,
                "bias_ih_l0": found["b"], "head.weight": found["wo"].T, "head.bias": found["bo"]}

    def training_step(self) -> None:
        gradients = self.back_through_time()
        norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
        rate = LEARNING_RATE * min(1.0, CLIP_NORM / norm)
        for key, gradient in gradients.items():
            self.weights[key] -= rate * gradient
