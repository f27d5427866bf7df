import json
import os
import pathlib
import signal
import threading

import numpy as np
import pytest

import lockstep
from lockstep.numpy_rnn import ScratchSimpleRNNClassifier as Classifier
from plain_numpy import PlainLoop

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN_FOLDERS = [
    CHECKOUT / "tests" / "data" / "golden",
    pathlib.Path(os.environ.get("LOCKSTEP_SHARED_DIR", CHECKOUT.parent / "shared")) / "golden",
]


def weights_of(classifier):
    return [classifier.Wx, classifier.Wh, classifier.B, classifier.Wy, classifier.By]


def set_weights(classifier, weights):
    classifier.Wx, classifier.Wh, classifier.B, classifier.Wy, classifier.By = weights


@pytest.fixture
def problem(rng):
    """Fifty sequences of three classes that can be told apart."""
    y = np.arange(50) % 3
    return rng.standard_normal((50, 8, 2)) + 0.5 * y[:, None, None], y


def golden(name):
    for folder in GOLDEN_FOLDERS:
        if (folder / name).exists():
            return json.loads((folder / name).read_text())
    pytest.skip(f"there is no golden file {name}")


def of_golden(data):
    shape, hyper = data["shape"], data["hyper"]
    classifier = Classifier(
        n_nodes=shape["nodes"],
        n_output=shape["classes"],
        n_epochs=hyper["epochs"],
        learning_rate=hyper["learning_rate"],
        batch_size=hyper["batch_size"],
    )
    names = ("Wx", "Wh", "B", "Wy", "By")
    set_weights(classifier, [np.array(data["initial"][name]) for name in names])
    return classifier, np.array(data["X"]), np.array(data["y"])


def test_the_published_check():
    classifier = Classifier(n_nodes=4, n_output=1)
    classifier.Wx = np.array([[1, 3, 5, 7], [3, 5, 7, 8]]) / 100
    classifier.Wh = np.array([[1, 3, 5, 7], [2, 4, 6, 8], [3, 5, 7, 8], [4, 6, 8, 10]]) / 100
    classifier.B = np.array([1, 1, 1, 1])
    classifier.Wy = np.zeros((4, 1))
    classifier.By = np.zeros(1)
    x = np.array([[[1, 2], [2, 3], [3, 4]]]) / 100
    states, sums, last, logits, probabilities = classifier._forward_propagation(x)
    assert states.shape == (1, 4, 4) and sums.shape == (1, 3, 4)
    np.testing.assert_array_equal(states[:, 0], 0)
    np.testing.assert_array_equal(np.tanh(sums), states[:, 1:])
    np.testing.assert_allclose(last, [[0.79494228, 0.81839002, 0.83939649, 0.85584174]], atol=1e-8)
    assert logits.tolist() == [[0]] and probabilities.tolist() == [[1]]
    assert classifier.predict_proba(x).tolist() == [[1]]


@pytest.mark.parametrize("name", ["numpy_rnn_a.json", "numpy_rnn_b.json"])
def test_golden_forward_propagation(name):
    data = golden(name)
    classifier, x, _ = of_golden(data)
    expected = data["forward"]
    states, sums, last, logits, probabilities = classifier._forward_propagation(x)
    np.testing.assert_allclose(states, expected["hidden_states"], atol=1e-12)
    np.testing.assert_array_equal(np.tanh(sums), states[:, 1:])
    np.testing.assert_array_equal(last, states[:, -1])
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-12)
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-12)
    np.testing.assert_allclose(classifier.predict_proba(x), expected["probabilities"], atol=1e-6)


