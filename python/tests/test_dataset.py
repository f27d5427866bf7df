import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import lockstep
from lockstep import Dataset


def test_an_array_is_read_where_it_is(rng):
    x = rng.standard_normal((4, 5, 3)).astype(np.float32)
    data = Dataset(x)
    assert data.is_view
    assert np.shares_memory(data[2], x)
    assert (len(data), data.n_channels, data.max_length, data.total_timesteps) == (4, 3, 5, 20)
    np.testing.assert_array_equal(data[3], x[3])
    np.testing.assert_array_equal(data[-1], x[3])


def test_views_keep_the_memory_alive(rng):
    x = rng.standard_normal((4, 5, 3)).astype(np.float32)
    first = x[0].copy()
    alive = weakref.ref(x)
    data = Dataset(x)
    part = data.subset([0, 1])
    view = part[0]
    del x, data, part
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(view, first)
    del view
    gc.collect()
    assert alive() is None


def test_sequences_are_read_only(rng):
    data = Dataset(rng.standard_normal((1, 2, 1)).astype(np.float32))
    with pytest.raises(ValueError):
        data[0][0, 0] = 1


def test_padded_arrays_have_lengths(rng):
    x = rng.standard_normal((3, 5, 2)).astype(np.float32)
    data = Dataset(x, lengths=[5, 1, 3])
    assert data.is_view
    assert data.lengths.tolist() == [5, 1, 3]
    np.testing.assert_array_equal(data[2], x[2, :3])


def test_lists_are_copied(rng):
    arrays = [rng.standard_normal((n, 2)).astype(np.float32) for n in (3, 1, 4)]
    data = Dataset(arrays)
    assert not data.is_view
    assert data.lengths.tolist() == [3, 1, 4]
    for own, array in zip(data, arrays):
        np.testing.assert_array_equal(own, array)
        assert not np.shares_memory(own, array)


@pytest.mark.parametrize(
    "given",
    [
        np.arange(24).reshape(2, 4, 3),
        np.arange(24.0).reshape(2, 4, 3),
        np.arange(24, dtype=">f4").reshape(2, 4, 3),
        np.arange(24, dtype=np.float16).reshape(2, 4, 3),
        np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 4, 3)),
        np.arange(48, dtype=np.float32).reshape(2, 4, 6)[:, :, ::2] / 2,
        np.arange(24).reshape(2, 4, 3).tolist(),
    ],
)
def test_other_numbers_are_converted(given):
    data = Dataset(given)
    expected = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    np.testing.assert_array_equal(np.stack(list(data)), expected)


def test_one_channel_may_lack_its_axis():
    data = Dataset([[1, 2, 3], [4.5]])
    assert data.n_channels == 1
    assert data[1].tolist() == [[4.5]]


def test_an_empty_array_is_an_empty_set():
    data = Dataset(np.zeros((0, 5, 2), np.float32))
    assert (len(data), data.n_channels, data.max_length) == (0, 2, 0)


@pytest.mark.parametrize(
    "sequences, error, text",
    [
        (np.zeros((3, 4)), ValueError, r"list of arrays .* found shape \(3, 4\)"),
        (np.zeros(3), ValueError, r"found shape \(3,\)"),
        (np.zeros((2, 0, 3)), ValueError, "have no timestep"),
        (np.zeros((2, 3, 0)), ValueError, "channels is 0"),
        ([], ValueError, "there is no sequence"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], ValueError, "sequence 1 .* has 3 channels, .* has 2"),
        ([np.zeros((2, 2)), np.zeros((0, 2))], ValueError, "sequence 1 .* has no timestep"),
        ([np.zeros((2, 2, 2))], ValueError, r"sequence 0 .* found shape \(2, 2, 2\)"),
        ([1, 2, 3], ValueError, r"sequence 0 .* found shape \(\)"),
        (np.zeros((1, 2, 3), complex), TypeError, "sequences: expected numbers, found complex128"),
        (["abc"], TypeError, "sequence 0 .* expected numbers, found <U3"),
        ([None], TypeError, "expected numbers, found object"),
        (b"bytes", TypeError, "expected numbers"),
    ],
)
def test_other_shapes_are_refused(sequences, error, text):
    with pytest.raises(error, match=text):
        Dataset(sequences)


def test_lengths_that_do_not_fit_are_refused():
    x = np.zeros((2, 3, 1), np.float32)
    for lengths in ([0, 1], [4, 1], [-1, 1]):
        with pytest.raises(ValueError, match="the length of sequence 0 .* expected 1 to 3"):
            Dataset(x, lengths=lengths)
    with pytest.raises(ValueError, match="expected one for each of 2"):
        Dataset(x, lengths=[1])
    with pytest.raises(TypeError, match="whole numbers"):
        Dataset(x, lengths=[1.5, 2.0])
    with pytest.raises(ValueError, match="have their own"):
        Dataset([x[0]], lengths=[1])


X = np.zeros((2, 3, 1), np.float32)


