"""What a training shows of itself while it runs."""

from __future__ import annotations

import math
from typing import Any

from ._core import EpochResult

_LINES = 10


def _texts(result: EpochResult) -> dict[str, str]:
    names = ("loss", "accuracy", "validation_loss", "validation_accuracy")
    values = {name: getattr(result, name) for name in names}
    return {name: f"{value:.4g}" for name, value in values.items() if not math.isnan(value)}


class Silence:
    """Shows nothing."""

    on_batch = None

    def on_epoch(self, result: EpochResult) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Silence):
    """A line for each epoch, or for some of them."""

    def __init__(self, before: int, epochs: int, shows_all: bool) -> None:
        self._before = before
        self._last = before + epochs
        self._between = 1 if shows_all else max(1, epochs // _LINES)

    def on_epoch(self, result: EpochResult) -> None:
        done = result.epoch - self._before
        if done % self._between and done != 1 and result.epoch != self._last:
            return
        values = "  ".join(f"{name} {text}" for name, text in _texts(result).items())
        print(f"epoch {result.epoch}/{self._last}  {values}  {result.seconds:.2f} s", flush=True)


class Bar:
    """A bar of tqdm, in terminals and notebooks."""

    _FORMAT = "{l_bar}{bar}| {n:.0f}/{total} epochs [{elapsed}<{remaining}{postfix}]"

    def __init__(self, tqdm: Any, before: int, epochs: int) -> None:
        self._epochs = before
        self._bar = tqdm(initial=before, total=before + epochs, bar_format=self._FORMAT)

    def on_batch(self, epoch: int, done: int, samples: int) -> None:
        self._bar.update(self._epochs + done / samples - self._bar.n)

    def on_epoch(self, result: EpochResult) -> None:
        self._epochs = result.epoch
        self._bar.set_postfix(_texts(result), refresh=False)

    def close(self) -> None:
        self._bar.refresh()
        self._bar.close()


def progress_of(before: int, epochs: int, verbose: int) -> Any:
    """0: silence; 1: a bar, or some lines where there is no tqdm; 2: a line for each epoch. Numbers
    go on from `before`, the epochs of the trainings before."""
    if verbose == 1:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return Lines(before, epochs, shows_all=False)
        return Bar(tqdm, before, epochs)
    return Lines(before, epochs, shows_all=True) if verbose else Silence()
