import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import lockstep
from conftest import small
from lockstep import Dataset, Model

# Of `lockstep train --dataset synthetic-control`, with the defaults of all options.
DEMO_HASH = "db4b39b8a2d1ab77"


@pytest.mark.parametrize("threads", [1, 2])
def test_the_demo_has_the_weights_of_the_command(threads):
    train, test = Dataset.builtin("synthetic-control")
    model = Model(train, threads=threads)
    result = model.fit(train)
    assert model.weights_hash() == DEMO_HASH
    assert result.status == "finished" and len(result.history) == 300
    assert model.evaluate(test).accuracy > 0.97


def test_array_and_list_give_the_same_model():
    train, _ = Dataset.builtin("synthetic-control")
    arrays = np.stack(list(train))
    hashes = set()
    for sequences in (arrays, list(arrays), arrays.astype(np.float64)):
        data = Dataset(sequences, labels=train.labels, class_names=train.class_names)
        model = small(data)
        model.fit(data)
        hashes.add(model.weights_hash())
    assert len(hashes) == 1


def test_options_are_keywords_or_a_dictionary(ragged):
    model = Model(ragged, {"cell": "lstm", "hidden": 4}, learning_rate=0.125, bidirectional=True)
    options = model.options
    assert options["cell"] == "lstm"
    assert options["hidden"] == 4
    assert options["learning_rate"] == 0.125
    assert options["bidirectional"] is True
    assert options["clip_norm"] is None
    assert Model(ragged, **options).options == options
    assert Model(ragged, options).options == options


def test_every_option_of_the_table_is_a_keyword(ragged):
    types = {"int": int, "float": float, "bool": bool, "str": str}
    table = lockstep.options_table()
    assert [row["name"] for row in table] == list(Model(ragged).options)
    for row in table:
        assert row["help"] and row["expected"] and row["group"]
        default = row["default"]
        assert default is None or isinstance(default, types[row["type"]])
        assert (default is None) == row["optional"]
        if row["choices"] is not None:
            assert str(default).lower() in row["choices"]
        assert Model(ragged, **{row["name"]: default}).options[row["name"]] == default


def test_numpy_scalars_are_options(ragged):
    model = Model(
        ragged, hidden=np.int64(3), decay=np.float32(0.5), bidirectional=np.bool_(True), clip_norm=2
    )
    assert model.options["hidden"] == 3
    assert model.options["decay"] == 0.5
    assert model.options["bidirectional"] is True
    assert model.options["clip_norm"] == 2.0


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"hiden": 3}, ValueError, "there is no option 'hiden', expected one of cell, hidden"),
        ({"hidden": 0}, ValueError, "hidden: expected a whole number .*, found '0'"),
        ({"hidden": 2.5}, ValueError, "hidden: expected a whole number"),
        ({"hidden": None}, ValueError, "hidden: expected a whole number"),
        ({"cell": "rnn"}, ValueError, "cell: expected one of tanh"),
        ({"hidden": [3]}, TypeError, "hidden: expected a number, text, a boolean or None"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate: expected"),
        ({"bidirectional": True, "truncate": 3}, ValueError, "truncate"),
    ],
)
def test_other_options_are_refused(ragged, options, error, text):
    with pytest.raises(error, match=text):
        Model(ragged, **options)
    model = small(ragged)
    before = model.options
    with pytest.raises(error, match=text):
        model.set_options(**{"epochs": 7, **options})
    assert model.options == before


def test_data_that_no_model_can_be_made_of_are_refused():
    x = np.zeros((4, 3, 1), np.float32)
    with pytest.raises(ValueError, match="has no label"):
        Model(Dataset(x, labels=[0, 1, -1, 0]))
    with pytest.raises(ValueError, match="needs at least two"):
        Model(Dataset(x, labels=[0, 0, 0, 0]))
    with pytest.raises(ValueError, match="no sequence"):
        Model(Dataset(x[:0], labels=np.zeros(0, int), class_names=["a", "b"]))
    with pytest.raises(TypeError):
        Model(x)


