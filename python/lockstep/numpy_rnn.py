"""The classifier in plain NumPy that Lockstep began as, with the same interface: a program written
for it changes its import, and computes the same faster."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core

__all__ = ["ScratchSimpleRNNClassifier"]

_WEIGHTS = ("Wx", "Wh", "B", "Wy", "By")
_NOT_CALLED = (
    "_forward_propagation",
    "_backward_propagation",
    "_tanh",
    "_softmax",
    "_cross_entropy_loss",
)


class ScratchSimpleRNNClassifier:
    """One recurrent layer, `h_t = tanh(x_t Wx + h_{t-1} Wh + B)`, and `softmax(h_T Wy + By)`.

    Trained by minibatch gradient descent on the mean cross-entropy, with backpropagation through
    all timesteps. First weights are `sigma` times standard normal numbers, biases 0; each epoch
    has a new order; both are drawn from NumPy's global generator, so that `np.random.seed` decides
    them. The last minibatch of an epoch may be smaller.

    Wx [features, n_nodes], Wh [n_nodes, n_nodes], B [n_nodes], Wy [n_nodes, n_output] and
    By [n_output] are None before the first `fit`. What is set before is trained on, in place, and
    so does another `fit`. loss_history has the mean loss of each epoch of all of them.

    `fit` and `predict_proba` compute in float32, on all threads of `lockstep.threads()`, and give
    the same bits for any number of them. Losses are those of float64 to 1e-4 and 1e-7, but where a
    training is chaotic. A sequence whose class has a probability below 1e-12 counts with its true
    loss.

    Errors: ValueError for values that are not finite in float32; FloatingPointError where a
    training diverges so far that a loss or a gradient is not. TypeError for a subclass that
    overrides a step of the computation, which would have no effect.
    """

    def __init__(
        self,
        n_nodes: int = 50,
        n_output: int = 1,
        n_epochs: int = 10,
        learning_rate: float = 0.01,
        batch_size: int = 20,
        sigma: float = 0.01,
        verbose: bool = False,
    ) -> None:
        self.n_nodes = n_nodes
        self.n_output = n_output
        self.n_epochs = n_epochs
        self.lr = learning_rate
        self.batch_size = batch_size
        self.sigma = sigma
        self.verbose = verbose
        self.Wx: Any = None
        self.Wh: Any = None
        self.B: Any = None
        self.Wy: Any = None
        self.By: Any = None
        self.loss_history: list[float] = []

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in _NOT_CALLED:
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__} overrides {name}, which training and prediction do not call"
                )

    def fit(self, X: Any, y: Any) -> None:
        """Trains on X [n, timesteps, features] with classes y [n], 0 to n_output - 1."""
        x = _inputs(X)
        if self.Wx is None:
            self._initialize_weights(x.shape[2])
        labels = np.arange(self.n_output)[y]
        if labels.shape != x.shape[:1]:
            raise ValueError(f"y: expected a class for each of {len(x)} sequences")
        data = _core.Dataset(x, labels=labels, class_names=[str(c) for c in range(self.n_output)])
        rnn = self._network()
        self._begin(rnn)
        for epoch in range(self.n_epochs):
            order = np.random.permutation(len(x))
            try:
                result = rnn.run_epoch(data, order)
            finally:
                self._take_weights(rnn)
            if result.failed_minibatch:
                raise FloatingPointError(
                    f"epoch {epoch + 1}, minibatch {result.failed_minibatch}: the loss or a "
                    "gradient is not finite; the weights are those of before"
                )
            self.loss_history.append(np.float64(result.loss))
            if self.verbose:
                print(f"Epoch {epoch + 1}/{self.n_epochs}, Loss: {result.loss:.4f}")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, n_output] of the sequences X [n, timesteps, features]."""
        return self._network().predict_proba(_inputs(X)).astype(np.float64)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sequence."""
        return np.argmax(self.predict_proba(X), axis=1)

    def _initialize_weights(self, n_features: int) -> None:
        def draw(rows: int, cols: int) -> np.ndarray:
            return self.sigma * np.random.randn(rows, cols)

        self.Wx = draw(n_features, self.n_nodes)
        self.Wh = draw(self.n_nodes, self.n_nodes)
        self.Wy = draw(self.n_nodes, self.n_output)
        self.B = np.zeros(self.n_nodes)
        self.By = np.zeros(self.n_output)

    def _forward_propagation(self, X: Any) -> tuple[np.ndarray, ...]:
        """In float64: all states [n, timesteps + 1, n_nodes] from that of zeros on, the sums before
        each tanh [n, timesteps, n_nodes], the last state, the logits and the probabilities."""
        self._require_weights()
        x = np.asarray(X)
        sums = np.zeros((*x.shape[:2], self.n_nodes))
        states = np.zeros((len(x), x.shape[1] + 1, self.n_nodes))
        for t in range(x.shape[1]):
            sums[:, t] = x[:, t] @ self.Wx + states[:, t] @ self.Wh + self.B
            states[:, t + 1] = np.tanh(sums[:, t])
        logits = states[:, -1] @ self.Wy + self.By
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return states, sums, states[:, -1], logits, powers / powers.sum(axis=-1, keepdims=True)

    def _require_weights(self) -> None:
        absent = [name for name in _WEIGHTS if getattr(self, name) is None]
        if absent:
            raise ValueError(f"there is no {', no '.join(absent)}: fit, or set all weights before")

    def _network(self) -> Any:
        self._require_weights()
        weights = [getattr(self, name) for name in _WEIGHTS]
        if np.shape(weights[0])[-1:] != (self.n_nodes,) or np.size(weights[4]) != self.n_output:
            raise ValueError(
                f"weights of {np.shape(weights[0])[-1:]} nodes and {np.size(weights[4])} outputs, "
                f"expected {self.n_nodes} and {self.n_output}"
            )
        return _core.SimpleRnn(*weights)

    def _begin(self, rnn: Any) -> None:
        try:
            rnn.begin(self.batch_size, self.lr)
        except ValueError as error:
            # The library's option may also be "auto".
            raise ValueError(str(error).replace(" or auto", "")) from None

    def _take_weights(self, rnn: Any) -> None:
        for name, values in zip(_WEIGHTS, rnn.weights()):
            weights = getattr(self, name)
            if isinstance(weights, np.ndarray) and weights.dtype.kind == "f":
                weights[...] = values.reshape(weights.shape)
            else:
                setattr(self, name, values.reshape(np.shape(weights)).astype(np.float64))


def _inputs(X: Any) -> np.ndarray:
    with np.errstate(over="ignore"):  # refused below
        x = np.ascontiguousarray(X, dtype=np.float32)
    if x.ndim != 3:
        raise ValueError(f"X: expected shape (n, timesteps, features), found {x.shape}")
    if not np.isfinite(x).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"X{list(place)} is not finite in float32")
    return x
