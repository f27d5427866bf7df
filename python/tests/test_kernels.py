import pickle

import numpy as np
import pytest

import lockstep
from lockstep import kernels

BACKENDS = [b["name"] for b in lockstep.info()["backends"] if b["runnable"]]
FUSED = [b["name"] for b in lockstep.info()["backends"] if b["fused"]]


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


EXPECTED = {
    "tanh": np.tanh,
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "softmax": lambda x: np.exp(log_softmax(x)),
    "log_softmax": log_softmax,
}


@pytest.fixture
def x(rng):
    return rng.standard_normal((7, 33)).astype(np.float32)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_kernels_compute_what_numpy_does(x, name, backend):
    kernel = getattr(kernels, name)
    result = kernel(x, backend=backend)
    assert result.dtype == np.float32 and result.flags.c_contiguous
    np.testing.assert_allclose(result, EXPECTED[name](x.astype(np.float64)), rtol=3e-6, atol=1e-6)
    for shaped in (x[0], x.reshape(7, 3, 11), x[:0]):
        np.testing.assert_allclose(
            kernel(shaped, backend=backend), EXPECTED[name](shaped) if shaped.size else shaped,
            rtol=3e-6, atol=1e-6,
        )  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_views_of_rows_and_out(x, name):
    kernel = getattr(kernels, name)
    wide = np.full((7, 66), np.nan, np.float32)
    wide[:, 4:37] = x
    view = wide[:, 4:37]
    expected = kernel(x)
    np.testing.assert_array_equal(kernel(view), expected)
    np.testing.assert_array_equal(kernel(view[::2]), expected[::2])
    out = np.empty_like(x)
    assert kernel(view, out) is out
    np.testing.assert_array_equal(out, expected)
    assert kernel(view, out=view) is view
    np.testing.assert_array_equal(wide[:, 4:37], expected)
    assert np.isnan(wide[:, :4]).all() and np.isnan(wide[:, 37:]).all()


def test_arrays_without_an_axis_are_one_value():
    for name in EXPECTED:
        value = getattr(kernels, name)(np.array(0.5, np.float32))
        assert value.shape == ()
        np.testing.assert_allclose(value, EXPECTED[name](np.array([0.5]))[0], rtol=1e-6)


@pytest.mark.parametrize("name", EXPECTED)
def test_other_arrays_are_refused(x, name):
    kernel = getattr(kernels, name)
    for strided in (x.T, x[:, ::2], x[:, ::-1], x[::-1], np.broadcast_to(x[0], (3, 33))):
        with pytest.raises(ValueError, match="x: expected an array in C order"):
            kernel(strided)
    for other in (x.astype(np.float64), [1.0, 2.0], x.astype(">f4")):
        with pytest.raises(TypeError, match="x: expected a float32 array"):
            kernel(other)
    with pytest.raises(ValueError, match=r"out: expected shape \(7, 33\), found \(33, 7\)"):
        kernel(x, np.empty((33, 7), np.float32))
    with pytest.raises(TypeError, match="out: expected a writable float32 array"):
        kernel(x, np.empty((7, 33)))
    memory = np.zeros((8, 33), np.float32)
    with pytest.raises(ValueError, match="out: it overlaps x"):
        kernel(memory[:7], memory[1:])
    with pytest.raises(ValueError, match='backend "none"'):
        kernel(x, backend="none")


def test_backend_of_one_call_leaves_the_others_alone(x):
    before = lockstep.backend()
    kernels.tanh(x, backend="reference")
    with pytest.raises(ValueError):
        kernels.tanh(x.T, backend="reference")
    assert lockstep.backend() == before


def test_backend_of_all_calls():
    before = lockstep.backend()
    assert lockstep.backend("reference") == "reference"
    assert lockstep.info()["backend"] == "reference"
    assert lockstep.backend("") == before
    with pytest.raises(ValueError, match="backends that run here"):
        lockstep.backend("none")
    assert lockstep.backend() == before


@pytest.mark.parametrize("backend", [None, FUSED[-1]])
def test_threads_give_the_same_bits(rng, backend):
    large = rng.standard_normal((1001, 301)).astype(np.float32)
    labels = np.arange(1001) % 301
    for x in (large, large[:, :300]):
        for name in EXPECTED:
            kernel = getattr(kernels, name)
            expected = kernel(x, threads=1, backend=backend)
            for threads in (0, 2, 3):
                found = kernel(x, threads=threads, backend=backend)
                np.testing.assert_array_equal(found, expected)
        losses, gradient, correct = kernels.cross_entropy(x, labels % 300, threads=1)
        shared = kernels.cross_entropy(x, labels % 300, threads=3)
        np.testing.assert_array_equal(shared[0], losses)
        np.testing.assert_array_equal(shared[1], gradient)
        assert shared[2] == correct


@pytest.mark.parametrize("name", EXPECTED)
def test_wrong_numbers_of_threads_are_refused(x, name):
    with pytest.raises(ValueError, match="threads"):
        getattr(kernels, name)(x, threads=-1)


