import itertools
import json
import os
import sys

import numpy as np
import pytest

import lockstep
from lockstep import Dataset, Model, interchange

CELLS = ["tanh", "relu", "gru", "lstm"]


@pytest.fixture
def sequences(rng):
    return [rng.standard_normal((n, 3)).astype(np.float32) for n in (1, 5, 2, 9, 1, 30)]


@pytest.fixture
def labelled(sequences):
    return Dataset(sequences, labels=[0, 1, 2, 0, 1, 2], class_names=["low", "middle", "high"])


def model_of(data, **options):
    """Weights that are not small, biases that are not 0."""
    return Model(data, **{"hidden": 6, "init": "pytorch", **options})


def padded(sequences, padding=7.0):
    x = np.full((len(sequences), max(map(len, sequences)), sequences[0].shape[1]), padding)
    for row, sequence in zip(x, sequences):
        row[: len(sequence)] = sequence
    return x.astype(np.float32), np.array([len(s) for s in sequences], np.int32)


def run_onnx(proto, inputs):
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    data = proto if isinstance(proto, (str, bytes)) else proto.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, inputs)


def check_onnx(model, sequences, padding=7.0):
    """In onnxruntime as here, within 1e-6 of the largest output, or of 1."""
    onnx = pytest.importorskip("onnx")
    proto = model.to_onnx()
    onnx.checker.check_model(proto, full_check=True)
    x, lengths = padded(sequences, padding)
    (found,) = run_onnx(proto, {"x": x, "lengths": lengths})
    if model.network["head"].endswith("_steps"):
        found = np.concatenate([rows[:n] for rows, n in zip(found, lengths)])
    expected = model.predict_proba(sequences)
    assert found.shape == expected.shape and found.dtype == np.float32
    atol = 1e-6 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


# ONNX


@pytest.mark.parametrize("cell", CELLS)
def test_onnx_of_every_network(cell, sequences, labelled):
    for two_ways, layers, pool in itertools.product(
        (False, True), (1, 2, 3), ("last", "mean", "max")
    ):
        model = model_of(labelled, cell=cell, bidirectional=two_ways, layers=layers, pool=pool)
        check_onnx(model, sequences)


def model_of_layers_that_differ(rng):
    layers = [
        {"cell": "lstm", "hidden": 4, "bidirectional": True},
        {"cell": "tanh", "hidden": 5, "bidirectional": False},
        {"cell": "gru", "hidden": 3, "bidirectional": True},
    ]
    tensors, inputs = {}, 3
    for k, layer in enumerate(layers):
        gates = {"tanh": 1, "gru": 3, "lstm": 4}[layer["cell"]] * layer["hidden"]
        for end in ["", "_reverse"] if layer["bidirectional"] else [""]:
            tensors[f"rnn.weight_ih_l{k}{end}"] = rng.standard_normal((gates, inputs))
            tensors[f"rnn.weight_hh_l{k}{end}"] = rng.standard_normal((gates, layer["hidden"]))
            tensors[f"rnn.bias_ih_l{k}{end}"] = rng.standard_normal(gates)
            tensors[f"rnn.bias_hh_l{k}{end}"] = rng.standard_normal(gates)
        inputs = layer["hidden"] * (2 if layer["bidirectional"] else 1)
    tensors["head.weight"] = rng.standard_normal((2, inputs))
    tensors["head.bias"] = rng.standard_normal(2)
    network = {"features": 3, "layers": layers, "outputs": 2}
    return Model.from_parts(network=network, tensors=tensors)


def test_onnx_of_layers_that_differ(sequences, rng):
    check_onnx(model_of_layers_that_differ(rng), sequences)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("timesteps", [1, 10, 100, 1000])
