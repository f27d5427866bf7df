"""Estimators on a Dataset, on numbers that float32 does not hold, and on y of wrong shapes."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from lockstep import Dataset, Model, RNNClassifier, RNNRegressor
from lockstep.inputs import make_dataset, read_sequences

SMALL = {"hidden": 8, "epochs": 3, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((40, 10, 2)).astype(np.float32)


@pytest.fixture
def y():
    return np.arange(40) % 2


def hash_of(estimator):
    return estimator.model_.weights_hash()


def test_the_values_of_a_data_set_are_read_where_they_are(x, y):
    whole, owned = Dataset(x), Dataset(list(x))
    classifier = RNNClassifier(**SMALL)
    assert make_dataset(read_sequences(classifier, whole)) is whole
    for data, is_view in [
        (whole, True),
        (owned, True),
        (whole.subset(range(5, 20)), True),
        (whole.subset(range(0, 40, 2)), False),
        (Dataset([x[0], x[1, :4]]), False),
        (Dataset(x, lengths=[4, 10] * 20), False),
    ]:
        expected = list(data)
        found = make_dataset(read_sequences(classifier, data), labels=y[: len(data)])
        assert found.is_view == is_view
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)
            assert not is_view or np.shares_memory(one, other)


def test_a_data_set_keeps_weights_names_and_ids(x, y):
    weights = np.linspace(0, 2, 40).astype(np.float32)
    ids = [f"s{i}" for i in range(40)]
    data = Dataset(x, labels=y, weights=weights, channel_names=["u", "v"], ids=ids)
    expected = RNNClassifier(**SMALL).fit(x, y, sample_weight=weights)
    for given in (y, None):
        found = RNNClassifier(**SMALL).fit(data, given)
        assert hash_of(found) == hash_of(expected)
        assert found.model_.channel_names == ["u", "v"]
        assert found.loss_history_ == expected.loss_history_
    with pytest.raises(ValueError, match="sample_weight: X is a Dataset with weights, which"):
        RNNClassifier(**SMALL).fit(data, y, sample_weight=weights)
    plain = Dataset(x, labels=y)
    assert hash_of(RNNClassifier(**SMALL).fit(plain, sample_weight=weights)) == hash_of(expected)


def test_y_none_is_that_of_the_data_set(x, y, ragged, numbers):
    indices = RNNClassifier(**SMALL).fit(Dataset(x, labels=y))
    assert hash_of(indices) == hash_of(RNNClassifier(**SMALL).fit(x, y))
    assert indices.classes_.tolist() == [0, 1]
    named = RNNClassifier(**SMALL).fit(ragged)
    assert named.classes_.tolist() == ["a", "b", "c"]
    model = Model(ragged, hidden=8, epochs=3)
    model.fit(ragged)
    assert named.model_.weights_hash() == model.weights_hash()
    labels = np.array(list("abc"))[ragged.labels]
    assert named.score(ragged) == named.score(list(ragged), labels)
    assert str(named.report(ragged)) == str(named.report(list(ragged), labels))
    unsorted = Dataset(x, labels=y, class_names=["walk", "run"])
    assert RNNClassifier(**SMALL).fit(unsorted).classes_.tolist() == ["run", "walk"]
    values = RNNRegressor(**SMALL).fit(numbers)
    assert values.model_.class_names == ["sum", "first"]
    assert hash_of(values) == hash_of(RNNRegressor(**SMALL).fit(list(numbers), numbers.values))
    assert np.isfinite(values.score(numbers))


def test_y_none_of_timesteps(x, y):
    ragged = [series[: 4 + i % 5] for i, series in enumerate(x)]
    steps = [(series[:, 0] > 0).astype(int) for series in ragged]
    steps[0][1] = -1
    data = Dataset(ragged, step_labels=steps, class_names=["low", "high"])
    found = RNNClassifier(**SMALL).fit(data)
    assert found.classes_.tolist() == ["high", "low"] and len(found.predict(data)) == 40
    names = [
        np.where(labels < 0, None, np.array(["low", "high"], object)[labels]) for labels in steps
    ]
    expected = RNNClassifier(head="classify_steps", **SMALL).fit(ragged, names)
    assert hash_of(found) == hash_of(expected)
    assert found.score(data) == expected.score(ragged, names)
    data = Dataset(ragged, step_values=[series[:, :1] for series in ragged])
    assert RNNRegressor(**SMALL).fit(data).predict(data)[1].shape == (5,)


def test_y_none_of_labels_that_go_together(x, y):
    found = RNNClassifier(**SMALL).fit(Dataset(x, values=np.c_[y, 1 - y], class_names=["p", "q"]))
    assert found.model_.class_names == ["p", "q"]
    assert found.predict(x).shape == (40, 2)


def test_partial_fit_takes_the_targets_of_a_data_set(x, y):
    data = Dataset(x, labels=y)
    found = RNNClassifier(**SMALL).partial_fit(data, classes=[0, 1]).partial_fit(data)
    expected = RNNClassifier(**SMALL).partial_fit(x, y, classes=[0, 1]).partial_fit(x, y)
    assert hash_of(found) == hash_of(expected)


def test_targets_that_do_not_fit_are_refused(x, y):
    labels = Dataset(x, labels=y)
    for estimator, data, text in [
        (
            RNNRegressor(**SMALL),
            labels,
            "its targets are label, which this estimator does not learn",
        ),
        (RNNClassifier(head="multilabel", **SMALL), labels, "label, but multilabel learns values"),
        (RNNClassifier(**SMALL), Dataset(x), "requires y to be passed"),
        (RNNClassifier(**SMALL), labels.subset(np.arange(0)), "the Dataset has no sequence"),
        (RNNClassifier(**SMALL), Dataset(x, labels=[-1, *y[1:]]), r"sequence 0 .* has no label"),
    ]:
        with pytest.raises(ValueError, match=text):
            estimator.fit(data)
        assert not hasattr(estimator, "model_")


def test_predictions_of_timesteps_of_a_padded_data_set(x):
    steps = (x[:, :, 0] > 0).astype(int)
    found = RNNClassifier(head="classify_steps", **SMALL).fit(x, steps)
    padded = Dataset(x, lengths=[4, 10] * 20)
    assert [len(labels) for labels in found.predict(padded)] == [4, 10] * 20
    assert found.predict(Dataset(x)).shape == (40, 10)


FORMS = {"array": lambda x: x, "list": list, "table": lambda x: x[:, :, 0]}


@pytest.mark.parametrize("form", FORMS)
def test_a_spread_that_float32_loses_is_warned_of(form, x, y):
    far = FORMS[form](x.astype(np.float64) + 1e8)
    with pytest.warns(UserWarning, match="X: channel 0 .* has steps of 8: .* subtract an offset"):
        RNNClassifier(**SMALL).fit(far, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = RNNClassifier(**SMALL).fit(FORMS[form](x.astype(np.float64) + 100), y)
        near.predict(far)
        RNNClassifier(**SMALL).fit(FORMS[form](np.full(x.shape, 1e8 + 1)), y)
        RNNClassifier(**SMALL).fit(FORMS[form](np.sign(x).astype(int) + 10_000_000), y)
        RNNClassifier(**SMALL).fit(FORMS[form](x), y)


def test_a_spread_of_integers_and_of_one_channel(x, y):
    wide = np.round(x.astype(np.float64)).astype(np.int64) + np.array([0, 2**40 + 1])
    with pytest.warns(UserWarning, match="X: channel 1 .* has steps of "):
        RNNClassifier(**SMALL).fit(wide, y)


def test_numbers_that_float32_rounds_to_one_are_warned_of(x, y):
    for far in (y + 1e8 + 1, np.c_[y, y + 1e8]):
        with pytest.warns(UserWarning, match="y: output . .* has steps of 8"):
            RNNRegressor(**SMALL).fit(x, far)
    steps = x[:, :, 0].astype(np.float64) + 1e8
    with pytest.warns(UserWarning, match="y: output 0"):
        RNNRegressor(head="regress_steps", **SMALL).fit(x, steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RNNRegressor(**SMALL).fit(x, y + 100.0)
        RNNRegressor(**SMALL).fit(x, np.full(40, 1e8 + 1))


def test_too_large_numbers_are_refused_as_such(x, y):
    for wrong in (y * 1e300, np.c_[y, y * -1e39]):
        with pytest.raises(ValueError, match="y: -?1e.* is too large for float32"):
            RNNRegressor(**SMALL).fit(x, wrong)
    largest = float(np.finfo(np.float32).max)
    bad = np.ones((4, 3))
    bad[2, 1] = np.nextafter(largest, np.inf)
    with pytest.raises(ValueError, match="is missing"):  # it is rounded to the largest one
        RNNClassifier(**SMALL).fit(np.where(np.arange(3) == 2, np.nan, bad), [0, 1, 0, 1])
    bad[2, 1] = largest * (1 + 2.0**-24)
    with pytest.raises(
        ValueError, match="sequence 2, timestep 1, channel 0 .* too large for float32"
    ):
        RNNClassifier(**SMALL).fit(bad, [0, 1, 0, 1])


@pytest.mark.parametrize(
    "estimator, head", [(RNNClassifier, "classify_steps"), (RNNRegressor, "regress_steps")]
)
def test_y_of_timesteps_needs_a_row_for_each_sequence(estimator, head, x, y):
    with pytest.raises(ValueError, match=r"y: expected for each sequence .*, found shape \(40,\)"):
        estimator(head=head, **SMALL).fit(x, y)
    with pytest.raises(ValueError, match="y: expected for each sequence .*, found list of 40"):
        estimator(head=head, **SMALL).fit(x, y.tolist())
    steps = (x[:, :, 0] > 0).astype(int)
    found = estimator(head=head, **SMALL).fit(x, steps)
    with pytest.raises(ValueError, match="y: it has 39 sequences, but X has 40"):
        found.score(x, steps[:-1])
    wrong = list(steps)
    wrong[3] = wrong[3][:4]
    with pytest.raises(ValueError, match=r"y: sequence 3 .* has 4 timesteps, but X has 10 there"):
        found.score(x, wrong)


@pytest.mark.parametrize("callbacks", [3, [None], [3], "text"])
def test_callbacks_that_are_none_are_refused(callbacks, x, y):
    classifier = RNNClassifier(callbacks=callbacks, **SMALL)
    with pytest.raises(
        ValueError, match="callbacks: expected a function, a list of functions or None"
    ):
        classifier.fit(x, y)
    assert not hasattr(classifier, "model_")


def test_scikit_learns_accuracy_counts_whole_sequences(x):
    from sklearn.model_selection import cross_val_score

    steps = (x[:, :, 0] > 0).astype(int)
    classifier = RNNClassifier(head="classify_steps", **SMALL)
    whole = cross_val_score(classifier, x, steps, cv=2, scoring="accuracy")
    assert (whole < cross_val_score(classifier, x, steps, cv=2)).all()
