"""What RNNClassifier and RNNRegressor share: how they read data, train a model and use it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from . import _core
from ._core import Dataset, Model
from .checks import about_keywords, check_keywords, warn_of_what_has_no_effect
from .inputs import Sequences, make_dataset, read_sequences
from .options import MADE_WITH, keyword_of, model_options, option_rows, threads_of
from .own_targets import Own, are_own, has_targets, head_for, own_targets
from .pickles import Pickled
from .precision import warn_of_lost_digits
from .report import Report, outcome_text
from .restored import channels_of, keywords_of
from .tables import aligned, is_long
from .targets import names_of_outputs
from .training import HISTORY, Training


def _without_zeros(data: Dataset, weights: np.ndarray | None) -> Dataset:
    """Sequences of weight 0 are as if they were not there."""
    if weights is None or weights.all():
        return data
    if not weights.any():
        raise ValueError("sample_weight: all weights are zero")
    return data.subset(np.flatnonzero(weights))


def _weights_of(read: Sequences, sample_weight: Any) -> np.ndarray | None:
    """[n], or None where all sequences count the same."""
    own = None if read.given is None else read.given.weights
    if own is not None and (own == 1).all():
        own = None
    if sample_weight is None:
        return own
    if own is not None:
        raise ValueError("sample_weight: X is a Dataset with weights, which would be lost")
    given = aligned(sample_weight, read.long, "sample_weight")
    rows = np.empty(len(read.values))
    return _check_sample_weight(given, rows, dtype=np.float32, ensure_non_negative=True)


class RNN(Pickled):
    """To be followed by the mixins of scikit-learn."""

    _is_classifier: bool
    _heads: tuple[type, ...]
    _metric: Any

    # --- training ---

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
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
            by 1.
        """
        check_keywords(self)
        is_first = not (self.warm_start and hasattr(self, "model_"))
        with self._unchanged_if_nothing_learnt():
            data = self._training_data(X, y, sample_weight, is_first)
            self._prepare_model(data, is_first, {})
            warn_of_what_has_no_effect(self, self.model_.options, stacklevel=3)
            self._train(self.model_.fit, data, self.model_.options["epochs"])
        return self

    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Any:
        check_keywords(self)
        is_first = not hasattr(self, "model_")
        with self._unchanged_if_nothing_learnt():
            data = self._training_data(X, y, sample_weight, is_first, classes)
            others = {"schedule": "constant", "validation": 0.0, "patience": 0}
            if not is_first:
                others["seed"] = self.model_.options["seed"]
            self._prepare_model(data, is_first, others)
            if is_first:
                self._warn_of_partial_fit()
            self._train(self.model_.learn, data, 1)
        return self

    def _train(self, train: Any, data: Dataset, epochs: int) -> None:
        if Training(self, epochs).run(train, data) == "diverged":
            self._warn_of_divergence()

    def _warn_of_partial_fit(self) -> None:
        warn_of_what_has_no_effect(self, self.model_.options, stacklevel=5)
        for name in ("validation", "patience"):
            if getattr(self, name):
                given = f"{name}={getattr(self, name)!r}"
                warnings.warn(f"{given} has no effect in partial_fit", UserWarning, stacklevel=4)

    @contextmanager
    def _unchanged_if_nothing_learnt(self) -> Iterator[None]:
        before = dict(vars(self))
        history = before.get("loss_history_")
        epochs = len(history or ())
        try:
            yield
        except BaseException:
            now = vars(self).get("loss_history_")
            if not now or (now is history and len(now) == epochs):
                vars(self).clear()
                vars(self).update(before)
            raise

    def _warn_of_divergence(self) -> None:
        warnings.warn(
            f"the training diverged in epoch {len(self.loss_history_)}: a loss, a gradient or a "
            "weight is no longer a finite number; lower learning_rate or set clip_norm",
            ConvergenceWarning,
            stacklevel=4,
        )

    # --- data and model ---

    def _training_data(
        self, X: Any, y: Any, sample_weight: Any, is_first: bool, classes: Any = None
    ) -> Dataset:
        read = read_sequences(self, X, is_first)
        warn_of_lost_digits("X", "channel", read.wide)
        data = self._with_targets(read, y, sample_weight, is_first, classes)
        if is_first and not self._has_columns:
            self.n_features_in_ = data.n_channels
        return _without_zeros(data, data.weights)

    def _with_targets(
        self, read: Sequences, y: Any, sample_weight: Any, is_first: bool, classes: Any = None
    ) -> Dataset:
        """The sequences with y; a Dataset itself where its own targets are those to learn."""
        own = self._own(read, y, is_first)
        of_steps = read.long is not None and is_long(y)
        y = aligned(own.y if own else y, read.long, "y")
        head = self._head_class(read, y, own is not None) if is_first else self._head
        if of_steps and not head.has_steps:
            raise ValueError(
                f"y: its index is (sequence, timestep), but head {head.head} learns one y of each "
                "sequence; classify_steps and regress_steps learn one of each timestep"
            )
        names = own.names if own else names_of_outputs(y)
        y = head.read(y)
        if is_first:
            known = own.classes if own and classes is None else classes
            self._set_head(head, y, known)
        self._head.set_names(names, is_first)
        targets, weights = self._head.encode(y), _weights_of(read, sample_weight)
        if own and sample_weight is None and are_own(read.given, targets):
            return read.given
        return make_dataset(read, weights=weights, **targets)

    def _own(self, read: Sequences, y: Any, is_first: bool) -> Own | None:
        """The targets of a Dataset where y is None."""
        if y is not None:
            return None
        if not has_targets(read.given):
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        head = self._head_name(read, None, True) if is_first else self._head.head
        return own_targets(read.given, head)

    def _head_name(self, read: Sequences, y: Any, is_own: bool) -> str:
        if self.head != "auto":
            return self.head
        if is_own:
            return head_for(read.given, [head.head for head in self._heads])
        return self._head_for(y)

    def _head_class(self, read: Sequences, y: Any, is_own: bool) -> Any:
        names = {head.head: head for head in self._heads}
        name = self._head_name(read, y, is_own)
        if name not in names:
            raise ValueError(f"head: expected one of auto, {', '.join(names)}, found {name!r}")
        return names[name]

    def _prepare_model(self, data: Dataset, is_first: bool, others: dict[str, Any]) -> None:
        options = {**model_options(self), **self._weight_options(), **others}
        options["head"] = self._head.head
        if not is_first:
            self._require_made_with(options)
        with about_keywords(self):
            if is_first:
                self.model_ = Model(data, options)
                self._begin_history()
            else:
                self.model_.set_options(options)
        size = data.total_timesteps if self._head.has_steps else len(data)
        held_out = round(self.model_.options["validation"] * size)
        self._samples = {"learnt": size - held_out, "held_out": held_out}

    def _begin_history(self) -> None:
        self.history_ = {name: [] for name in HISTORY}
        self.loss_history_ = self.history_["loss"]
        self.status_ = ""
        self.kept_epoch_ = 0

    @property
    def n_iter_(self) -> int:
        """Epochs that it has learnt, over all calls of `fit` and `partial_fit` that learn on."""
        return len(self.loss_history_)

    def _require_made_with(self, options: dict[str, Any]) -> None:
        made_with = self.model_.options
        for name in MADE_WITH:
            if name in options and options[name] != made_with[name]:
                raise ValueError(
                    f"{name}: {options[name]!r}, but the model that learns on was made with "
                    f"{made_with[name]!r}"
                )

    def _weight_options(self) -> dict[str, Any]:
        return {}

    @classmethod
    def _restored(cls, model: Model, classes: Any) -> Any:
        """An estimator that has this model, but no head yet."""
        names = {head.head: head for head in cls._heads}
        head = model.network["head"]
        if head not in names:
            raise ValueError(
                f"from_model: expected a model with head {' or '.join(names)}, found {head}"
            )
        estimator = cls(**keywords_of(cls, model, classes))
        estimator.model_ = model
        estimator.n_features_in_ = channels_of(model)
        estimator._has_columns = None  # nobody knows
        if model.channel_names:
            estimator.feature_names_in_ = np.array(model.channel_names, object)
        estimator._samples = {"learnt": 0, "held_out": 0}
        estimator._begin_history()
        return estimator

    # --- predictions ---

    def _outputs(self, X: Any) -> tuple[np.ndarray, Dataset]:
        if not hasattr(self, "model_"):
            check_is_fitted(self, "model_")
        return self._outputs_of(read_sequences(self, X))

    def _outputs_of(self, read: Sequences) -> tuple[np.ndarray, Dataset]:
        data = make_dataset(read)
        return self.model_.predict_proba(data, threads_of(self.n_jobs)), data

    def predict(self, X: Any) -> Any:
        """Classes [n] or numbers [n] or [n, outputs], of the kind of y; X as that of `fit`, of two
        axes only after a `fit` of such.

        Of heads of timesteps a list of them, or an array if X is one. ValueError where a model
        overflows, so that no class is the most probable; NotFittedError before `fit`. Several
        threads may predict at a time.
        """
        outputs, data = self._outputs(X)
        return self._head.decode(outputs, data)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share classified right (accuracy_score), or of numbers R2 (r2_score); X, y and
        sample_weight as those of `fit`.

        Heads of timesteps score all timesteps whose y is known. scikit-learn's scoring="accuracy"
        does not: it counts sequences right in every timestep, and takes labels 0 and 1 only.
        """
        check_is_fitted(self, "model_")
        read = read_sequences(self, X)
        own = self._own(read, y, False)
        y = aligned(own.y if own else y, read.long, "y")
        weights = aligned(sample_weight, read.long, "sample_weight")
        predicted = self._head.decode(*self._outputs_of(read))
        truth, predicted, weights = self._head.scored(y, predicted, weights)
        return self._metric(truth, predicted, sample_weight=weights)

    def report(self, X: Any, y: Any = None, name: str = "the data") -> Report:
        """What there is to say of the training, and of how well it does on X and y, which are those
        of `fit`.

        In a notebook it shows itself; print() writes it as text, save() as a page, on which the
        data are called `name`.
        """
        if not hasattr(self, "model_"):
            check_is_fitted(self, "model_")
        data = self._with_targets(read_sequences(self, X), y, None, False)
        evaluation = self.model_.evaluate(data, threads_of(self.n_jobs))
        end = {"status": self.status_, "kept_epoch": self.kept_epoch_}
        option_names = {row["name"]: keyword_of(row["name"]) for row in option_rows(self)}
        page, text = _core.report(
            self.model_,
            data,
            name=name,
            history=self.history_,
            option_names=option_names,
            **self._samples,
            **end,
        )
        return Report(evaluation, page, f"{outcome_text(self.n_iter_, **end)}\n\n{text}")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "fail"
        return tags
