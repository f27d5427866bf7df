"""The options table as keywords of estimators, under the names that scikit-learn gives them."""

from __future__ import annotations

import abc
import difflib
import functools
import inspect
import textwrap
from typing import Any, Callable, NamedTuple

from . import _core


class Keyword(NamedTuple):
    default: Any
    values: str  # that it may have, in words
    help: str
    type: str  # as Python's annotations have it


# THE table of names: option -> (keyword, what it is).
_SKLEARN = {
    "seed": (
        "random_state",
        Keyword(
            1,
            "int, RandomState or None",
            "Seed of weights, orders and validation split; None and a RandomState draw it anew in "
            "each fit",
            "int | np.random.RandomState | None",
        ),
    ),
    "threads": (
        "n_jobs",
        Keyword(
            None,
            "int or None",
            "Threads, which change no result; None and -1: as many CPUs as the process may use, "
            "-2: all but one, and so on down to one thread",
            "int | None",
        ),
    ),
    "class_weights": (
        "class_weight",
        Keyword(
            None,
            "dict, 'balanced' or None",
            "Weights of the labels in the loss; 'balanced': the rarer a label, the larger",
            "dict[Any, float] | Literal['balanced'] | None",
        ),
    ),
}
_OF_NUMBERS = ("normalize_targets", "loss", "delta")
_OF_CLASSES = ("class_weights", "label_smoothing")

# Keywords that are no options.
_OTHERS = {
    "axes": Keyword(
        "NTC",
        "'NTC' or 'NCT'",
        "Order of the axes of sequences: [n, timesteps, channels] and [timesteps, channels], or "
        "channels before timesteps",
        "Literal['NTC', 'NCT']",
    ),
    "warm_start": Keyword(
        False, "bool", "Whether `fit` learns on from the weights that there are", "bool"
    ),
    "callbacks": Keyword(
        None,
        "function, list of functions or None",
        "Called after every epoch with the estimator, which can predict, and an EpochResult, whose "
        "`epoch` counts as `n_iter_`; False ends the training",
        "Callable[..., Any] | list[Callable[..., Any]] | None",
    ),
    "verbose": Keyword(
        0,
        "int",
        "1: a bar of tqdm in a terminal or notebook, where it is installed, otherwise some lines; "
        "2: a line for each epoch",
        "int",
    ),
}


@functools.cache
def _rows(is_classifier: bool) -> list[dict[str, Any]]:
    others = _OF_NUMBERS if is_classifier else _OF_CLASSES
    rows = [row for row in _core.options_table() if row["name"] not in others]
    (heads,) = (row for row in rows if row["name"] == "head")
    heads["choices"] = [
        head for head in heads["choices"] if head == "auto" or _is_of_classes(head) == is_classifier
    ]
    heads["expected"] = "one of " + ", ".join(heads["choices"])
    return rows


def option_rows(estimator: Any) -> list[dict[str, Any]]:
    """The rows of the options table that an estimator has keywords for."""
    return _rows(estimator._is_classifier)


def keyword_of(option: str) -> str:
    """What the option is called here."""
    return _SKLEARN[option][0] if option in _SKLEARN else option


def _is_of_classes(head: str) -> bool:
    return not head.startswith("regress")


def _keyword(row: dict[str, Any]) -> tuple[str, Keyword]:
    if row["name"] in _SKLEARN:
        return _SKLEARN[row["name"]]
    values, kind, text = row["expected"], row["type"], row["help"]
    if row["choices"] and kind != "bool":
        kind = f"Literal[{', '.join(map(repr, row['choices']))}]"
    elif kind == "bool":
        values = "bool"
    if row["needs"]:
        text += f", with {row['needs']}"
    if row["optional"]:
        values, kind = values.replace("auto", "None"), kind + " | None"
        text += "; None: what is good for the optimizer"
    return row["name"], Keyword(row["default"], values, text, kind)


