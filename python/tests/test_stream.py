import threading

import numpy as np
import pytest

from conftest import small
from lockstep import Dataset, Stream

MODELS = [
    {"cell": "tanh"},
    {"cell": "gru", "pool": "mean", "layers": 2},
    {"cell": "lstm", "pool": "last"},
    {"cell": "relu", "normalize": "none"},
]


@pytest.mark.parametrize("options", MODELS)
def test_a_stream_gives_the_bits_of_predict_proba(ragged, options):
    model = small(ragged, **options)
    model.fit(ragged)
    stream = Stream(model)
    for sequence, expected in zip(ragged, model.predict_proba(ragged)):
        stream.reset()
        for row in sequence:
            last = stream.feed(row)
        assert last.shape == (3,) and last.dtype == np.float32
        np.testing.assert_array_equal(last, expected)
        np.testing.assert_array_equal(stream.outputs(), expected)
        stream.reset()
        stream.feed(sequence[:2])
        np.testing.assert_array_equal(stream.feed(sequence[2:]), expected)


def test_numbers_are_in_the_units_of_the_data(numbers):
    model = small(numbers)
    model.fit(numbers)
    stream = Stream(model)
    np.testing.assert_array_equal(stream.feed(numbers[0]), model.predict_proba(numbers)[0])
    out = np.empty(2, np.float32)
    assert stream.outputs(out) is out
    np.testing.assert_array_equal(out, model.predict_proba(numbers)[0])


def test_many_sequences_side_by_side(rng):
    x = rng.standard_normal((5, 7, 2)).astype(np.float32)
    data = Dataset(x, labels=[0, 1, 0, 1, 0])
    model = small(data)
    model.fit(data)
    expected = model.predict_proba(data)
    stream = Stream(model, sequences=5, threads=2)
    assert stream.sequences == 5
    steps = np.ascontiguousarray(x.transpose(1, 0, 2))
    for step in steps[:3]:
        outputs = stream.feed(step)
    assert outputs.shape == (5, 2)
    np.testing.assert_array_equal(stream.feed(steps[3:]), expected)
    out = np.empty((5, 2), np.float32)
    assert stream.outputs(out=out) is out
    np.testing.assert_array_equal(out, expected)
    stream.reset(3)
    np.testing.assert_array_equal(stream.feed_one(3, x[3]), expected[3])
    np.testing.assert_array_equal(stream.outputs(), expected)


def test_states_are_arrays(ragged):
    model = small(ragged, cell="lstm", pool="last")
    stream, other = Stream(model), Stream(model, sequences=2)
    stream.feed(ragged[0][:3])
    state = stream.state()
    assert state.shape == (16,) and state.dtype == np.float32
    other.set_state(state, 1)
    expected = stream.feed(ragged[0][3:])
    np.testing.assert_array_equal(other.feed_one(1, ragged[0][3:]), expected)
    np.testing.assert_array_equal(other.state(0), np.zeros(16))
    with pytest.raises(ValueError, match="a state has 3 values, expected 16"):
        stream.set_state([1, 2, 3])
    with pytest.raises(ValueError, match="no sequence 2"):
        other.state(2)


def test_channels_that_mark_gaps_are_added(rng):
    x = rng.standard_normal((6, 4, 2)).astype(np.float32)
    x[0, 1, 1] = np.nan
    data = Dataset(x, labels=[0, 1, 0, 1, 0, 1])
    model = small(data, missing="mask")
    model.fit(data)
    assert model.network["features"] == 3
    np.testing.assert_array_equal(Stream(model).feed(x[2]), model.predict_proba(x)[2])


def test_a_stream_keeps_the_weights_it_was_made_with(ragged):
    model = small(ragged)
    stream = Stream(model)
    before = stream.feed(ragged[0])
    model.fit(ragged)
    stream.reset()
    np.testing.assert_array_equal(stream.feed(ragged[0]), before)


def test_a_stream_of_an_estimator(rng):
    pytest.importorskip("sklearn", minversion="1.6")
    from lockstep import RNNClassifier

    x = rng.standard_normal((20, 5, 2)).astype(np.float32)
    classifier = RNNClassifier(hidden=4, epochs=1)
    with pytest.raises(ValueError, match="this RNNClassifier is not fitted yet"):
        Stream(classifier)
    stream = Stream(classifier.fit(x, np.arange(20) % 2))
    np.testing.assert_array_equal(stream.feed(x[0]), classifier.predict_proba(x[:1])[0])


@pytest.mark.parametrize("wrong", [None, 3, "model"])
def test_what_is_no_model_is_refused(wrong):
    expected = f"expected a Model or an estimator, found {type(wrong).__name__}"
    with pytest.raises(TypeError, match=expected):
        Stream(wrong)


def test_no_timesteps_change_nothing(ragged):
    stream = Stream(small(ragged))
    before = stream.feed(ragged[0])
    np.testing.assert_array_equal(stream.feed(np.zeros((0, 2), np.float32)), before)


def test_other_numbers_are_converted(ragged):
    stream = Stream(small(ragged))
    expected = stream.feed(ragged[0])
    stream.reset()
    np.testing.assert_array_equal(stream.feed(ragged[0].astype(np.float64).tolist()), expected)


@pytest.mark.parametrize("x", [[1], [1, 2, 3], [[1, 2, 3]], 1.0, [[[1, 2]]]])
def test_other_shapes_are_refused(ragged, x):
    stream = Stream(small(ragged))
    with pytest.raises(ValueError, match=r"x: expected shape \(2,\) or \(timesteps, 2\), found"):
        stream.feed(x)
    with pytest.raises(ValueError, match=r"expected shape \(3, 2\) or \(timesteps, 3, 2\)"):
        Stream(small(ragged), 3).feed([1, 2])


def test_values_that_are_not_finite_are_refused_with_their_place(ragged):
    stream = Stream(small(ragged))
    stream.feed([1, 2])
    before = stream.state()
    with pytest.raises(ValueError, match=r"x: row 1, channel 0 \(counted from 0\) is NaN"):
        stream.feed([[1, 2], [np.nan, 3]])
    with pytest.raises(ValueError, match="row 0, channel 1 .* is infinite"):
        stream.feed([1, np.inf])
    np.testing.assert_array_equal(stream.state(), before)


def test_networks_that_need_whole_sequences_are_refused(ragged):
    with pytest.raises(ValueError, match="bidirectional"):
        Stream(small(ragged, bidirectional=True))
    with pytest.raises(ValueError, match="series"):
        Stream(small(ragged, normalize="series"))
    with pytest.raises(ValueError, match="0 sequences"):
        Stream(small(ragged), sequences=0)


def test_out_must_fit(ragged):
    stream = Stream(small(ragged))
    read_only = np.empty(3, np.float32)
    read_only.flags.writeable = False
    for out in (np.empty(2, np.float32), np.empty(3), np.empty(6, np.float32)[::2], read_only):
        with pytest.raises(ValueError, match="out: expected a writable float32 array of 3"):
            stream.feed([1, 2], out)


def test_one_thread_at_a_time(ragged):
    stream = Stream(small(ragged, hidden=256))
    long = np.zeros((20000, 2), np.float32)
    worker = threading.Thread(target=lambda: stream.feed(long))
    worker.start()
    refused = 0
    while worker.is_alive():
        try:
            stream.reset()
        except RuntimeError as error:
            assert "used by another thread" in str(error)
            refused += 1
    worker.join()
    assert refused > 0
