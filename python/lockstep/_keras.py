"""Models of Keras, layer after layer. Keras is not imported: its layers say what they are."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ._core import Model

_EPSILON = 1e-7  # of Keras, least deviation that its layer Normalization divides by

_IGNORED = {
    "InputLayer",
    "Masking",
    "Dropout",
    "SpatialDropout1D",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
}
_HEADS = {"softmax": "classify", "sigmoid": "multilabel", "linear": "regress"}
_POOLS = {"GlobalAveragePooling1D": "mean", "GlobalMaxPooling1D": "max"}


def from_keras(model: Any, **parts: Any) -> Model:
    """A model with the weights of a Keras model, or of a list of its layers.

    Recurrent layers SimpleRNN (tanh or relu), GRU with reset_after=True and LSTM, each as it is or
    in Bidirectional with merge_mode "concat", then GlobalAveragePooling1D, GlobalMaxPooling1D or
    none, then one Dense: with softmax for "classify", sigmoid for "multilabel", linear for
    "regress", and "classify_steps" and "regress_steps" after timesteps. Normalization may be first.
    Layers that only a training uses, such as Dropout, are passed over, and Masking too: a Dataset
    knows the lengths of its sequences.

    The rest are parts of Model.from_parts: class_names, missing, channel_names, target_scale, loss,
    delta, and normalization, where the model has none. Raises ValueError with the name of a layer
    that has no exact counterpart, such as a GRU with reset_after=False.
    """
    reader = _Reader()
    for layer in _layers_of(model):
        reader.read(layer)
    return reader.model(parts)


def _layers_of(model: Any) -> list[Any]:
    if not hasattr(model, "layers"):
        if not isinstance(model, (list, tuple)) or not all(hasattr(part, "name") for part in model):
            raise TypeError(
                f"from_keras: expected a model or a list of layers, found {type(model).__name__}"
            )
        return list(model)
    layers = list(model.layers)
    if _class(model) != "Sequential":
        for before, layer in zip(layers, layers[1:]):
            if getattr(layer, "input", None) is not before.output:
                raise ValueError(f"from_keras: {_name(layer)} does not follow on {_name(before)}")
    return layers


def _class(layer: Any) -> str:
    return type(layer).__name__


def _name(layer: Any) -> str:
    return f"layer {layer.name!r} ({_class(layer)})"


class _Reader:
    """Takes layer after layer for the next part of a network."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.features: int | None = None
        self.gives_steps = True
        self.pool = "last"
        self.head = ""
        self.normalization: dict[str, Any] | None = None

    def read(self, layer: Any) -> None:
        kind = _class(layer)
        if kind in _IGNORED:
            return
        readers: dict[str, Callable[[Any], None]] = {
            "Normalization": self._normalization,
            "Dense": self._dense,
            "TimeDistributed": self._dense_of_steps,
            "Activation": self._activation,
            "Softmax": self._softmax,
            **dict.fromkeys(_POOLS, self._pooling),
            **dict.fromkeys((*_CELLS, "Bidirectional"), self._recurrent),
        }
        if kind not in readers:
            raise ValueError(f"from_keras: {_name(layer)} has no counterpart")
        readers[kind](layer)

    def model(self, parts: dict[str, Any]) -> Model:
        if not self.head:
            raise ValueError("from_keras: expected recurrent layers and one Dense behind them")
        if self.normalization is not None:
            if "normalization" in parts:
                raise ValueError("normalization: the Keras model has its own")
            parts["normalization"] = self.normalization
        head = self.head
        if self.gives_steps:
            if head == "multilabel":
                raise ValueError("from_keras: sigmoid at every timestep has no counterpart")
            head += "_steps"
        network = {
            "features": self.features,
            "layers": self.layers,
            "head": head,
            "pool": self.pool,
            "outputs": len(self.tensors["head.bias"]),
        }
        return Model.from_parts(network=network, tensors=self.tensors, **parts)

    def _require(self, holds: bool, layer: Any, expected: str) -> None:
        if not holds:
            raise ValueError(f"from_keras: {_name(layer)}: expected {expected}")

    def _normalization(self, layer: Any) -> None:
        is_first = not self.layers and self.normalization is None
        self._require(is_first, layer, "it before all other layers")
        config = layer.get_config()
        axis = config.get("axis", -1)
        is_plain = axis in (-1, 2, [-1], [2], (-1,), (2,)) and not config.get("invert", False)
        self._require(is_plain, layer, "axis=-1 and invert=False")
        mean, variance = (_flat(values) for values in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance), _EPSILON)
        self.normalization = {"kind": "channel", "mean": mean, "scale": scale}

    def _recurrent(self, layer: Any) -> None:
        self._require(self.gives_steps and not self.head, layer, "it before pooling and Dense")
        directions = [layer]
        if _class(layer) == "Bidirectional":
            is_joined = layer.get_config().get("merge_mode") == "concat"
            self._require(is_joined, layer, "merge_mode='concat'")
            directions = [layer.forward_layer, layer.backward_layer]
        cells, inputs, sizes, steps = zip(
            *(self._direction(part, is_back) for is_back, part in enumerate(directions))
        )
        is_like = len({*zip(cells, sizes, steps)}) == 1
        self._require(is_like, layer, "directions that are alike")
        if self.features is None:
            self.features = inputs[0]
        self.layers.append(
            {"cell": cells[0], "hidden": sizes[0], "bidirectional": len(directions) == 2}
        )
        self.gives_steps = steps[0]

    def _direction(self, layer: Any, is_back: int) -> tuple[str, int, int, bool]:
        """Cell, inputs, units and whether it gives all timesteps."""
        kind, config = _class(layer), layer.get_config()
        self._require(kind in _CELLS, layer, "SimpleRNN, GRU or LSTM")
        cell = _CELLS[kind](self, layer, config)
        is_backwards = bool(config.get("go_backwards", False))
        self._require(is_backwards == bool(is_back), layer, "backwards only in Bidirectional")
        end = f"_l{len(self.layers)}" + ("_reverse" if is_back else "")
        kernel, recurrent, *bias = (np.asarray(w, np.float32) for w in layer.get_weights())
        self.tensors[f"rnn.weight_ih{end}"] = _for_torch(kind, kernel)
        self.tensors[f"rnn.weight_hh{end}"] = _for_torch(kind, recurrent)
        biases = _biases(kind, bias, kernel.shape[1])
        self.tensors[f"rnn.bias_ih{end}"], self.tensors[f"rnn.bias_hh{end}"] = biases
        return cell, kernel.shape[0], recurrent.shape[0], bool(config["return_sequences"])

    def _simple(self, layer: Any, config: dict[str, Any]) -> str:
        activation = str(config["activation"])
        self._require(activation in ("tanh", "relu"), layer, "activation 'tanh' or 'relu'")
        return activation

    def _lstm(self, layer: Any, config: dict[str, Any]) -> str:
        usual = (config["activation"], config["recurrent_activation"]) == ("tanh", "sigmoid")
        self._require(usual, layer, "activation 'tanh' and recurrent_activation 'sigmoid'")
        return "lstm"

    def _gru(self, layer: Any, config: dict[str, Any]) -> str:
        self._lstm(layer, config)
        self._require(bool(config.get("reset_after", False)), layer, "reset_after=True")
        return "gru"

    def _pooling(self, layer: Any) -> None:
        follows = bool(self.layers) and self.gives_steps and not self.head
        self._require(follows, layer, "timesteps of a recurrent layer before it")
        self.pool = _POOLS[_class(layer)]
        self.gives_steps = False

    def _dense_of_steps(self, layer: Any) -> None:
        is_dense = _class(layer.layer) == "Dense" and self.gives_steps
        self._require(is_dense, layer, "a Dense, and timesteps before it")
        self._dense(layer.layer)

    def _dense(self, layer: Any) -> None:
        self._require(bool(self.layers) and not self.head, layer, "one Dense, the last layer")
        kernel, *bias = (np.asarray(w, np.float32) for w in layer.get_weights())
        self.tensors["head.weight"] = np.ascontiguousarray(kernel.T)
        self.tensors["head.bias"] = bias[0] if bias else np.zeros(kernel.shape[1], np.float32)
        self._head(layer, layer.get_config()["activation"])

    def _activation(self, layer: Any) -> None:
        self._after_dense(layer, layer.get_config()["activation"])

    def _softmax(self, layer: Any) -> None:
        self._require(layer.get_config().get("axis", -1) in (-1, [-1]), layer, "axis=-1")
        self._after_dense(layer, "softmax")

    def _after_dense(self, layer: Any, activation: Any) -> None:
        self._require(self.head == "regress", layer, "a Dense without activation before it")
        self._head(layer, activation)

    def _head(self, layer: Any, activation: Any) -> None:
        name = "linear" if activation is None else activation
        known = isinstance(name, str) and name in _HEADS
        self._require(known, layer, "activation 'softmax', 'sigmoid' or 'linear'")
        self.head = _HEADS[name]


_CELLS = {"SimpleRNN": _Reader._simple, "GRU": _Reader._gru, "LSTM": _Reader._lstm}


def _flat(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values, np.float64).reshape(-1)


def _for_torch(kind: str, weights: np.ndarray) -> np.ndarray:
    """Rows are units of gates: a GRU's z, r, h become r, z, n; an LSTM's i, f, c, o are torch's."""
    rows = weights.T
    if kind == "GRU":
        update, reset, new = np.split(rows, 3)
        rows = np.concatenate([reset, update, new])
    return np.ascontiguousarray(rows)


def _biases(kind: str, bias: list[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """For the inputs and for the states; a GRU has both, other layers one for their sum."""
    zeros = np.zeros((1, size), np.float32)
    rows = np.concatenate([bias[0].reshape(-1, size) if bias else zeros, zeros])
    of_inputs, of_states = (_for_torch(kind, row[None])[:, 0] for row in rows[:2])
    return of_inputs, of_states
