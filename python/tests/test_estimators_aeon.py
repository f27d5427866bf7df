"""lockstep.aeon: aeon's own checks, and collections of aeon."""

import pickle

import numpy as np
import pytest

pytest.importorskip("aeon", minversion="1.0")

from aeon.testing.estimator_checking import parametrize_with_checks
from sklearn.exceptions import NotFittedError

import lockstep
from lockstep import _parts, aeon

ESTIMATORS = [aeon.RNNClassifier, aeon.RNNRegressor]
SMALL = {"hidden": 8, "epochs": 5}


@parametrize_with_checks(ESTIMATORS)
def test_aeon(check):
    check()


@pytest.fixture
def x(rng):
    shift = np.arange(20)[:, None, None] % 2
    return rng.standard_normal((20, 3, 9)).astype(np.float32) + 2 * shift


@pytest.fixture
def y():
    return np.array(["even", "odd"])[np.arange(20) % 2]


def test_collections_have_channels_first(x, y):
    found = aeon.RNNClassifier(**SMALL).fit(x, y)
    expected = lockstep.RNNClassifier(**SMALL).fit(np.swapaxes(x, 1, 2), y)
    assert found.estimator_.model_.weights_hash() == expected.model_.weights_hash()
    assert found.loss_history_ == expected.loss_history_
    np.testing.assert_array_equal(
        found.predict_proba(x), expected.predict_proba(np.swapaxes(x, 1, 2))
    )
    as_list = aeon.RNNClassifier(**SMALL).fit(list(x), y)
    np.testing.assert_array_equal(as_list.predict_proba(x), found.predict_proba(x))


def test_series_of_unequal_length(x, y):
    ragged = [series[:, : 3 + i % 6] for i, series in enumerate(x)]
    classifier = aeon.RNNClassifier(**SMALL).fit(ragged, y)
    assert set(classifier.predict(ragged)) <= {"even", "odd"}
    numbers = np.array([series.sum() for series in ragged])
    assert aeon.RNNRegressor(**SMALL).fit(ragged, numbers).predict(ragged).shape == (20,)


def test_missing_values_by_the_option(x, y):
    x[3, 1, 4] = np.nan
    with pytest.raises(ValueError, match="missing values"):
        aeon.RNNClassifier(**SMALL).fit(x, y)
    classifier = aeon.RNNClassifier(missing="carry", **SMALL).fit(x, y)
    assert np.isfinite(classifier.predict_proba(x)).all()


def test_callbacks_see_this_estimator_which_can_predict(x, y):
    seen = []

    def stop(estimator, epoch):
        seen.append((type(estimator), estimator.score(x, y), estimator.n_iter_))
        return epoch.epoch < 2

    classifier = aeon.RNNClassifier(callbacks=stop, **SMALL).fit(x, y)
    assert [(kind, n) for kind, _, n in seen] == [(aeon.RNNClassifier, 1), (aeon.RNNClassifier, 2)]
    assert classifier.callbacks is classifier.estimator_.callbacks is stop
    assert (classifier.status_, classifier.n_iter_, classifier.kept_epoch_) == ("stopped", 2, 2)


def test_what_the_estimator_below_knows(x, y):
    classifier = aeon.RNNClassifier(**SMALL)
    for name in ("model_", "loss_history_", "history_", "n_iter_", "kept_epoch_", "status_"):
        assert not hasattr(classifier, name)
    classifier.fit(x, y)
    assert classifier.model_ is classifier.estimator_.model_
    assert classifier.history_["loss"] is classifier.loss_history_
    assert "5 epochs: the training finished" in str(classifier.report(x, y, name="waves"))
    numbers = x.sum((1, 2))
    regressor = aeon.RNNRegressor(**SMALL).fit(x, numbers)
    assert np.isfinite(regressor.report(x, numbers).evaluation.rmse)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(x), classifier.predict_proba(x))
    assert classifier.reset().is_fitted is False
    with pytest.raises(ValueError, match="fit"):
        classifier.report(x, y)


def test_other_programs_take_the_model_of_it(x, y):
    plain = _parts.plain_model(aeon.RNNClassifier(**SMALL).fit(x, y))
    assert isinstance(plain, lockstep.Model)
    with pytest.raises(NotFittedError, match="RNNClassifier is not fitted"):
        _parts.plain_model(aeon.RNNClassifier())