# From epoch 13 to 19 the run of b leaps, and there rounding grows ten-thousandfold.
@pytest.mark.parametrize(
    "name, chaotic", [("numpy_rnn_a.json", []), ("numpy_rnn_b.json", range(12, 19))]
)
def test_golden_training(name, chaotic, monkeypatch):
    monkeypatch.setattr(np.random, "permutation", np.arange)  # they were trained in this order
    data = golden(name)
    classifier, x, y = of_golden(data)
    classifier.fit(x, y)
    expected = data["trained"]
    losses = np.array(expected["loss_history"])
    tolerance = np.full(len(losses), 1e-4)
    tolerance[chaotic] = 2e-3
    assert (np.abs(classifier.loss_history - losses) <= tolerance * losses.max()).all()
    for key, weights in zip(("Wx", "Wh", "B", "Wy", "By"), weights_of(classifier)):
        np.testing.assert_allclose(weights, expected[key], atol=5e-4)
    np.testing.assert_allclose(classifier.predict_proba(x), expected["probabilities"], atol=5e-4)
    assert classifier.predict(x).tolist() == expected["labels"]


@pytest.mark.parametrize(
    "sigma, batch, rate", [(0.01, 20, 0.1), (0.3, 7, 0.1), (0.5, 100, 0.1), (0.3, 1, 0.01)]
)
def test_training_is_that_of_a_plain_loop(problem, sigma, batch, rate, capsys):
    x, y = problem
    plain = PlainLoop(12, 3, 15, rate, batch, sigma)
    np.random.seed(3)
    plain.fit(x, y)
    draws = np.random.get_state()[1:3]
    np.random.seed(3)
    classifier = Classifier(12, 3, 15, rate, batch, sigma, verbose=True)
    assert classifier.fit(x, y) is None
    np.testing.assert_array_equal(np.random.get_state()[1], draws[0])
    assert np.random.get_state()[2] == draws[1]
    np.testing.assert_allclose(classifier.loss_history, plain.loss_history, rtol=1e-4)
    assert capsys.readouterr().out == "".join(plain.lines)
    for found, expected in zip(weights_of(classifier), plain.weights):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(classifier.predict_proba(x), plain.forward(x)[1], atol=1e-5)
    np.testing.assert_array_equal(classifier.predict(x), plain.forward(x)[1].argmax(1))


def test_small_losses_too():
    y = np.arange(20) % 2
    x = np.repeat(np.where(y, 1.0, -1.0)[:, None, None], 5, 1)
    plain = PlainLoop(8, 2, 400, 0.5, 20, 0.3)
    classifier = Classifier(8, 2, 400, 0.5, 20, 0.3)
    for program in (plain, classifier):
        np.random.seed(1)
        program.fit(x, y)
    assert plain.loss_history[-1] < 1e-3
    np.testing.assert_allclose(classifier.loss_history, plain.loss_history, rtol=1e-4, atol=1e-7)


def test_the_constructor_and_its_attributes():
    classifier = Classifier()
    usual = {"n_nodes": 50, "n_output": 1, "n_epochs": 10, "lr": 0.01, "batch_size": 20}
    usual |= {"sigma": 0.01, "verbose": False, "Wx": None, "By": None, "loss_history": []}
    assert {name: getattr(classifier, name) for name in usual} == usual
    classifier = Classifier(1, 2, 3, 4, 5, 6, True)
    given = (classifier.n_nodes, classifier.n_output, classifier.n_epochs, classifier.lr)
    assert given == (1, 2, 3, 4)
    assert (classifier.batch_size, classifier.sigma, classifier.verbose) == (5, 6, True)


def test_first_weights(problem):
    x, y = problem
    np.random.seed(7)
    classifier = Classifier(n_nodes=4, n_output=3, n_epochs=0, sigma=0.5)
    classifier.fit(x, y)
    np.random.seed(7)
    for found, size in zip((classifier.Wx, classifier.Wh, classifier.Wy), [(2, 4), (4, 4), (4, 3)]):
        np.testing.assert_array_equal(found, 0.5 * np.random.randn(*size))
    assert classifier.B.tolist() == [0] * 4 and classifier.By.tolist() == [0] * 3
    assert classifier.loss_history == []