def test_onnx_of_any_length(cell, timesteps, rng):
    lengths = (timesteps, max(1, timesteps // 2), timesteps - timesteps // 3)
    sequences = [30 + 2 * rng.standard_normal((n, 2)).astype(np.float32) for n in lengths]
    data = Dataset(sequences, labels=[0, 1, 0])
    for two_ways, init in itertools.product((False, True), ("pytorch", "orthogonal")):
        check_onnx(
            Model(data, cell=cell, hidden=32, layers=2, bidirectional=two_ways, init=init),
            sequences,
        )


@pytest.mark.parametrize("head", ["regress", "multilabel", "classify_steps", "regress_steps"])
def test_onnx_of_every_head(head, sequences, rng):
    n = len(sequences)
    targets = {
        "regress": {"values": 100 * rng.standard_normal((n, 2)) + 5},
        "multilabel": {"values": rng.integers(0, 2, (n, 2))},
        "classify_steps": {"step_labels": [np.arange(len(s)) % 3 for s in sequences]},
        "regress_steps": {"step_values": [50 * s[:, :2] + 9 for s in sequences]},
    }[head]
    data = Dataset(sequences, **targets)
    for cell, two_ways in itertools.product(CELLS, (False, True)):
        model = model_of(data, head=head, cell=cell, bidirectional=two_ways, layers=2, epochs=2)
        model.fit(data)
        assert (model.target_scale is not None) == head.startswith("regress")
        check_onnx(model, sequences)
    check_onnx(model_of(data, head=head, normalize_targets=False), sequences)


@pytest.mark.parametrize("normalize", ["none", "channel", "series"])
def test_onnx_standardises_and_fills(normalize, sequences, rng):
    gaps = [np.where(rng.random(s.shape) < 0.4, np.nan, 100 + 5 * s) for s in sequences]
    gaps[3][:, 1] = np.nan  # a channel of which a sequence knows nothing
    gaps[0][:] = np.nan
    gaps[5][:, 2] = 0.1  # one that is constant
    gaps = [s.astype(np.float32) for s in gaps]
    data = Dataset(gaps, labels=[0, 1, 2, 0, 1, 2])
    for missing, padding in itertools.product(("carry", "mean", "mask"), (7.0, np.nan)):
        model = model_of(data, missing=missing, normalize=normalize, bidirectional=True, layers=2)
        check_onnx(model, gaps, padding)
    whole = [np.nan_to_num(s) for s in gaps]
    data = Dataset(whole, labels=[0, 1, 2, 0, 1, 2])
    check_onnx(model_of(data, normalize=normalize, pool="mean"), whole, np.nan)


def test_onnx_without_lengths(rng):
    pytest.importorskip("onnx")
    x = rng.standard_normal((4, 12, 2)).astype(np.float32)
    x[1, 3:6, 0] = np.nan
    data = Dataset(x, labels=[0, 1, 0, 1])
    for pool, normalize in itertools.product(("last", "mean", "max"), ("channel", "series")):
        model = model_of(data, pool=pool, normalize=normalize, missing="carry", bidirectional=True)
        proto = model.to_onnx(lengths=False)
        assert [value.name for value in proto.graph.input] == ["x"]
        (found,) = run_onnx(proto, {"x": x})
        np.testing.assert_allclose(found, model.predict_proba(x), rtol=0, atol=1e-6)


def test_onnx_files_say_what_they_are(labelled, sequences, tmp_path):
    onnx = pytest.importorskip("onnx")
    data = Dataset(
        sequences,
        labels=labelled.labels,
        class_names=["a", "b,c", "d\u00fc"],
        channel_names=["x", "y", "z"],
    )
    model = model_of(data, cell="gru", bidirectional=True)
    path = tmp_path / "model.onnx"
    proto = interchange.to_onnx(model, path)
    read = onnx.load(path)
    assert read == proto
    properties = {p.key: json.loads(p.value) for p in read.metadata_props}
    assert properties == {"class_names": ["a", "b,c", "d\u00fc"], "channel_names": ["x", "y", "z"]}
    assert read.producer_name == "lockstep" and read.producer_version == lockstep.__version__
    assert [value.name for value in read.graph.input] == ["x", "lengths"]
    assert [value.name for value in read.graph.output] == ["probabilities"]
    (gru,) = [node for node in read.graph.node if node.op_type == "GRU"]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in gru.attribute}
    assert attributes.pop("direction") == b"bidirectional"
    assert attributes == {"hidden_size": 6, "linear_before_reset": 1}  # and the layout is 0
    assert gru.input[4] == "lengths" and len(gru.input) == 5  # no initial states
    x, lengths = padded(sequences)
    (found,) = run_onnx(str(path), {"x": x, "lengths": lengths})
    np.testing.assert_allclose(found, model.predict_proba(data), rtol=0, atol=1e-6)


def test_onnx_files_are_written_whole_or_not_at_all(labelled, tmp_path):
    pytest.importorskip("onnx")
    model = model_of(labelled)
    with pytest.raises(OSError):
        model.to_onnx(tmp_path / "no folder" / "model.onnx")
    with pytest.raises(OSError):
        model.to_onnx(tmp_path)
    assert list(tmp_path.iterdir()) == []
    link, target = tmp_path / "latest", tmp_path / "model"
    target.write_text("old")
    link.symlink_to(target)
    proto = model.to_onnx(link)
    assert link.is_symlink() and target.read_bytes() == proto.SerializeToString()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "model"]