def test_missing_values_are_refused_with_their_place_or_filled(rng):
    x = rng.standard_normal((6, 4, 2)).astype(np.float32)
    x[3, 2, 1] = np.nan
    data = Dataset(x, labels=[0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="sequence 3, timestep 2, channel 1 .* is missing"):
        small(data).fit(data)
    model = small(data, missing="mask")
    model.fit(data)
    assert model.missing["masked"].tolist() == [1]
    assert np.isfinite(model.predict_proba(x)).all()


def test_predictions(ragged):
    model = small(ragged)
    result = model.fit(ragged)
    probabilities = model.predict_proba(ragged)
    assert probabilities.shape == (30, 3) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(ragged), probabilities.argmax(1))
    np.testing.assert_array_equal(model.predict_proba(list(ragged)), probabilities)
    np.testing.assert_array_equal(model.predict_proba(ragged, threads=2), probabilities)
    evaluation = model.evaluate(ragged)
    assert evaluation.samples == 30
    assert evaluation.accuracy == np.mean(model.predict(ragged) == ragged.labels)
    assert evaluation.confusion[:, 2].sum() == 30
    assert evaluation.support.tolist() == [10, 10, 10]
    assert len(evaluation.precision) == len(evaluation.recall) == len(evaluation.f1) == 3
    assert result.history[-1].epoch == 3 and result.kept_epoch == 3
    assert "loss" in repr(evaluation) and "epoch" in repr(result) and "gru 8" in repr(model)


def test_no_sequences_have_no_predictions(ragged):
    model = small(ragged)
    assert model.predict_proba(np.zeros((0, 5, 2), np.float32)).shape == (0, 3)
    assert model.predict(np.zeros((0, 5, 2), np.float32)).shape == (0,)


def test_data_that_do_not_fit_the_model_are_refused(ragged):
    model = small(ragged)
    with pytest.raises(ValueError, match="channels|features"):
        model.predict_proba(np.zeros((1, 2, 3), np.float32))
    with pytest.raises(ValueError, match="is infinite"):
        model.predict_proba(np.full((1, 2, 2), np.inf))
    with pytest.raises(ValueError, match="class 'other'"):
        model.evaluate(Dataset(np.zeros((1, 2, 2)), labels=[0], class_names=["other"]))
    with pytest.raises(ValueError, match="threads: -1"):
        model.predict_proba(ragged, threads=-1)


def test_regression(numbers):
    model = small(numbers, epochs=300)
    model.fit(numbers)
    assert model.network["head"] == "regress"
    assert model.target_scale["mean"].shape == (2,)
    evaluation = model.evaluate(numbers)
    assert evaluation.r2 > 0.9
    assert np.isnan(evaluation.accuracy)
    predicted = model.predict_proba(numbers)
    rmse = np.sqrt(np.mean((predicted.astype(float) - numbers.values) ** 2))
    np.testing.assert_allclose(rmse, evaluation.rmse, rtol=1e-5)
    with pytest.raises(ValueError, match="values, not classes"):
        model.predict(numbers)


def test_targets_of_timesteps(rng):
    x = [rng.standard_normal((n, 1)).astype(np.float32) for n in (5, 3, 6)]
    labels = Dataset(x, step_labels=[(s[:, 0] > 0).astype(int) for s in x])
    model = small(labels)
    model.fit(labels)
    assert model.predict_proba(labels).shape == (14, 2)
    assert model.predict(labels).shape == (14,)
    values = Dataset(x, step_values=[2 * s for s in x])
    model = small(values)
    model.fit(values)
    assert model.predict_proba(values).shape == (14, 1)


def test_several_labels(rng):
    x = rng.standard_normal((12, 4, 1)).astype(np.float32)
    data = Dataset(x, values=(x[:, :2, 0] > 0).astype(np.float32), class_names=["a", "b"])
    model = small(data, head="multilabel")
    model.fit(data)
    assert model.predict_proba(data).shape == (12, 2)


def test_weights_count(ragged):
    plain = small(ragged)
    plain.fit(ragged)
    weighted = Dataset(
        list(ragged), labels=ragged.labels, class_names=ragged.class_names, weights=np.arange(30)
    )
    model = small(weighted)
    model.fit(weighted)
    assert model.weights_hash() != plain.weights_hash()


def test_validation_and_patience(ragged):
    train, validation = ragged.split(0.2)
    seen = []
    model = small(train, epochs=30, patience=2)
    result = model.fit(train, validation, on_epoch=seen.append)
    assert len(seen) == len(result.history)
    assert all(np.isfinite(epoch.validation_loss) for epoch in seen)
    assert result.kept_epoch == 1 + int(np.argmin([epoch.validation_loss for epoch in seen]))
    with pytest.raises(ValueError, match="patience: there is no validation"):
        model.fit(train)


