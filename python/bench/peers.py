"""Who fits: a function for each, which prepares nothing that a user's own `fit` would not do, and
gives the mean loss of each epoch. All take the sequences in the order of the data."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any, Callable

import numpy as np

from problems import RATE, Problem

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))

Losses = list[float]


def numpy_class(p: Problem) -> Losses:
    """The NumPy class; sequences that end early are padded with zeros, which it takes for data."""
    from plain_numpy import PlainLoop

    program = PlainLoop(p.hidden, p.classes, p.epochs, RATE, p.batch, 0.01)
    program.weights = p.copied_weights()
    program.fit(p.x.astype(np.float64), p.labels)
    return program.loss_history


def numpy_rnn(p: Problem) -> Losses:
    """lockstep.numpy_rnn, of the same."""
    from lockstep.numpy_rnn import ScratchSimpleRNNClassifier

    program = ScratchSimpleRNNClassifier(p.hidden, p.classes, p.epochs, RATE, p.batch)
    program.Wx, program.Wh, program.B, program.Wy, program.By = p.copied_weights()
    program.fit(p.x.astype(np.float64), p.labels)
    return program.loss_history


def options_of(p: Problem) -> dict[str, Any]:
    return {
        "cell": "tanh",
        "hidden": p.hidden,
        "pool": "last",
        "normalize": "none",
        "optimizer": "sgd",
        "learning_rate": RATE,
        "momentum": 0.0,
        "clip_norm": 0.0,
        "schedule": "constant",
        "batch_size": p.batch,
        "epochs": p.epochs,
        "shuffle": False,
    }


def lockstep_model(p: Problem) -> Losses:
    import lockstep

    names = [str(c) for c in range(p.classes)]
    data = lockstep.Dataset(_given(p), labels=p.labels, class_names=names)
    model = lockstep.Model(data, **options_of(p))
    model.set_tensors(p.torch_weights())
    return [epoch.loss for epoch in model.fit(data).history]


def rnn_classifier(p: Problem) -> Losses:
    """With first weights of its own: its losses are not those of the others."""
    import lockstep

    return list(lockstep.RNNClassifier(**options_of(p)).fit(_given(p), p.labels).loss_history_)


def _given(p: Problem) -> Any:
    return p.sequences if p.is_ragged else p.x


def torch_module(p: Problem) -> Any:
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.RNN(p.features, p.hidden, batch_first=True)
            self.head = torch.nn.Linear(p.hidden, p.classes)
            state = {k: torch.from_numpy(v) for k, v in p.torch_weights().items()}
            self.load_state_dict(state)
            self.rnn.bias_hh_l0.requires_grad_(False)  # one bias learns, as everywhere else

        def forward(self, x: Any, lengths: Any = None) -> Any:
            if lengths is not None:
                x = torch.nn.utils.rnn.pack_padded_sequence(
                    x, lengths, batch_first=True, enforce_sorted=False
                )
            return self.head(self.rnn(x)[1][-1])

    return Network()


def torch_loop(p: Problem) -> Losses:
    import torch

    module, losses = torch_module(p), []
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    x, y = torch.from_numpy(p.x), torch.from_numpy(p.labels)
    lengths = torch.from_numpy(p.lengths) if p.is_ragged else None
    for _ in range(p.epochs):
        total = 0.0
        for first in range(0, len(x), p.batch):
            some = slice(first, first + p.batch)
            of_some = None if lengths is None else lengths[some]
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(module(x[some], of_some), y[some])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y[some])
        losses.append(total / len(x))
    return losses


def skorch_classifier(p: Problem) -> Losses:
    import skorch
    import torch

    net = skorch.NeuralNetClassifier(
        torch_module(p),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=RATE,
        batch_size=p.batch,
        max_epochs=p.epochs,
        train_split=None,
        iterator_train__shuffle=False,
        verbose=0,
    )
    x: Any = {"x": p.x, "lengths": p.lengths} if p.is_ragged else p.x
    net.fit(x, p.labels)
    return net.history[:, "train_loss"]


def keras_model(p: Problem) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    layers = [keras.Input((None, p.features))] + ([keras.layers.Masking()] if p.is_ragged else [])
    model = keras.Sequential(
        [*layers, keras.layers.SimpleRNN(p.hidden), keras.layers.Dense(p.classes, "softmax")]
    )
    model.set_weights(p.copied_weights())
    optimizer = keras.optimizers.SGD(RATE)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    return model


def keras_fit(p: Problem) -> Losses:
    model = keras_model(p)
    return model.fit(
        p.x, p.labels, batch_size=p.batch, epochs=p.epochs, shuffle=False, verbose=0
    ).history["loss"]


def scikeras_classifier(p: Problem) -> Losses:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from scikeras.wrappers import KerasClassifier

    net = KerasClassifier(
        lambda: keras_model(p), batch_size=p.batch, epochs=p.epochs, shuffle=False, verbose=0
    )
    return net.fit(p.x, p.labels).history_["loss"]


# The first is what the others are compared with; those that take padding for data are apart.
PEERS: dict[str, Callable[[Problem], Losses]] = {
    "lockstep.Model": lockstep_model,
    "lockstep.RNNClassifier": rnn_classifier,
    "lockstep.numpy_rnn": numpy_rnn,
    "NumPy class": numpy_class,
    "torch loop": torch_loop,
    "skorch": skorch_classifier,
    "keras": keras_fit,
    "scikeras": scikeras_classifier,
}
TAKES_PADDING_FOR_DATA = {"lockstep.numpy_rnn", "NumPy class"}
HAS_OWN_WEIGHTS = {"lockstep.RNNClassifier"}
