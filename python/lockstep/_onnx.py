"""Models as ONNX graphs: one function for each part of a prediction."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from . import _parts
from ._core import __version__

_OPSET = 14  # the first whose recurrent layers have a layout; all attributes as in later ones to 17
_MOST_BYTES = 2**31 - 2**20  # of a protobuf message, with room for what is no weight
_LEAST_DEVIATION = np.float64(np.finfo(np.float32).tiny)  # of a channel that is not constant


class _Cell:
    """How ONNX arranges a cell of torch's arrangement."""

    def __init__(self, op: str, gates: tuple[int, ...], **attributes: Any) -> None:
        self.op = op
        self.gates = gates  # of torch, in the order of ONNX
        self.attributes = attributes


_CELLS = {
    "tanh": _Cell("RNN", (0,), activation="Tanh"),
    "relu": _Cell("RNN", (0,), activation="Relu"),
    "gru": _Cell("GRU", (1, 0, 2), linear_before_reset=1),  # r, z, n -> z, r, h
    "lstm": _Cell("LSTM", (0, 3, 1, 2)),  # i, f, g, o -> i, o, f, c
}


def to_onnx(model: Any, path: Any = None, *, lengths: bool = True) -> Any:
    """The model as an onnx.ModelProto, which is also written to `path` if that is given.

    Inputs: `x`, float32 [n, timesteps, channels] as measured, padded with anything, and `lengths`,
    int32 [n], how many timesteps belong to each sequence, at least 1. Without `lengths`, for
    runtimes that do not know them, all timesteps do. Missing values (NaN) are filled as the model
    does, inputs standardised; a model that refuses missing or infinite values cannot do so in ONNX.

    Output: `probabilities` or `values`, [n, outputs], of a head of timesteps [n, timesteps,
    outputs], in which the rows behind the end of a sequence mean nothing. Metadata: `class_names`
    and `channel_names`, JSON lists. Operators are those of opset 14, recurrent layers have layout 0
    and no initial states.

    Accuracy: onnxruntime's CPU kernels differ from predict_proba by up to 1e-6 for sequences of up
    to 1000 timesteps. Raises ImportError without the package onnx, ValueError for weights above
    2 GiB, OSError if the file cannot be written; then nothing is left of it. `model` may be an
    estimator.
    """
    model = _parts.plain_model(model)
    try:
        import onnx
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install onnx") from error

    network, tensors = model.network, model.tensors()
    size = sum(values.nbytes for values in tensors.values())
    if size > _MOST_BYTES:
        raise ValueError(f"to_onnx: the weights take {size} bytes, an ONNX file holds 2 GiB")
    graph = _Graph(onnx, "lengths" if lengths else "")
    x = _standardised(graph, _filled(graph, "x", model.missing), model.normalization)
    states = _recurrent(graph, x, network, tensors)
    output = _predicted(graph, states, network, tensors, model.target_scale)
    proto = _proto(onnx, graph, output, model)
    onnx.checker.check_model(proto)
    if path is not None:
        _write(path, proto.SerializeToString())
    return proto


class _Graph:
    """Nodes and constants in the order in which they are made; values are known by names."""

    def __init__(self, onnx: Any, lengths: str) -> None:
        self.onnx = onnx
        self.lengths = lengths  # the name of that input, or ""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[str, str] = {}

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(values, dtype=dtype).reshape(np.shape(values))
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"v{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(op, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def cast(self, value: str, dtype: Any) -> str:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", value, to=kind)

    def size(self, value: str, axis: int) -> str:
        """Of an axis, int64 [1]."""
        shape = self.add("Shape", value)
        return self.add("Gather", shape, self.constant([axis], np.int64))

    def once(self, name: str, make: Any) -> str:
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]

    def is_valid(self) -> str:
        """Which timesteps belong to a sequence, bool [n, timesteps, 1]; with lengths only."""
        return self.once("is_valid", self._make_is_valid)

    def _make_is_valid(self) -> str:
        zero, one = self.constant(0, np.int64), self.constant(1, np.int64)
        timesteps = self.add("Squeeze", self.size("x", 1))
        places = self.add("Range", zero, timesteps, one)
        lengths = self.cast(self.lengths, np.int64)
        column = self.add("Unsqueeze", lengths, self.constant([1], np.int64))
        return self.add("Unsqueeze", self.add("Less", places, column), self.constant([2], np.int64))

    def timesteps(self, dtype: Any) -> str:
        """How many each sequence has, [n, 1] or [1]."""
        if not self.lengths:
            return self.cast(self.size("x", 1), dtype)
        column = self.add("Unsqueeze", self.lengths, self.constant([1], np.int64))
        return self.cast(column, dtype)

    def of_valid(self, value: str, padding: Any, dtype: Any = np.float32) -> str:
        """[n, timesteps, ...] with `padding` behind the end of each sequence."""
        if not self.lengths:
            return value
        return self.add("Where", self.is_valid(), value, self.constant(padding, dtype))