def test_onnx_asks_for_its_package(labelled, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        model_of(labelled).to_onnx()


class Fitted:
    """As an estimator that has been fitted."""

    def __init__(self, model):
        self.model_ = model


def test_estimators_are_as_good_as_their_models(labelled):
    pytest.importorskip("onnx")
    model = model_of(labelled)
    assert interchange.to_onnx(Fitted(model)) == model.to_onnx()


# PyTorch


def torch_module(model):
    """A module for the weights of a model that pools the last states."""
    torch = pytest.importorskip("torch")
    network, layers = model.network, model.network["layers"]
    cell, hidden, two_ways = (layers[0][key] for key in ("cell", "hidden", "bidirectional"))
    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(cell, torch.nn.RNN)
    options = {"nonlinearity": cell} if kind is torch.nn.RNN else {}

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = kind(
                network["features"],
                hidden,
                len(layers),
                bidirectional=two_ways,
                batch_first=True,
                **options,
            )
            self.head = torch.nn.Linear(hidden * (2 if two_ways else 1), network["outputs"])

        def forward(self, x):
            states = self.rnn(x)[1]
            states = states[0] if isinstance(states, tuple) else states
            last = torch.cat([states[-2], states[-1]], 1) if two_ways else states[-1]
            return torch.softmax(self.head(last), 1)

    return Module()


def probabilities_of(module, sequences):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return np.concatenate([module(torch.from_numpy(s[None])).numpy() for s in sequences])


@pytest.mark.parametrize("cell", CELLS)
def test_torch_there_and_back(cell, sequences, labelled):
    pytest.importorskip("torch")
    for two_ways, layers in itertools.product((False, True), (1, 2, 3)):
        model = model_of(
            labelled,
            cell=cell,
            bidirectional=two_ways,
            layers=layers,
            pool="last",
            normalize="none",
        )
        module = torch_module(model)
        drawn = probabilities_of(module, sequences)
        ours = Model.from_torch(module, class_names=["low", "middle", "high"])
        assert ours.network == model.network and ours.class_names == model.class_names
        np.testing.assert_allclose(ours.predict_proba(sequences), drawn, rtol=0, atol=1e-6)
        module.load_state_dict(model.to_torch())
        expected = model.predict_proba(sequences)
        np.testing.assert_allclose(
            probabilities_of(module, sequences), expected, rtol=0, atol=1e-6
        )
        nonlinearity = "relu" if cell == "relu" else None
        back = Model.from_torch(module.state_dict(), nonlinearity=nonlinearity)
        assert back.weights_hash() == model.weights_hash()


def test_to_torch_refuses_layers_that_differ(rng):
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match="the layers differ"):
        model_of_layers_that_differ(rng).to_torch()


def test_from_torch_takes_arrays_of_any_names(labelled, sequences):
    model = model_of(labelled, cell="lstm", pool="mean", layers=2)
    names = {"rnn.": "encoder.lstm.", "head.": "classifier."}
    arrays = {}
    for name, values in model.tensors().items():
        prefix = name[: name.index(".") + 1]
        arrays[names[prefix] + name[len(prefix) :]] = values.astype(np.float64)
    back = interchange.from_torch(
        arrays,
        pool="mean",
        class_names=model.class_names,
        normalization=model.normalization,
    )
    np.testing.assert_array_equal(back.predict_proba(sequences), model.predict_proba(sequences))
    without = {name: values for name, values in arrays.items() if "bias" not in name}
    tensors = Model.from_torch(without).tensors()
    assert all((tensors[name] == 0).all() for name in tensors if "bias" in name)
    regression = interchange.from_torch(arrays, head="regress", loss="huber", delta=2.0)
    assert regression.network["head"] == "regress"


