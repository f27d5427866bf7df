"""What RNNClassifier and RNNRegressor say of their keywords."""

import pickle
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import lockstep
from lockstep import RNNClassifier, RNNRegressor, pickles

SMALL = {"hidden": 8, "epochs": 2, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((20, 6, 1)).astype(np.float32)


@pytest.fixture
def y():
    return np.arange(20) % 2


SEEDS = "random_state: expected a whole number from 0 to 2^64 - 1, a RandomState or None, found "
WEIGHTS = "class_weight: expected a dict of weights of 0 or more, 'balanced' or None, found "


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"random_state": -1}, SEEDS + "-1"),
        ({"random_state": "a"}, SEEDS + "'a'"),
        ({"random_state": 1.5}, SEEDS + "1.5"),
        ({"n_jobs": 1.0}, "n_jobs: expected a whole number that is not 0, or None, found 1.0"),
        ({"n_jobs": True}, "n_jobs: expected a whole number that is not 0, or None, found True"),
        ({"n_jobs": 10**6}, "n_jobs: expected up to 1024 threads, found 1000000"),
        ({"class_weight": {0: -1, 1: 1}}, WEIGHTS + "{0: -1, 1: 1}"),
        ({"class_weight": [1, 2]}, WEIGHTS + "[1, 2]"),
        ({"class_weight": "foo"}, WEIGHTS + "'foo'"),
        ({"hidden": None}, "hidden: expected a whole number from 1 to 16777216, found None"),
        ({"hidden": "8"}, "hidden: expected a whole number from 1 to 16777216, found '8'"),
        ({"hidden": 16.0}, "hidden: expected a whole number from 1 to 16777216, found 16.0"),
        ({"hidden": (8, 8)}, "hidden: expected a whole number from 1 to 16777216, found (8, 8)"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0 or None, found 0"),
        ({"learning_rate": "a"}, "learning_rate: expected a number above 0 or None, found 'a'"),
        ({"momentum": 2}, "momentum: expected a number from 0 to less than 1 or None, found 2"),
        ({"bidirectional": "yes"}, "bidirectional: expected True or False, found 'yes'"),
        ({"cell": None}, "cell: expected one of tanh, relu, gru, lstm, found None"),
        ({"warm_start": "x"}, "warm_start: expected True or False, found 'x'"),
        ({"verbose": -1}, "verbose: expected a whole number of 0 or more, found -1"),
        ({"verbose": "yes"}, "verbose: expected a whole number of 0 or more, found 'yes'"),
        ({"callbacks": 3}, "callbacks: expected a function, a list of functions or None, found 3"),
        ({"callbacks": [3]}, "callbacks: expected a function, a list .* or None, found [3]"),
    ],
)
def test_keywords_are_refused_by_their_own_name_and_value(x, y, wrong, text):
    pattern = re.escape(text).replace(r"\.\*", ".*")
    classifier = RNNClassifier(**{**SMALL, **wrong})
    with pytest.raises((ValueError, TypeError), match=f"^{pattern}$"):
        classifier.fit(x, y)
    assert not hasattr(classifier, "model_")
    with pytest.raises((ValueError, TypeError), match=f"^{pattern}$"):
        classifier.partial_fit(x, y, classes=[0, 1])
    assert not hasattr(classifier, "model_")


def test_a_wrong_keyword_of_a_training_that_goes_on(x, y):
    warm = RNNClassifier(warm_start=True, **SMALL).fit(x, y)
    with pytest.raises(ValueError, match="learning_rate: .* above 0 or None, found 0$"):
        warm.set_params(learning_rate=0).fit(x, y)
    with pytest.raises(ValueError, match="n_jobs: .* found 0$"):
        warm.set_params(n_jobs=0).predict(x)
    memory = RNNClassifier(memory=1, **SMALL)
    with pytest.raises(ValueError, match="memory: a training step takes"):
        memory.fit(x, y)
    RNNClassifier(memory="1G", **SMALL).fit(x, y)


