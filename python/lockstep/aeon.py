"""aeon's classifier and regressor over those for scikit-learn. Collections are numpy3D [n, channels,
timesteps] or np-list of [channels, timesteps] of unequal length."""

from __future__ import annotations

from typing import Any

import numpy as np
from aeon.classification.base import BaseClassifier
from aeon.regression.base import BaseRegressor

from . import estimators
from .options import with_options

__all__ = ["RNNClassifier", "RNNRegressor"]

_TAGS = {
    "X_inner_type": ["np-list", "numpy3D"],
    "capability:multithreading": True,
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "algorithm_type": "deeplearning",
}
_DEFAULTS = {"n_jobs": 1}  # as aeon has it


class _Wrapper:
    """What classifier and regressor share: an estimator with the same keywords does the work."""

    _wrapped: type

    def _fit(self, X: Any, y: np.ndarray) -> Any:
        self.estimator_ = self._wrapped(axes="NCT", **self.get_params(deep=False))
        self.estimator_.fit(X, y)
        self.loss_history_ = self.estimator_.loss_history_
        return self

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

    Attributes
    ----------
    estimator_ : lockstep.RNNClassifier
        What does the work, with its `model_`.
    loss_history_ : list of float
        Mean loss of each epoch.
    """

    _tags = _TAGS
    _wrapped = estimators.RNNClassifier

    def _predict_proba(self, X: Any) -> np.ndarray:
        return self.estimator_.predict_proba(X)


@with_options(is_classifier=False, defaults=_DEFAULTS, without=("axes", "warm_start"))
class RNNRegressor(_Wrapper, BaseRegressor):
    """Recurrent network that learns a number of each time series, in the manner of aeon.

    Its methods are those of aeon's BaseRegressor: `fit(X, y)`, `predict(X)`.

    Attributes
    ----------
    estimator_ : lockstep.RNNRegressor
        What does the work, with its `model_`.
    loss_history_ : list of float
        Mean loss of each epoch.
    """

    _tags = _TAGS
    _wrapped = estimators.RNNRegressor
