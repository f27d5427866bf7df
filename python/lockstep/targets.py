"""What estimators take as y, a class for each head: read as the targets of a Dataset, and made again
of what a model predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from ._core import Dataset
from .precision import first_too_large, is_wide, warn_of_lost_digits
from .tables import column_names

_UNKNOWN = -1


def _codes(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Places of labels among sorted classes."""
    places = np.searchsorted(classes, labels)
    places[places == len(classes)] = 0
    unknown = classes[places] != labels
    if unknown.any():
        label = labels[np.argmax(unknown)]
        raise ValueError(
            f"y: label {label!s} is none of the classes {', '.join(names_of(classes))}"
        )
    return places


def _most_probable(probabilities: np.ndarray) -> np.ndarray:
    rows = np.isnan(probabilities).any(axis=1)
    if rows.any():
        raise ValueError(
            f"the outputs of row {np.argmax(rows)} (counted from 0) are NaN: the model overflows"
        )
    return probabilities.argmax(axis=1)


def _classes(labels: Any) -> np.ndarray:
    """Sorted, as scikit-learn does."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"y: one class, {', '.join(names_of(classes))}, but a classifier needs at least two"
        )
    return classes


def names_of(classes: np.ndarray) -> list[str]:
    return [str(label) for label in classes.tolist()]


def _by_sequence(rows: np.ndarray, data: Dataset) -> Any:
    """Rows of all timesteps as [n, timesteps, ...], or as a list if X was one."""
    lengths = data.lengths
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    return np.stack(parts) if data.is_view and (lengths == lengths[0]).all() else parts


def _numbers(outputs: np.ndarray, is_flat: bool) -> np.ndarray:
    return (outputs[:, 0] if is_flat else outputs).astype(np.float64)


def _of_steps(weights: Any, rows: list[np.ndarray]) -> np.ndarray | None:
    return None if weights is None else np.repeat(weights, [len(row) for row in rows])


def _rows_of_steps(y: Any, shapes: str) -> list[Any]:
    """What y has for each sequence."""
    y = y.to_numpy() if hasattr(y, "to_numpy") else y
    rows = list(y) if np.iterable(y) else []
    if not rows or any(isinstance(row, str) or not hasattr(row, "__len__") for row in rows):
        found = f"shape {y.shape}" if hasattr(y, "shape") else f"{type(y).__name__} of {len(rows)}"
        raise ValueError(f"y: expected for each sequence {shapes}, found {found}")
    return rows


def _require_steps(y: list[Any], predicted: Any) -> None:
    if len(y) != len(predicted):
        raise ValueError(f"y: it has {len(y)} sequences, but X has {len(predicted)}")
    for i, (rows, others) in enumerate(zip(y, predicted)):
        if len(rows) != len(others):
            raise ValueError(
                f"y: sequence {i} (counted from 0) has {len(rows)} timesteps, but X has "
                f"{len(others)} there"
            )


def _check_range(parts: list[np.ndarray]) -> None:
    """Refuses numbers that float32 has not, and warns where it loses their differences."""
    parts = [part[:, None] if part.ndim == 1 else part for part in parts]
    if not any(map(is_wide, parts)):
        return
    found = first_too_large(parts)
    if found is not None:
        raise ValueError(f"y: {found[2]!s} is too large for float32")
    warn_of_lost_digits("y", "output", parts)


def _where(known: np.ndarray, *rows: Any) -> tuple[Any, ...]:
    return tuple(None if part is None else part[known] for part in rows)


def names_of_outputs(y: Any) -> list[str] | None:
    """Those of the columns of a table, which must differ."""
    names = column_names(y) if hasattr(y, "columns") else None
    return names if names and len(set(names)) == len(names) else None


class _Targets:
    """Targets of sequences."""

    head: str
    has_steps = False
    names: list[str] | None = None  # of outputs

    def set_names(self, names: list[str] | None, is_first: bool) -> None:
        """Of the columns of y, which stay those of the first one."""
        if is_first:
            self.names = names
        elif names is not None and self.names is not None and names != self.names:
            raise ValueError(
                f"y: its columns are {', '.join(names)}, but the estimator was fitted with "
                f"{', '.join(self.names)}"
            )

    def _class_names(self) -> dict[str, Any]:
        return {} if self.names is None else {"class_names": self.names}

    def proba(self, outputs: np.ndarray, data: Dataset) -> Any:
        return outputs

    def scored(self, y: Any, predicted: Any, weights: Any) -> tuple[Any, Any, Any]:
        """What a metric compares: true and predicted ones, and their weights."""
        return y, predicted, weights


class Classify(_Targets):
    """One of several classes for each sequence: y [n]."""

    head = "classify"

    def __init__(self, y: np.ndarray, classes: Any = None) -> None:
        self.classes = _classes(y if classes is None else classes)

    @staticmethod
    def read(y: Any) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        return y

    def encode(self, y: np.ndarray) -> dict[str, Any]:
        return {"labels": _codes(y, self.classes), "class_names": names_of(self.classes)}

    def decode(self, outputs: np.ndarray, data: Dataset) -> np.ndarray:
        return self.classes[_most_probable(outputs)]


def _is_known(labels: np.ndarray) -> np.ndarray:
    """Not None and not NaN."""
    if labels.dtype == object:
        return np.array([label is not None and label == label for label in labels], bool)
    return labels == labels


class ClassifySteps(_Targets):
    """A class for each timestep: y a list of [timesteps], or [n, timesteps]. None and NaN are not
    known."""

    head = "classify_steps"
    has_steps = True

    def __init__(self, y: list[np.ndarray], classes: Any = None) -> None:
        if classes is None:
            labels = np.concatenate(y)
            classes = labels[_is_known(labels)]
        self.classes = _classes(classes)

    @staticmethod
    def read(y: Any) -> list[np.ndarray]:
        return [column_or_1d(labels) for labels in _rows_of_steps(y, "labels [timesteps]")]

    def encode(self, y: list[np.ndarray]) -> dict[str, Any]:
        return {"step_labels": list(map(self._codes, y)), "class_names": names_of(self.classes)}

    def _codes(self, labels: np.ndarray) -> np.ndarray:
        known = _is_known(labels)
        codes = np.full(len(labels), _UNKNOWN)
        codes[known] = _codes(labels[known].astype(self.classes.dtype), self.classes)
        return codes

    def proba(self, outputs: np.ndarray, data: Dataset) -> Any:
        return _by_sequence(outputs, data)

    def decode(self, outputs: np.ndarray, data: Dataset) -> Any:
        return _by_sequence(self.classes[_most_probable(outputs)], data)

    def scored(self, y: Any, predicted: Any, weights: Any) -> tuple[Any, Any, Any]:
        y = self.read(y)
        _require_steps(y, predicted)
        labels = np.concatenate(y)
        known = _is_known(labels)
        weights = _of_steps(weights, y)
        truth, predicted, weights = _where(known, labels, np.concatenate(predicted), weights)
        return truth.astype(self.classes.dtype), predicted, weights


class MultiLabel(_Targets):
    """Any of several labels for each sequence: y [n, labels] of 0 and 1."""

    head = "multilabel"

    def __init__(self, y: np.ndarray, classes: Any = None) -> None:
        self.classes = np.arange(y.shape[1]) if classes is None else np.asarray(classes)

    @staticmethod
    def read(y: Any) -> np.ndarray:
        return check_array(y, input_name="y")

    def encode(self, y: np.ndarray) -> dict[str, Any]:
        return {"values": y, "class_names": names_of(self.classes), **self._class_names()}

    def decode(self, outputs: np.ndarray, data: Dataset) -> np.ndarray:
        return (outputs > 0.5).astype(int)


class Regress(_Targets):
    """Numbers for each sequence: y [n] or [n, outputs]."""

    head = "regress"

    def __init__(self, y: np.ndarray) -> None:
        self.is_flat = y.ndim == 1

    @staticmethod
    def read(y: Any) -> np.ndarray:
        return check_array(y, ensure_2d=False, dtype="numeric", input_name="y")

    def encode(self, y: np.ndarray) -> dict[str, Any]:
        _check_range([y])
        return {"values": y, **self._class_names()}

    def decode(self, outputs: np.ndarray, data: Dataset) -> np.ndarray:
        return _numbers(outputs, self.is_flat)


class RegressSteps(_Targets):
    """Numbers for each timestep: y a list of [timesteps] or [timesteps, outputs], or an array of
    them. NaN is not known."""

    head = "regress_steps"
    has_steps = True

    def __init__(self, y: list[np.ndarray]) -> None:
        self.is_flat = y[0].ndim == 1

    @staticmethod
    def read(y: Any) -> list[np.ndarray]:
        return [
            check_array(rows, ensure_2d=False, dtype="numeric", ensure_all_finite="allow-nan")
            for rows in _rows_of_steps(y, "numbers [timesteps] or [timesteps, outputs]")
        ]

    def encode(self, y: list[np.ndarray]) -> dict[str, Any]:
        _check_range(y)
        return {"step_values": y, **self._class_names()}

    def decode(self, outputs: np.ndarray, data: Dataset) -> Any:
        return _by_sequence(_numbers(outputs, self.is_flat), data)

    def scored(self, y: Any, predicted: Any, weights: Any) -> tuple[Any, Any, Any]:
        y = self.read(y)
        _require_steps(y, predicted)
        rows = np.concatenate(y)
        known = ~np.isnan(rows.reshape(len(rows), -1)).any(axis=1)
        return _where(known, rows, np.concatenate(predicted), _of_steps(weights, y))
