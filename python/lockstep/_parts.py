"""Models as parts: the bytes of a model file (Model::load in lockstep/rnn/model.h) taken apart and
put together. The C++ library checks what comes of it."""

from __future__ import annotations

import json
import struct
from typing import Any, Mapping

import numpy as np

from ._core import Model

_LENGTH = struct.Struct("<Q")


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    (length,) = _LENGTH.unpack_from(data)
    return json.loads(data[_LENGTH.size : _LENGTH.size + length]), _LENGTH.size + length


def tensors(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a model file, each a copy."""
    header, start = _header(data)
    header.pop("__metadata__", None)
    result = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        values = np.frombuffer(data, "<f4", (end - begin) // 4, start + begin)
        result[name] = values.reshape(info["shape"]).astype(np.float32)
    return result


def _file(arrays: Mapping[str, Any], metadata: dict[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": metadata}
    parts = []
    end = 0
    for name, array in arrays.items():
        values = np.ascontiguousarray(array, "<f4")
        header[name] = {
            "dtype": "F32",
            "shape": list(np.shape(array)),
            "data_offsets": [end, end + values.nbytes],
        }
        end += values.nbytes
        parts.append(values.tobytes())
    text = json.dumps(header).encode()
    return _LENGTH.pack(len(text)) + text + b"".join(parts)


def file_of_tensors(arrays: Mapping[str, Any]) -> bytes:
    """A file of tensors alone, as PyTorch's users save them."""
    return _file(arrays, {})


def plain_model(model: Any) -> Model:
    """The model of an estimator that has been fitted, one of aeon included; a model itself."""
    found = getattr(model, "model_", model)
    if isinstance(found, Model):
        return found
    if hasattr(model, "get_params"):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"this {type(model).__name__} is not fitted yet: call fit before")
    raise TypeError(f"expected a Model or an estimator, found {type(model).__name__}")


def with_tensors(data: bytes, replaced: Mapping[str, Any]) -> bytes:
    """The model file with other values for some of its tensors."""
    arrays = tensors(data)
    unknown = [name for name in replaced if name not in arrays]
    if unknown:
        raise ValueError(f"there is no tensor {unknown[0]!r}, expected some of {', '.join(arrays)}")
    header, _ = _header(data)
    return _file({**arrays, **replaced}, header["__metadata__"])


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values, np.float32)]


def _normalization(parts: Mapping[str, Any] | None) -> dict[str, Any]:
    if parts is None:
        return {"kind": "none"}
    result = {"kind": parts["kind"]}
    for name in ("mean", "scale"):
        if parts.get(name) is not None:
            result[name] = _numbers(parts[name])
    return result


def model_bytes(
    *,
    network: Mapping[str, Any],
    tensors: Mapping[str, Any],
    normalization: Mapping[str, Any] | None = None,
    class_names: list[str] | None = None,
    target_scale: Mapping[str, Any] | None = None,
    missing: Mapping[str, Any] | None = None,
    channel_names: list[str] | None = None,
    loss: str = "mse",
    delta: float = 1.0,
) -> bytes:
    """The model file of these parts."""
    if class_names is None:
        class_names = [str(c) for c in range(int(network["outputs"]))]
    metadata: dict[str, Any] = {
        "version": 2,
        "cells": [layer["cell"] for layer in network["layers"]],
        "head": network.get("head", "classify"),
        "pool": network.get("pool", "last"),
        "class_names": list(class_names),
        "normalization": _normalization(normalization),
    }
    if target_scale is not None:
        metadata["target_mean"] = _numbers(target_scale["mean"])
        metadata["target_scale"] = _numbers(target_scale["scale"])
    if missing is not None and missing["kind"] != "fail":
        metadata["missing"] = {
            "kind": missing["kind"],
            "mean": _numbers(missing["mean"]),
            "masked": [int(channel) for channel in missing["masked"]],
        }
    if channel_names:
        metadata["channel_names"] = list(channel_names)
    if metadata["head"] in ("regress", "regress_steps"):
        metadata["loss"] = loss
        metadata["delta"] = float(delta)
    return _file(tensors, {"lockstep": json.dumps(metadata)})
