"""Long tables of pandas: a row for each timestep, with the index (sequence, timestep)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_SHOWN = 5


class Long(NamedTuple):
    """A long table in the order in which its sequences first appear, each sorted by timestep."""

    rows: Any
    ids: Any  # of the sequences
    lengths: np.ndarray

    def parts(self, rows: Any) -> list[Any]:
        """Those of each sequence."""
        ends = np.cumsum(self.lengths)
        return [rows[end - length : end] for end, length in zip(ends, self.lengths)]


def is_pandas(table: Any) -> bool:
    return hasattr(table, "iloc") and hasattr(table, "index")


def is_long(table: Any) -> bool:
    return is_pandas(table) and getattr(table.index, "nlevels", 1) == 2


def column_names(table: Any) -> list[str] | None:
    """As scikit-learn does, of columns that all have texts for names."""
    columns = getattr(table, "columns", None)
    names: list[Any] = [getattr(table, "name", None)] if columns is None else list(columns)
    return names if all(isinstance(name, str) for name in names) else None


def _places(index: Any, level: int, what: str) -> tuple[np.ndarray, Any]:
    codes, values = index.get_level_values(level).factorize(sort=level == 1)
    if (codes < 0).any():
        row = np.argmax(codes < 0)
        place = ", ".join(map(str, index[row]))
        raise ValueError(f"X: the index of row {row} (counted from 0) has no {what}: {place}")
    return codes, values


def read_long(table: Any) -> Long:
    """Rows keep their order where they are sorted already. ValueError for an id or a timestep that
    is NaN, and for a timestep that occurs twice."""
    if len(table) == 0:
        raise ValueError("X: the table has no row")
    sequences, ids = _places(table.index, 0, "id of a sequence")
    timesteps, _ = _places(table.index, 1, "timestep")
    order = np.lexsort((timesteps, sequences))
    again = (np.diff(sequences[order]) == 0) & (np.diff(timesteps[order]) == 0)
    if again.any():
        sequence, timestep = table.index[order[np.argmax(again)]]
        raise ValueError(f"X: sequence {sequence} has the timestep {timestep} twice")
    if (np.diff(order) < 0).any():
        table = table.iloc[order]
    return Long(table, ids, np.bincount(sequences))


def split_table(table: Any) -> tuple[list[Any], Any]:
    """The sequences of a long table of pandas, and their ids: (list, index).

    table: a DataFrame, or a Series, with a row for each timestep and the index (sequence,
    timestep). The sequences come in the order in which they first appear, each sorted by timestep,
    with the columns of the table and the index timestep: what estimators take as X, and what
    scikit-learn can split. ValueError for ids and timesteps that are NaN or occur twice.
    """
    if not is_long(table):
        raise TypeError(
            "expected a table of pandas with the index (sequence, timestep), found "
            f"{type(table).__name__}"
        )
    long = read_long(table)
    return long.parts(long.rows.set_axis(long.rows.index.get_level_values(1))), long.ids


def _some(index: Any) -> str:
    texts = [str(value) for value in index[:_SHOWN]]
    return ", ".join(texts) + (", ..." if len(index) > _SHOWN else "")


def aligned(values: Any, long: Long | None, name: str) -> Any:
    """Values of pandas for a long table, in its order: by sequence, or by (sequence, timestep) as a
    list of arrays. All others, and those for other X, are by position and stay."""
    if long is None or not is_pandas(values):
        return values
    of_steps = is_long(values)
    wanted, index = long.rows.index if of_steps else long.ids, values.index
    for ids, text in [
        (index[index.duplicated()].unique(), "occur more than once in its index"),
        (wanted[~wanted.isin(index)], "of X are not in its index"),
        (index[~index.isin(wanted)], "of its index are not in X"),
    ]:
        if len(ids) > 0:
            raise ValueError(
                f"{name}: ids that {text}: {_some(ids)}; what has an index is matched by it, an "
                "array by the order in which sequences first appear"
            )
    values = values.iloc[index.get_indexer(wanted)]
    return long.parts(values.to_numpy()) if of_steps else values
