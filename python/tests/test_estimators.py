"""RNNClassifier and RNNRegressor: what they take, learn and say."""

import inspect
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import sklearn.base
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import lockstep
from lockstep import RNNClassifier, RNNRegressor

SMALL = {"hidden": 8, "epochs": 3, "n_jobs": 1}


def waves(n=40, timesteps=12, channels=2, seed=0):
    """Two classes that differ in their mean."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.standard_normal((n, timesteps, channels)).astype(np.float32) + y[:, None, None]
    return x, y


def ragged_waves(n=40):
    x, y = waves(n)
    return [series[: 5 + i % 8] for i, series in enumerate(x)], y


def test_it_learns():
    x, y = waves(60)
    classifier = RNNClassifier(hidden=8, epochs=20).fit(x, y)
    assert classifier.score(x, y) > 0.95
    assert len(classifier.loss_history_) == 20
    assert classifier.loss_history_[-1] < classifier.loss_history_[0]
    assert classifier.n_features_in_ == 2
    sums = x.sum((1, 2))
    assert RNNRegressor(hidden=8, epochs=40).fit(x, sums).score(x, sums) > 0.9


def test_it_has_the_weights_of_a_model():
    x, y = waves()
    data = lockstep.Dataset(x, labels=y)
    model = lockstep.Model(data, hidden=8, epochs=3, seed=7)
    model.fit(data)
    classifier = RNNClassifier(random_state=7, **SMALL).fit(x, y)
    assert classifier.model_.weights_hash() == model.weights_hash()
    np.testing.assert_array_equal(classifier.predict_proba(x), model.predict_proba(data))


def test_every_option_is_a_keyword():
    renamed = {"seed": "random_state", "threads": "n_jobs", "class_weights": "class_weight"}
    found = set()
    for estimator in (RNNClassifier, RNNRegressor):
        parameters = inspect.signature(estimator).parameters
        found |= set(parameters)
        assert set(estimator().get_params()) == set(parameters)
        for row in lockstep.options_table():
            if row["name"] in parameters:
                assert parameters[row["name"]].default == row["default"]
        for name in parameters:
            assert f"\n{name} : " in estimator.__doc__
    assert {renamed.get(row["name"], row["name"]) for row in lockstep.options_table()} <= found
    assert "loss" not in inspect.signature(RNNClassifier).parameters
    assert "class_weight" not in inspect.signature(RNNRegressor).parameters


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'units'"):
        RNNClassifier(units=3)
    with pytest.raises(TypeError, match="positional"):
        RNNClassifier(3)


def test_wrong_options_are_refused_by_fit():
    x, y = waves()
    for wrong, text in [
        ({"cell": "gr"}, "cell: expected one of tanh, relu, gru, lstm, found 'gr'"),
        ({"dropout": 1}, "dropout: expected a number from 0 to less than 1"),
        ({"n_jobs": 0}, "n_jobs: expected a whole number that is not 0"),
        ({"axes": "TNC"}, "axes: expected one of NTC, NCT, found 'TNC'"),
        ({"head": "regress"}, "head: expected one of auto, classify"),
        ({"patience": 3}, "patience: there is no validation set"),
    ]:
        classifier = RNNClassifier(**{**SMALL, **wrong})
        with pytest.raises(ValueError, match=text):
            classifier.fit(x, y)
        assert not hasattr(classifier, "classes_")
        with pytest.raises(NotFittedError):
            classifier.predict(x)


@pytest.mark.parametrize(
    "labels",
    [["walk", "run"], [3, -1], [2.0, 0.0], [True, False], ["a, b", "c=d"]],
)
def test_labels_come_back_as_they_were(labels):
    x, y = waves(20)
    labels = np.array(labels)
    classifier = RNNClassifier(**SMALL).fit(x, labels[y])
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    assert classifier.classes_.dtype == labels.dtype
    predicted = classifier.predict(x)
    assert predicted.dtype == labels.dtype
    best = classifier.predict_proba(x).argmax(1)
    np.testing.assert_array_equal(predicted, classifier.classes_[best])
    assert classifier.model_.class_names == [str(c) for c in classifier.classes_.tolist()]


def test_random_states():
    x, y = waves()
    hash_of = lambda state: RNNClassifier(random_state=state, **SMALL).fit(x, y).model_.weights_hash()
    assert hash_of(3) == hash_of(3) != hash_of(4)
    assert hash_of(np.random.RandomState(1)) == hash_of(np.random.RandomState(1))
    np.random.seed(1)
    first = hash_of(None)
    assert hash_of(None) != first
    np.random.seed(1)
    assert hash_of(None) == first


def test_threads_change_nothing():
    x, y = waves()
    hashes = {
        RNNClassifier(**{**SMALL, "n_jobs": n}).fit(x, y).model_.weights_hash()
        for n in (None, 1, 2, -1, -2)
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_weight_zero_is_as_if_the_sequence_were_not_there(estimator):
    x, y = waves()
    keeps = np.arange(len(y)) % 3 > 0
    some = estimator(**SMALL).fit(x[keeps], y[keeps])
    weighted = estimator(**SMALL).fit(x, y, sample_weight=keeps.astype(float))
    assert weighted.model_.weights_hash() == some.model_.weights_hash()


def test_weights_are_checked():
    x, y = waves()
    for weights, text in [
        (np.zeros(len(y)), "zero"),
        (np.full(len(y), -1.0), "[Nn]egative"),
        (np.ones(3), "sample_weight.shape"),
        (np.full(len(y), np.nan), "NaN"),
    ]:
        with pytest.raises(ValueError, match=text):
            RNNClassifier(**SMALL).fit(x, y, sample_weight=weights)


def test_class_weights():
    x, y = waves()
    y = np.where(np.arange(len(y)) < 30, "many", "few")
    balanced = RNNClassifier(class_weight="balanced", **SMALL).fit(x, y)
    given = RNNClassifier(class_weight={"many": 40 / 60, "few": 2.0}, **SMALL).fit(x, y)
    assert balanced.model_.weights_hash() == given.model_.weights_hash()
    plain = RNNClassifier(**SMALL).fit(x, y)
    assert balanced.predict_proba(x)[:, 0].mean() > plain.predict_proba(x)[:, 0].mean()
    with pytest.raises(ValueError, match="comma"):
        names = np.where(y == "many", "a, b", "c")
        RNNClassifier(class_weight={"a, b": 2}, **SMALL).fit(x, names)
    with pytest.raises(ValueError, match="class_weight"):
        RNNClassifier(class_weight={"other": 2}, **SMALL).fit(x, y)


def test_several_labels():
    x, y = waves()
    labels = np.stack([y, 1 - y, x[:, 0, 0] > 0.5], 1).astype(int)
    classifier = RNNClassifier(**{**SMALL, "epochs": 30}).fit(x, labels)
    assert classifier.model_.network["head"] == "multilabel"
    assert classifier.predict_proba(x).shape == labels.shape
    predicted = classifier.predict(x)
    assert (predicted[:, :2] == labels[:, :2]).mean() > 0.8
    assert set(np.unique(predicted)) <= {0, 1}
    assert classifier.score(x, labels) > 0.3
    with pytest.raises(ValueError, match="several labels"):
        RNNClassifier(class_weight={0: 2}, **SMALL).fit(x, labels)
    with pytest.raises(ValueError, match="0 or 1"):
        RNNClassifier(head="multilabel", **SMALL).fit(x, labels + 1)


def test_a_class_for_each_timestep():
    x, _ = ragged_waves()
    y = [np.where(series[:, 0] > 0.5, "high", "low") for series in x]
    quick = {**SMALL, "epochs": 30, "learning_rate": 0.05}
    classifier = RNNClassifier(head="classify_steps", **quick).fit(x, y)
    predicted = classifier.predict(x)
    assert [len(p) for p in predicted] == [len(series) for series in x]
    assert classifier.score(x, y) > 0.85
    assert classifier.predict_proba(x)[1].shape == (len(x[1]), 2)
    weights = np.arange(len(x)) % 2
    odd = classifier.score(x[1::2], y[1::2])
    assert classifier.score(x, y, sample_weight=weights) == pytest.approx(odd)
    equal = np.stack([series[:5] for series in x])
    assert classifier.predict(equal).shape == (40, 5)
    with pytest.raises(ValueError, match="classify_steps"):
        RNNClassifier(**SMALL).fit(x, y)


def test_timesteps_of_unknown_class_do_not_count():
    x, _ = waves()
    y = (x[:, :, 0] > 0.5).astype(float)
    y[:, ::2] = np.nan
    options = {"head": "classify_steps", **SMALL}
    classifier = RNNClassifier(**options).fit(x, y)
    assert classifier.classes_.tolist() == [0, 1]
    names = np.where(y == 1, "high", "low").astype(object)
    names[np.isnan(y)] = None
    named = RNNClassifier(**options).fit(x, names)
    assert named.classes_.tolist() == ["high", "low"]
    known = ~np.isnan(y)
    expected = (classifier.predict(x)[known] == y[known]).mean()
    assert classifier.score(x, y) == pytest.approx(expected)


def test_several_numbers():
    x, _ = waves()
    y = np.stack([x.sum((1, 2)), 100 + x[:, 0, 0]], 1)
    regressor = RNNRegressor(**SMALL).fit(x, y)
    assert regressor.predict(x).shape == y.shape
    assert regressor.predict(x).dtype == np.float64
    assert RNNRegressor(**SMALL).fit(x, y[:, :1]).predict(x).shape == (40, 1)
    assert RNNRegressor(**SMALL).fit(x, y[:, 0]).predict(x).shape == (40,)


def test_numbers_for_each_timestep():
    x, _ = ragged_waves()
    y = [series.cumsum(0)[:, 0] for series in x]
    y[0][1] = np.nan
    regressor = RNNRegressor(head="regress_steps", **{**SMALL, "epochs": 30}).fit(x, y)
    assert regressor.score(x, y) > 0.3
    assert regressor.predict(x)[1].shape == y[1].shape
    both = [np.stack([values, -values], 1) for values in y]
    regressor = RNNRegressor(head="regress_steps", **SMALL).fit(x, both)
    assert regressor.predict(x)[1].shape == both[1].shape
    assert np.isfinite(regressor.score(x, both))


def test_warm_start_learns_on():
    x, y = waves()
    once = RNNClassifier(**SMALL).fit(x, y)
    warm = RNNClassifier(warm_start=True, **SMALL).fit(x, y)
    assert warm.model_.weights_hash() == once.model_.weights_hash()
    model = warm.model_
    warm.fit(x, y)
    assert warm.model_ is model and len(warm.loss_history_) == 6
    assert warm.model_.weights_hash() != once.model_.weights_hash()
    assert once.fit(x, y).loss_history_ == warm.loss_history_[:3]
    with pytest.raises(ValueError, match="label 5 is none of the classes 0, 1"):
        warm.fit(x, y * 5)
    with pytest.raises(ValueError, match="hidden: 9, but the model .* was made with 8"):
        warm.set_params(hidden=9).fit(x, y)
    assert len(warm.loss_history_) == 6


def test_partial_fit_goes_on_where_it_was():
    x, y = waves()
    steady = RNNClassifier(schedule="constant", **SMALL).fit(x, y)
    partial = RNNClassifier(**SMALL)
    for _ in range(3):
        partial.partial_fit(x, y, classes=[0, 1])
    assert partial.model_.weights_hash() == steady.model_.weights_hash()
    assert partial.loss_history_ == steady.loss_history_


def test_partial_fit_meets_the_classes_one_by_one():
    x, y = waves()
    classifier = RNNClassifier(random_state=None, **SMALL)
    with pytest.raises(ValueError, match="classes must be passed"):
        classifier.partial_fit(x, y)
    for i in range(0, 40, 2):
        classifier.partial_fit(x[i : i + 1], ["b"], classes=["c", "a", "b"])
        classifier.partial_fit(x[i + 1 : i + 2], ["a"])
    assert classifier.classes_.tolist() == ["a", "b", "c"]
    assert classifier.predict_proba(x).shape == (40, 3)
    assert len(classifier.loss_history_) == 40
    with pytest.raises(ValueError, match="label d is none of the classes"):
        classifier.partial_fit(x[:1], ["d"])
    with pytest.raises(ValueError, match="those of the calls before"):
        classifier.partial_fit(x[:1], ["a"], classes=["a", "d"])
    with pytest.raises(ValueError, match="balanced"):
        RNNClassifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1])


def test_partial_fit_of_numbers():
    x, _ = waves()
    y = x.sum((1, 2))
    regressor = RNNRegressor(hidden=8, n_jobs=1)
    for _ in range(40):
        regressor.partial_fit(x, y)
    assert regressor.score(x, y) > 0.8


def test_callbacks_see_the_estimator_and_may_stop_it():
    x, y = waves()
    seen = []

    def stop(estimator, epoch):
        seen.append((epoch.epoch, estimator.score(x, y), len(estimator.loss_history_)))
        return epoch.epoch < 2

    classifier = RNNClassifier(callbacks=stop, **SMALL).fit(x, y)
    assert [epoch for epoch, _, _ in seen] == [1, 2]
    assert len(classifier.loss_history_) == 2
    RNNClassifier(callbacks=[stop, lambda *_: None], **SMALL).fit(x, y)
    assert len(seen) == 4


def test_what_a_callback_raises_ends_the_training_and_is_raised():
    x, y = waves()

    def fail(estimator, epoch):
        if epoch.epoch == 2:
            raise LookupError("enough")

    classifier = RNNClassifier(callbacks=fail, **SMALL)
    with pytest.raises(LookupError, match="enough"):
        classifier.fit(x, y)
    assert len(classifier.loss_history_) == 2
    assert len(classifier.predict(x)) == len(y)


def test_a_training_that_diverges_warns():
    x, y = waves()
    wild = RNNRegressor(optimizer="sgd", learning_rate=1e30, clip_norm=0, **SMALL)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        wild.fit(x, y)
    assert np.isfinite(wild.predict(x)).all()


def test_validation():
    x, y = waves(60)
    options = {**SMALL, "epochs": 30, "learning_rate": 0.05}
    classifier = RNNClassifier(validation=0.3, patience=2, **options).fit(x, y)
    losses = classifier.history_["validation_loss"]
    assert len(losses) == len(classifier.loss_history_)
    assert np.isfinite(losses).all()
    assert set(map(len, classifier.history_.values())) == {len(losses)}


def test_an_estimator_survives_pickle_and_clone():
    x, y = waves()
    classifier = RNNClassifier(**SMALL).fit(x, y)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(x), classifier.predict_proba(x))
    assert again.get_params() == classifier.get_params()
    assert again.loss_history_ is again.history_["loss"]
    new = sklearn.base.clone(classifier)
    assert new.get_params() == classifier.get_params()
    assert not hasattr(new, "model_")
    again.set_params(warm_start=True).fit(x, y)
    assert len(again.loss_history_) == 6


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    x, y = waves()
    classifier = RNNClassifier(**SMALL).fit(x, y)
    before = classifier.predict_proba(x)
    bad = x.copy()
    bad[3, 4, 1] = np.inf
    with pytest.raises(ValueError, match="sequence 3, timestep 4, channel 1 .* is infinite"):
        classifier.fit(bad, np.where(y, "b", "a"))
    np.testing.assert_array_equal(classifier.predict_proba(x), before)
    assert classifier.classes_.tolist() == [0, 1]


def test_outputs_that_overflow_have_no_class():
    x, y = waves()
    classifier = RNNClassifier(cell="relu", normalize="none", **SMALL).fit(x, y)
    with pytest.raises(ValueError, match="row 1 .* NaN: the model overflows"):
        classifier.predict([x[0], np.full((50, 2), 3e38)])


def test_a_wrong_class_count():
    x, y = waves()
    with pytest.raises(ValueError, match="y: one class, 0, but a classifier needs at least two"):
        RNNClassifier(**SMALL).fit(x, y * 0)


def test_tags():
    tags = sklearn.utils.get_tags(RNNClassifier())
    assert tags.input_tags.two_d_array and tags.input_tags.three_d_array
    assert not tags.input_tags.allow_nan
    assert sklearn.utils.get_tags(RNNClassifier(missing="carry")).input_tags.allow_nan
    assert sklearn.base.is_classifier(RNNClassifier())
    assert sklearn.base.is_regressor(RNNRegressor())
