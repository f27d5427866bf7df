"""Lockstep: recurrent networks on CPUs, fast, with the same bits on every machine."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from . import _functions, _threadpool
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

if TYPE_CHECKING:
    from . import aeon as aeon
    from . import estimators as estimators
    from . import interchange as interchange
    from . import kernels as kernels
    from . import numpy_rnn as numpy_rnn
    from .estimators import RNNClassifier as RNNClassifier
    from .estimators import RNNRegressor as RNNRegressor
    from .tables import split_table as split_table

_functions.register()
_threadpool.register()

# What is imported when it is first asked for: name -> module.
_LAZY = {
    "RNNClassifier": "estimators",
    "RNNRegressor": "estimators",
    "split_table": "tables",
}
_SUBMODULES = ("aeon", "estimators", "interchange", "kernels", "numpy_rnn")
# What modules need beside NumPy: module -> (package, extra of this one).
_NEEDS = {"aeon": ("aeon", "aeon"), "estimators": ("scikit-learn", "sklearn")}

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
    "kernels",
    "options_table",
    "split_table",
    "threads",
]
if importlib.util.find_spec("sklearn") is not None:
    __all__ += ["RNNClassifier", "RNNRegressor"]


def _module(name: str, asked_for: str) -> Any:
    try:
        return importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if name not in _NEEDS or (error.name or "").startswith(__name__):
            raise
        package, extra = _NEEDS[name]
        raise ImportError(
            f"{__name__}.{asked_for} needs {package}: pip install '{__name__}[{extra}]'"
        ) from error


if not TYPE_CHECKING:  # where it would make every name right

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return _module(name, name)
        if name in _LAZY:
            return getattr(_module(_LAZY[name], name), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LAZY, *_SUBMODULES})