def test_callbacks_see_all_and_may_end_the_training(ragged):
    model = small(ragged, batch_size=10)
    batches, epochs = [], []

    def on_batch(epoch, done, samples):
        batches.append((epoch, done, samples))

    def on_epoch(result):
        epochs.append((result.epoch, model.weights_hash(), model.predict(ragged).shape))
        return result.epoch < 2

    result = model.fit(ragged, on_batch=on_batch, on_epoch=on_epoch)
    assert result.status == "stopped"
    assert batches == [(e, d, 30) for e in (1, 2) for d in (10, 20, 30)]
    assert [epoch[0] for epoch in epochs] == [1, 2]
    assert epochs[-1][1] == model.weights_hash()
    stopped = small(ragged, batch_size=10)
    result = stopped.fit(ragged, on_batch=lambda epoch, done, samples: done < 20)
    assert result.status == "stopped" and result.history[0].timesteps < ragged.total_timesteps


class Odd(Exception):
    pass


@pytest.mark.parametrize("where", ["on_batch", "on_epoch"])
def test_what_callbacks_raise_ends_the_training_and_what_was_learnt_stays(ragged, where):
    model = small(ragged, epochs=1000)
    before = model.weights_hash()

    def fail(*arguments):
        raise Odd("on purpose")

    with pytest.raises(Odd, match="on purpose"):
        model.fit(ragged, **{where: fail})
    assert model.weights_hash() != before
    model.set_options(epochs=1)
    assert model.fit(ragged).status == "finished"


def test_callbacks_with_other_arguments_are_errors(ragged):
    with pytest.raises(TypeError):
        small(ragged).fit(ragged, on_batch=lambda: True)
    with pytest.raises(TypeError):
        small(ragged).fit(ragged, on_epoch=3)


def test_callbacks_cannot_change_the_model(ragged):
    model = small(ragged)
    for change in (
        lambda *_: model.set_options(epochs=5),
        lambda *_: model.fit(ragged),
        lambda *_: model.set_tensors({}),
    ):
        with pytest.raises(RuntimeError, match="being trained"):
            model.fit(ragged, on_epoch=change)


@pytest.fixture
def endless():
    """A training that would take hours."""
    train, _ = Dataset.builtin("synthetic-control")
    return train, Model(train, epochs=1000000, schedule="constant")


def test_ctrl_c_ends_a_training_and_what_was_learnt_stays(endless):
    train, model = endless
    before = model.weights_hash()
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(train)
    assert model.weights_hash() != before
    model.set_options(epochs=1)
    assert model.fit(train).status == "finished"


@pytest.fixture
def long():
    """A data set, and a model that takes seconds for all of it."""
    x = np.zeros((64, 4000, 1), np.float32)
    data = Dataset(x, labels=np.arange(64) % 2, class_names=["a", "b"])
    options = {"cell": "gru", "hidden": 128, "batch_size": 64, "threads": 1, "memory": "128M"}
    return data, Model(data, **options)


def interrupt_soon():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.parametrize("train", [Model.fit, Model.learn])
def test_ctrl_c_drops_a_minibatch(long, train):
    data, model = long
    before = model.weights_hash()
    epochs = []
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        train(model, data, on_epoch=epochs.append)
    assert epochs == [] and model.weights_hash() == before


@pytest.mark.parametrize("work", [Model.predict_proba, Model.predict, Model.evaluate])
def test_ctrl_c_ends_a_prediction(long, work):
    data, model = long
    data = data.subset(np.arange(512) % 64)  # seconds, also of fast CPUs
    begin = time.process_time()
    work(model, data, threads=1)
    whole = time.process_time() - begin
    interrupt_soon()
    begin = time.process_time()
    with pytest.raises(KeyboardInterrupt):
        work(model, data, threads=1)
    assert time.process_time() - begin < whole / 2


def test_ctrl_c_near_the_end_of_an_epoch_does_not_hide_what_was_learnt():
    train, _ = Dataset.builtin("synthetic-control")
    for delay in np.linspace(0, 0.15, 16):
        model = Model(train, epochs=2, hidden=128, threads=1)
        before = model.weights_hash()
        epochs = []
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            model.fit(train, on_epoch=epochs.append)
            timer.join()
            time.sleep(1)
        except KeyboardInterrupt:
            pass
        timer.join()
        assert bool(epochs) == (model.weights_hash() != before)


def test_other_threads_run_during_a_training_but_cannot_use_its_model(endless):
    train, model = endless
    started, stop = threading.Event(), threading.Event()

    def on_batch(*_):
        started.set()
        return not stop.is_set()

    worker = threading.Thread(target=lambda: model.fit(train, on_batch=on_batch))
    worker.start()
    assert started.wait(60)
    try:
        for use in (
            lambda: model.predict(train),
            lambda: model.weights_hash(),
            lambda: model.set_options(epochs=3),
            lambda: model.fit(train),
            lambda: pickle.dumps(model),
            lambda: lockstep.Stream(model),
        ):
            with pytest.raises(RuntimeError, match="being trained|used by another thread"):
                use()
    finally:
        stop.set()
        worker.join(60)
    assert model.predict(train).shape == (300,)


