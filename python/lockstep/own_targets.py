"""The targets of a Dataset as y of estimators."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._core import Dataset

# Head -> the kind of targets that it learns.
_KINDS = {
    "classify": "label",
    "classify_steps": "step_labels",
    "multilabel": "values",
    "regress": "values",
    "regress_steps": "step_values",
}


class Own(NamedTuple):
    y: Any
    classes: Any = None  # of labels
    names: list[str] | None = None  # of outputs


def has_targets(data: Dataset | None) -> bool:
    return data is not None and data.n_classes > 0


def head_for(data: Dataset, heads: list[str]) -> str:
    """That of an estimator, which learns what the data have."""
    for head in heads:
        if _KINDS[head] == data.target_kind:
            return head
    raise ValueError(f"X: its targets are {data.target_kind}, which this estimator does not learn")


def _by_sequence(rows: np.ndarray, data: Dataset) -> list[np.ndarray]:
    return np.split(rows, np.cumsum(data.lengths)[:-1])


def _labels(data: Dataset, classes: np.ndarray) -> Any:
    codes: Any = data.labels
    if data.target_kind == "label":
        if (codes < 0).any():
            raise ValueError(f"X: sequence {np.argmax(codes < 0)} (counted from 0) has no label")
        return classes[codes]
    known: Any = classes.astype(object)[np.maximum(codes, 0)]
    labels: Any = np.where(codes < 0, None, known)
    return _by_sequence(labels, data)


def _values(data: Dataset) -> Any:
    values: Any = data.values
    if data.n_classes == 1:
        values = values[:, 0]
    return values if data.target_kind == "values" else _by_sequence(values, data)


def own_targets(data: Dataset, head: str) -> Own:
    """y for a head. Labels are the texts of the classes, or indices where those are 0, 1, ..."""
    if _KINDS[head] != data.target_kind:
        raise ValueError(f"X: its targets are {data.target_kind}, but {head} learns {_KINDS[head]}")
    names = data.class_names
    if data.labels is None:
        y = data.values if head == "multilabel" else _values(data)
        return Own(y, names=None if are_numbered(names) else names)
    classes = np.arange(len(names)) if are_numbered(names) else np.array(names)
    return Own(_labels(data, classes), classes)


def are_own(data: Dataset, targets: dict[str, Any]) -> bool:
    """Whether a Dataset of its own targets would be no other, for it has the same names."""
    names = data.class_names
    return targets.get("class_names", names if are_numbered(names) else None) == names


def are_numbered(names: list[str]) -> bool:
    """What a Dataset calls outputs that were given no names."""
    return names == list(map(str, range(len(names))))
