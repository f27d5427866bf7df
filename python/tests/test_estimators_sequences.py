"""The contract of sequences, which scikit-learn's checks do not know: [n, timesteps, channels], and
lists of unequal length."""

import tracemalloc

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from lockstep import Dataset, RNNClassifier, RNNRegressor
from lockstep.inputs import read_sequences

SMALL = {"hidden": 8, "epochs": 3, "n_jobs": 1}
ESTIMATORS = [RNNClassifier, RNNRegressor]


@pytest.fixture
def x(rng):
    return rng.standard_normal((20, 7, 3)).astype(np.float32)


@pytest.fixture
def y():
    return np.arange(20) % 2


def hash_of(estimator):
    return estimator.model_.weights_hash()


FORMS = {
    "array": lambda x: x,
    "float64": lambda x: x.astype(np.float64),
    "big endian": lambda x: x.astype(">f4"),
    "Fortran": np.asfortranarray,
    "slices": lambda x: np.concatenate([x, x], 2)[:, :, :3],
    "read only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    "list of arrays": list,
    "tuple of arrays": tuple,
    "list of lists": lambda x: x.tolist(),
    "array of arrays": lambda x: array_of_arrays(list(x)),
    "data set": Dataset,
}


def cells(sequences):
    """As nested tables of sktime."""
    result = np.empty((len(sequences), 1), object)
    for i, sequence in enumerate(sequences):
        result[i, 0] = sequence[:, 0]
    return result


def array_of_arrays(sequences):
    result = np.empty(len(sequences), object)
    for i, sequence in enumerate(sequences):
        result[i] = sequence
    return result


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_equal_length_learn_the_same(estimator, form, x, y):
    expected = estimator(**SMALL).fit(x, y)
    found = estimator(**SMALL).fit(FORMS[form](x), y)
    assert hash_of(found) == hash_of(expected)
    assert found.n_features_in_ == 3
    np.testing.assert_array_equal(found.predict(x), expected.predict(FORMS[form](x)))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_channels_may_come_first(estimator, x, y):
    expected = estimator(**SMALL).fit(x, y)
    swapped = np.swapaxes(x, 1, 2)
    for form in (swapped, np.ascontiguousarray(swapped), list(swapped), swapped.tolist()):
        found = estimator(axes="NCT", **SMALL).fit(form, y)
        assert hash_of(found) == hash_of(expected)
        assert found.n_features_in_ == 3
        np.testing.assert_array_equal(found.predict(form), expected.predict(x))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_sequences_of_unequal_length(estimator, x, y):
    ragged = [sequence[: 1 + i % 7] for i, sequence in enumerate(x)]
    found = estimator(**SMALL).fit(ragged, y)
    data = Dataset(ragged)
    np.testing.assert_array_equal(
        found.model_.predict_proba(data), found.model_.predict_proba(ragged)
    )
    swapped = estimator(axes="NCT", **SMALL).fit([sequence.T for sequence in ragged], y)
    assert hash_of(swapped) == hash_of(found)
    one = [found.predict([sequence])[0] for sequence in ragged]
    np.testing.assert_array_equal(one, found.predict(ragged))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_other_lengths_than_those_learnt_are_welcome(estimator, x, y):
    found = estimator(**SMALL).fit(x, y)
    for length in (1, 3, 50):
        assert len(found.predict(np.ones((4, length, 3)))) == 4


def test_one_channel_may_lack_its_axis(x, y):
    series = [sequence[: 2 + i % 5, 0] for i, sequence in enumerate(x)]
    expected = RNNClassifier(**SMALL).fit([s[:, None] for s in series], y)
    for form in (series, [s.tolist() for s in series]):
        found = RNNClassifier(**SMALL).fit(form, y)
        assert hash_of(found) == hash_of(expected)
        assert found.n_features_in_ == 1


def test_rows_of_a_table_are_series(x, y):
    table = x[:, :, 0]
    series = RNNClassifier(**SMALL).fit(table[:, :, None], y)
    found = RNNClassifier(**SMALL).fit(table, y)
    assert hash_of(found) == hash_of(series)
    assert (found.n_features_in_, series.n_features_in_) == (7, 1)
    np.testing.assert_array_equal(found.predict(table[:, :, None]), found.predict(table))
    other = table[:, :4, None]
    assert found.predict(other).shape == found.predict(list(other)).shape == (20,)
    with pytest.raises(ValueError, match=r"two axes, but RNNClassifier .* X\[None\] is one such"):
        series.predict(x[0, :, :1])
    np.testing.assert_array_equal(series.predict(table.tolist()), series.predict(list(table)))
    with pytest.raises(ValueError, match="X has 4 features, but RNNClassifier is expecting 7"):
        found.predict(table[:, :4])


def test_tables_of_pandas(x, y):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(x[:, :, 0], columns=[f"t{i}" for i in range(7)])
    found = RNNClassifier(**SMALL).fit(table, pandas.Series(y))
    assert found.feature_names_in_.tolist() == list(table.columns)
    assert hash_of(found) == hash_of(RNNClassifier(**SMALL).fit(x[:, :, 0], y))
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(table.rename(columns={"t0": "other"}))
    found.fit(x, y)
    assert not hasattr(found, "feature_names_in_")


