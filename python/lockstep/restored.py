"""Estimators of models that are there already: what a model does not say is made of its names."""

from __future__ import annotations

import os
from typing import Any, Callable

import numpy as np

from ._core import Dataset, Model
from .options import keyword_of, option_rows
from .own_targets import are_numbered


def model_at(source: Any) -> Model:
    """A model, or that of a file."""
    if isinstance(source, Model):
        return source
    if isinstance(source, (str, os.PathLike)):
        return Model.load(source)
    raise TypeError(f"from_model: expected a Model or a path, found {type(source).__name__}")


_LABELS: tuple[tuple[Callable[[str], Any], type], ...] = (
    ({"True": True, "False": False}.__getitem__, bool),
    (int, np.int64),
    (float, np.float64),
)


def labels_of(names: list[str]) -> np.ndarray:
    """The labels that have these names: truth values, whole numbers or numbers if all are, or the
    names themselves."""
    for read, dtype in _LABELS:
        try:
            labels = [read(name) for name in names]
        except (KeyError, ValueError):
            continue
        if [str(label) for label in labels] == names:
            return np.array(labels, dtype)
    return np.array(names)


def _class_weight(text: str, names: list[str], classes: np.ndarray) -> Any:
    if text in ("none", "balanced"):
        return None if text == "none" else text
    labels = dict(zip(names, classes.tolist()))
    pairs = [pair.rpartition("=")[::2] for pair in text.split(",")]
    return {labels[name]: float(weight) for name, weight in pairs if name in labels}


def keywords_of(estimator: type, model: Model, classes: np.ndarray | None) -> dict[str, Any]:
    """The options of a model as the keywords of an estimator."""
    options = {**model.options, "head": model.network["head"]}
    keywords = {
        keyword_of(row["name"]): options[row["name"]]
        for row in option_rows(estimator)
        if row["name"] in options
    }
    keywords["n_jobs"] = options["threads"] or None
    if "class_weight" in keywords:
        keywords["class_weight"] = _class_weight(
            options["class_weights"], model.class_names, classes
        )
    return keywords


def _checked_classes(classes: Any, model: Model) -> np.ndarray:
    names = model.class_names
    found = labels_of(names) if classes is None else np.asarray(classes)
    if found.shape != (len(names),) or len(np.unique(found)) != len(names):
        raise ValueError(
            f"classes: expected {len(names)} labels that differ, those of the model's classes "
            f"{', '.join(names)} in this order"
        )
    return found


class RestoredHead:
    """A head whose outputs have the order and the names that a model gives them."""

    def __init__(self, head: Any, names: list[str], order: np.ndarray | None = None) -> None:
        self._head = head
        self._names = names
        is_sorted = order is None or bool((order == np.arange(len(order))).all())
        self._order = None if is_sorted else order  # of the model's classes, by label

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._head, name)

    def _by_label(self, outputs: np.ndarray) -> np.ndarray:
        return outputs if self._order is None else outputs[:, self._order]

    def _of_model(self, codes: Any) -> Any:
        if isinstance(codes, list):
            return [self._of_model(part) for part in codes]
        return np.where(codes < 0, codes, self._order[codes])

    def encode(self, y: Any) -> dict[str, Any]:
        encoded = {**self._head.encode(y), "class_names": self._names}
        for kind in ("labels", "step_labels"):
            if self._order is not None and kind in encoded:
                encoded[kind] = self._of_model(encoded[kind])
        return encoded

    def proba(self, outputs: np.ndarray, data: Dataset) -> Any:
        return self._head.proba(self._by_label(outputs), data)

    def decode(self, outputs: np.ndarray, data: Dataset) -> Any:
        return self._head.decode(self._by_label(outputs), data)


def _of_outputs(head: Any, model: Model) -> RestoredHead:
    """With the names that columns of y had."""
    names = model.class_names
    head.set_names(None if are_numbered(names) else names, True)
    return RestoredHead(head, names)


def head_of_classes(head: Any, model: Model, classes: Any) -> tuple[RestoredHead, np.ndarray]:
    """Head and classes, in the model's order."""
    if head.head == "multilabel" and classes is None:
        classes = np.arange(len(model.class_names))
    found = _checked_classes(classes, model)
    if head.head == "multilabel":
        nothing = np.zeros((0, len(found)))
        return _of_outputs(head(nothing, found), model), found
    order = np.argsort(found, kind="stable")
    return RestoredHead(head([], found), model.class_names, order), found


def head_of_numbers(head: Any, model: Model) -> RestoredHead:
    outputs = model.network["outputs"]
    rows = np.zeros(1 if outputs == 1 else (1, outputs))
    return _of_outputs(head([rows] if head.has_steps else rows), model)


def channels_of(model: Model) -> int:
    """Of the data, without those that mark missing values."""
    return int(model.network["features"]) - len(model.missing["masked"])