@pytest.mark.skipif(len(FUSED) < 2, reason="fewer than two fused backends")
def test_fused_backends_give_the_same_bits(x, rng):
    b = rng.standard_normal((33, 40)).astype(np.float32)
    first, *others = FUSED
    for other in others:
        for name in EXPECTED:
            kernel = getattr(kernels, name)
            np.testing.assert_array_equal(kernel(x, backend=first), kernel(x, backend=other))
        np.testing.assert_array_equal(
            kernels.gemm(x, b, backend=first), kernels.gemm(x, b, backend=other)
        )


def test_cross_entropy(x):
    labels = np.arange(7) % 3
    losses, gradient, correct = kernels.cross_entropy(x, labels)
    expected = log_softmax(x)
    np.testing.assert_allclose(losses, -expected[np.arange(7), labels], rtol=1e-5)
    assert losses.dtype == np.float64
    one_hot = np.eye(33)[labels]
    np.testing.assert_allclose(gradient, np.exp(expected) - one_hot, atol=1e-6)
    assert correct == np.sum(x.argmax(1) == labels)
    out = np.empty_like(x)
    assert kernels.cross_entropy(x, labels, out=out)[1] is out
    with pytest.raises(ValueError, match="labels: expected one for each of 7 rows, found 2"):
        kernels.cross_entropy(x, [0, 1])
    with pytest.raises(ValueError, match="label"):
        kernels.cross_entropy(x, np.full(7, 33))


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_gemm(rng, backend):
    a = rng.standard_normal((9, 20)).astype(np.float32)
    b = rng.standard_normal((20, 13)).astype(np.float32)
    expected = a.astype(np.float64) @ b
    turned_a, turned_b = np.ascontiguousarray(a.T).T, np.ascontiguousarray(b.T).T
    for left in (a, turned_a):
        for right in (b, turned_b):
            product = kernels.gemm(left, right, backend=backend, threads=2)
            np.testing.assert_allclose(product, expected, atol=1e-5)
    out = np.ones((9, 26), np.float32)
    view = out[:, 13:]
    assert kernels.gemm(a, b, view, alpha=2, beta=3, backend=backend) is view
    np.testing.assert_allclose(view, 2 * expected + 3, atol=2e-5)
    assert (out[:, :13] == 1).all()


def test_gemm_of_few_rows_or_columns(rng):
    a = rng.standard_normal((1, 20)).astype(np.float32)
    b = rng.standard_normal((20, 1)).astype(np.float32)
    np.testing.assert_allclose(kernels.gemm(a, b), a @ b, rtol=1e-5)
    np.testing.assert_allclose(kernels.gemm(b, a), b @ a, rtol=1e-5)
    np.testing.assert_allclose(kernels.gemm(b.T, b), b.T @ b, rtol=1e-5)
    empty = np.zeros((3, 0), np.float32)
    np.testing.assert_array_equal(kernels.gemm(empty, empty.T), np.zeros((3, 3)))
    assert kernels.gemm(empty.T, empty[:, :0]).shape == (0, 0)


def test_gemm_refuses_what_it_cannot_read(rng):
    a = rng.standard_normal((4, 6)).astype(np.float32)
    square = np.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match="a: expected a matrix whose rows or columns are each"):
        kernels.gemm(a[::2, ::2], a.T)
    with pytest.raises(ValueError, match="a: expected a matrix whose rows or columns are each"):
        kernels.gemm(a[:, ::-1], a.T)
    with pytest.raises(ValueError, match=r"a: expected a matrix, found shape \(6,\)"):
        kernels.gemm(a[0], a.T)
    with pytest.raises(TypeError, match="b: expected a float32 array"):
        kernels.gemm(a, a.T.astype(np.float64))
    with pytest.raises(ValueError, match=r"gemm: .*, found shapes \(4, 6\) and \(4, 6\)"):
        kernels.gemm(a, a)
    with pytest.raises(ValueError, match=r"out: expected shape \(4, 4\), found \(3, 4\)"):
        kernels.gemm(a, a.T, square[:3])
    with pytest.raises(ValueError, match="out: expected a matrix whose rows are each contiguous"):
        kernels.gemm(a, a.T, np.asfortranarray(rng.standard_normal((4, 4)).astype(np.float32)))
    with pytest.raises(ValueError, match="beta: there is no `out`"):
        kernels.gemm(a, a.T, beta=1)
    with pytest.raises(ValueError, match="out: it overlaps"):
        kernels.gemm(square, square, square)


def test_kernels_and_methods_can_be_pickled(rng):
    x = rng.standard_normal((4, 9, 2)).astype(np.float32)
    for kernel in (kernels.tanh, kernels.gemm):
        assert pickle.loads(pickle.dumps(kernel)) is kernel
    data = lockstep.Dataset(x, labels=[0, 1, 0, 1], class_names=["a", "b"])
    model = lockstep.Model(data, hidden=3)
    predict = pickle.loads(pickle.dumps(model.predict_proba))
    np.testing.assert_array_equal(predict(data), model.predict_proba(data))
    assert pickle.loads(pickle.dumps(lockstep.Model.predict_proba)) is lockstep.Model.predict_proba
