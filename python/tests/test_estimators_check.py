"""scikit-learn's own list of checks, on tables of one series a row."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.utils.estimator_checks import parametrize_with_checks

from lockstep import RNNClassifier, RNNRegressor

# Minibatches of all data, and scales that do not depend on how often a sequence occurs.
SMALL = {
    "hidden": 16,
    "batch_size": 512,
    "learning_rate": 0.02,
    "normalize": "none",
    "n_jobs": 1,
}

WEIGHTS = (
    "asks for equal results to 1e-7 where sequences are repeated and where they have weights: closer "
    "than sums of float32 in another order can be; test_weights_count_as_repeated_sequences asks "
    "for 1e-5"
)


def expected_failures(estimator):
    return {"check_sample_weight_equivalence_on_dense_data": WEIGHTS}


@parametrize_with_checks(
    [
        RNNClassifier(epochs=60, **SMALL),
        RNNRegressor(epochs=300, normalize_targets=False, **SMALL),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_weights_count_as_repeated_sequences(rng, estimator):
    x = rng.random((15, 30))
    y = rng.integers(0, 3, 15)
    weights = rng.integers(0, 5, 15)
    others = {} if estimator is RNNClassifier else {"normalize_targets": False}
    weighted = estimator(epochs=20, **SMALL, **others).fit(x, y, sample_weight=weights)
    repeated = estimator(epochs=20, **SMALL, **others).fit(
        x.repeat(weights, axis=0), y.repeat(weights)
    )
    for method in ("predict", "predict_proba"):
        if hasattr(weighted, method):
            found, expected = getattr(weighted, method)(x), getattr(repeated, method)(x)
            np.testing.assert_allclose(found, expected, rtol=1e-5)
