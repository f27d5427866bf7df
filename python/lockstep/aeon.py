"""aeon's classifier and regressor over those for scikit-learn. Collections are numpy3D [n, channels,
timesteps] or np-list of [channels, timesteps] of unequal length."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from aeon.classification.base import BaseClassifier
from aeon.regression.base import BaseRegressor

from . import estimators
from ._core import Model
from .checks import check_keywords
from .options import callbacks_of, with_options
from .pickles import Pickled
from .report import Report

__all__ = ["RNNClassifier", "RNNRegressor"]

_TAGS = {
    "X_inner_type": ["np-list", "numpy3D"],
    "capability:multithreading": True,
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "algorithm_type": "deeplearning",
}
_DEFAULTS = {"n_jobs": 1}  # as aeon has it


class _Wrapper(Pickled):
    """What classifier and regressor share: an estimator with the same keywords does the work, and
    tells what there is to tell of the training."""

    _wrapped: type

    def _fit(self, X: Any, y: np.ndarray) -> Any:
        check_keywords(self)
        callbacks = [partial(self._call_back, f) for f in callbacks_of(self.callbacks)]
        keywords = {**self.get_params(deep=False), "axes": "NCT", "callbacks": callbacks}
        self.estimator_ = self._wrapped(**keywords)
        try:
            self.estimator_.fit(X, y)
        finally:
            self.estimator_.callbacks = self.callbacks
        return self

    def _call_back(self, callback: Any, _: Any, epoch: Any) -> Any:
        self.is_fitted = True  # it can predict from now on
        return callback(self, epoch)

    @property
    def model_(self) -> Model:
        """Model, which can be saved, streamed and exported."""
        return self.estimator_.model_

    @property
    def loss_history_(self) -> list[float]:
        """Mean loss of each epoch."""
        return self.estimator_.loss_history_

    @property
    def history_(self) -> dict[str, list[float]]:
        """What there is to say of each epoch."""
        return self.estimator_.history_

    @property
    def n_iter_(self) -> int:
        """Epochs that it has learnt."""
        return self.estimator_.n_iter_

    @property
    def kept_epoch_(self) -> int:
        """The epoch whose weights it has."""
        return self.estimator_.kept_epoch_

    @property
    def status_(self) -> str:
        """How the training ended: 'finished', 'patience', 'stopped' or 'diverged'."""
        return self.estimator_.status_

    def report(self, X: Any, y: Any, name: str = "the data") -> Report:
        """What there is to say of the training, and of how well it does on X and y, as the reports
        of lockstep.RNNClassifier."""
        self._check_is_fitted()
        return self.estimator_.report(self._preprocess_collection(X, store_metadata=False), y, name)

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(X)

    def _preprocess_collection(self, X: Any, store_metadata: bool = True) -> Any:
        self.set_tags(**{"capability:missing_values": self.missing != "fail"})
        return super()._preprocess_collection(X, store_metadata=store_metadata)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"hidden": 4, "epochs": 2}


@with_options(is_classifier=True, defaults=_DEFAULTS, without=("axes", "warm_start"))
class RNNClassifier(_Wrapper, BaseClassifier):
    """Recurrent network that classifies time series, in the manner of aeon.

    Its methods are those of aeon's BaseClassifier: `fit(X, y)`, `predict(X)`, `predict_proba(X)`.
    `model_`, `loss_history_`, `history_`, `n_iter_`, `kept_epoch_`, `status_` and `report` are
    those of lockstep.RNNClassifier.

    Attributes
    ----------
    estimator_ : lockstep.RNNClassifier
        What does the work.
    """

    _tags = _TAGS
    _wrapped = estimators.RNNClassifier

    def _predict_proba(self, X: Any) -> np.ndarray:
        return self.estimator_.predict_proba(X)


@with_options(is_classifier=False, defaults=_DEFAULTS, without=("axes", "warm_start"))
class RNNRegressor(_Wrapper, BaseRegressor):
    """Recurrent network that learns a number of each time series, in the manner of aeon.

    Its methods are those of aeon's BaseRegressor: `fit(X, y)`, `predict(X)`.
    `model_`, `loss_history_`, `history_`, `n_iter_`, `kept_epoch_`, `status_` and `report` are
    those of lockstep.RNNRegressor.

    Attributes
    ----------
    estimator_ : lockstep.RNNRegressor
        What does the work.
    """

    _tags = _TAGS
    _wrapped = estimators.RNNRegressor
