"""scikit-learn's estimators over Model. Written by tools/estimator_stubs.py."""

from typing import Any, Callable, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from typing_extensions import Self

from ._core import Model
from .report import Report

class RNNClassifier(ClassifierMixin, BaseEstimator):
    """Recurrent network that classifies sequences, in the manner of scikit-learn.

    It learns one of several classes for each sequence, any of several labels (y of 0 and 1 with a
    column for each) or with head='classify_steps' a class for each timestep. Weights have the same
    bits for any number of threads and on every machine with fused multiply-add."""

    classes_: np.ndarray
    n_features_in_: int
    loss_history_: list[float]
    history_: dict[str, list[float]]
    kept_epoch_: int
    status_: str
    model_: Model
    @property
    def n_iter_(self) -> int:
        """Epochs that it has learnt, over all calls of `fit` and `partial_fit` that learn on."""
    def __init__(
        self,
        *,
        cell: Literal["tanh", "relu", "gru", "lstm"] = "gru",
        hidden: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        head: Literal["auto", "classify", "classify_steps", "multilabel"] = "auto",
        pool: Literal["last", "mean", "max"] = "max",
        init: Literal["gaussian", "xavier", "orthogonal", "pytorch"] = "orthogonal",
        sigma: float = 0.01,
        normalize: Literal["none", "channel", "series"] = "channel",
        missing: Literal["fail", "carry", "mean", "mask"] = "fail",
        epochs: int = 300,
        batch_size: int = 20,
        accumulate: int = 1,
        leaf_rows: int = 0,
        learning_rate: float | None = None,
        schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = "cosine",
        warmup_epochs: float = 0.0,
        decay: float = 0.5,
        decay_epochs: int = 50,
        optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam",
        momentum: float | None = None,
        nesterov: bool = False,
        beta1: float = 0.9,
        beta2: float = 0.999,
        alpha: float = 0.99,
        centered: bool = False,
        eps: float = 1e-08,
        weight_decay: float | None = None,
        decay_biases: bool = False,
        ema: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        label_smoothing: float = 0.0,
        clip_norm: float | None = None,
        truncate: int = 0,
        on_nan: Literal["stop", "skip"] = "stop",
        dropout: float = 0.0,
        dropout_kind: Literal["step", "sequence"] = "step",
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = 1,
        n_jobs: int | None = None,
        memory: int = 0,
        validation: float = 0.0,
        patience: int = 0,
        axes: Literal["NTC", "NCT"] = "NTC",
        warm_start: bool = False,
        callbacks: Callable[..., Any] | list[Callable[..., Any]] | None = None,
        verbose: int = 0,
    ) -> None: ...
    @classmethod
    def from_model(cls, model: Any, classes: Any = None) -> Self:
        """An estimator of a Model, or of the file of one, that can predict and learn on; it keeps
        the model, no copy. Keywords are the model's options, of which a file has only some.

        Parameters
        ----------
        model : Model or path
        classes : array [classes]
            The labels, in the order of the model's class_names. None: they are made of these names,
            numbers if all names are numbers, truth values if all are True or False, otherwise
            texts.

        Raises
        ------
        ValueError
            For a model that learns numbers, and where `classes` are not as many.
        FileError
            Where there is no such file, or none of a model."""
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Trains for `epochs` passes over the data; with `warm_start` it learns on.

        KeyboardInterrupt, and what a callback raises, ends the training and is raised again; the
        estimator keeps what it has learnt until then.

        Parameters
        ----------
        X : array, list, table or Dataset
            [n, timesteps], a series in each row; [n, timesteps, channels]; a list of [timesteps,
            channels] or [timesteps] of unequal length; a table of pandas with the index (sequence,
            timestep), whose rows are sorted by timestep; or a Dataset. float32 in C order is read
            where it is. Columns of tables of timesteps, and a Dataset's names, are names of
            channels: later data that have names must have the same. The keyword `axes` is of arrays
            and lists of them.
        y : array or list
            [n]; of several outputs or labels [n, outputs], whose columns' names are kept; of heads
            of timesteps a list of [timesteps] or [n, timesteps]. An array [n, columns] of 0 and 1
            has several labels for each sequence, also where there are as many columns as timesteps:
            labels of timesteps need head='classify_steps'. For a table of timesteps y of pandas is
            matched by its index, the ids of sequences; an array is in the order in which they first
            appear. None: the targets of a Dataset.
        sample_weight : array [n]
            How much the error of each sequence counts; 0 is as if it were not there. Inputs and
            numbers are standardised as if all other weights were 1. It is matched as y is. None:
            the weights of a Dataset, which leaves no room for others.

        Raises
        ------
        ValueError
            For options, shapes and values that cannot be learnt, and numbers too large for float32;
            then it is as it was before.

        Warns
        -----
        UserWarning
            Where rounding to float32, in which models compute, moves values of a channel or of y by
            more than a thousandth of the range that they have, as of numbers near 1e8 that differ
            by 1."""
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """One more pass, over these data, with a constant learning rate.

        `epochs`, `schedule`, `validation` and `patience` have no effect. Optimizer and orders of
        the data go on where the last call left them. Inputs are standardised as fits the
        data of the first call, which needs `classes`, all that will occur. X, y and sample_weight
        as those of `fit`."""
    def predict(self, X: Any) -> Any:
        """Classes [n] or numbers [n] or [n, outputs], of the kind of y; X as that of `fit`, of two
        axes only after a `fit` of such.

        Of heads of timesteps a list of them, or an array if X is one. ValueError where a model
        overflows, so that no class is the most probable; NotFittedError before `fit`. Several
        threads may predict at a time."""
    def predict_proba(self, X: Any) -> Any:
        """Probabilities [n, classes], with the columns of `classes_`; X as that of `fit`.

        Of the head classify_steps a list of [timesteps, classes], or an array if X is one. Of
        several labels each column is the probability of one."""
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, in the same form; -inf where a probability is 0."""
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share classified right (accuracy_score), or of numbers R2 (r2_score); X, y and
        sample_weight as those of `fit`.

        Heads of timesteps score all timesteps whose y is known. scikit-learn's scoring="accuracy"
        does not: it counts sequences right in every timestep, and takes labels 0 and 1 only."""
    def report(self, X: Any, y: Any = None, name: str = "the data") -> Report:
        """What there is to say of the training, and of how well it does on X and y, which are those
        of `fit`.

        In a notebook it shows itself; print() writes it as text, save() as a page, on which the
        data are called `name`."""

class RNNRegressor(RegressorMixin, BaseEstimator):
    """Recurrent network that learns numbers of sequences, in the manner of scikit-learn.

    It learns one number or several for each sequence, or with head='regress_steps' for each
    timestep. Weights have the same bits for any number of threads and on every machine with fused
    multiply-add."""

    n_features_in_: int
    loss_history_: list[float]
    history_: dict[str, list[float]]
    kept_epoch_: int
    status_: str
    model_: Model
    @property
    def n_iter_(self) -> int:
        """Epochs that it has learnt, over all calls of `fit` and `partial_fit` that learn on."""
    def __init__(
        self,
        *,
        cell: Literal["tanh", "relu", "gru", "lstm"] = "gru",
        hidden: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        head: Literal["auto", "regress", "regress_steps"] = "auto",
        pool: Literal["last", "mean", "max"] = "max",
        init: Literal["gaussian", "xavier", "orthogonal", "pytorch"] = "orthogonal",
        sigma: float = 0.01,
        normalize: Literal["none", "channel", "series"] = "channel",
        missing: Literal["fail", "carry", "mean", "mask"] = "fail",
        normalize_targets: bool = True,
        epochs: int = 300,
        batch_size: int = 20,
        accumulate: int = 1,
        leaf_rows: int = 0,
        learning_rate: float | None = None,
        schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = "cosine",
        warmup_epochs: float = 0.0,
        decay: float = 0.5,
        decay_epochs: int = 50,
        optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam",
        momentum: float | None = None,
        nesterov: bool = False,
        beta1: float = 0.9,
        beta2: float = 0.999,
        alpha: float = 0.99,
        centered: bool = False,
        eps: float = 1e-08,
        weight_decay: float | None = None,
        decay_biases: bool = False,
        ema: float = 0.0,
        loss: Literal["mse", "huber", "mae"] = "mse",
        delta: float = 1.0,
        clip_norm: float | None = None,
        truncate: int = 0,
        on_nan: Literal["stop", "skip"] = "stop",
        dropout: float = 0.0,
        dropout_kind: Literal["step", "sequence"] = "step",
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = 1,
        n_jobs: int | None = None,
        memory: int = 0,
        validation: float = 0.0,
        patience: int = 0,
        axes: Literal["NTC", "NCT"] = "NTC",
        warm_start: bool = False,
        callbacks: Callable[..., Any] | list[Callable[..., Any]] | None = None,
        verbose: int = 0,
    ) -> None: ...
    @classmethod
    def from_model(cls, model: Any) -> Self:
        """An estimator of a Model, or of the file of one, that can predict and learn on; it keeps
        the model, no copy. Keywords are the model's options, of which a file has only some.

        Parameters
        ----------
        model : Model or path

        Raises
        ------
        ValueError
            For a model that learns classes.
        FileError
            Where there is no such file, or none of a model."""
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Trains for `epochs` passes over the data; with `warm_start` it learns on.

        KeyboardInterrupt, and what a callback raises, ends the training and is raised again; the
        estimator keeps what it has learnt until then.

        Parameters
        ----------
        X : array, list, table or Dataset
            [n, timesteps], a series in each row; [n, timesteps, channels]; a list of [timesteps,
            channels] or [timesteps] of unequal length; a table of pandas with the index (sequence,
            timestep), whose rows are sorted by timestep; or a Dataset. float32 in C order is read
            where it is. Columns of tables of timesteps, and a Dataset's names, are names of
            channels: later data that have names must have the same. The keyword `axes` is of arrays
            and lists of them.
        y : array or list
            [n]; of several outputs or labels [n, outputs], whose columns' names are kept; of heads
            of timesteps a list of [timesteps] or [n, timesteps]. An array [n, columns] of 0 and 1
            has several labels for each sequence, also where there are as many columns as timesteps:
            labels of timesteps need head='classify_steps'. For a table of timesteps y of pandas is
            matched by its index, the ids of sequences; an array is in the order in which they first
            appear. None: the targets of a Dataset.
        sample_weight : array [n]
            How much the error of each sequence counts; 0 is as if it were not there. Inputs and
            numbers are standardised as if all other weights were 1. It is matched as y is. None:
            the weights of a Dataset, which leaves no room for others.

        Raises
        ------
        ValueError
            For options, shapes and values that cannot be learnt, and numbers too large for float32;
            then it is as it was before.

        Warns
        -----
        UserWarning
            Where rounding to float32, in which models compute, moves values of a channel or of y by
            more than a thousandth of the range that they have, as of numbers near 1e8 that differ
            by 1."""
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """One more pass, over these data, with a constant learning rate.

        `epochs`, `schedule`, `validation` and `patience` have no effect. Optimizer and orders of
        the data go on where the last call left them. Inputs and numbers are standardised
        as fits the data of the first call. X, y and sample_weight as those of `fit`."""
    def predict(self, X: Any) -> Any:
        """Classes [n] or numbers [n] or [n, outputs], of the kind of y; X as that of `fit`, of two
        axes only after a `fit` of such.

        Of heads of timesteps a list of them, or an array if X is one. ValueError where a model
        overflows, so that no class is the most probable; NotFittedError before `fit`. Several
        threads may predict at a time."""
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share classified right (accuracy_score), or of numbers R2 (r2_score); X, y and
        sample_weight as those of `fit`.

        Heads of timesteps score all timesteps whose y is known. scikit-learn's scoring="accuracy"
        does not: it counts sequences right in every timestep, and takes labels 0 and 1 only."""
    def report(self, X: Any, y: Any = None, name: str = "the data") -> Report:
        """What there is to say of the training, and of how well it does on X and y, which are those
        of `fit`.

        In a notebook it shows itself; print() writes it as text, save() as a page, on which the
        data are called `name`."""
