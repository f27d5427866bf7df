"""Tables of pandas: what is matched by ids, names and timesteps, not by position."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")
pandas = pytest.importorskip("pandas")

from sklearn.model_selection import GroupKFold, cross_val_score

import lockstep
from lockstep import Dataset, RNNClassifier, RNNRegressor, split_table

SMALL = {"hidden": 8, "epochs": 3, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((40, 10, 2)).astype(np.float32)


@pytest.fixture
def y():
    return np.arange(40) % 2


@pytest.fixture
def long(x):
    index = pandas.MultiIndex.from_product([range(40), range(10)], names=["id", "step"])
    return pandas.DataFrame(x.reshape(-1, 2), columns=["u", "v"], index=index)


def hash_of(estimator):
    return estimator.model_.weights_hash()


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_y_and_weights_of_pandas_are_matched_by_id(estimator, long, x, y):
    weights = 1 + y / 2
    expected = estimator(**SMALL).fit(list(x[::-1]), y[::-1], sample_weight=weights[::-1])
    backwards = long.loc[::-1]
    found = estimator(**SMALL).fit(
        backwards, pandas.Series(y), sample_weight=pandas.Series(weights)
    )
    assert hash_of(found) == hash_of(expected)
    by_position = estimator(**SMALL).fit(backwards, y[::-1], sample_weight=weights[::-1])
    assert hash_of(by_position) == hash_of(expected)
    shuffled = pandas.Series(y).sample(frac=1, random_state=1)
    assert found.score(backwards, shuffled) == expected.score(list(x), y)
    assert str(found.report(backwards, shuffled)) == str(expected.report(list(x[::-1]), y[::-1]))


@pytest.mark.parametrize(
    "wrong, text",
    [
        (lambda y: y.iloc[:38], "of X are not in its index: 38, 39;"),
        (lambda y: y.set_axis([0, 0, *range(2, 40)]), "occur more than once in its index: 0;"),
        (
            lambda y: pandas.concat([y, y.set_axis(y.index + 40)]),
            "not in X: 40, 41, 42, 43, 44, ...",
        ),
        (lambda y: y.set_axis([f"s{i}" for i in range(40)]), "of X are not in its index: 0, 1, 2"),
    ],
)
def test_other_ids_are_refused(wrong, text, long, y):
    with pytest.raises(ValueError, match=f"y: ids that .*{text}"):
        RNNClassifier(**SMALL).fit(long, wrong(pandas.Series(y)))
    with pytest.raises(ValueError, match=f"sample_weight: ids that .*{text}"):
        RNNClassifier(**SMALL).fit(long, y, sample_weight=wrong(pandas.Series(y) + 1.0))
    fitted = RNNClassifier(**SMALL).fit(long, y)
    with pytest.raises(ValueError, match=f"y: ids that .*{text}"):
        fitted.score(long, wrong(pandas.Series(y)))


def test_y_of_timesteps_is_matched_by_id_and_timestep(long, x, y):
    steps = (x[:, :, 0] > 0).astype(int)
    labels = pandas.Series(steps.ravel(), index=long.index)
    options = {**SMALL, "head": "classify_steps"}
    expected = RNNClassifier(**options).fit(list(x), list(steps))
    found = RNNClassifier(**options).fit(long, labels.sample(frac=1, random_state=1))
    assert hash_of(found) == hash_of(expected)
    assert found.score(long, labels[::-1]) == expected.score(list(x), list(steps))
    with pytest.raises(ValueError, match=r"index is \(sequence, timestep\), but head multilabel"):
        RNNClassifier(**SMALL).fit(long, labels)


def test_a_series_of_one_channel(long, x, y):
    found = RNNClassifier(**SMALL).fit(long["u"], y)
    assert hash_of(found) == hash_of(RNNClassifier(**SMALL).fit(x[:, :, :1], y))
    assert found.feature_names_in_.tolist() == ["u"]


def test_the_axes_of_a_table_are_known(long, x, y):
    expected = RNNClassifier(**SMALL).fit(x, y)
    frames, _ = split_table(long)
    for form in (long, frames, Dataset(x), Dataset(list(x))):
        found = RNNClassifier(axes="NCT", **SMALL).fit(form, y)
        assert hash_of(found) == hash_of(expected)
        np.testing.assert_array_equal(found.predict(form), expected.predict(x))


def test_columns_are_names_of_channels(long, x, y):
    frames, _ = split_table(long)
    data = Dataset(x, channel_names=["u", "v"])
    for form in (long, frames, data):
        found = RNNClassifier(**SMALL).fit(form, y)
        assert found.feature_names_in_.tolist() == ["u", "v"]
        assert found.n_features_in_ == 2
        assert found.model_.channel_names == ["u", "v"]
        found = pickle.loads(pickle.dumps(found))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for other in (long, frames, data, x, list(x)):
                assert len(found.predict(other)) == 40
        swapped = long[["v", "u"]]
        for other in (swapped, split_table(swapped)[0], Dataset(x, channel_names=["v", "u"])):
            with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
                found.predict(other)
        with pytest.raises(
            ValueError, match="should match .*\n.*unseen at fit time:\n- z\n.*\n- u"
        ):
            found.predict(long.rename(columns={"u": "z"}))
    found.fit(x, y)
    assert not hasattr(found, "feature_names_in_") and found.model_.channel_names == []
    numbered = RNNClassifier(**SMALL).fit(long.set_axis([0, 1], axis=1), y)
    assert not hasattr(numbered, "feature_names_in_")


def test_sequences_of_other_columns_are_refused(long, y):
    frames, _ = split_table(long)
    frames[3] = frames[3][["v", "u"]]
    with pytest.raises(
        ValueError, match=r"sequence 3 .* has the columns v, u, the first one has u, v"
    ):
        RNNClassifier(**SMALL).fit(frames, y)


def test_rows_are_sorted_by_timestep(long, x, y):
    expected = RNNClassifier(**SMALL).fit(x, y)
    shuffled = long.sample(frac=1, random_state=1)
    first_seen = shuffled.index.get_level_values(0).unique()
    found = RNNClassifier(**SMALL).fit(long, y)
    np.testing.assert_array_equal(
        found.predict_proba(shuffled), expected.predict_proba(x)[first_seen]
    )
    assert hash_of(found) == hash_of(expected)


def with_index(long, level, row, value):
    levels = [long.index.get_level_values(i).tolist() for i in range(2)]
    levels[level][row] = value
    return long.set_axis(pandas.MultiIndex.from_arrays(levels))


@pytest.mark.parametrize(
    "level, value, text",
    [
        (0, np.nan, r"the index of row 7 \(counted from 0\) has no id of a sequence"),
        (1, np.nan, r"the index of row 7 \(counted from 0\) has no timestep"),
        (1, 3, "sequence 0 has the timestep 3 twice"),
    ],
)
def test_rows_without_a_place_are_refused(level, value, text, long, y):
    wrong = with_index(long, level, 7, value)
    with pytest.raises(ValueError, match=text):
        RNNClassifier(**SMALL).fit(wrong, y)
    with pytest.raises(ValueError, match=text):
        split_table(wrong)


def test_a_long_table_without_rows_is_refused(long, y):
    with pytest.raises(ValueError, match="the table has no row"):
        RNNClassifier(**SMALL).fit(long[:0], y[:0])


def test_unobserved_categories_are_no_sequences(long, x, y):
    ids = pandas.Categorical(
        [f"s{i}" for i in range(40)], categories=["none"] + [f"s{i}" for i in range(40)]
    )
    table = long.set_axis(pandas.MultiIndex.from_product([ids, range(10)]))
    assert hash_of(RNNClassifier(**SMALL).fit(table, y)) == hash_of(
        RNNClassifier(**SMALL).fit(x, y)
    )


def test_missing_values_of_tables(long, y):
    gaps = long.astype("Float64").mask(long > 1)
    found = RNNClassifier(missing="mean", **SMALL).fit(gaps, y)
    assert np.isfinite(found.predict_proba(gaps)).all()
    with pytest.raises(ValueError, match="is missing"):
        RNNClassifier(**SMALL).fit(gaps, y)


def test_split_tables_can_be_cross_validated(long, x, y):
    sequences, ids = split_table(long.sample(frac=1, random_state=1))
    assert sorted(ids) == list(range(40))
    for sequence, i in zip(sequences, ids):
        np.testing.assert_array_equal(sequence, x[i])
        assert sequence.index.tolist() == list(range(10)) and sequence.index.name == "step"
    labels = pandas.Series(y).loc[ids]
    scores = cross_val_score(
        RNNClassifier(**SMALL), sequences, labels, cv=GroupKFold(4), groups=ids // 4
    )
    assert scores.shape == (4,) and np.isfinite(scores).all()
    assert len(split_table(long["u"])[0]) == 40
    for wrong in (x, long.reset_index(), None):
        with pytest.raises(TypeError, match="expected a table of pandas with the index"):
            lockstep.split_table(wrong)


def test_nested_tables_are_refused_and_series_of_arrays_taken(x, y):
    expected = RNNClassifier(**SMALL).fit(x, y)
    series = pandas.Series(list(x))
    found = RNNClassifier(**SMALL).fit(series, y)
    assert hash_of(found) == hash_of(expected)
    np.testing.assert_array_equal(found.predict(series), expected.predict(x))
    nested = pandas.DataFrame({"a": [pandas.Series(s[:, 0]) for s in x]})
    with pytest.raises(TypeError, match="found a table with arrays in its cells"):
        RNNClassifier(**SMALL).fit(nested, y)


def test_columns_of_y_are_names_of_outputs(x, y):
    both = pandas.DataFrame({"up": y, "down": 1 - y})
    labels = RNNClassifier(**SMALL).fit(x, both)
    assert labels.model_.class_names == ["up", "down"]
    np.testing.assert_array_equal(
        labels.predict(x), RNNClassifier(**SMALL).fit(x, both.to_numpy()).predict(x)
    )
    numbers = RNNRegressor(**SMALL).fit(x, both * 1.5)
    assert numbers.model_.class_names == ["up", "down"]
    assert np.isfinite(numbers.score(x, both))
    for estimator in (labels, numbers):
        with pytest.raises(ValueError, match="y: its columns are down, up, but .* with up, down"):
            estimator.report(x, both[["down", "up"]])
        assert estimator.set_params(warm_start=True).fit(x, both.to_numpy()).model_.class_names == [
            "up",
            "down",
        ]
    assert RNNRegressor(**SMALL).fit(x, both.to_numpy()).model_.class_names == ["0", "1"]
    assert RNNRegressor(**SMALL).fit(x, both.set_axis([3, 4], axis=1)).model_.class_names == [
        "0",
        "1",
    ]