def keywords_for(is_classifier: bool) -> dict[str, Keyword]:
    """Those of a classifier or of a regression, in their order."""
    return dict(map(_keyword, _rows(is_classifier))) | _OTHERS


def _initializer(cls: type, keywords: dict[str, Keyword]) -> Callable[..., None]:
    """An __init__ that keeps its keywords, and says which they are to inspect."""
    kinds = inspect.Parameter
    parameters = [kinds("self", kinds.POSITIONAL_OR_KEYWORD)] + [
        kinds(name, kinds.KEYWORD_ONLY, default=keyword.default)
        for name, keyword in keywords.items()
    ]
    signature = inspect.Signature(parameters)

    def __init__(self: Any, **values: Any) -> None:
        _refuse_unknown(cls, values, keywords)
        bound = signature.bind(self, **values)
        bound.apply_defaults()
        del bound.arguments["self"]
        vars(self).update(bound.arguments)
        super(cls, self).__init__()

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


def _refuse_unknown(cls: type, values: dict[str, Any], keywords: dict[str, Keyword]) -> None:
    unknown = next((name for name in values if name not in keywords), None)
    if unknown is None:
        return
    near = difflib.get_close_matches(unknown, keywords, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise TypeError(f"{cls.__name__}() got an unexpected keyword argument {unknown!r}{hint}")


def _parameters_text(keywords: dict[str, Keyword]) -> str:
    lines = ["Parameters", "----------"]
    for name, keyword in keywords.items():
        lines.append(f"{name} : {keyword.values}, default={keyword.default!r}")
        lines.append(textwrap.indent(textwrap.fill(keyword.help + ".", 96), "    "))
    return "\n".join(lines)


def with_options(
    is_classifier: bool, defaults: dict[str, Any] | None = None, without: tuple[str, ...] = ()
) -> Callable[[type], type]:
    """Gives a class an __init__ with the options of a classifier or a regression, and adds them to
    its docstring."""

    def add(cls: type) -> type:
        keywords = keywords_for(is_classifier)
        for name, default in (defaults or {}).items():
            keywords[name] = keywords[name]._replace(default=default)
        for name in without:
            del keywords[name]
        cls._keywords = keywords  # type: ignore[attr-defined]
        cls._is_classifier = is_classifier  # type: ignore[attr-defined]
        cls.__init__ = _initializer(cls, keywords)  # type: ignore[misc]
        cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\n{_parameters_text(keywords)}\n"
        return abc.update_abstractmethods(cls)

    return add


def model_options(estimator: Any) -> dict[str, Any]:
    """The options of an estimator as those of a Model, without its class weights."""
    options = {}
    for row in option_rows(estimator):
        options[row["name"]] = getattr(estimator, keyword_of(row["name"]))
    options.pop("class_weights", None)
    options["seed"] = _seed(options["seed"])
    options["threads"] = threads_of(options["threads"])
    return options


def callbacks_of(callbacks: Any) -> list[Callable[..., Any]]:
    """The functions that the keyword names."""
    return [callbacks] if callable(callbacks) else list(callbacks or ())


def _seed(random_state: Any) -> int:
    if random_state is None or hasattr(random_state, "randint"):
        from sklearn.utils import check_random_state

        return int(check_random_state(random_state).randint(2**31 - 1))
    return random_state


def threads_of(n_jobs: int | None) -> int:
    """Threads by the rules of joblib: -2 is all but one."""
    if n_jobs is None:
        return 0
    is_whole = hasattr(n_jobs, "__index__") and not isinstance(n_jobs, bool)
    if not is_whole or n_jobs == 0:
        expected = "a whole number that is not 0, or None"
        raise ValueError(f"n_jobs: expected {expected}, found {n_jobs!r}")
    if n_jobs == -1:
        return 0
    return n_jobs if n_jobs > 0 else max(1, _core.threads() + 1 + n_jobs)


# Options that say how a model is made: those of a model that learns on must be equal.
MADE_WITH = tuple(
    row["name"]
    for row in _core.options_table()
    if row["group"] == "Model" and row["name"] != "head"
)
