"""State dicts of PyTorch's modules. Only to_torch imports torch."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from . import _parts
from ._core import FileError, Model


def to_torch(model: Any) -> dict[str, Any]:
    """The weights of a model as a state dict of torch tensors, copies.

    The names are those of a module that has ::

        rnn = torch.nn.GRU(features, hidden, num_layers, bidirectional=..., batch_first=True)
        head = torch.nn.Linear(hidden or 2 * hidden, outputs)

    with nn.RNN for tanh and relu and nn.LSTM for lstm. How inputs are standardised and filled, what
    is pooled, softmax and the scale of numbers are not weights: `model.normalization`, `missing`,
    `network` and `target_scale` have them. Raises ValueError for layers that differ, which no such
    module can have. `model` may be an estimator.
    """
    model = _parts.plain_model(model)
    import torch

    layers = model.network["layers"]
    if any(layer != layers[0] for layer in layers):
        raise ValueError("to_torch: the layers differ, and those of a module of torch.nn are equal")
    return {name: torch.from_numpy(values) for name, values in model.tensors().items()}


def from_torch(source: Any, *, nonlinearity: str | None = None, **parts: Any) -> Model:
    """A model with the weights of a state dict of torch tensors or NumPy arrays, or of a module.

    There must be one stack of recurrent layers, by torch's names with any prefix, and one linear
    layer beside; biases that are absent are 0. nonlinearity: "tanh" or "relu", of nn.RNN; a module
    says it itself, of a state dict "tanh" is assumed.

    pool="last" is the state after each direction's last step: `h_n` of torch's module, of two
    directions torch.cat([h_n[-2], h_n[-1]], 1). It is not `output[:, -1]`, which has of the
    backward direction the state after one step, and which no pool of this library gives.

    The rest are parts of Model.from_parts: head ("classify"), pool ("last"), class_names,
    normalization, missing, target_scale, channel_names, loss, delta. Raises ValueError (FileError)
    for other tensors.
    """
    if hasattr(source, "state_dict"):
        nonlinearity = nonlinearity or _nonlinearity_of(source)
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise TypeError(
            f"from_torch: expected a state dict or a module, found {type(source).__name__}"
        )
    if not source:
        raise FileError("from_torch: the state dict is empty")
    tensors = {name: _array(name, values) for name, values in source.items()}
    model = Model.from_bytes(_parts.file_of_tensors(tensors))
    network = {**model.network, **_taken(parts, "head", "pool")}
    network["layers"] = [_with_nonlinearity(layer, nonlinearity) for layer in network["layers"]]
    return Model.from_parts(network=network, tensors=model.tensors(), **parts)


def _taken(parts: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: parts.pop(name) for name in names if name in parts}


def _array(name: str, values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"from_torch: {name}: expected an array of numbers, found {array.dtype}")
    return array


def _nonlinearity_of(module: Any) -> str | None:
    found = {m.nonlinearity for m in module.modules() if hasattr(m, "nonlinearity")}
    if len(found) > 1:
        raise ValueError("from_torch: the module has recurrent layers of several nonlinearities")
    return found.pop() if found else None


def _with_nonlinearity(layer: Mapping[str, Any], nonlinearity: str | None) -> dict[str, Any]:
    if nonlinearity not in (None, "tanh", "relu"):
        raise ValueError(f"nonlinearity: expected 'tanh' or 'relu', found {nonlinearity!r}")
    if nonlinearity is None or nonlinearity == layer["cell"]:
        return dict(layer)
    if layer["cell"] != "tanh":
        raise ValueError(f"nonlinearity: a layer is a {layer['cell']}, which has none to choose")
    return {**layer, "cell": nonlinearity}
