"""Functions of the extension module and methods of its objects in pickles, as joblib needs them."""

from __future__ import annotations

import copyreg
from typing import Any

from . import _core


def _name_of(function: Any) -> str:
    return function.__qualname__


def _parts_of(method: Any) -> tuple[Any, tuple[Any, str]]:
    return getattr, (method.__self__, method.__name__)


def register() -> None:
    method = _core.Dataset.subset
    bound = method.__get__(object())
    for kind in (type(_core.gemm), type(method)):
        copyreg.pickle(kind, _name_of)
    copyreg.pickle(type(bound), _parts_of)
