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
from .inputs import make_dataset, read_sequences
from .options import MADE_WITH, model_options, threads_of
from .pickles import Pickled
from .report import Report, outcome_text
from .restored import channels_of, keywords_of
from .training import HISTORY, Training


def _without_zeros(data: Dataset, weights: np.ndarray | None) -> Dataset:
    """Sequences of weight 0 are as if they were not there."""
    if weights is None or weights.all():
        return data
    if not weights.any():
        raise ValueError("sample_weight: all weights are zero")
    return data.subset(np.flatnonzero(weights))


class RNN(Pickled):
    """To be followed by the mixins of scikit-learn."""

    _is_classifier: bool
    _heads: tuple[type, ...]
    _metric: Any

    # --- training ---

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains for `epochs` passes over the data; with `warm_start` it learns on.

        X: [n, timesteps], a series in each row; [n, timesteps, channels]; a list of [timesteps,
        channels] or [timesteps] of unequal length; a table of pandas with the index (sequence,
        timestep); or a Dataset. float32 in C order is read where it is.

        y: [n]; of several outputs or labels [n, outputs]; of heads of timesteps a list of
        [timesteps] or [n, timesteps].

        sample_weight: [n], how much each sequence counts; 0 is as if it were not there.

        KeyboardInterrupt, and what a callback raises, ends the training and is raised again; the
        estimator keeps what it has learnt until then.
        """
        check_keywords(self)
        is_first = not (self.warm_start and hasattr(self, "model_"))
        with self._unchanged_if_nothing_learnt():
            data = self._training_data(X, y, sample_weight, is_first)
            self._prepare_model(data, is_first, {})
            warn_of_what_has_no_effect(self, self.model_.options, stacklevel=3)
            self._train(self.model_.fit, data, self.model_.options["epochs"], is_first)
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
            self._train(self.model_.learn, data, 1, is_first)
        return self

    def _train(self, train: Any, data: Dataset, epochs: int, is_first: bool) -> None:
        if Training(self, epochs, is_first).run(train, data) == "diverged":
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
        sequences = read_sequences(self, X, is_first)
        y = self._read_targets(y, is_first)
        if is_first:
            self._set_head(y, classes)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(
                sample_weight, sequences, dtype=np.float32, ensure_non_negative=True
            )
        data = make_dataset(sequences, weights=weights, **self._head.encode(y))
        if is_first and not self._has_columns:
            self.n_features_in_ = data.n_channels
        return _without_zeros(data, weights)

    def _read_targets(self, y: Any, is_first: bool) -> Any:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        return (self._head_class(y) if is_first else self._head).read(y)

    def _head_class(self, y: Any) -> Any:
        names = {head.head: head for head in self._heads}
        name = self._head_for(y) if self.head == "auto" else self.head
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
        """Epochs that it has learnt, of all trainings since the weights were drawn."""
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
        estimator._has_columns = False
        estimator._samples = {"learnt": 0, "held_out": 0}
        estimator._begin_history()
        return estimator

    # --- predictions ---

    def _outputs(self, X: Any) -> tuple[np.ndarray, Dataset]:
        if not hasattr(self, "model_"):
            check_is_fitted(self, "model_")
        data = make_dataset(read_sequences(self, X))
        return self.model_.predict_proba(data, threads_of(self.n_jobs)), data

    def predict(self, X: Any) -> Any:
        """Classes [n] or numbers [n] or [n, outputs], of the kind of y; X as that of `fit`. Of
        heads of timesteps a list of them, or an array if X is one."""
        outputs, data = self._outputs(X)
        return self._head.decode(outputs, data)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share classified right (accuracy_score), or of numbers R2 (r2_score)."""
        predicted = self.predict(X)
        truth, predicted, weights = self._head.scored(y, predicted, sample_weight)
        return self._metric(truth, predicted, sample_weight=weights)

    def report(self, X: Any, y: Any, name: str = "the data") -> Report:
        """What there is to say of the training, and of how well it does on X and y; `name` is that
        of the data. In a notebook it shows itself; print() writes it as text, save() as a page."""
        if not hasattr(self, "model_"):
            check_is_fitted(self, "model_")
        y = self._read_targets(y, False)
        data = make_dataset(read_sequences(self, X), **self._head.encode(y))
        evaluation = self.model_.evaluate(data, threads_of(self.n_jobs))
        end = {"status": self.status_, "kept_epoch": self.kept_epoch_}
        page, text = _core.report(
            self.model_, data, name=name, history=self.history_, **self._samples, **end
        )
        return Report(evaluation, page, f"{outcome_text(self.n_iter_, **end)}\n\n{text}")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "fail"
        return tags
