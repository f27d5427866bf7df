"""Writes lockstep/estimators.pyi: what editors and type checkers know of the estimators' keywords,
which are made of the options table when the package is imported.

    python tools/estimator_stubs.py > lockstep/estimators.pyi
"""

import inspect
import sys
import textwrap

from lockstep import estimators
from lockstep.options import keywords_for

HEAD = '''"""scikit-learn's estimators over Model. Written by tools/estimator_stubs.py."""

from typing import Any, Callable, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from typing_extensions import Self

from ._core import Model
from .report import Report
'''

ATTRIBUTES = {
    "classes_": "np.ndarray",
    "n_features_in_": "int",
    "loss_history_": "list[float]",
    "history_": "dict[str, list[float]]",
    "kept_epoch_": "int",
    "status_": "str",
    "model_": "Model",
}
RETURNS = {
    "from_model": "Self",
    "fit": "Self",
    "partial_fit": "Self",
    "predict": "Any",
    "predict_proba": "Any",
    "predict_log_proba": "Any",
    "score": "float",
    "report": "Report",
}


def initializer(is_classifier):
    rows = [
        f"        {name}: {keyword.type} = {keyword.default!r},".replace("'", '"')
        for name, keyword in keywords_for(is_classifier).items()
    ]
    return ["    def __init__(", "        self,", "        *,", *rows, "    ) -> None: ..."]


def method(cls, name):
    function = getattr(cls, name)
    signature = inspect.signature(function).replace(return_annotation=inspect.Signature.empty)
    parameters = str(signature).replace("'Any'", "Any").replace("'str'", "str")
    parameters = parameters.replace("'", '"')
    text = inspect.cleandoc(function.__doc__)
    quoted = textwrap.indent(f'"""{text}"""', " " * 8)
    lines = [f"    def {name}{parameters} -> {RETURNS[name]}:", quoted]
    if inspect.ismethod(function):
        lines[0] = lines[0].replace("(", "(cls, ", 1)
        lines.insert(0, "    @classmethod")
    return lines


def stub(cls, mixin, is_classifier):
    text = inspect.cleandoc(cls.__doc__).partition("\n\nAttributes")[0]
    lines = [f"class {cls.__name__}({mixin}, BaseEstimator):"]
    lines.append(textwrap.indent(f'"""{text}"""', "    ") + "\n")
    attributes = [name for name in ATTRIBUTES if is_classifier or name != "classes_"]
    lines += [f"    {name}: {ATTRIBUTES[name]}" for name in attributes]
    lines += ["    @property", "    def n_iter_(self) -> int:"]
    lines.append(f'        """{cls.n_iter_.__doc__}"""')
    lines += initializer(is_classifier)
    for name in RETURNS:
        if hasattr(cls, name):
            lines += method(cls, name)
    return "\n".join(lines)


def main():
    parts = [
        HEAD.rstrip(),
        stub(estimators.RNNClassifier, "ClassifierMixin", True),
        stub(estimators.RNNRegressor, "RegressorMixin", False),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(main())