def test_right_kinds_of_values(x, y):
    for right in (
        {"verbose": True, "epochs": 1},
        {"hidden": np.int64(8)},
        {"learning_rate": np.float32(0.01)},
        {"warm_start": np.bool_(True)},
        {"n_jobs": -100},
        {"callbacks": ()},
        {"random_state": np.int32(3)},
    ):
        RNNClassifier(**{**SMALL, **right}).fit(x, y)


def test_a_keyword_that_is_almost_right():
    with pytest.raises(TypeError, match=r"RNNClassifier\(\) .* 'hiden'; did you mean 'hidden'\?"):
        RNNClassifier(hiden=3)
    with pytest.raises(TypeError, match=r"RNNRegressor\(\) .* 'qqq'$"):
        RNNRegressor(qqq=3)


@pytest.mark.parametrize(
    "useless, text",
    [
        (
            {"momentum": 0.5},
            "momentum=0.5 has no effect with optimizer='adam': it needs sgd or rmsprop",
        ),
        ({"nesterov": True}, "nesterov=True has no effect with optimizer='adam': it needs sgd"),
        ({"centered": True}, "centered=True has no effect with optimizer='adam': it needs rmsprop"),
        ({"delta": 3.0}, "delta=3.0 has no effect with loss='mse': it needs huber"),
        ({"decay": 0.9}, "decay=0.9 has no effect with schedule='cosine': it needs step or plateau"),
        ({"dropout": 0.5}, "dropout=0.5 has no effect with layers=1"),
    ],
)
def test_keywords_without_effect_warn(x, useless, text):
    y = x.sum((1, 2))
    with pytest.warns(UserWarning, match=f"^{text}$") as caught:
        RNNRegressor(**SMALL, **useless).fit(x, y)
    assert [warning.filename for warning in caught] == [__file__]
    plain = RNNRegressor(**SMALL).fit(x, y).model_.weights_hash()
    with pytest.warns(UserWarning):
        assert RNNRegressor(**SMALL, **useless).fit(x, y).model_.weights_hash() == plain


def test_keywords_with_effect_do_not_warn(x):
    y = x.sum((1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for right in (
            {"momentum": 0.5, "nesterov": True, "optimizer": "sgd"},
            {"centered": True, "optimizer": "rmsprop"},
            {"delta": 3.0, "loss": "huber"},
            {"decay": 0.9, "schedule": "step"},
            {"dropout": 0.5, "layers": 2, "dropout_kind": "sequence"},
        ):
            RNNRegressor(**SMALL, **right).fit(x, y)


def test_partial_fit_says_what_it_does_not_look_at(x, y):
    classifier = RNNClassifier(validation=0.2, patience=3, **SMALL)
    with pytest.warns(UserWarning, match="has no effect in partial_fit") as caught:
        classifier.partial_fit(x, y, classes=[0, 1])
    assert [warning.filename for warning in caught] == [__file__] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.partial_fit(x, y)


def test_a_pickle_says_its_version_and_may_lack_keywords(x, y):
    classifier = RNNClassifier(**SMALL).fit(x, y)
    state = classifier.__getstate__()
    assert state["_lockstep_version"] == lockstep.__version__
    del state["truncate"], state["_lockstep_version"]
    old = RNNClassifier.__new__(RNNClassifier)
    old.__setstate__(state)
    assert old.truncate == 0
    np.testing.assert_array_equal(old.predict_proba(x), classifier.predict_proba(x))
    assert old.fit(x, y).get_params() == classifier.get_params()
    assert "_lockstep_version" not in vars(pickle.loads(pickle.dumps(classifier)))
    assert pickle.loads(pickle.dumps(RNNClassifier(hidden=3))).hidden == 3


def test_a_pickle_of_a_newer_version_is_refused_in_a_sentence(x, y, monkeypatch):
    classifier = RNNClassifier(**SMALL).fit(x, y)
    state = classifier.__getstate__()
    data, options = state["model_"]
    state.update(model_=(data, {**options, "zeal": 3}), _lockstep_version="9.1.0")
    with pytest.raises(ValueError, match="lockstep 9.1.0 .* does not know, 'zeal': read it with"):
        RNNClassifier.__new__(RNNClassifier).__setstate__(state)
    monkeypatch.setattr(pickles, "__version__", "9.2.0")
    assert classifier.__getstate__()["_lockstep_version"] == "9.2.0"
