"""Estimators of models that are there already, and models of estimators."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import lockstep
from lockstep import RNNClassifier, RNNRegressor, interchange

SMALL = {"hidden": 8, "epochs": 3, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((30, 6, 2)).astype(np.float32) + np.arange(30)[:, None, None] % 3


@pytest.fixture
def y():
    return np.arange(30) % 3


@pytest.mark.parametrize(
    "labels", [[3, -1, 20], [5.0, 2.0, -1.0], ["walk", "run", "10"], ["a", "B", ""]]
)
def test_a_classifier_of_a_file_has_the_labels(x, y, labels, tmp_path):
    given = RNNClassifier(cell="lstm", missing="carry", **SMALL).fit(x, np.array(labels)[y])
    path = tmp_path / "model.safetensors"
    given.model_.save(path)
    for source in (given.model_, path, str(path)):
        found = RNNClassifier.from_model(source)
        np.testing.assert_array_equal(found.classes_, given.classes_)
        assert found.classes_.dtype.kind == given.classes_.dtype.kind
        np.testing.assert_array_equal(found.predict_proba(x), given.predict_proba(x))
        np.testing.assert_array_equal(found.predict(x), given.predict(x))
        assert found.score(x, np.array(labels)[y]) == given.score(x, np.array(labels)[y])
        assert (found.n_features_in_, found.cell, found.missing) == (2, "lstm", "carry")
        assert (found.n_iter_, found.status_) == (0, "")
        assert "loaded" in str(found.report(x, np.array(labels)[y]))


def test_truth_values(x, y):
    given = RNNClassifier(**SMALL).fit(x, y > 0)
    assert RNNClassifier.from_model(given.model_).classes_.dtype == bool


def test_keywords_are_the_options_of_the_model(x, y):
    weights = {0: 1.0, 1: 2.0, 2: 0.5}
    given = RNNClassifier(random_state=7, class_weight=weights, learning_rate=0.01, **SMALL)
    found = RNNClassifier.from_model(given.fit(x, y).model_)
    expected = {**given.get_params(), "head": "classify"}
    assert found.get_params() == expected
    again = clone(found).fit(x, y)
    assert again.model_.weights_hash() == given.model_.weights_hash()
    assert RNNClassifier.from_model(lockstep.Model(lockstep.Dataset(x, labels=y))).n_jobs is None


def test_it_learns_on(x, y):
    given = RNNClassifier(warm_start=True, **SMALL).fit(x, y)
    found = RNNClassifier.from_model(pickle.loads(pickle.dumps(given)).model_)
    found.set_params(warm_start=True).fit(x, y)
    assert found.model_.weights_hash() == given.fit(x, y).model_.weights_hash()
    assert found.n_iter_ == 3
    found.partial_fit(x, y)
    assert found.n_iter_ == 4
    copy = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(copy.predict(x), found.predict(x))


def test_classes_in_another_order_than_that_of_the_labels(x, y):
    names = ["10", "9", "b"]
    data = lockstep.Dataset(x, labels=y, class_names=names)
    model = lockstep.Model(data, hidden=8, epochs=20)
    model.fit(data)
    labels = np.array(["ten", "nine", "b"])
    found = RNNClassifier.from_model(model, classes=labels)
    assert found.classes_.tolist() == ["b", "nine", "ten"]
    np.testing.assert_array_equal(found.predict(x), labels[model.predict(data)])
    np.testing.assert_array_equal(found.predict_proba(x), model.predict_proba(data)[:, [2, 1, 0]])
    accuracy = model.evaluate(data).accuracy
    assert found.report(x, labels[y]).evaluation.accuracy == found.score(x, labels[y]) == accuracy
    found.set_params(warm_start=True, epochs=2).fit(x, labels[y])
    assert found.score(x, labels[y]) >= accuracy - 0.1


def test_classes_of_timesteps_and_several_labels(x):
    steps = np.where(x[:, :, 0] > 1, "high", "Low")
    given = RNNClassifier(head="classify_steps", **SMALL).fit(x, steps)
    found = RNNClassifier.from_model(given.model_, classes=["low", "high"])
    assert found.classes_.tolist() == ["high", "low"]
    expected = np.where(given.predict(x) == "Low", "low", "high")
    assert (found.predict(x) == expected).all()
    steps = [[None, *np.char.lower(row[1:])] for row in steps]
    assert np.isfinite(found.report(x, steps).evaluation.loss)
    labels = (x[:, 0] > 1).astype(int)
    given = RNNClassifier(**SMALL).fit(x, labels)
    found = RNNClassifier.from_model(given.model_)
    np.testing.assert_array_equal(found.predict(x), given.predict(x))
    assert found.classes_.tolist() == [0, 1]


def test_a_regressor(x, tmp_path):
    for y in (x.sum((1, 2)), x[:, 0]):
        given = RNNRegressor(missing="mask", loss="huber", **SMALL).fit(x, y)
        given.model_.save(tmp_path / "model.safetensors")
        found = RNNRegressor.from_model(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(found.predict(x), given.predict(x))
        assert (found.loss, found.missing, found.n_features_in_) == ("huber", "mask", 2)
        assert found.report(x, y).evaluation.r2 == given.report(x, y).evaluation.r2
        found.partial_fit(x, y)
    steps = x.cumsum(1)[:, :, 0]
    given = RNNRegressor(head="regress_steps", **SMALL).fit(x, steps)
    found = RNNRegressor.from_model(given.model_)
    assert found.score(x, steps) == given.score(x, steps)


def test_a_regressor_of_a_mask(x):
    x[::3, 2, 1] = np.nan
    given = RNNRegressor(missing="mask", **SMALL).fit(x, np.arange(30.0))
    found = RNNRegressor.from_model(given.model_)
    assert given.model_.network["features"] == 3 and found.n_features_in_ == 2
    np.testing.assert_array_equal(found.predict(x), given.predict(x))


def test_names_are_those_of_the_model(x, y):
    data = lockstep.Dataset(x, labels=y, channel_names=["u", "v"])
    found = RNNClassifier.from_model(RNNClassifier(**SMALL).fit(data, y).model_)
    assert found.feature_names_in_.tolist() == ["u", "v"]
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(lockstep.Dataset(x, channel_names=["v", "u"]))
    values = lockstep.Dataset(x, values=x[:, 0], class_names=["first", "second"])
    given = RNNRegressor(**SMALL).fit(values)
    found = RNNRegressor.from_model(given.model_)
    np.testing.assert_array_equal(found.predict(x), given.predict(x))
    assert found.score(values) == given.score(values)
    labels = lockstep.Dataset(x, values=(x[:, 0] > 1), class_names=["first", "second"])
    given = RNNClassifier(**SMALL).fit(labels)
    found = RNNClassifier.from_model(given.model_)
    assert found.classes_.tolist() == given.classes_.tolist()
    assert found.score(labels) == given.score(labels)


def test_a_series_a_row_is_read_after_from_model(x, y):
    series = x[:, :, 0]
    given = RNNClassifier(**SMALL).fit(series, y)
    found = RNNClassifier.from_model(given.model_)
    np.testing.assert_array_equal(found.predict_proba(series), given.predict_proba(series))


def test_models_that_do_not_fit_are_refused(x, y, tmp_path):
    classes, numbers = RNNClassifier(**SMALL).fit(x, y), RNNRegressor(**SMALL).fit(x, y)
    with pytest.raises(ValueError, match="head classify or multilabel .*, found regress"):
        RNNClassifier.from_model(numbers.model_)
    with pytest.raises(ValueError, match="head regress or regress_steps, found classify"):
        RNNRegressor.from_model(classes.model_)
    for wrong in (["a", "b"], ["a", "b", "b"], [["a", "b", "c"]]):
        with pytest.raises(ValueError, match="classes: expected 3 labels that differ"):
            RNNClassifier.from_model(classes.model_, classes=wrong)
    with pytest.raises(lockstep.FileError):
        RNNClassifier.from_model(tmp_path / "nothing")
    with pytest.raises(TypeError, match="expected a Model or a path, found RNNClassifier"):
        RNNClassifier.from_model(classes)


def test_logarithms_of_probabilities(x, y):
    classifier = RNNClassifier(**SMALL).fit(x, y)
    np.testing.assert_array_equal(
        classifier.predict_log_proba(x), np.log(classifier.predict_proba(x))
    )
    ragged = [series[: 2 + i % 4] for i, series in enumerate(x)]
    steps = [np.arange(len(series)) % 2 for series in ragged]
    classifier = RNNClassifier(head="classify_steps", **SMALL).fit(ragged, steps)
    logs = classifier.predict_log_proba(ragged)
    np.testing.assert_array_equal(logs[3], np.log(classifier.predict_proba(ragged)[3]))
    assert not hasattr(RNNRegressor, "predict_log_proba")


@pytest.mark.parametrize("convert", [interchange.to_onnx, interchange.to_torch])
def test_what_is_no_model_is_not_converted(convert):
    with pytest.raises(NotFittedError, match="RNNClassifier is not fitted"):
        convert(RNNClassifier())
    with pytest.raises(TypeError, match="expected a Model or an estimator, found NoneType"):
        convert(None)


def test_what_is_no_model_of_others_is_refused():
    with pytest.raises(TypeError, match="from_torch: expected a state dict or a module, found int"):
        lockstep.Model.from_torch(3)
    with pytest.raises(TypeError, match="from_torch: expected a state dict .*, found NoneType"):
        lockstep.Model.from_torch(None)
    with pytest.raises(TypeError, match="from_keras: expected a model .*, found NoneType"):
        lockstep.Model.from_keras(None)
    with pytest.raises(TypeError, match="expected a state dict or a module, found NoneType"):
        interchange.from_torch(None)
    with pytest.raises(ValueError, match="from_torch: the state dict is empty"):
        lockstep.Model.from_torch({})
    for wrong in (3, None, "model", {}, [3]):
        with pytest.raises(TypeError, match="from_keras: expected a model or a list of layers"):
            interchange.from_keras(wrong)
