"""Lockstep's kernels on float32 NumPy arrays: the same bits on every machine with fused
multiply-add, for any number of threads. Arrays may be views whose rows are contiguous (gemm: or
their columns). NaN gives NaN.

`out`, where it is given, gets the result and is returned; it may be `x` itself (but of gemm), and
otherwise has no memory in common with what is read. `threads` is how many may work on a large call,
0 those of `lockstep.threads()`; `backend` is one of those that `lockstep.info()` lists, for this
call. Any number of threads may call them at a time, large calls without the interpreter's lock.
TypeError for what is no float32 array, ValueError for shapes, strides, threads and backends that
will not do.
"""

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
