"""What float32 cannot hold of wider numbers: those too large, and small differences of large ones.

Parts are arrays whose last axis is that of channels or outputs, all of the same number of them.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

# What is not below it becomes infinite.
_LIMIT = (2 - 2.0**-24) * 2.0**127
# Of what a channel varies by, how much may be lost: three digits stay.
_LOST = 1e-3


def is_wide(array: Any) -> bool:
    """Numbers that float32 may not hold."""
    dtype = getattr(array, "dtype", None)
    return (
        isinstance(dtype, np.dtype) and dtype.kind in "fiu" and not np.can_cast(dtype, np.float32)
    )


def _wide(parts: list[Any]) -> list[np.ndarray]:
    """Those to look at; none if they do not go together, which a Dataset says better."""
    wide = [part for part in parts if is_wide(part) and part.size > 0]
    return wide if len({part.shape[-1:] for part in wide}) == 1 else []


def _range(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of each channel, but for NaN."""

    def reduced(ufunc: np.ufunc) -> np.ndarray:
        every = [ufunc.reduce(part, axis=tuple(range(part.ndim - 1))) for part in parts]
        return ufunc.reduce(np.stack(every), axis=0).astype(np.float64)

    return reduced(np.fmin), reduced(np.fmax)


def _rounding(parts: list[np.ndarray], column: int) -> float:
    """The largest error of a column."""
    columns = (part[..., column] for part in parts)
    return max(float(np.fmax.reduce(abs(x - x.astype(np.float32)), axis=None)) for x in columns)


def first_too_large(parts: list[Any]) -> tuple[int, tuple[int, ...], Any] | None:
    """The first finite number that float32 has not: its part, its place there and what it is."""
    wide = _wide(parts)
    if not wide or max(np.max(np.abs(ends)) for ends in _range(wide)) < _LIMIT:
        return None
    for i, part in enumerate(parts):
        if is_wide(part):
            places = np.argwhere(np.isfinite(part) & (np.abs(part) >= _LIMIT))
            if len(places) > 0:
                place = tuple(int(axis) for axis in places[0])
                return i, place, part[place]
    return None


def _first_lost(parts: list[np.ndarray]) -> tuple[int, float, float, float] | None:
    """Of which too much is rounded away: the column, its range and the step of float32 there."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = _range(parts)
        steps = np.spacing(np.maximum(abs(low), abs(high)).astype(np.float32)).astype(np.float64)
        lost = _LOST * (high - low)
        for column in np.flatnonzero((high > low) & (lost < steps)).tolist():
            if _rounding(parts, column) > lost[column]:
                return column, float(low[column]), float(high[column]), float(steps[column])
    return None


def warn_of_lost_digits(name: str, column_name: str, parts: list[Any]) -> None:
    """UserWarning where rounding moves values by more than a thousandth of what their column
    varies by: the first such column."""
    wide = _wide(parts)
    found = _first_lost(wide) if wide else None
    if found is None:
        return
    column, low, high, step = found
    warnings.warn(
        f"{name}: {column_name} {column} (counted from 0) varies between {low!r} and {high!r}, "
        f"where float32, in which models compute, has steps of {step:.2g}: smaller differences are "
        "rounded away; subtract an offset first",
        UserWarning,
        stacklevel=4,
    )