def test_from_torch_refuses_what_it_does_not_know(labelled):
    arrays = model_of(labelled, cell="gru").tensors()
    for wrong in ({}, {"a": np.zeros(3)}, {**arrays, "attention.in_proj": np.zeros((3, 3, 3))}):
        with pytest.raises(lockstep.FileError):
            Model.from_torch(wrong)
    with pytest.raises(ValueError, match="expected an array of numbers"):
        Model.from_torch({**arrays, "head.bias": "text"})
    with pytest.raises(ValueError, match="a gru, which has none to choose"):
        Model.from_torch(arrays, nonlinearity="relu")
    with pytest.raises(ValueError, match="expected 'tanh' or 'relu', found 'gelu'"):
        Model.from_torch(arrays, nonlinearity="gelu")
    with pytest.raises(ValueError, match="classes"):
        Model.from_torch(arrays, class_names=["one"])
    arrays["head.bias"] = np.full(3, np.nan)
    with pytest.raises(lockstep.FileError):
        Model.from_torch(arrays)


def test_from_torch_takes_other_types_of_numbers(labelled, sequences):
    torch = pytest.importorskip("torch")
    model = model_of(labelled, cell="gru", pool="last", normalize="none")
    for dtype, tolerance in ((torch.float64, 0), (torch.bfloat16, 0.02), (torch.float16, 2e-3)):
        state = {name: values.to(dtype) for name, values in model.to_torch().items()}
        found = Model.from_torch(state).predict_proba(sequences)
        np.testing.assert_allclose(found, model.predict_proba(sequences), atol=tolerance)


# Keras: layers that look like its own, computed by the equations of its documentation


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simple_rnn(layer, x, state):
    kernel, recurrent, bias = layer.get_weights()
    z = x @ kernel + state["h"] @ recurrent + bias
    state["h"] = np.tanh(z) if layer.config["activation"] == "tanh" else np.maximum(z, 0)


def gru(layer, x, state):
    kernel, recurrent, bias = layer.get_weights()
    of_x = np.split(x @ kernel + bias[0], 3)
    of_h = np.split(state["h"] @ recurrent + bias[1], 3)
    update = sigmoid(of_x[0] + of_h[0])
    reset = sigmoid(of_x[1] + of_h[1])
    new = np.tanh(of_x[2] + reset * of_h[2])
    state["h"] = update * state["h"] + (1 - update) * new


def lstm(layer, x, state):
    kernel, recurrent, bias = layer.get_weights()
    i, f, c, o = np.split(x @ kernel + state["h"] @ recurrent + bias, 4)
    carried = sigmoid(f) * state.get("c", 0) + sigmoid(i) * np.tanh(c)
    state.update(c=carried, h=sigmoid(o) * np.tanh(carried))


KERAS = {"SimpleRNN": simple_rnn, "GRU": gru, "LSTM": lstm}
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}


class Layer:
    """What from_keras looks at. Its class must have the name of Keras's."""

    def __init__(self, weights=(), name="some", **config):
        self.weights, self.name, self.config = list(weights), name, config

    def get_weights(self):
        return self.weights

    def get_config(self):
        return self.config


def layer_of(kind, *arguments, **config):
    return type(kind, (Layer,), {})(*arguments, **config)


def recurrent_layer(rng, kind, inputs, units, use_bias=True, **config):
    def draw(*shape):
        return rng.standard_normal(shape) / 4

    columns = GATES[kind] * units
    bias = draw(2, columns) if kind == "GRU" else draw(columns)
    weights = [draw(inputs, columns), draw(units, columns), bias * use_bias]
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
    layer = layer_of(kind, weights, **{**usual, "return_sequences": False, **config})
    layer.units = units
    return layer


def dense(rng, inputs, outputs, activation="softmax"):
    weights = [rng.standard_normal((inputs, outputs)), rng.standard_normal(outputs)]
    return layer_of("Dense", weights, activation=activation)


def in_both_directions(rng, kind, inputs, units, **config):
    layer = layer_of("Bidirectional", merge_mode="concat")
    layer.forward_layer = recurrent_layer(rng, kind, inputs, units, **config)
    layer.backward_layer = recurrent_layer(rng, kind, inputs, units, go_backwards=True, **config)
    return layer


def outputs_of(layer, x):
    """[timesteps, units] of a direction, in the order of time."""
    state, rows = {"h": np.zeros(layer.units)}, []
    is_backwards = layer.config.get("go_backwards", False)
    for row in x[::-1] if is_backwards else x:
        KERAS[type(layer).__name__](layer, row, state)
        rows.append(state["h"])
    return np.array(rows[::-1] if is_backwards else rows)


