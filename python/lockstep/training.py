"""One training of an estimator's model: progress, callbacks and what is kept of each epoch."""

from __future__ import annotations

import traceback
from collections import deque
from typing import Any

import numpy as np

from ._core import Dataset, EpochResult
from .options import callbacks_of
from .progress import progress_of

HISTORY = (
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
    "timesteps",
    "skipped",
)


class Epoch:
    """An EpochResult whose `epoch` counts on from the trainings before."""

    def __init__(self, result: EpochResult, epoch: int) -> None:
        self.epoch = epoch
        self._result = result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._result, name)

    def __repr__(self) -> str:
        return repr(self._result).replace(f" {self._result.epoch}:", f" {self.epoch}:", 1)


class Training:
    """Runs Model.fit or Model.learn. What was learnt is in the estimator's history however it ends,
    a signal at any place included."""

    def __init__(self, estimator: Any, epochs: int) -> None:
        self._estimator = estimator
        self._columns = [estimator.history_[name] for name in HISTORY]
        self._before = len(estimator.loss_history_)
        self._seen: list[EpochResult] = []
        self._callbacks = callbacks_of(estimator.callbacks)
        self._progress = progress_of(self._before, epochs, estimator.verbose)

    def run(self, train: Any, data: Dataset) -> str:
        """Why it ended, as FitResult says it."""
        estimator = self._estimator
        estimator.status_ = "running"
        try:
            result = train(data, on_batch=self._progress.on_batch, on_epoch=self._on_epoch)
            if result.status != "diverged":
                self._progress.end()
        except BaseException as error:
            self._note_what_was_cut_off(error)
            estimator.kept_epoch_ = self._kept_epoch()
            estimator.status_ = "stopped"
            raise
        finally:
            self._progress.close()
        estimator.kept_epoch_ = self._before + result.kept_epoch
        estimator.status_ = result.status
        return result.status

    def _on_epoch(self, result: EpochResult) -> bool:
        self._note(result)
        epoch = len(self._estimator.loss_history_)
        shown = result if result.epoch == epoch else Epoch(result, epoch)
        self._progress.on_epoch(shown)
        answers = [callback(self._estimator, shown) for callback in self._callbacks]
        return all(answer is None or answer for answer in answers)

    def _note(self, result: EpochResult) -> None:
        lists = [*self._columns, self._seen]
        row = [*(getattr(result, name) for name in HISTORY), result]
        # Without a step of the interpreter in between, at which a signal could cut a row.
        deque(map(list.append, lists, row), maxlen=0)

    def _note_what_was_cut_off(self, error: BaseException) -> None:
        """The epoch of an `_on_epoch` that a signal has ended before it noted anything: one that
        came after Model had looked at signals, which it does before the call."""
        code = Training._on_epoch.__code__
        for frame, _ in traceback.walk_tb(error.__traceback__):
            result = frame.f_locals.get("result") if frame.f_code is code else None
            if result is not None and not any(result is seen for seen in self._seen[-1:]):
                self._note(result)

    def _kept_epoch(self) -> int:
        """Whose weights a training has left that something raised has ended."""
        losses = self._estimator.history_["validation_loss"][self._before :]
        losses = np.nan_to_num(losses, nan=np.inf)
        if self._estimator.model_.options["patience"] == 0 or len(losses) == 0:
            return len(self._estimator.loss_history_)
        return self._before + 1 + int(np.argmin(losses))