def test_several_threads_predict_with_one_model(ragged):
    model = small(ragged)
    expected = model.predict_proba(ragged)
    results = []

    def predict():
        for _ in range(50):
            results.append(np.array_equal(model.predict_proba(ragged), expected))

    workers = [threading.Thread(target=predict) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 200 and all(results)


def test_a_training_that_was_ended_is_resumed_to_the_same_bits(ragged, tmp_path):
    path = tmp_path / "run.checkpoint"
    whole = small(ragged, epochs=6)
    expected = whole.fit(ragged)
    part = small(ragged, epochs=6)
    part.fit(ragged, checkpoint=path, on_epoch=lambda epoch: epoch.epoch < 3)
    resumed = Model.resume(path, threads=2)
    result = resumed.fit(ragged)
    assert resumed.weights_hash() == whole.weights_hash()
    assert [e.loss for e in result.history] == [e.loss for e in expected.history]
    with pytest.raises(lockstep.FileError, match="it is a checkpoint"):
        Model.load(path)
    with pytest.raises(ValueError, match="checkpoint: the path is empty"):
        part.fit(ragged, checkpoint="")


MODELS = [
    {"cell": "tanh"},
    {"cell": "gru", "layers": 2, "bidirectional": True},
    {"cell": "lstm", "normalize": "series", "pool": "mean"},
    {"cell": "relu", "normalize": "none"},
]


@pytest.mark.parametrize("options", MODELS)
def test_files_pickles_and_copies_have_the_same_bits(ragged, tmp_path, options):
    model = small(ragged, **options)
    model.fit(ragged)
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert path.read_bytes() == model.to_bytes()
    expected = model.predict_proba(ragged)
    others = [
        Model.load(path),
        Model.from_bytes(model.to_bytes()),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
    ]
    for other in others:
        assert other.weights_hash() == model.weights_hash()
        assert other.class_names == model.class_names
        np.testing.assert_array_equal(other.predict_proba(ragged), expected)
    assert others[2].options == model.options
    assert Model.load(path, epochs=9).options["epochs"] == 9


@pytest.mark.parametrize("options", MODELS)
def test_tensors_have_the_names_and_layouts_of_pytorch(ragged, options):
    model = small(ragged, **options)
    model.fit(ragged)
    tensors = model.tensors()
    gates = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}[options["cell"]]
    assert tensors["rnn.weight_ih_l0"].shape == (gates * 8, 2)
    assert tensors["rnn.weight_hh_l0"].shape == (gates * 8, 8)
    assert tensors["rnn.bias_ih_l0"].shape == tensors["rnn.bias_hh_l0"].shape == (gates * 8,)
    directions = 2 if options.get("bidirectional") else 1
    assert tensors["head.weight"].shape == (3, directions * 8)
    assert all(t.dtype == np.float32 and t.flags.writeable for t in tensors.values())
    again = Model.from_parts(
        network=model.network,
        tensors=tensors,
        normalization=model.normalization,
        class_names=model.class_names,
    )
    assert again.weights_hash() == model.weights_hash()
    assert again.network == model.network
    np.testing.assert_array_equal(again.predict_proba(ragged), model.predict_proba(ragged))


def test_parts_of_a_regression_with_all_that_there_is(rng):
    x = rng.standard_normal((8, 4, 2)).astype(np.float32)
    x[1, 1, 0] = np.nan
    data = Dataset(x, values=rng.standard_normal((8, 1)), channel_names=["u", "v"])
    model = small(data, missing="mask", loss="huber", delta=0.5)
    model.fit(data)
    again = Model.from_parts(
        network=model.network,
        tensors=model.tensors(),
        normalization=model.normalization,
        class_names=model.class_names,
        target_scale=model.target_scale,
        missing=model.missing,
        channel_names=model.channel_names,
        loss="huber",
        delta=0.5,
    )
    assert again.to_bytes() == model.to_bytes()
    assert again.evaluate(data).loss == model.evaluate(data).loss


