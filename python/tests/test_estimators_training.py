"""How a training of an estimator ends, what it leaves, and what is shown of it."""

import _thread
import operator
import signal
import sys
import threading
import time
from collections import deque

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from lockstep import RNNClassifier, RNNRegressor, estimator_base, progress, training

SMALL = {"hidden": 8, "epochs": 3, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((30, 8, 2)).astype(np.float32) + np.arange(30)[:, None, None] % 2


@pytest.fixture
def y():
    return np.arange(30) % 2


def interrupted_on_entry(epochs_before):
    """A training whose callback after some epochs is entered with a signal that waits."""

    class Interrupted(training.Training):
        def run(self, train, data):
            def train_then_interrupt(data, on_batch, on_epoch):
                def ends(result):
                    return result.epoch <= epochs_before and on_epoch(result)

                last = train(data, on_batch=None, on_epoch=ends).history[-1]
                # All of this is C, and looks at signals when `on_epoch` begins.
                signals = map(_thread.interrupt_main, [signal.SIGINT])
                results = map(operator.itemgetter(0), zip([last], signals))
                deque(map(on_epoch, results), maxlen=0)

            return super().run(train_then_interrupt, data)

    return Interrupted


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("epochs_before", [0, 1])
def test_ctrl_c_between_an_epoch_and_its_callback_loses_nothing(
    x, y, method, epochs_before, monkeypatch
):
    expected = RNNClassifier(schedule="constant", **{**SMALL, "epochs": epochs_before + 1})
    expected.fit(x, y)
    classifier = RNNClassifier(schedule="constant", **SMALL)
    arguments = {"classes": [0, 1]} if method == "partial_fit" else {}
    if method == "partial_fit" and epochs_before:
        classifier.partial_fit(x, y, **arguments)
        epochs_before = 0
    monkeypatch.setattr(estimator_base, "Training", interrupted_on_entry(epochs_before))
    with pytest.raises(KeyboardInterrupt):
        getattr(classifier, method)(x, y, **arguments)
    assert classifier.loss_history_ == expected.loss_history_
    assert set(map(len, classifier.history_.values())) == {len(expected.loss_history_)}
    assert classifier.model_.weights_hash() == expected.model_.weights_hash()
    assert classifier.n_iter_ == classifier.kept_epoch_ == len(expected.loss_history_)
    assert classifier.status_ == "stopped"


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
def test_ctrl_c_in_the_first_pass_over_the_validation_set_keeps_the_model(monkeypatch):
    x = np.random.default_rng(1).standard_normal((2000, 400, 1)).astype(np.float32)
    y = np.arange(2000) % 2
    x += y[:, None, None]

    class Interrupter(progress.Silence):
        def on_batch(self, epoch, done, samples):
            if done == samples:
                main = threading.main_thread().ident
                send = lambda: time.sleep(0.05) or signal.pthread_kill(main, signal.SIGINT)
                threading.Thread(target=send).start()

    monkeypatch.setattr(training, "progress_of", lambda *_: Interrupter())
    classifier = RNNClassifier(hidden=32, epochs=5, n_jobs=1, validation=0.9)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(x, y)
    assert classifier.n_iter_ >= 1 and classifier.status_ == "stopped"
    assert np.isnan(classifier.history_["validation_loss"][-1])
    assert classifier.kept_epoch_ == classifier.n_iter_
    assert set(map(len, classifier.history_.values())) == {classifier.n_iter_}
    assert classifier.predict(x[:3]).shape == (3,)
    assert "stopped" in str(classifier.report(x[:20], y[:20]))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_ctrl_c_in_the_first_minibatch_leaves_an_estimator_as_it_was(method):
    x = np.zeros((64, 4000, 1), np.float32)  # takes seconds
    y = np.arange(64) % 2
    options = {"cell": "gru", "hidden": 128, "batch_size": 64, "n_jobs": 1, "memory": "128M"}
    classifier = RNNClassifier(epochs=2, warm_start=True, **options)

    def interrupted():
        main = threading.main_thread().ident
        threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
        arguments = {"classes": [0, 1]} if method == "partial_fit" else {}
        with pytest.raises(KeyboardInterrupt):
            getattr(classifier, method)(x, y, **arguments)

    interrupted()
    assert not [name for name in vars(classifier) if name.endswith("_")]
    getattr(classifier, method)(x[:, :5], y, **({"classes": [0, 1]} if method != "fit" else {}))
    before = (classifier.n_iter_, classifier.status_, classifier.model_.weights_hash())
    interrupted()
    assert (classifier.n_iter_, classifier.status_, classifier.model_.weights_hash()) == before
    assert set(map(len, classifier.history_.values())) == {classifier.n_iter_}


def test_a_row_of_the_history_is_added_in_one_step_of_the_interpreter(x, y):
    """A tracer, as a signal, comes between lines and calls of Python alone."""
    lengths = set()
    classifier = RNNClassifier(**SMALL)

    def trace(frame, event, argument):
        if frame.f_globals.get("__name__") == training.__name__:
            columns = vars(classifier).get("history_", {}).values()
            lengths.add(len(set(map(len, columns))))
            return trace
        return None

    sys.settrace(trace)
    try:
        classifier.fit(x, y)
    finally:
        sys.settrace(None)
    assert lengths == {1}


def test_outcomes(x, y):
    classifier = RNNClassifier(**SMALL)
    for name in ("n_iter_", "kept_epoch_", "status_"):
        assert not hasattr(classifier, name)
    classifier.fit(x, y)
    assert (classifier.status_, classifier.n_iter_, classifier.kept_epoch_) == ("finished", 3, 3)
    assert "3 epochs: the training finished" in str(classifier.report(x, y))

    seen = []
    stop = lambda estimator, epoch: seen.append(estimator.status_) or epoch.epoch < 2
    classifier = RNNClassifier(callbacks=stop, **SMALL).fit(x, y)
    assert (classifier.status_, classifier.n_iter_) == ("stopped", 2)
    assert seen == ["running"] * 2

    options = {**SMALL, "epochs": 200, "learning_rate": 0.2}
    noise = np.random.default_rng(3).permutation(y)
    classifier = RNNClassifier(validation=0.4, patience=2, **options).fit(x, noise)
    assert classifier.status_ == "patience"
    assert classifier.kept_epoch_ == classifier.n_iter_ - 2
    assert "lack of a better validation loss" in str(classifier.report(x, y))

    wild = RNNRegressor(optimizer="sgd", learning_rate=1e30, clip_norm=0, **SMALL)
    with pytest.warns(UserWarning, match="diverged"):
        wild.fit(x, x.sum((1, 2)))
    assert wild.status_ == "diverged"
    assert wild.kept_epoch_ <= wild.n_iter_


def test_epochs_are_counted_on(x, y, capsys):
    seen = []
    note = lambda estimator, epoch: seen.append((epoch.epoch, estimator.n_iter_, epoch.loss))
    warm = RNNClassifier(warm_start=True, callbacks=note, verbose=2, **SMALL)
    warm.fit(x, y).fit(x, y)
    assert [(epoch, n) for epoch, n, _ in seen] == [(n, n) for n in range(1, 7)]
    assert [loss for *_, loss in seen] == warm.loss_history_
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3", "4/6", "5/6", "6/6"]

    seen.clear()
    partial = RNNClassifier(callbacks=note, verbose=2, **SMALL)
    for _ in range(3):
        partial.partial_fit(x, y, classes=[0, 1])
    assert [epoch for epoch, *_ in seen] == [1, 2, 3]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1", "2", "3"]
    partial.set_params(warm_start=True).fit(x, y).partial_fit(x, y)
    assert [epoch for epoch, *_ in seen] == list(range(1, 8))
    assert partial.kept_epoch_ == partial.n_iter_ == 7


def test_an_epoch_that_is_counted_on_is_like_any(x, y):
    seen = []
    warm = RNNClassifier(warm_start=True, callbacks=lambda _, epoch: seen.append(epoch), **SMALL)
    warm.fit(x, y).fit(x, y)
    assert repr(seen[3]).startswith("<EpochResult 4: loss ")
    assert seen[3].validation_accuracy != seen[3].validation_accuracy  # NaN
    with pytest.raises(AttributeError):
        seen[3].nothing


def test_lines_of_a_training_that_goes_on(capsys, monkeypatch, x, y):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    warm = RNNClassifier(warm_start=True, verbose=1, **{**SMALL, "epochs": 25}).fit(x, y)
    first = capsys.readouterr().out.splitlines()
    warm.fit(x, y)
    second = capsys.readouterr().out.splitlines()
    assert len(first) == len(second) == 14
    assert second[0].startswith("epoch 26/50") and second[-1].startswith("epoch 50/50")


def test_a_bar_that_goes_on(capsys, monkeypatch, x, y):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    warm = RNNClassifier(warm_start=True, verbose=1, **SMALL).fit(x, y)
    capsys.readouterr()
    warm.fit(x, y).partial_fit(x, y)
    shown = capsys.readouterr().err
    assert "| 6/6 [" in shown and "| 7/7 [" in shown