def test_fit_again_continues(problem):
    x, y = problem
    np.random.seed(5)
    once = Classifier(6, 3, 8, 0.1, 16, 0.3)
    once.fit(x, y)
    np.random.seed(5)
    twice = Classifier(6, 3, 5, 0.1, 16, 0.3)
    twice.fit(x, y)
    wx = twice.Wx
    twice.n_epochs = 3
    twice.fit(x, y)
    assert twice.Wx is wx  # trained in place, as by `-=`
    assert twice.loss_history == once.loss_history
    for a, b in zip(weights_of(twice), weights_of(once)):
        np.testing.assert_array_equal(a, b)


def test_weights_may_be_set_and_changed(problem):
    x, y = problem
    classifier = Classifier(4, 3, 2, 0.1)
    weights = [np.full((2, 4), 0.1), 0.1 * np.eye(4), np.zeros((1, 4)), np.ones((4, 3)), [0, 0, 1]]
    weights[3] = weights[3].astype(np.float32)
    set_weights(classifier, weights)
    before = classifier.predict_proba(x)
    np.testing.assert_allclose(before, classifier._forward_propagation(x)[4], atol=1e-6)
    classifier.fit(x, y)
    assert classifier.Wx is weights[0] and classifier.B.shape == (1, 4)
    assert classifier.Wy is weights[3] and classifier.Wy.dtype == np.float32
    assert classifier.By.dtype == np.float64 and classifier.By.shape == (3,)
    np.testing.assert_allclose(
        classifier.predict_proba(x), classifier._forward_propagation(x)[4], atol=1e-6
    )
    classifier.Wy[...] = 0
    np.testing.assert_allclose(
        classifier.predict_proba(x), classifier._forward_propagation(x)[4], atol=1e-6
    )


def test_labels_index_the_classes_as_those_of_numpy_do(problem):
    x, y = problem
    results = []
    for labels in (y, y - 3, y.tolist(), y.astype(np.int8)):
        np.random.seed(2)
        classifier = Classifier(4, 3, 2, 0.1, sigma=0.3)
        classifier.fit(x, labels)
        results.append(classifier.loss_history)
    assert all(result == results[0] for result in results)
    for wrong in (y + 1, y.astype(float)):
        with pytest.raises(IndexError):
            Classifier(4, 3).fit(x, wrong)
    with pytest.raises(ValueError, match="a class for each of 50 sequences"):
        Classifier(4, 3).fit(x, y[:-1])


def test_one_class_one_sequence_one_timestep():
    classifier = Classifier(n_nodes=3, n_epochs=2, verbose=False)
    classifier.fit(np.ones((1, 1, 1)), np.array([0]))
    assert classifier.loss_history == [0, 0]
    assert classifier.predict(np.zeros((4, 2, 1))).tolist() == [0] * 4
    assert classifier.predict_proba(np.zeros((0, 2, 1))).shape == (0, 1)


def test_the_number_of_threads_does_not_show(problem):
    x, y = problem
    results = []
    try:
        for threads in (1, 2, 3):
            lockstep.threads(threads)
            np.random.seed(4)
            classifier = Classifier(40, 3, 3, 0.1, 50, 0.3)
            classifier.fit(x, y)
            found = [*weights_of(classifier), classifier.predict_proba(x)]
            results.append([array.tobytes() for array in found])
    finally:
        lockstep.threads(0)
    assert results[0] == results[1] == results[2]


