"""The report of a training: the page that the command `lockstep` writes, and a text."""

from __future__ import annotations

import html
import os
import pathlib

from . import _core

_HEIGHT = 900  # of the page in a notebook, in pixels


_ENDS = {
    "finished": "the training finished",
    "patience": "the training ended for lack of a better validation loss",
    "stopped": "the training was stopped",
    "diverged": "the training diverged",
}


def outcome_text(epochs: int, status: str, kept_epoch: int) -> str:
    """How a training ended, as a line."""
    if epochs == 0:
        return "no epoch learnt here: the model was loaded"
    end = f"{epochs} epochs: {_ENDS.get(status, 'the training goes on')}"
    return f"{end}; the weights are those of epoch {kept_epoch}"


class Report:
    """What `report` of an estimator gives: training curves, and how well it does on some data.

    The page has confusions of the classes, or predicted against true numbers. A notebook shows it,
    print() a text.

    Attributes
    ----------
    evaluation : Evaluation
    html : str
        The page.
    """

    def __init__(self, evaluation: _core.Evaluation, page: str, text: str) -> None:
        self.evaluation = evaluation
        self.html = page
        self._text = text

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page, which needs no other file; OSError if it cannot."""
        pathlib.Path(path).write_text(self.html, encoding="utf-8")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<lockstep.Report: {self.evaluation!r}>"

    def _repr_html_(self) -> str:
        # In a frame of its own, so that its style is not that of the notebook.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="Lockstep training report" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
        )
