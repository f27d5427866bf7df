"""What an estimator's keywords may be, and the words of the library about options as words about
keywords."""

from __future__ import annotations

import operator
import re
import warnings
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np

from .options import keyword_of, option_rows

_COMPLAINT = re.compile(r"(\w+): (.*), found .*", re.DOTALL)
_EXPECTED = "expected "


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, (bool, np.bool_))


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_level(value: Any) -> bool:
    return _is_flag(value) or (_is_whole(value) and value >= 0)


def _is_random_state(value: Any) -> bool:
    return value is None or hasattr(value, "randint") or _is_whole(value)


def _are_callbacks(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(callable, value))
    return value is None or callable(value)


def _are_class_weights(value: Any) -> bool:
    is_word = isinstance(value, str) and value == "balanced"
    return value is None or is_word or isinstance(value, dict)


_CHECKS = {
    "random_state": (_is_random_state, None),
    "class_weight": (_are_class_weights, None),
    "warm_start": (_is_flag, "True or False"),
    "verbose": (_is_level, "a whole number of 0 or more"),
    "callbacks": (_are_callbacks, "a function, a list of functions or None"),
}


def _expected(row: dict[str, Any]) -> str:
    """What an option may be, in the words of its keyword."""
    if row["name"] == "seed":
        return f"{row['expected']}, a RandomState or None"
    if row["name"] == "class_weights":
        return "a dict of weights of 0 or more, 'balanced' or None"
    if row["name"] == "threads":
        return "up to 1024 threads"
    if row["type"] == "bool":
        return "True or False"
    return row["expected"].replace("auto", "None") if row["optional"] else row["expected"]


def _complaint(name: str, expected: str, value: Any) -> str:
    return f"{name}: {_EXPECTED}{expected}, found {value!r}"


def check_keywords(estimator: Any) -> None:
    """ValueError for what is of no kind that its keyword takes; the library looks at numbers."""
    rows = {keyword_of(row["name"]): row for row in option_rows(estimator)}
    for name, (is_right, expected) in _CHECKS.items():
        value = getattr(estimator, name, None)
        if hasattr(estimator, name) and not is_right(value):
            raise ValueError(_complaint(name, expected or _expected(rows[name]), value))
    for name, row in rows.items():
        is_number = row["type"] in ("int", "float") and row["name"] != "memory"
        if is_number and isinstance(getattr(estimator, name), str):
            raise ValueError(_complaint(name, _expected(row), getattr(estimator, name)))


@contextmanager
def about_keywords(estimator: Any) -> Iterator[None]:
    """What the library says of an option that is wrong is said of the keyword that gave it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        found = _COMPLAINT.fullmatch(str(error))
        rows = {row["name"]: row for row in option_rows(estimator)}
        if found is None or found[1] not in rows:
            raise
        name = keyword_of(found[1])
        says = _EXPECTED + _expected(rows[found[1]]) if found[2].startswith(_EXPECTED) else found[2]
        text = f"{name}: {says}, found {getattr(estimator, name)!r}"
        raise type(error)(text) from None


def _obstacle(needs: str, options: dict[str, Any], defaults: dict[str, Any]) -> str:
    """What keeps an option from having an effect that needs 'loss huber', 'schedule step or plateau'
    or 'dropout', one that is not at its default; or nothing."""
    name, _, values = needs.partition(" ")
    value = options.get(name)
    if name not in options or (not values and value != defaults[name]):
        return ""
    if values and str(value) in values.split(" or "):
        return ""
    return f"{keyword_of(name)}={value!r}" + (f": it needs {values}" if values else "")


def warn_of_what_has_no_effect(estimator: Any, options: dict[str, Any], stacklevel: int) -> None:
    """UserWarning for keywords that others make useless. The library refuses patience itself."""
    rows = option_rows(estimator)
    defaults = {row["name"]: row["default"] for row in rows}
    for row in rows:
        name = keyword_of(row["name"])
        given = getattr(estimator, name)
        if not row["needs"] or name == "patience" or given is None or given == row["default"]:
            continue
        obstacle = _obstacle(row["needs"], options, defaults)
        if obstacle:
            text = f"{name}={given!r} has no effect with {obstacle}"
            warnings.warn(text, UserWarning, stacklevel=stacklevel)
