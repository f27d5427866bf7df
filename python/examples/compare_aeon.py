"""Lockstep beside the classifiers of aeon, and of sktime where it is installed, on one's own data:

    python compare_aeon.py GunPoint_TRAIN.ts GunPoint_TEST.ts [--only NAME ...]

A classifier that cannot take the data, or lacks a package, says so in its row. All have their default
options.
"""

import argparse
import importlib
import inspect
import time
import warnings

import numpy as np
from aeon.datasets import load_from_ts_file
from sklearn.metrics import accuracy_score


def of(module, name, **options):
    """Makes a classifier when it is its turn: the package may not be installed."""

    def make(jobs):
        maker = getattr(importlib.import_module(module), name)
        has_jobs = "n_jobs" in inspect.signature(maker.__init__).parameters
        return maker(**options, **({"n_jobs": jobs} if has_jobs else {}))

    return make


AEON = "aeon.classification."
SKTIME = "sktime.classification.deep_learning"
CONTENDERS = {
    "lockstep GRU": of("lockstep.aeon", "RNNClassifier", random_state=1),
    "aeon 1-NN DTW": of(AEON + "distance_based", "KNeighborsTimeSeriesClassifier"),
    "aeon Rocket": of(AEON + "convolution_based", "RocketClassifier", random_state=1),
    "aeon Catch22": of(AEON + "feature_based", "Catch22Classifier", random_state=1),
    "aeon forest": of(AEON + "interval_based", "TimeSeriesForestClassifier", random_state=1),
    "aeon Inception": of(AEON + "deep_learning", "InceptionTimeClassifier", random_state=1),
    "sktime GRU": of(SKTIME, "GRUClassifier", random_state=1),
    "sktime simple RNN": of(SKTIME, "SimpleRNNClassifierTorch", random_state=1),
    "sktime LSTM-FCN": of(SKTIME, "LSTMFCNClassifier", random_state=1),
}


def a_few(x, y, of_each=3):
    """Some sequences of each class: what is compiled at its first use is compiled with them."""
    places = [i for label in np.unique(y) for i in np.flatnonzero(y == label)[:of_each]]
    return (x[places] if isinstance(x, np.ndarray) else [x[i] for i in places]), y[places]


def row(make, train, test, jobs):
    """Accuracy and seconds, or why there are none."""
    try:
        make(jobs).fit(*a_few(*train)).predict(a_few(*test)[0])
        classifier = make(jobs)
        start = time.perf_counter()
        classifier.fit(*train)
        fitted = time.perf_counter()
        predicted = classifier.predict(test[0])
        end = time.perf_counter()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:90]}"
    accuracy = accuracy_score(test[1], predicted)
    return f"{accuracy:8.4f}  {fitted - start:8.2f}  {end - fitted:8.2f}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", help=".ts file of the training set")
    parser.add_argument("test", help=".ts file of the test set")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--jobs", type=int, default=1, help="threads, where a classifier has them")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    train, test = load_from_ts_file(asked.train), load_from_ts_file(asked.test)
    lengths = sorted({np.shape(x)[1] for x in train[0]})
    print(
        f"{len(train[0])} sequences to learn from, {len(test[0])} to predict, "
        f"{np.shape(train[0][0])[0]} channels, {lengths[0]} to {lengths[-1]} timesteps, "
        f"{len(set(train[1]))} classes"
    )
    print(f"{'':24}{'accuracy':>8}  {'fit, s':>8}  {'predict, s':>8}")
    for name in asked.only:
        print(f"{name:24}{row(CONTENDERS[name], train, test, asked.jobs)}", flush=True)


if __name__ == "__main__":
    main()