def test_labels():
    data = Dataset(X, labels=[1, -1], class_names=["a", "b", "c"])
    assert data.target_kind == "label"
    assert data.labels.tolist() == [1, -1]
    assert data.class_names == ["a", "b", "c"]
    assert data.values is None
    assert Dataset(X, labels=np.array([0, 2], np.uint8)).class_names == ["0", "1", "2"]
    assert Dataset(X, class_names=["a"]).labels.tolist() == [-1, -1]
    assert data.with_classes(["c", "b"]).labels.tolist() == [1, -1]


def test_step_labels():
    padded = np.array([[0, 1, 0], [1, 1, 0]])
    ragged = Dataset(X, lengths=[3, 2], step_labels=padded)
    assert ragged.target_kind == "step_labels"
    assert ragged.labels.tolist() == [0, 1, 0, 1, 1]
    flat = Dataset(X, lengths=[3, 2], step_labels=[0, 1, 0, 1, 1])
    assert flat.labels.tolist() == [0, 1, 0, 1, 1]
    listed = Dataset([X[0], X[1, :2]], step_labels=[np.array([0, 1, 0]), np.array([1, 1])])
    assert listed.labels.tolist() == [0, 1, 0, 1, 1]


def test_values():
    data = Dataset(X, values=[[1, 2], [np.nan, 4]], class_names=["u", "v"])
    assert data.target_kind == "values"
    assert data.labels is None
    np.testing.assert_array_equal(data.values, [[1, 2], [np.nan, 4]])
    assert Dataset(X, values=[1.5, 2.5]).values.tolist() == [[1.5], [2.5]]


def test_step_values():
    values = np.arange(12.0).reshape(2, 3, 2)
    data = Dataset(X, lengths=[3, 1], step_values=values)
    assert data.target_kind == "step_values"
    assert data.values.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert Dataset(X, step_values=values.reshape(6, 2)).values.shape == (6, 2)
    listed = Dataset([X[0], X[1, :1]], step_values=[[1, 2, 3], [4]])
    assert listed.values.tolist() == [[1], [2], [3], [4]]


@pytest.mark.parametrize(
    "targets, error, text",
    [
        ({"labels": [0]}, ValueError, "labels: expected one for each of 2"),
        ({"labels": [0, -2]}, ValueError, "labels: -2, expected -1"),
        ({"labels": [0, 2**40]}, ValueError, "labels: 1099511627776"),
        ({"labels": [0, 2**31 - 1]}, ValueError, "labels: 2147483647, expected at most"),
        ({"labels": [0, 3], "class_names": ["a"]}, ValueError, "label 3, expected"),
        ({"labels": [0.5, 1.0]}, TypeError, "labels: expected whole numbers, found float64"),
        ({"labels": ["a", "b"]}, TypeError, "labels: expected whole numbers"),
        ({"labels": [0, 1], "values": [1, 2]}, ValueError, "expected one of labels"),
        ({"step_labels": [0, 1]}, ValueError, "step_labels: expected a row for each of 6"),
        ({"step_labels": [[0], [1]]}, ValueError, "step_labels 0 .* each of 3 timesteps"),
        ({"step_labels": [[0, 1, 0]]}, ValueError, "expected a list of 2, found 1"),
        ({"step_labels": np.zeros((2, 2), int)}, ValueError, "each of 6 timesteps"),
        ({"values": [1]}, ValueError, "values: expected a row for each of 2"),
        ({"values": [1, np.inf]}, ValueError, "values: a target is infinite"),
        ({"values": [1, 2], "class_names": ["a", "b"]}, ValueError, "set_targets"),
        ({"step_values": [[1, 2, 3], [1]]}, ValueError, "step_values 1 .* each of 3 timesteps"),
        ({"weights": [1]}, ValueError, "weights: expected one for each of 2"),
        ({"weights": [1, -1]}, ValueError, "expected a finite number of 0 or more"),
        ({"ids": ["a"]}, ValueError, "ids: expected one for each of 2"),
        ({"channel_names": ["a", "b"]}, ValueError, "2 names, expected 1"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, error, text):
    with pytest.raises(error, match=text):
        Dataset(X, **targets)


def test_weights_names_and_ids():
    data = Dataset(X, weights=[0.5, 2], channel_names=["speed"], ids=["run 1", "run 2"])
    assert data.weights.tolist() == [0.5, 2]
    assert data.channel_names == ["speed"]
    assert data.ids == ["run 1", "run 2"]
    part = data.subset([1])
    assert part.ids == ["run 2"] and part.weights.tolist() == [2]


def test_indices_out_of_range_are_refused():
    data = Dataset(X)
    for i in (2, -3):
        with pytest.raises(IndexError):
            data[i]
        with pytest.raises(IndexError):
            data.subset([i])


def test_masks_are_refused_as_indices():
    """They would be read as the sequences 0 and 1."""
    data = Dataset(X)
    for mask in (np.array([False, True]), [False, True]):
        with pytest.raises(TypeError, match="indices: expected whole numbers, found bool"):
            data.subset(mask)


def test_labels_that_wrap_are_refused():
    """The largest uint64 would be -1, a class that is not known."""
    labels = np.array([0, 2**64 - 1], np.uint64)
    with pytest.raises(ValueError, match="labels: 18446744073709551615 is too large"):
        Dataset(X, labels=labels)
    assert Dataset(X, labels=np.zeros(2, np.uint64)).labels.tolist() == [0, 0]


def test_values_that_are_not_aligned_are_copied():
    raw = bytearray(1 + X.nbytes)
    raw[1:] = X.tobytes()
    array = np.frombuffer(raw, np.float32, offset=1).reshape(X.shape)
    assert not array.flags.aligned
    for unaligned in (array, memoryview(raw)[1:].cast("f", X.shape)):
        data = Dataset(unaligned)
        np.testing.assert_array_equal(data[1], X[1])
        assert data[0].flags.aligned and not np.shares_memory(data[0], np.frombuffer(raw, np.uint8))
    with pytest.raises(TypeError, match="x: expected a float32 array"):
        lockstep.kernels.tanh(memoryview(raw)[1:].cast("f", X.shape))


def test_split_holds_out_a_share_of_each_class(ragged):
    train, held_out = ragged.split(0.2, seed=3)
    assert (len(train), len(held_out)) == (24, 6)
    assert sorted(held_out.labels) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="leaves none"):
        ragged.split(0.001)


TARGETS = [
    {},
    {"class_names": ["up", "down"]},
    {"labels": [1, -1], "class_names": ["up", "down"]},
    {"step_labels": [[0, 1], [1, -1, 0]]},
    {"values": [[1, np.nan], [3, 4]]},
    {"step_values": [np.ones((2, 2)), np.zeros((3, 2))]},
]


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("copied", [lambda data: pickle.loads(pickle.dumps(data)), copy.deepcopy])
def test_pickles_and_copies_are_equal(targets, copied):
    x = [np.float32([[1, 2], [3, np.nan]]), np.ones((3, 2), np.float32)]
    data = Dataset(x, **targets, weights=[1, 0.5], channel_names=["a", "b"], ids=["one", "two"])
    again = copied(data)
    for name in ("target_kind", "class_names", "channel_names", "ids"):
        assert getattr(again, name) == getattr(data, name)
    for name in ("lengths", "weights", "labels", "values"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))
    for i in range(2):
        np.testing.assert_array_equal(again[i], x[i])