def test_set_tensors_replaces_some_and_keeps_options(ragged):
    model = small(ragged, learning_rate=0.125)
    bias = np.array([1, 2, 3], np.float32)
    model.set_tensors({"head.bias": bias})
    np.testing.assert_array_equal(model.tensors()["head.bias"], bias)
    assert model.options["learning_rate"] == 0.125
    before = model.weights_hash()
    with pytest.raises(ValueError, match="there is no tensor 'head.base', expected some of"):
        model.set_tensors({"head.base": bias})
    with pytest.raises(lockstep.FileError, match="head.bias"):
        model.set_tensors({"head.bias": bias[:2]})
    with pytest.raises(lockstep.FileError, match="NaN"):
        model.set_tensors({"head.bias": bias * np.nan})
    assert model.weights_hash() == before


def test_nothing_trains_a_model_while_its_tensors_are_replaced(ragged):
    """What a training had learnt in between would be lost."""
    model = small(ragged)

    class Bias:
        def __array__(self, *_, **__):
            model.fit(ragged)

    before = model.weights_hash()
    with pytest.raises(RuntimeError, match="it cannot be changed meanwhile"):
        model.set_tensors({"head.bias": Bias()})
    assert model.weights_hash() == before


def test_parts_that_do_not_fit_are_refused(ragged):
    model = small(ragged)
    parts = {"network": model.network, "tensors": model.tensors()}
    with pytest.raises(lockstep.FileError, match="classes"):
        Model.from_parts(**parts, class_names=["only one"])
    with pytest.raises(TypeError):
        Model.from_parts(network=model.network)
    with pytest.raises(lockstep.FileError, match="normalization"):
        Model.from_parts(**parts, normalization={"kind": "channel", "mean": [0], "scale": [1]})


def test_bytes_and_files_that_are_no_model_are_file_errors(ragged, tmp_path):
    for data in (b"", b"x" * 100, small(ragged).to_bytes()[:-1]):
        with pytest.raises(lockstep.FileError, match="cannot read the model from memory"):
            Model.from_bytes(data)
    with pytest.raises(lockstep.FileError, match="cannot load model '.*absent'"):
        Model.load(tmp_path / "absent")
    with pytest.raises(lockstep.FileError, match="cannot save model"):
        small(ragged).save(tmp_path / "no folder" / "model")


def test_want_of_memory_is_a_memory_error(ragged):
    with pytest.raises(MemoryError):
        Model(ragged, hidden=1 << 24, layers=64)


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no signals")
def test_a_script_is_interrupted_as_any_other(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import lockstep\n"
        "train, _ = lockstep.Dataset.builtin('synthetic-control')\n"
        "model = lockstep.Model(train, epochs=1000000)\n"
        "print('ready', flush=True)\n"
        "model.fit(train)\n"
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors


@pytest.mark.parametrize("wrong", [None, 3, np.zeros((2, 3, 1), np.float32)])
def test_what_is_no_data_set_is_refused_in_a_sentence(ragged, wrong):
    model = small(ragged)
    found = f"expected a Dataset, such as .*, found {type(wrong).__name__}"
    for name, call in [
        ("train", lambda: Model(wrong)),
        ("train", lambda: model.fit(wrong)),
        ("train", lambda: model.learn(wrong)),
        ("data", lambda: model.evaluate(wrong)),
    ]:
        with pytest.raises(TypeError, match=f"^{name}: {found}"):
            call()
    if wrong is not None:
        with pytest.raises(TypeError, match=f"^validation: {found}"):
            model.fit(ragged, wrong)
    for predict in (model.predict, model.predict_proba):
        with pytest.raises(TypeError, match="sequences: expected numbers"):
            predict(None)


@pytest.mark.parametrize("wrong", [None, 3, ["model"]])
def test_what_is_no_path_is_refused_in_a_sentence(ragged, wrong):
    found = f"path: expected a str or os.PathLike, found {type(wrong).__name__}"
    for call in (Model.load, Model.resume, small(ragged).save, Dataset.load):
        with pytest.raises(TypeError, match=found):
            call(wrong)


def test_results_are_pickled(ragged, numbers):
    for data in (ragged, numbers):
        model = small(data, epochs=3, validation=0.5)
        fit, evaluation = model.fit(data), model.evaluate(data)
        for result in (fit, fit.history[-1], evaluation):
            for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
                assert type(other) is type(result) and repr(other) == repr(result)
                names = [name for name in dir(result) if not name.startswith("_")]
                for name in names:
                    found, expected = getattr(other, name), getattr(result, name)
                    if name == "history":
                        found, expected = map(repr, found), map(repr, expected)
                        assert list(found) == list(expected)
                    else:
                        np.testing.assert_array_equal(found, expected)