def keras_logits(layers, x, pool):
    *recurrent, head = layers
    for layer in recurrent:
        both = type(layer).__name__ == "Bidirectional"
        parts = [layer.forward_layer, layer.backward_layer] if both else [layer]
        outputs = [outputs_of(part, x) for part in parts]
        ends = [out[0] if k else out[-1] for k, out in enumerate(outputs)]
        x = np.concatenate(outputs, 1)
    read = {"last": np.concatenate(ends), "mean": x.mean(0), "max": x.max(0), "steps": x}[pool]
    kernel, bias = head.get_weights()
    return read @ kernel + bias


POOLING = {"last": [], "mean": ["GlobalAveragePooling1D"], "max": ["GlobalMaxPooling1D"]}


@pytest.mark.parametrize("kind, activation", [(k, "tanh") for k in KERAS] + [("SimpleRNN", "relu")])
def test_from_keras_by_the_equations_of_its_documentation(kind, activation, sequences, rng):
    for two_ways, count, pool in itertools.product((False, True), (1, 2), POOLING):
        make = in_both_directions if two_ways else recurrent_layer
        width, layers = 3, []
        for k in range(count):
            steps = k < count - 1 or pool != "last"
            layers.append(make(rng, kind, width, 4, return_sequences=steps, activation=activation))
            width = 8 if two_ways else 4
        layers.append(dense(rng, width, 3))
        pooled = [layer_of(name) for name in POOLING[pool]]
        given = [layer_of("InputLayer"), *layers[:-1], *pooled, layer_of("Dropout"), layers[-1]]
        model = Model.from_keras(given, class_names=["a", "b", "c"])
        assert model.network["pool"] == pool and model.class_names == ["a", "b", "c"]
        exp = np.exp([keras_logits(layers, s.astype(float), pool) for s in sequences])
        expected = exp / exp.sum(1, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(sequences), expected, rtol=0, atol=2e-6)


def test_from_keras_takes_every_head(sequences, rng):
    def network(activation, steps=False, *behind):
        make = np.random.default_rng(1)
        layers = [recurrent_layer(make, "GRU", 3, 4, return_sequences=steps)]
        head = dense(make, 4, 2, activation)
        wrapped = layer_of("TimeDistributed")
        wrapped.layer = head
        given = Model.from_keras([*layers, wrapped if steps else head, *behind])
        pool = "steps" if steps else "last"
        return given, [keras_logits([*layers, head], s.astype(float), pool) for s in sequences]

    model, logits = network("linear")
    np.testing.assert_allclose(model.predict_proba(sequences), logits, atol=1e-5)
    model, logits = network("sigmoid")
    assert model.network["head"] == "multilabel"
    np.testing.assert_allclose(model.predict_proba(sequences), sigmoid(np.array(logits)), atol=1e-6)
    model, logits = network("linear", True)
    np.testing.assert_allclose(model.predict_proba(sequences), np.concatenate(logits), atol=1e-5)
    assert network("softmax", True)[0].network["head"] == "classify_steps"
    assert network("linear", False, layer_of("Softmax"))[0].network["head"] == "classify"
    activation = layer_of("Activation", activation="sigmoid")
    assert network("linear", False, activation)[0].network["head"] == "multilabel"


