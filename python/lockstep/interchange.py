"""Models from and for other programs: PyTorch, ONNX, Keras.

Weights go over as they are; what a file or a state dict does not hold, such as how inputs are
standardised, is said at each function. What has no exact counterpart is refused with ValueError."""

from ._keras import from_keras
from ._onnx import to_onnx
from ._torch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "to_onnx", "to_torch"]
