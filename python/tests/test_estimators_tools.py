"""Estimators among the tools of scikit-learn and of Python: searches, pipelines, threads, signals,
bars."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import lockstep
from lockstep import RNNClassifier, RNNRegressor, estimator_base, progress, training

SMALL = {"hidden": 8, "epochs": 5, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((30, 8, 2)).astype(np.float32) + np.arange(30)[:, None, None] % 2


@pytest.fixture
def y():
    return np.array(["even", "odd"])[np.arange(30) % 2]


def test_a_search_in_two_processes(x, y):
    grid = {"hidden": [4, 8], "cell": ["tanh", "gru"]}
    searches = [
        GridSearchCV(RNNClassifier(epochs=5), grid, cv=2, n_jobs=jobs).fit(x, y) for jobs in (1, 2)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(*scores)
    hashes = {search.best_estimator_.model_.weights_hash() for search in searches}
    assert len(hashes) == 1


def test_a_search_over_sequences_of_unequal_length(x, y):
    ragged = [sequence[: 3 + i % 5] for i, sequence in enumerate(x)]
    search = GridSearchCV(RNNClassifier(**SMALL), {"hidden": [4, 8]}, cv=2).fit(ragged, y)
    assert search.predict(ragged).shape == (30,)


def test_folds_in_threads(x, y):
    import joblib

    expected = cross_val_score(RNNClassifier(**SMALL), x, y, cv=3)
    with joblib.parallel_backend("threading"):
        found = cross_val_score(RNNClassifier(**SMALL), x, y, cv=3, n_jobs=3)
    np.testing.assert_array_equal(found, expected)
    assert cross_val_predict(RNNClassifier(**SMALL), x, y, method="predict_proba").shape == (30, 2)


def test_pipelines(x, y):
    table = x[:, :, 0]
    scaled = make_pipeline(StandardScaler(), RNNClassifier(**SMALL)).fit(table, y)
    assert scaled.predict_proba(table).shape == (30, 2)
    doubled = make_pipeline(FunctionTransformer(lambda x: 2 * x), RNNRegressor(**SMALL))
    numbers = x.sum((1, 2))
    assert np.isfinite(doubled.fit(x, numbers, rnnregressor__sample_weight=None).score(x, numbers))


def test_votes(x, y):
    voters = [(cell, RNNClassifier(cell=cell, **SMALL)) for cell in ("gru", "lstm")]
    vote = VotingClassifier(voters, voting="soft").fit(x[:, :, 0], y)
    assert vote.predict(x[:, :, 0]).shape == (30,)


def test_joblib_keeps_an_estimator(x, y, tmp_path):
    import joblib

    classifier = RNNClassifier(**SMALL).fit(x, y)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    again = joblib.load(tmp_path / "classifier.joblib")
    np.testing.assert_array_equal(again.predict(x), classifier.predict(x))
    copy = clone(classifier).set_params(hidden=4)
    assert copy.fit(x, y).model_.network["layers"][0]["hidden"] == 4


def test_an_estimator_is_read_by_another_process(x, y):
    classifier = RNNClassifier(**SMALL).fit(x, y)
    code = (
        "import pickle, sys\n"
        "classifier, x = pickle.load(sys.stdin.buffer)\n"
        "pickle.dump(classifier.predict_proba(x), sys.stdout.buffer)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((classifier, x)), capture_output=True
    )
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(pickle.loads(result.stdout), classifier.predict_proba(x))


def endless(**options):
    return RNNClassifier(**{**SMALL, "epochs": 1_000_000_000, "schedule": "constant", **options})


def test_other_threads_run_while_it_trains(x, y):
    counted = 0

    def count(estimator, epoch):
        return counted < 100_000

    def work():
        nonlocal counted
        for _ in range(100_000):
            counted += 1

    other = threading.Thread(target=work)
    classifier = endless(callbacks=count)
    other.start()
    classifier.fit(x, y)  # ends only if the other thread gets on
    other.join()
    assert len(classifier.loss_history_) >= 1


class Interrupter(progress.Silence):
    """Ctrl-C in the middle of a training."""

    def __init__(self):
        self.sent = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def on_batch(self, *_):
        self._begun.set()

    def _send(self):
        if self._begun.wait(60):
            time.sleep(0.05)
            self.sent = time.process_time()
            os.kill(os.getpid(), signal.SIGINT)

    def close(self):
        self._begun.set()
        self._thread.join()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("repeats", [1, 20_000])
def test_ctrl_c_keeps_what_was_learnt(x, y, method, repeats, monkeypatch):
    if method == "partial_fit" and repeats == 1:
        pytest.skip("the pass is over before a signal comes")
    interrupter = Interrupter()
    monkeypatch.setattr(training, "progress_of", lambda *_: interrupter)
    classifier = endless()
    many, labels = np.repeat(x, repeats, axis=0), np.repeat(y, repeats)
    with pytest.raises(KeyboardInterrupt):
        if method == "fit":
            classifier.fit(many, labels)
        else:
            classifier.partial_fit(many, labels, classes=["even", "odd"])
    # Time of this process, which does not tell how busy the machine is.
    assert time.process_time() - interrupter.sent < 0.2
    monkeypatch.undo()
    assert len(classifier.loss_history_) >= 1
    assert classifier.classes_.tolist() == ["even", "odd"]
    assert set(classifier.predict(x)) <= {"even", "odd"}
    learnt, hash_before = len(classifier.loss_history_), classifier.model_.weights_hash()
    classifier.set_params(epochs=2, warm_start=True).fit(x, y)
    assert len(classifier.loss_history_) == learnt + 2
    assert classifier.model_.weights_hash() != hash_before
    classifier.partial_fit(x, y)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_before_anything_was_learnt_leaves_an_estimator_unfitted(x, y, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(estimator_base, "Model", interrupted)
    classifier = RNNClassifier(**SMALL)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(x, y)
    assert not [name for name in vars(classifier) if name.endswith("_")]


LABELS = np.array(["\u00fcber, 'all'", "<b> & c"])


def test_labels_are_in_the_file_of_the_model(x, tmp_path):
    classifier = RNNClassifier(**SMALL).fit(x, LABELS[np.arange(30) % 2])
    classifier.model_.save(tmp_path / "model")
    model = lockstep.Model.load(tmp_path / "model")
    assert model.class_names == classifier.classes_.tolist() == sorted(LABELS)
    found = [model.class_names[place] for place in model.predict(x)]
    assert found == classifier.predict(x).tolist()
    numbers = RNNClassifier(**SMALL).fit(x, np.arange(30) % 2 * 13 - 3)
    assert numbers.model_.class_names == ["-3", "10"]


def test_labels_are_in_the_graph(x, tmp_path):
    onnx = pytest.importorskip("onnx")
    classifier = RNNClassifier(**SMALL).fit(x, LABELS[np.arange(30) % 2])
    classifier.model_.to_onnx(tmp_path / "model.onnx")
    properties = onnx.load(tmp_path / "model.onnx").metadata_props
    assert {p.key: json.loads(p.value) for p in properties} == {"class_names": sorted(LABELS)}


def make_terminal(monkeypatch):
    """What is captured would show a bar, where tqdm is installed."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def test_lines_where_there_is_no_bar(x, y, capsys, monkeypatch):
    make_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    RNNClassifier(**{**SMALL, "epochs": 40, "verbose": 1}).fit(x, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("epoch 1/40  loss ") and "accuracy" in lines[0]
    assert lines[-1].startswith("epoch 40/40  ")
    RNNRegressor(**{**SMALL, "verbose": 2}).fit(x, np.arange(30))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and "accuracy" not in lines[0]
    RNNClassifier(**SMALL).fit(x, y)
    assert capsys.readouterr().out == ""


def test_lines_in_a_file_or_a_pipe(x, y, capsys):
    pytest.importorskip("tqdm")
    RNNClassifier(verbose=1, **SMALL).fit(x, y)
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.startswith("epoch 1/5  loss ")


def test_the_last_of_some_lines_is_that_of_the_last_epoch(x, y, capsys):
    def fail(estimator, epoch):
        if epoch.epoch == 37:
            raise LookupError

    with pytest.raises(LookupError):
        RNNClassifier(**{**SMALL, "epochs": 100, "verbose": 1, "callbacks": fail}).fit(x, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [f"{n}/100" for n in (1, 10, 20, 30, 37)]


def test_lines_of_passes_count_on(x, y, capsys):
    classifier = RNNClassifier(verbose=1, **SMALL)
    for _ in range(3):
        classifier.partial_fit(x, y, classes=np.unique(y))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_bar(x, y, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    make_terminal(monkeypatch)
    RNNClassifier(verbose=1, validation=0.2, **SMALL).fit(x, y)
    shown = capsys.readouterr().err
    assert "| 5/5 [" in shown
    assert "loss=" in shown and "val_loss=" in shown and "val_acc=" in shown
    RNNRegressor(verbose=1, **SMALL).fit(x, np.arange(30))
    shown = capsys.readouterr().err
    assert "loss=" in shown and "acc" not in shown

    def fail(*_):
        raise LookupError

    with pytest.raises(LookupError):
        RNNClassifier(verbose=1, callbacks=fail, **SMALL).fit(x, y)
    assert "| 1/5 [" in capsys.readouterr().err


def test_a_bar_is_full_where_a_training_ends_early(x, y, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    make_terminal(monkeypatch)
    RNNClassifier(verbose=1, callbacks=lambda _, epoch: epoch.epoch < 3, **SMALL).fit(x, y)
    assert "| 3/3 [" in capsys.readouterr().err


def test_bars_of_passes(x, y, capsys, monkeypatch):
    pytest.importorskip("tqdm")
    make_terminal(monkeypatch)
    classifier = RNNClassifier(verbose=1, **SMALL)
    for n in (1, 2, 3):
        classifier.partial_fit(x, y, classes=np.unique(y))
        shown = capsys.readouterr().err
        assert "100%" in shown and f"| {n}/{n} [" in shown


def test_without_scikit_learn_it_says_what_is_needed():
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "import lockstep\n"
        "try:\n    lockstep.RNNClassifier\nexcept ImportError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "lockstep.RNNClassifier needs scikit-learn" in result.stdout, result.stderr
    assert {"RNNClassifier", "aeon", "kernels"} <= set(dir(lockstep))