def test_from_keras_without_biases(sequences, rng):
    for kind in KERAS:
        layers = [recurrent_layer(rng, kind, 3, 4, use_bias=False), dense(rng, 4, 2, "linear")]
        layers[1].weights[1][:] = 0
        expected = [keras_logits(layers, s.astype(float), "last") for s in sequences]
        for layer in layers:
            del layer.weights[-1]  # Keras gives none then
        found = Model.from_keras(layers).predict_proba(sequences)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_from_keras_with_normalization(sequences, rng):
    layers = [recurrent_layer(rng, "GRU", 3, 4), dense(rng, 4, 2, "linear")]
    scale = layer_of("Normalization", axis=(-1,))
    scale.mean, scale.variance = np.array([[[1.0, 2, 3]]]), np.array([[[4.0, 1, 9]]])
    expected = [keras_logits(layers, (s - [1, 2, 3]) / [2, 1, 3], "last") for s in sequences]
    model = Model.from_keras([layer_of("Masking"), scale, *layers])
    np.testing.assert_allclose(model.predict_proba(sequences), expected, atol=1e-5)
    with pytest.raises(ValueError, match="the Keras model has its own"):
        Model.from_keras([scale, *layers], normalization={"kind": "series"})
    for axis, layers_before in ((1, []), (-1, layers[:1])):
        scale.config["axis"] = axis
        with pytest.raises(ValueError, match="Normalization"):
            Model.from_keras([*layers_before, scale, *layers])


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda r: [recurrent_layer(r, "GRU", 3, 4, reset_after=False)], "reset_after=True"),
        (
            lambda r: [recurrent_layer(r, "LSTM", 3, 4, recurrent_activation="hard_sigmoid")],
            "recurrent_activation 'sigmoid'",
        ),
        (lambda r: [recurrent_layer(r, "SimpleRNN", 3, 4, activation="elu")], "'tanh' or 'relu'"),
        (lambda r: [recurrent_layer(r, "LSTM", 3, 4, go_backwards=True)], "backwards only in"),
        (lambda r: [layer_of("Embedding")], r"layer 'some' \(Embedding\) has no counterpart"),
        (lambda r: [dense(r, 3, 4, "relu")], "one Dense, the last layer"),
        (lambda r: [recurrent_layer(r, "GRU", 3, 4), dense(r, 4, 4, "relu")], "'softmax'"),
        (lambda r: [recurrent_layer(r, "GRU", 3, 4), dense(r, 4, 4)], "one Dense, the last layer"),
        (lambda r: [recurrent_layer(r, "GRU", 3, 4), recurrent_layer(r, "GRU", 4, 4)], "before"),
        (lambda r: [layer_of("GlobalMaxPooling1D")], "timesteps of a recurrent layer before it"),
        (lambda r: [layer_of("Softmax")], "a Dense without activation before it"),
        (lambda r: [layer_of("Bidirectional", merge_mode="sum")], "merge_mode='concat'"),
        (
            lambda r: [recurrent_layer(r, "GRU", 3, 4), layer_of("BatchNormalization")],
            "has no counterpart",
        ),
    ],
)
def test_from_keras_refuses_what_has_no_counterpart(make, text, rng):
    with pytest.raises(ValueError, match=text):
        Model.from_keras([*make(rng), dense(rng, 4, 2)])


def test_from_keras_needs_a_whole_network(rng):
    for layers in ([], [recurrent_layer(rng, "GRU", 3, 4)]):
        with pytest.raises(ValueError, match="expected recurrent layers and one Dense"):
            Model.from_keras(layers)
    steps = recurrent_layer(rng, "GRU", 3, 4, return_sequences=True)
    with pytest.raises(ValueError, match="sigmoid at every timestep has no counterpart"):
        Model.from_keras([steps, dense(rng, 4, 2, "sigmoid")])


def test_from_keras_of_keras_itself(sequences, rng):
    if "KERAS_BACKEND" not in os.environ:
        pytest.importorskip("torch")
        os.environ["KERAS_BACKEND"] = "torch"
    keras = pytest.importorskip("keras")
    kinds = keras.layers
    x = rng.standard_normal((4, 9, 3)).astype(np.float32)
    for kind, two_ways, pool in itertools.product(KERAS, (False, True), POOLING):
        layers = [keras.Input((None, 3)), kinds.Normalization()]
        for steps in (True, pool != "last"):
            layer = getattr(kinds, kind)(5, return_sequences=steps)
            layers.append(kinds.Bidirectional(layer) if two_ways else layer)
        layers += [getattr(kinds, name)() for name in POOLING[pool]]
        whole = keras.Sequential([*layers, kinds.Dropout(0.5), kinds.Dense(3, "softmax")])
        for weight in whole.weights:
            if weight.dtype == "float32":
                values = rng.standard_normal(weight.shape) / 2
                weight.assign(np.abs(values) + 0.1 if "variance" in weight.name else values)
        expected = whole.predict(x, verbose=0)
        ours = Model.from_keras(whole)
        np.testing.assert_allclose(ours.predict_proba(x), expected, rtol=0, atol=2e-6)
    start = keras.Input((None, 3))
    chain = keras.Model(start, kinds.Dense(2)(kinds.LSTM(4)(start)))
    np.testing.assert_allclose(
        Model.from_keras(chain).predict_proba(x), chain.predict(x, verbose=0), atol=1e-6
    )
    branches = kinds.LSTM(4)(start) + kinds.LSTM(4)(start)
    with pytest.raises(ValueError, match="does not follow on"):
        Model.from_keras(keras.Model(start, kinds.Dense(2)(branches)))
