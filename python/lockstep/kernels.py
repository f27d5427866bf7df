"""Lockstep's kernels on float32 NumPy arrays: the same bits on every machine with fused
multiply-add, for any number of threads. Arrays may be views whose rows are contiguous (gemm: or
their columns); `out`, where it is given, gets the result."""

from ._core import cross_entropy, exp, gemm, log_softmax, relu, sigmoid, softmax, tanh

__all__ = [
    "cross_entropy",
    "exp",
    "gemm",
    "log_softmax",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
