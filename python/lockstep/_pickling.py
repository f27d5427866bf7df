"""Pickles of data sets."""

from __future__ import annotations

from typing import Any

import numpy as np


def reduced(data: Any) -> tuple[Any, ...]:
    """What `pickle` and `copy` make the same set of: its values as one array."""
    kind = data.target_kind
    arguments = {
        ("labels" if kind == "label" else kind): data.values if "values" in kind else data.labels,
        "class_names": data.class_names,
        "weights": data.weights,
        "channel_names": data.channel_names or None,
        "ids": data.ids or None,
    }
    empty = np.empty((0, data.n_channels), np.float32)
    rows = np.concatenate([empty, *(data[i] for i in range(len(data)))])
    return restored, (type(data), rows, data.lengths, arguments)


def restored(kind: Any, rows: Any, lengths: Any, arguments: dict[str, Any]) -> Any:
    """The set of all timesteps [all timesteps, channels] and how many each sequence has."""
    if len(set(lengths.tolist())) <= 1:
        timesteps = lengths[0] if len(lengths) else 0
        return kind(rows.reshape(len(lengths), timesteps, rows.shape[1]), **arguments)
    return kind(np.split(rows, np.cumsum(lengths)[:-1]), **arguments)