def _filled(graph: _Graph, x: str, missing: dict[str, Any]) -> str:
    """As MissingRule::apply."""
    if missing["kind"] == "fail":
        return x
    gaps = graph.add("IsNaN", x)
    mean = graph.constant(missing["mean"])
    if missing["kind"] == "mean":
        return graph.add("Where", gaps, mean, x)
    filled = _carried(graph, x, mean, len(missing["mean"]))
    if len(missing["masked"]) == 0:
        return filled
    masked = graph.add("Gather", gaps, graph.constant(missing["masked"], np.int64), axis=2)
    return graph.add("Concat", filled, graph.cast(masked, np.float32), axis=2)


def _carried(graph: _Graph, x: str, mean: str, channels: int) -> str:
    """The last known value of each channel; before the first that one, and `mean` without any."""
    known = graph.of_valid(x, np.nan)
    shape = graph.add("Concat", graph.size(x, 0), graph.constant([channels], np.int64), axis=0)
    unknown = graph.add("Expand", mean, shape)
    first, _ = _scan(graph, unknown, known, backwards=1)
    return _scan(graph, first, known, backwards=0)[1]


def _scan(graph: _Graph, state: str, x: str, backwards: int) -> list[str]:
    """The last known values along the timesteps: those at the end, and at every timestep."""
    helper, kind = graph.onnx.helper, graph.onnx.TensorProto.FLOAT
    body = helper.make_graph(
        [
            helper.make_node("IsNaN", ["row"], ["gaps"]),
            helper.make_node("Where", ["gaps", "before", "row"], ["after"]),
            helper.make_node("Identity", ["after"], ["filled"]),
        ],
        "carry",
        [helper.make_tensor_value_info(name, kind, None) for name in ("before", "row")],
        [helper.make_tensor_value_info(name, kind, None) for name in ("after", "filled")],
    )
    return graph.add(
        "Scan",
        state,
        x,
        outputs=2,
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_input_directions=[backwards],
        scan_output_axes=[1],
        scan_output_directions=[backwards],
    )


def _standardised(graph: _Graph, x: str, normalization: dict[str, Any]) -> str:
    """As Normalization::apply."""
    if normalization["kind"] == "none":
        return x
    if normalization["kind"] == "series":
        mean, scale = _series_scale(graph, x)
    else:
        mean, scale = (graph.constant(normalization[name]) for name in ("mean", "scale"))
    return graph.add("Mul", graph.add("Sub", x, mean), scale)


def _series_scale(graph: _Graph, x: str) -> tuple[str, str]:
    """Mean and 1 / deviation of each channel of each sequence, [n, 1, channels]. In float64, of
    differences from the first value: those of a constant channel must be exactly 0."""

    def of_sum(value: str) -> str:
        valid = graph.of_valid(value, 0, np.float64)
        return graph.add("Div", graph.add("ReduceSum", valid, axis, keepdims=1), count)

    axis = graph.constant([1], np.int64)
    count = graph.add("Unsqueeze", graph.timesteps(np.float64), graph.constant([-1], np.int64))
    values = graph.cast(x, np.float64)
    first = graph.add("Slice", values, graph.constant([0], np.int64), axis, axis)
    differences = graph.add("Sub", values, first)
    mean = of_sum(differences)
    centred = graph.add("Sub", differences, mean)
    deviation = graph.add("Sqrt", of_sum(graph.add("Mul", centred, centred)))
    is_constant = graph.add("Less", deviation, graph.constant(_LEAST_DEVIATION, np.float64))
    one = graph.constant(1, np.float64)
    divisor = graph.add("Where", is_constant, one, deviation)
    scale = graph.add("Div", one, divisor)
    mean_of_values = graph.add("Add", first, mean)
    return graph.cast(mean_of_values, np.float32), graph.cast(scale, np.float32)


