"""What a training shows of itself while it runs."""

from __future__ import annotations

import math
import sys
from typing import Any

from ._core import EpochResult

_LINES = 10
_NAMES = ("loss", "accuracy", "validation_loss", "validation_accuracy")


def _values(result: EpochResult) -> dict[str, float]:
    values = {name: getattr(result, name) for name in _NAMES}
    return {name: value for name, value in values.items() if not math.isnan(value)}


class Silence:
    """Shows nothing."""

    on_batch = None

    def on_epoch(self, result: EpochResult) -> None:
        pass

    def end(self) -> None:
        """The training ended of its own accord, perhaps before the last epoch."""

    def close(self) -> None:
        pass


class Lines(Silence):
    """A line for each epoch, or for some of them, the first and the last among these."""

    def __init__(self, before: int, epochs: int, shows_all: bool) -> None:
        self._before = before
        self._last = before + epochs
        self._between = 1 if shows_all else max(1, epochs // _LINES)
        self._left_out: EpochResult | None = None

    def on_epoch(self, result: EpochResult) -> None:
        done = result.epoch - self._before
        is_left_out = done % self._between and done != 1 and result.epoch != self._last
        self._left_out = result if is_left_out else None
        if not is_left_out:
            self._print(result)

    def close(self) -> None:
        if self._left_out is not None:
            self._print(self._left_out)

    def _print(self, result: EpochResult) -> None:
        # Calls of partial_fit are one epoch each.
        of_all = f"/{self._last}" if self._last - self._before > 1 else ""
        values = "  ".join(f"{name} {value:.4g}" for name, value in _values(result).items())
        print(f"epoch {result.epoch}{of_all}  {values}  {result.seconds:.2f} s", flush=True)


class Bar:
    """A bar of tqdm, which leaves room for itself in 80 columns."""

    _FORMAT = "{l_bar}{bar}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}{postfix}]"
    _SHORT = {"validation_loss": "val_loss", "validation_accuracy": "val_acc"}

    def __init__(self, tqdm: Any, before: int, epochs: int) -> None:
        self._epochs = before
        self._bar = tqdm(
            initial=before,
            total=before + epochs,
            bar_format=self._FORMAT,
            dynamic_ncols=True,
        )

    def on_batch(self, epoch: int, done: int, samples: int) -> None:
        self._bar.update(self._epochs + done / samples - self._bar.n)

    def on_epoch(self, result: EpochResult) -> None:
        self._epochs = result.epoch
        values = _values(result)
        if "validation_accuracy" in values:
            del values["accuracy"]
        texts = {self._SHORT.get(name, name): f"{value:.3g}" for name, value in values.items()}
        self._bar.set_postfix(texts, refresh=False)

    def end(self) -> None:
        # A bar that is not full is red in notebooks, as if something had failed.
        self._bar.total = self._bar.n

    def close(self) -> None:
        self._bar.refresh()
        self._bar.close()


def _tqdm() -> Any:
    """None where it is not installed, and in a file or a pipe, which would be full of bars."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not is_terminal and "ipykernel" not in sys.modules:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm


def progress_of(before: int, epochs: int, verbose: int) -> Any:
    """0: silence; 1: a bar, or some lines where there can be none; 2: a line for each epoch.

    Numbers go on from `before`, the epochs of the trainings before.
    """
    if verbose != 1:
        return Lines(before, epochs, shows_all=True) if verbose else Silence()
    tqdm = _tqdm()
    return Bar(tqdm, before, epochs) if tqdm else Lines(before, epochs, shows_all=False)