def test_long_tables_of_pandas(x, y):
    pandas = pytest.importorskip("pandas")
    ragged = [sequence[: 1 + i % 7] for i, sequence in enumerate(x)]
    rows = [(f"s{i}", t) for i, sequence in enumerate(ragged) for t in range(len(sequence))]
    index = pandas.MultiIndex.from_tuples(rows, names=["sequence", "timestep"])
    table = pandas.DataFrame(np.concatenate(ragged), index=index, columns=list("abc"))
    found = RNNClassifier(**SMALL).fit(table, y)
    assert hash_of(found) == hash_of(RNNClassifier(**SMALL).fit(ragged, y))
    np.testing.assert_array_equal(found.predict(table), found.predict(ragged))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "wrong, error, text",
    [
        (lambda x: x[:, :, :2], ValueError, "2 channels, but the model takes 3"),
        (lambda x: x[0][:, :, None], ValueError, "1 channels, but the model takes 3"),
        (lambda x: x[0, 0], ValueError, "Expected 2D array, got 1D array"),
        (lambda x: x[None], ValueError, r"found shape \(1, 20, 7, 3\)"),
        (lambda x: x[:0], ValueError, "0 sample"),
        (
            lambda x: [],
            ValueError,
            r"there is no sequence; expected \[n, timesteps\], .* a Dataset",
        ),
        (lambda x: x[:, :0], ValueError, "no timestep"),
        (lambda x: [x[0], x[1, :0]], ValueError, "sequence 1 .* has no timestep"),
        (lambda x: [x[0], x[1, :, :2]], ValueError, "sequence 1 .* has 2 channels"),
        (lambda x: x + 1j, ValueError, "Complex data not supported"),
        (lambda x: [x[0], x[1] + 1j], TypeError, "sequence 1 .* expected numbers"),
        (lambda x: [x[0], None], TypeError, "sequence 1 .* expected numbers"),
        (lambda x: np.full((2, 3, 3), "text"), ValueError, "could not convert string"),
        (lambda x: None, TypeError, r"X: expected \[n, timesteps\], .* a Dataset; found None"),
        (lambda x: (s for s in x), TypeError, r"expected \[n, timesteps\], .*; found generator"),
        (lambda x: {"a": [1, 2]}, TypeError, r"expected \[n, timesteps\], .*; found dict"),
        (lambda x: "text", TypeError, r"expected \[n, timesteps\], .*; found str"),
        (lambda x: cells(x), TypeError, "found a table with arrays in its cells"),
    ],
)
def test_other_sequences_are_refused(estimator, wrong, error, text, x, y):
    found = estimator(**SMALL).fit(x, y)
    with pytest.raises(error, match=text):
        found.predict(wrong(x))
    new = estimator(**SMALL)
    if "but the model takes" not in text:
        with pytest.raises(error, match=text):
            new.fit(wrong(x), y[:2])
        assert not hasattr(new, "model_")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_numbers_of_targets_must_be_those_of_sequences(estimator, x, y):
    with pytest.raises(ValueError, match="expected .* for each of 20 sequences"):
        estimator(**SMALL).fit(x, y[:-1])
    with pytest.raises(ValueError, match="requires y to be passed"):
        estimator(**SMALL).fit(x, None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("form", ["array", "list of arrays", "channels first"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_with_their_place(estimator, form, value, x, y):
    bad = x.astype(np.float64)
    bad[3, 4, 1] = value
    kind = {np.inf: "infinite", 1e300: "1e.300, too large for float32"}.get(value, "missing")
    place = f"sequence 3, timestep 4, channel 1 .counted from 0. is {kind}"
    options = dict(SMALL)
    if form == "channels first":
        options["axes"], x, bad = "NCT", np.swapaxes(x, 1, 2), np.swapaxes(bad, 1, 2)
    elif form == "list of arrays":
        bad = list(bad)
    found = estimator(**options).fit(x, y)
    with pytest.raises(ValueError, match=place):
        found.predict(bad)
    with pytest.raises(ValueError, match=place):
        estimator(**options).fit(bad, y)


@pytest.mark.parametrize("missing", ["carry", "mean", "mask"])
def test_missing_values_are_filled(missing, x, y):
    gaps = x.copy()
    gaps[::3, 2:4, 1] = np.nan
    found = RNNClassifier(missing=missing, **SMALL).fit(gaps, y)
    assert np.isfinite(found.predict_proba(gaps)).all()
    table = gaps[:, :, 1]
    assert RNNRegressor(missing=missing, **SMALL).fit(table, y).predict(table).shape == (20,)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_sequence_is_predicted_as_among_others(estimator, x, y):
    found = estimator(**SMALL).fit(x, y)
    method = "predict_proba" if hasattr(found, "predict_proba") else "predict"
    every = getattr(found, method)(x)
    np.testing.assert_array_equal(getattr(found, method)(x[4:5]), every[4:5])
    np.testing.assert_array_equal(getattr(found, method)([x[4]]), every[4:5])


def test_one_sequence_is_learnt_if_a_number_is_asked_for(x, y):
    assert RNNRegressor(**SMALL).fit(x[:1], [2.5]).predict(x[:1]).shape == (1,)
    with pytest.raises(ValueError, match="one class"):
        RNNClassifier(**SMALL).fit(x[:1], ["a"])


@pytest.mark.parametrize("shape", [(200, 1000, 5), (200, 5000)])
def test_float32_in_c_order_is_read_where_it_is(shape, rng):
    x = rng.standard_normal(shape).astype(np.float32)
    regressor = RNNRegressor(hidden=1, epochs=1, truncate=1, n_jobs=1)
    tracemalloc.start()
    try:
        regressor.fit(x, np.arange(200)).predict(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 4
    sequences = read_sequences(regressor, x).values
    assert np.shares_memory(sequences, x)
    assert Dataset(sequences).is_view