def test_pickles_of_views_and_of_sets_without_sequences():
    view = Dataset(X, labels=[1, 0])
    again = pickle.loads(pickle.dumps(view))
    assert again.is_view and again.labels.tolist() == [1, 0] and (again[1] == X[1]).all()
    none = copy.copy(view.subset(np.empty(0, int)))
    assert len(none) == 0 and none.n_channels == view.n_channels and none.n_classes == 2


def test_missing_values_are_counted():
    x = X.copy()
    x[0, 1, 0] = np.nan
    assert Dataset(x).missing_values == 1


def test_files_are_read(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("sample,step,speed,label\n1,0,1.5,up\n1,1,,up\n2,0,2.5,down\n2,1,3,down\n")
    data = Dataset.load(path)
    assert data.class_names == ["down", "up"]
    assert data.channel_names == ["speed"]
    np.testing.assert_array_equal(data[1], [[2.5], [3]])
    assert Dataset.load(str(path), format="csv").lengths.tolist() == data.lengths.tolist()


def test_arrays_in_files_are_read(tmp_path):
    path = tmp_path / "X.npy"
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(path, x)
    data = Dataset.load(path)
    assert data.is_view
    np.testing.assert_array_equal(data[1], x[1])
    turned = Dataset.load(path, axes="NCT")
    np.testing.assert_array_equal(turned[1], x[1].T)


def test_files_that_cannot_be_read_are_file_errors(tmp_path):
    with pytest.raises(lockstep.FileError, match="absent.csv") as caught:
        Dataset.load(tmp_path / "absent.csv")
    assert isinstance(caught.value, OSError) and isinstance(caught.value, ValueError)
    (tmp_path / "bad.csv").write_text("sample,step\n")
    with pytest.raises(lockstep.FileError, match="bad.csv"):
        Dataset.load(tmp_path / "bad.csv")
    with pytest.raises(ValueError, match="axes: expected NTC or NCT, found 'TNC'"):
        Dataset.load(tmp_path / "bad.csv", axes="TNC")
    with pytest.raises(ValueError, match="targets: expected label"):
        Dataset.load(tmp_path / "bad.csv", targets="words")


@pytest.mark.parametrize("name", lockstep.info()["builtin_datasets"])
def test_builtin_sets_are_made(name):
    train, test = Dataset.builtin(name)
    assert len(train) > 0 and len(test) > 0
    assert np.array_equal(train[0], Dataset.builtin(name, seed=1)[0][0])


def test_an_unknown_builtin_set_is_refused():
    with pytest.raises(ValueError, match="synthetic-control"):
        Dataset.builtin("unknown")


def test_torch_tensors_are_read_where_they_are():
    torch = pytest.importorskip("torch")
    x = torch.arange(24, dtype=torch.float32).reshape(2, 4, 3)
    data = Dataset(x)
    assert np.shares_memory(data[0], x.numpy())
