"""Lockstep: recurrent networks on CPUs, fast, with the same bits on every machine."""

from __future__ import annotations

import importlib
from typing import Any

from . import _threadpool
from ._core import (
    Dataset,
    EpochResult,
    Evaluation,
    FileError,
    FitResult,
    Model,
    Stream,
    __version__,
    backend,
    info,
    options_table,
    threads,
)

_threadpool.register()

# What needs more than NumPy is imported when it is first asked for: name -> module.
_LAZY: dict[str, str] = {}
_SUBMODULES = ("interchange", "kernels", "numpy_rnn")

__all__ = [
    "Dataset",
    "EpochResult",
    "Evaluation",
    "FileError",
    "FitResult",
    "Model",
    "Stream",
    "__version__",
    "backend",
    "info",
    "options_table",
    "threads",
    *_LAZY,
    *_SUBMODULES,
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
