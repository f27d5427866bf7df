"""scikit-learn's estimators over Model."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from . import targets
from .estimator_base import RNN
from .inputs import ndim_of
from .options import with_options
from .restored import head_of_classes, head_of_numbers, model_at

__all__ = ["RNNClassifier", "RNNRegressor"]


@with_options(is_classifier=True)
class RNNClassifier(RNN, ClassifierMixin, BaseEstimator):
    """Recurrent network that classifies sequences, in the manner of scikit-learn.

    It learns one of several classes for each sequence, any of several labels (y of 0 and 1 with a
    column for each) or with head='classify_steps' a class for each timestep. Weights have the same
    bits for any number of threads and on every machine with fused multiply-add.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted.
    n_features_in_ : int
        Columns of a table, otherwise channels.
    loss_history_ : list of float
        Mean loss of each epoch.
    history_ : dict of lists
        What there is to say of each epoch: the columns of EpochResult.
    kept_epoch_ : int
        The epoch whose weights it has, counted as `n_iter_`; another than the last by `patience`.
    status_ : str
        How the last training ended: 'finished', 'patience' (no better validation loss), 'stopped'
        (by a callback, Ctrl-C or another exception) or 'diverged'; for callbacks 'running'; '' of a
        model that was loaded.
    model_ : Model
        What was trained, to be saved, streamed and exported; its class names are `classes_`.
    """

    _heads = (targets.Classify, targets.MultiLabel, targets.ClassifySteps)
    _metric = staticmethod(accuracy_score)

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Any:
        """One more pass, over these data, with a constant learning rate.

        `epochs`, `schedule`, `validation` and `patience` have no effect. Optimizer and orders of
        the data go on where the last call left them. Inputs are standardised as fits the
        data of the first call, which needs `classes`, all that will occur. X, y and sample_weight
        as those of `fit`.
        """
        if self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all data, and partial_fit sees a part")
        if not hasattr(self, "model_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit")
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError("classes: expected those of the calls before, or None")
        return self._partial_fit(X, y, classes, sample_weight)

    def predict_proba(self, X: Any) -> Any:
        """Probabilities [n, classes], with the columns of `classes_`; X as that of `fit`.

        Of the head classify_steps a list of [timesteps, classes], or an array if X is one. Of
        several labels each column is the probability of one.
        """
        outputs, data = self._outputs(X)
        return self._head.proba(outputs, data)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, in the same form; -inf where a probability is 0."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            if isinstance(probabilities, list):
                return [np.log(rows) for rows in probabilities]
            return np.log(probabilities)

    @classmethod
    def from_model(cls, model: Any, classes: Any = None) -> Any:
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
            Where there is no such file, or none of a model.
        """
        model = model_at(model)
        heads = {head.head: head for head in cls._heads}
        if model.network["head"] not in heads:
            return cls._restored(model, None)
        head, classes = head_of_classes(heads[model.network["head"]], model, classes)
        estimator = cls._restored(model, classes)
        estimator._head = head
        estimator.classes_ = head.classes
        return estimator

    def _head_for(self, y: Any) -> str:
        try:
            has_columns = ndim_of(y) == 2 and np.shape(y)[1] > 1
        except ValueError:
            raise ValueError(
                "y: rows of unequal length; head='classify_steps' learns a label of each timestep"
            ) from None
        is_labels = has_columns and type_of_target(y) == "multilabel-indicator"
        return "multilabel" if is_labels else "classify"

    def _set_head(self, head: Any, y: Any, classes: Any) -> None:
        self._head = head(y, classes)
        self.classes_ = self._head.classes

    def _weight_options(self) -> dict[str, Any]:
        given = self.class_weight
        if given is None or given == "balanced":
            return {"class_weights": given or "none"}
        if self._head.head == "multilabel":
            raise ValueError(
                "class_weight: with several labels for a sequence no class can be weighted; give "
                "sample_weight"
            )
        weights = compute_class_weight(given, classes=self.classes_, y=self.classes_)
        names = targets.names_of(self.classes_)
        if any("," in name for name in names):
            raise ValueError("class_weight: a class has a comma in its name; give sample_weight")
        pairs = (f"{name}={float(weight)!r}" for name, weight in zip(names, weights))
        return {"class_weights": ",".join(pairs)}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@with_options(is_classifier=False)
class RNNRegressor(RNN, RegressorMixin, BaseEstimator):
    """Recurrent network that learns numbers of sequences, in the manner of scikit-learn.

    It learns one number or several for each sequence, or with head='regress_steps' for each
    timestep. Weights have the same bits for any number of threads and on every machine with fused
    multiply-add.

    Attributes
    ----------
    n_features_in_ : int
        Columns of a table, otherwise channels.
    loss_history_ : list of float
        Mean loss of each epoch.
    history_ : dict of lists
        What there is to say of each epoch: the columns of EpochResult.
    kept_epoch_ : int
        The epoch whose weights it has, counted as `n_iter_`; another than the last by `patience`.
    status_ : str
        How the last training ended: 'finished', 'patience' (no better validation loss), 'stopped'
        (by a callback, Ctrl-C or another exception) or 'diverged'; for callbacks 'running'; '' of a
        model that was loaded.
    model_ : Model
        What was trained, to be saved, streamed and exported.
    """

    _heads = (targets.Regress, targets.RegressSteps)
    _metric = staticmethod(r2_score)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """One more pass, over these data, with a constant learning rate.

        `epochs`, `schedule`, `validation` and `patience` have no effect. Optimizer and orders of
        the data go on where the last call left them. Inputs and numbers are standardised
        as fits the data of the first call. X, y and sample_weight as those of `fit`.
        """
        return self._partial_fit(X, y, None, sample_weight)

    @classmethod
    def from_model(cls, model: Any) -> Any:
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
            Where there is no such file, or none of a model.
        """
        model = model_at(model)
        estimator = cls._restored(model, None)
        heads = {head.head: head for head in cls._heads}
        estimator._head = head_of_numbers(heads[model.network["head"]], model)
        return estimator

    def _head_for(self, y: Any) -> str:
        return "regress"

    def _set_head(self, head: Any, y: Any, classes: Any) -> None:
        self._head = head(y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
