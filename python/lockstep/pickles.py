"""Estimators in pickles, also in those of another version of this package."""

from __future__ import annotations

from typing import Any

from ._core import Model, __version__, options_table

_VERSION = "_lockstep_version"


def _model_of(state: tuple[bytes, dict[str, Any]], version: str) -> Model:
    data, options = state
    known = {row["name"] for row in options_table()}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(
            f"the pickle was written by lockstep {version} and has an option that lockstep "
            f"{__version__} does not know, {unknown[0]!r}: read it with that version"
        )
    return Model.from_bytes(data, options)


class Pickled:
    """Pickles of a class that with_options made: they have the version, and keywords that they lack
    get their defaults."""

    _keywords: dict[str, Any]

    def __getstate__(self) -> dict[str, Any]:
        parent: Any = super()
        state = dict(parent.__getstate__())
        if isinstance(state.get("model_"), Model):
            state["model_"] = state["model_"].__getstate__()
        return {**state, _VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(_VERSION, "of an unknown version")
        for name, keyword in self._keywords.items():
            state.setdefault(name, keyword.default)
        if isinstance(state.get("model_"), tuple):
            state["model_"] = _model_of(state["model_"], version)
        parent: Any = super()
        parent.__setstate__(state)
