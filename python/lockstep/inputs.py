"""What estimators take as X, read as the sequences of a Dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ._core import Dataset
from .precision import first_too_large, is_wide
from .tables import Long, column_names, is_long, is_pandas, read_long

_AXES = ("NTC", "NCT")
_FORMS = (
    "expected [n, timesteps], [n, timesteps, channels], a list (or array, or Series of pandas) of "
    "[timesteps, channels] or [timesteps], a table of pandas with the index (sequence, timestep), "
    "or a Dataset"
)
# What becomes float32 at once; all else becomes float64 first, to see what float32 has not.
_DTYPES = (np.float64, np.float32, np.float16, np.int8, np.uint8, np.int16, np.uint16, np.bool_)


@dataclass
class Sequences:
    """X as it was read."""

    values: Any  # what Dataset takes; of a Dataset itself
    names: list[str] | None = None  # of channels
    long: Long | None = None  # if it was a long table
    wide: list[Any] = field(default_factory=list)  # parts that are rounded to float32
    is_table: bool = False  # of series, one a row

    @property
    def given(self) -> Any:
        """The Dataset that X was, or None."""
        return self.values if isinstance(self.values, Dataset) else None


def ndim_of(x: Any) -> int:
    """Of anything that NumPy makes an array of; ValueError where rows are of unequal length."""
    return x.ndim if hasattr(x, "ndim") else np.asarray(x).ndim


def _is_array(x: Any) -> bool:
    return len(getattr(x, "shape", ())) > 0


def _has_arrays_in_cells(X: Any) -> bool:
    """As nested tables of sktime."""
    if is_pandas(X) and X.ndim == 2 and (X.dtypes == object).any():
        X = X.iloc[:1].to_numpy(object)
    is_objects = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2
    return is_objects and any(map(_is_array, X[:1].ravel()))


def _require_form(X: Any) -> None:
    if not (hasattr(X, "shape") or hasattr(X, "__array__") or hasattr(X, "__dataframe__")):
        raise TypeError(f"X: {_FORMS}; found {'None' if X is None else type(X).__name__}")
    if _has_arrays_in_cells(X):
        raise TypeError(f"X: {_FORMS}; found a table with arrays in its cells")


def _list_or_array(X: Any) -> Any:
    """Arrays of unequal shape in a list; what has one shape otherwise."""
    if getattr(X, "dtype", None) == object and X.ndim == 1:
        X = list(X)
    if not isinstance(X, (list, tuple)):
        _require_form(X)
        return X
    if len(X) == 0:
        raise ValueError(f"X: there is no sequence; {_FORMS}")
    if any(map(_is_array, X)):
        return list(X)
    try:
        array = np.asarray(X)
    except ValueError:  # rows of unequal length
        return list(X)
    return list(X) if array.dtype == object and array.ndim == 1 else array


def _floats(array: Any) -> np.ndarray:
    """Float32 in C order, without a copy of what is so already."""
    return np.asarray(array).astype(np.float32, order="C", copy=False)


def _checks(**others: Any) -> dict[str, Any]:
    return {"dtype": _DTYPES, "ensure_all_finite": False, **others}


def _of_array(array: np.ndarray, **others: Any) -> Sequences:
    wide = [array] if is_wide(array) else []
    return Sequences(_floats(array), wide=wide, **others)


def _of_table(estimator: Any, X: Any, is_first: bool, is_list: bool) -> Sequences:
    """[n, timesteps] as [n, timesteps, 1], with the columns that a first table had."""
    if is_first or estimator._has_columns:
        table = validate_data(estimator, X, reset=is_first, **_checks())
    elif is_list or ndim_of(X) != 2 or estimator._has_columns is None:
        table = check_array(X, input_name="X", estimator=estimator, **_checks())
    else:
        raise ValueError(
            f"X has two axes, but {type(estimator).__name__} was fitted on sequences [timesteps, "
            "channels]: X[None] is one such sequence, X[:, :, None] has one of one channel in each "
            "row"
        )
    return _of_array(table[:, :, None], is_table=True)


def _steps_first(x: Any) -> Any:
    """Of an array; a table of pandas has its timesteps in rows."""
    if is_pandas(x):
        return x
    x = np.asarray(x)
    return x.T if x.ndim == 2 else x


def _names_of_frames(X: list[Any]) -> list[str] | None:
    columns = getattr(X[0], "columns", None)
    if columns is None:
        return None
    for i, frame in enumerate(X):
        own = getattr(frame, "columns", columns)
        if own is not columns and list(own) != list(columns):
            raise ValueError(
                f"X: sequence {i} (counted from 0) has the columns {', '.join(map(str, own))}, the "
                f"first one has {', '.join(map(str, columns))}"
            )
    return column_names(X[0])


def _as_part(x: Any) -> Any:
    """[timesteps, channels] of a sequence; what is none is for the Dataset to refuse."""
    try:
        x = np.asarray(x)
    except ValueError:
        return None
    return x[:, None] if x.ndim == 1 else x


def _of_list(X: list[Any], has_channels_first: bool) -> Sequences:
    names = _names_of_frames(X)
    if has_channels_first:
        X = [_steps_first(x) for x in X]
    parts = list(map(_as_part, X))
    return Sequences(X, names=names, wide=parts if any(map(is_wide, parts)) else [])


def _of_long(X: Any) -> Sequences:
    long = read_long(X)
    rows = check_array(long.rows, ensure_2d=False, input_name="X", **_checks())
    rows = rows.reshape(len(rows), -1)
    wide = [rows] if is_wide(rows) else []
    return Sequences(long.parts(_floats(rows)), column_names(X), long, wide)


def _is_ready(X: Any) -> bool:
    """What needs no look, for predictions of which every microsecond counts."""
    is_floats = type(X) is np.ndarray and X.dtype == np.float32
    return is_floats and X.ndim == 3 and X.flags.c_contiguous and len(X) > 0


def _read(estimator: Any, X: Any, is_first: bool) -> Sequences:
    if isinstance(X, Dataset):
        if len(X) == 0:
            raise ValueError("X: the Dataset has no sequence")
        return Sequences(X, names=X.channel_names or None)
    if is_long(X):
        return _of_long(X)
    has_channels_first = estimator.axes == "NCT"
    if not has_channels_first and _is_ready(X):
        return Sequences(X)
    is_list = isinstance(X, (list, tuple))
    X = _list_or_array(X)
    if isinstance(X, list):
        return _of_list(X, has_channels_first)
    ndim = ndim_of(X)
    if ndim < 3:
        return _of_table(estimator, X, is_first, is_list)
    if has_channels_first and ndim == 3:
        X = np.swapaxes(np.asarray(X), 1, 2)
    array = check_array(X, allow_nd=True, input_name="X", estimator=estimator, **_checks())
    return _of_array(array)


def _refuse_too_large(read: Sequences) -> None:
    found = first_too_large(read.wide)
    if found is None:
        return
    part, place, value = found
    if read.long is not None:
        sequence, timestep = read.long.rows.index[place[0]]
        where = f"sequence {sequence}, timestep {timestep}, channel {place[1]}"
    else:
        sequence, timestep, channel = place if len(place) == 3 else (part, *place)
        where = f"sequence {sequence}, timestep {timestep}, channel {channel} (counted from 0)"
    raise ValueError(f"X: {where} is {value!s}, too large for float32")


def _set_names(estimator: Any, read: Sequences) -> None:
    estimator._has_columns = read.is_table
    if read.names is not None:
        estimator.feature_names_in_ = np.array(read.names, object)
    elif not read.is_table:
        vars(estimator).pop("feature_names_in_", None)


def _listed(title: str, names: list[str]) -> str:
    shown = names[:5] + ["..."] * (len(names) > 5)
    return "\n".join([title, *(f"- {name}" for name in shown)]) + "\n" if names else ""


def _require_names(estimator: Any, names: list[str] | None) -> None:
    """Of channels, in the words that scikit-learn has for columns."""
    known = getattr(estimator, "feature_names_in_", None)
    if names is None or known is None or estimator._has_columns or names == known.tolist():
        return
    unseen = _listed("Feature names unseen at fit time:", sorted(set(names) - set(known)))
    missing = _listed(
        "Feature names seen at fit time, yet now missing:", sorted(set(known) - set(names))
    )
    order = "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(
        "The feature names should match those that were passed during fit.\n"
        + (unseen + missing or order)
    )


def read_sequences(estimator: Any, X: Any, is_first: bool = False) -> Sequences:
    """The sequences of X, as Dataset takes them.

    X is [n, timesteps], [n, timesteps, channels], a list of [timesteps, channels] or [timesteps], a
    table of pandas with the index (sequence, timestep) or a Dataset. The first X sets what the
    estimator knows of its columns; NaN and infinite values stay for the model to refuse or fill.
    """
    if estimator.axes not in _AXES:
        raise ValueError(f"axes: expected one of {', '.join(_AXES)}, found {estimator.axes!r}")
    with np.errstate(over="ignore"):
        read = _read(estimator, X, is_first)
    if read.wide:
        _refuse_too_large(read)
    if is_first:
        _set_names(estimator, read)
    elif read.names is not None:
        _require_names(estimator, read.names)
    return read


def _array_of(data: Dataset) -> Any:
    """The sequences of a Dataset, [n, timesteps, channels] where they lie, if they have one length
    and follow one another; a list of views otherwise."""
    sequences = [data[i] for i in range(len(data))]
    first = sequences[0]
    begin = first.__array_interface__["data"][0]
    for i, x in enumerate(sequences):
        if x.shape != first.shape or x.__array_interface__["data"][0] != begin + i * first.nbytes:
            return sequences
    shape, strides = (len(data), *first.shape), (first.nbytes, *first.strides)
    return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=False)


def make_dataset(read: Sequences, **targets: Any) -> Dataset:
    """A Dataset; what float32 cannot hold becomes infinite without a warning."""
    if read.given is not None:
        if not targets:
            return read.given
        targets["ids"] = read.given.ids or None
        read = Sequences(_array_of(read.given), names=read.names)
    with np.errstate(over="ignore"):
        return Dataset(read.values, channel_names=read.names, **targets)