def test_what_cannot_be_computed_is_refused(problem):
    x, y = problem
    classifier = Classifier(4, 3)
    with pytest.raises(ValueError, match="there is no Wx, no Wh, no B, no Wy, no By"):
        classifier.predict(x)
    classifier.Wx = np.zeros((2, 4))
    with pytest.raises(ValueError, match="there is no Wh"):
        classifier.fit(x, y)
    with pytest.raises(ValueError, match=r"expected shape \(n, timesteps, features\)"):
        classifier.fit(x[0], y)
    broken = x.copy()
    broken[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[3, 2, 1\] is not finite"):
        classifier.fit(broken, y)
    broken[3, 2, 1] = 1e300
    with pytest.raises(ValueError, match=r"X\[3, 2, 1\] is not finite in float32"):
        classifier.fit(broken, y)
    with pytest.raises(ValueError, match="no sequence"):
        Classifier(4, 3).fit(x[:0], y[:0])
    for options in ({"batch_size": 0}, {"learning_rate": -1.0}, {"learning_rate": np.nan}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Classifier(4, 3, **options).fit(x, y)
    with pytest.raises(ValueError, match="learning_rate: expected a number above 0, found"):
        Classifier(4, 3, learning_rate=0).fit(x, y)
    with pytest.raises(ValueError, match="there is no Wx, .*: fit, or set all weights before"):
        Classifier(4, 3)._forward_propagation(x)


def test_weights_that_do_not_fit_are_refused(problem):
    x, y = problem
    classifier = Classifier(4, 3, 1)
    classifier.fit(x, y)
    with pytest.raises(ValueError, match="features|channels"):
        classifier.predict(x[:, :, :1])
    classifier.Wh = np.zeros((4, 5))
    with pytest.raises(ValueError, match=r"Wh: expected shape \(4, 4\), found \(4, 5\)"):
        classifier.predict(x)
    classifier.Wh, classifier.B = np.zeros((4, 4)), np.zeros(5)
    with pytest.raises(ValueError, match=r"B: expected shape \(4,\), found \(5,\)"):
        classifier.predict(x)
    classifier.B, classifier.n_nodes = np.zeros(4), 5
    with pytest.raises(ValueError, match="expected 5 and 3"):
        classifier.predict(x)
    classifier.n_nodes, classifier.Wx = 4, np.zeros(4)
    with pytest.raises(ValueError, match="expected matrices"):
        classifier.predict(x)


def test_a_training_that_diverges_says_so_and_keeps_its_weights():
    classifier = Classifier(2, 2, 3)
    weights = [np.ones((1, 2)), 1e30 * np.eye(2), np.zeros(2), np.array([[1.0, 0], [0, 1]])]
    set_weights(classifier, [*weights, np.zeros(2)])
    with pytest.raises(FloatingPointError, match="epoch 1, minibatch 1"):
        classifier.fit(np.zeros((2, 4, 1)), [0, 1])
    assert classifier.loss_history == []
    assert all(np.isfinite(w).all() for w in weights_of(classifier))


def test_a_subclass_cannot_change_the_computation():
    with pytest.raises(TypeError, match="overrides _tanh"):
        type("Relu", (Classifier,), {"_tanh": lambda self, a: np.maximum(a, 0)})

    class Zeros(Classifier):
        def _initialize_weights(self, n_features):
            super()._initialize_weights(n_features)
            self.Wx = np.zeros_like(self.Wx)

    classifier = Zeros(3, 2, 0)
    classifier.fit(np.ones((2, 3, 2)), [0, 1])
    assert (classifier.Wx == 0).all() and (classifier.Wh != 0).all()


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no signals")
@pytest.mark.parametrize("sequences, epochs", [(4, 10**9), (100000, 10**6)])
def test_an_interruption_keeps_what_was_learnt(sequences, epochs, monkeypatch):
    x = np.zeros((sequences, 20, 1), np.float32)
    x[::2] = 1
    classifier = Classifier(8, 2, epochs, 0.1, 1, 0.3)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))

    def permutation(n):  # the first is asked for when all is ready
        if timer.ident is None:
            timer.start()
        return np.arange(n)

    monkeypatch.setattr(np.random, "permutation", permutation)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(x, np.arange(sequences) % 2)
    timer.join()
    assert (classifier.By != 0).all() and np.isfinite(classifier.Wh).all()
    assert len(classifier.loss_history) < epochs
