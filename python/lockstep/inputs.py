"""What estimators take as X, read as the sequences of a Dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ._core import Dataset

_AXES = ("NTC", "NCT")


def _is_long_table(X: Any) -> bool:
    """A table of pandas whose rows are timesteps, with an index (sequence, timestep)."""
    return hasattr(X, "groupby") and getattr(X.index, "nlevels", 1) == 2


def ndim_of(x: Any) -> int:
    """Of anything that NumPy makes an array of; ValueError where rows are of unequal length."""
    return x.ndim if hasattr(x, "ndim") else np.asarray(x).ndim


def _is_array(x: Any) -> bool:
    return len(getattr(x, "shape", ())) > 0


def _list_or_array(X: Any) -> Any:
    """Arrays of unequal shape in a list; what has one shape otherwise."""
    if isinstance(X, Dataset):
        return list(X)
    if _is_long_table(X):
        return [rows.to_numpy() for _, rows in X.groupby(level=0, sort=False)]
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if not isinstance(X, (list, tuple)):
        return X
    if any(map(_is_array, X)):
        return list(X)
    try:
        array = np.asarray(X)
    except ValueError:  # rows of unequal length
        return list(X)
    return list(X) if array.dtype == object and array.ndim == 1 else array


def _floats(array: Any, estimator: Any, **checks: Any) -> np.ndarray:
    """Float32 in C order, without a copy of what is so already."""
    return check_array(
        array,
        dtype=np.float32,
        order="C",
        ensure_all_finite=False,
        input_name="X",
        estimator=estimator,
        **checks,
    )


def _table(estimator: Any, X: Any, is_first: bool) -> np.ndarray:
    """[n, timesteps] as [n, timesteps, 1], with the columns that a first table had."""
    if not is_first and not estimator._has_columns:
        return _floats(X, estimator)[:, :, None]
    checks = {"dtype": np.float32, "order": "C", "ensure_all_finite": False}
    return validate_data(estimator, X, reset=is_first, **checks)[:, :, None]


def _is_ready(X: Any) -> bool:
    """What needs no look, for predictions of which every microsecond counts."""
    is_floats = type(X) is np.ndarray and X.dtype == np.float32
    return is_floats and X.ndim == 3 and X.flags.c_contiguous and len(X) > 0


def _with_steps_first(x: Any) -> Any:
    x = np.asarray(x)
    return x.T if x.ndim == 2 else x


def _read(estimator: Any, X: Any, is_first: bool) -> tuple[Any, bool]:
    """What Dataset takes, and whether it was a table."""
    has_channels_first = estimator.axes == "NCT"
    if not has_channels_first and _is_ready(X):
        return X, False
    X = _list_or_array(X)
    if isinstance(X, list):
        return ([_with_steps_first(x) for x in X] if has_channels_first else X), False
    ndim = ndim_of(X)
    if ndim < 3:
        return _table(estimator, X, is_first), True
    if has_channels_first and ndim == 3:
        X = np.swapaxes(np.asarray(X), 1, 2)
    return _floats(X, estimator, allow_nd=True), False


def read_sequences(estimator: Any, X: Any, is_first: bool = False) -> Any:
    """The sequences of X, as Dataset takes them.

    X is [n, timesteps], [n, timesteps, channels], a list of [timesteps, channels] or [timesteps], a
    table of pandas with the index (sequence, timestep) or a Dataset. The first X sets what the
    estimator knows of its columns; NaN and infinite values stay for the model to refuse or fill.
    """
    if estimator.axes not in _AXES:
        raise ValueError(f"axes: expected one of {', '.join(_AXES)}, found {estimator.axes!r}")
    with np.errstate(over="ignore"):
        sequences, is_table = _read(estimator, X, is_first)
    if is_first:
        estimator._has_columns = is_table
        if not is_table:
            vars(estimator).pop("feature_names_in_", None)
    return sequences


def make_dataset(sequences: Any, **targets: Any) -> Dataset:
    """A Dataset; what float32 cannot hold becomes infinite without a warning."""
    with np.errstate(over="ignore"):
        return Dataset(sequences, **targets)