def _recurrent(
    graph: _Graph, x: str, network: dict[str, Any], tensors: dict[str, np.ndarray]
) -> str:
    """What the head reads: [n, K], or of heads of timesteps [n, timesteps, K]."""
    x = graph.add("Transpose", x, perm=[1, 0, 2])
    last_states = ""
    for k, layer in enumerate(network["layers"]):
        outputs, states = _layer(graph, x, layer, [f"_l{k}{end}" for end in _ends(layer)], tensors)
        x = _joined(graph, outputs, [0, 2, 1, 3])
        last_states = states
    if network["head"].endswith("_steps"):
        return graph.add("Transpose", x, perm=[1, 0, 2])
    if network["pool"] == "last":
        return _joined(graph, last_states, [1, 0, 2])
    outputs = graph.add("Transpose", x, perm=[1, 0, 2])
    if network["pool"] == "max":
        outputs = graph.of_valid(outputs, -np.inf)
        return graph.add("ReduceMax", outputs, axes=[1], keepdims=0)
    axis = graph.constant([1], np.int64)
    # onnxruntime's outputs are 0 behind the end; ONNX does not say so of every cell.
    total = graph.add("ReduceSum", graph.of_valid(outputs, 0), axis, keepdims=0)
    return graph.add("Div", total, graph.timesteps(np.float32))


def _ends(layer: dict[str, Any]) -> list[str]:
    return ["", "_reverse"] if layer["bidirectional"] else [""]


def _joined(graph: _Graph, value: str, order: list[int]) -> str:
    """With the axis of directions beside that of the units, and both as one."""
    moved = graph.add("Transpose", value, perm=order)
    shape = [0] * (len(order) - 2) + [-1]
    return graph.add("Reshape", moved, graph.constant(shape, np.int64))


def _layer(
    graph: _Graph,
    x: str,
    layer: dict[str, Any],
    ends: list[str],
    tensors: dict[str, np.ndarray],
) -> tuple[str, str]:
    """Outputs [timesteps, directions, n, H] and last states [directions, n, H]."""
    cell, hidden = _CELLS[layer["cell"]], layer["hidden"]
    attributes = dict(cell.attributes)
    if "activation" in attributes:
        attributes = {"activations": [attributes["activation"]] * len(ends)}
    arranged = [_arranged(cell, hidden, end, tensors) for end in ends]
    weights = [graph.constant(np.stack(of_all)) for of_all in zip(*arranged)]
    inputs = [x, *weights] + ([graph.lengths] if graph.lengths else [])
    direction = "bidirectional" if len(ends) == 2 else "forward"
    outputs, states = graph.add(
        cell.op, *inputs, outputs=2, hidden_size=hidden, direction=direction, **attributes
    )
    return outputs, states


def _arranged(
    cell: _Cell, hidden: int, end: str, tensors: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W [G H, D], R [G H, H] and B [2 G H] of a direction."""

    def gates(name: str) -> np.ndarray:
        values = tensors[f"rnn.{name}{end}"]
        return np.concatenate([values[g * hidden : (g + 1) * hidden] for g in cell.gates])

    biases = np.concatenate([gates("bias_ih"), gates("bias_hh")])
    return gates("weight_ih"), gates("weight_hh"), biases


def _predicted(
    graph: _Graph,
    states: str,
    network: dict[str, Any],
    tensors: dict[str, np.ndarray],
    target_scale: dict[str, Any] | None,
) -> str:
    weights = graph.constant(tensors["head.weight"].T)
    product = graph.add("MatMul", states, weights)
    outputs = graph.add("Add", product, graph.constant(tensors["head.bias"]))
    head = network["head"]
    if head.startswith("classify"):
        return graph.add("Softmax", outputs, axis=-1)
    if head == "multilabel":
        return graph.add("Sigmoid", outputs)
    if target_scale is None:
        return outputs
    scaled = graph.add("Mul", outputs, graph.constant(target_scale["scale"]))
    return graph.add("Add", scaled, graph.constant(target_scale["mean"]))


def _proto(onnx: Any, graph: _Graph, output: str, model: Any) -> Any:
    helper, types = onnx.helper, onnx.TensorProto
    network = model.network
    channels = network["features"] - len(model.missing["masked"])
    name = "values" if network["head"].startswith("regress") else "probabilities"
    graph.nodes.append(helper.make_node("Identity", [output], [name]))
    inputs = [helper.make_tensor_value_info("x", types.FLOAT, ["n", "timesteps", channels])]
    if graph.lengths:
        inputs.append(helper.make_tensor_value_info(graph.lengths, types.INT32, ["n"]))
    steps = ["timesteps"] if network["head"].endswith("_steps") else []
    shape = ["n", *steps, network["outputs"]]
    outputs = [helper.make_tensor_value_info(name, types.FLOAT, shape)]
    proto = helper.make_model_gen_version(
        helper.make_graph(graph.nodes, "lockstep", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        producer_name="lockstep",
        producer_version=__version__,
    )
    metadata = {"class_names": json.dumps(model.class_names)}
    if model.channel_names:
        metadata["channel_names"] = json.dumps(model.channel_names)
    helper.set_model_props(proto, metadata)
    return proto


def _write(path: Any, data: bytes) -> None:
    """The whole file or nothing; through a link, and into a device as it is."""
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            file.write(data)
        return
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
