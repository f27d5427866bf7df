"""NumPy's products of float32, computed by liblockstep_cblas that is preloaded: the bits of
lockstep_gemm.

    numpy_products.py LIBRARY

LIBRARY is liblockstep_kernels.so. Exit code 77: this NumPy has no BLAS of the system's.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys

try:
    import numpy as np
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def product(gemm: ctypes._CFuncPtr, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a b by lockstep_gemm, from copies in row order."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    (m, k), n = a.shape, b.shape[1]
    c = np.empty((m, n), np.float32)
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in [a, b, c]]
    size, one, zero = ctypes.c_size_t, ctypes.c_float(1), ctypes.c_float(0)
    status = gemm(0, 0, size(m), size(n), size(k), one, pointers[0], size(k), pointers[1], size(n),
                  zero, pointers[2], size(n), 0)
    assert status == 0
    return c


def main() -> int:
    core = next(module for name, module in sys.modules.items() if name.endswith("_multiarray_umath"))
    links = subprocess.run(["ldd", core.__file__], check=True, capture_output=True, text=True).stdout
    if "libblas.so" not in links:
        print("skipped: NumPy has a BLAS of its own")
        return 77
    gemm = ctypes.CDLL(sys.argv[1]).lockstep_gemm
    random = np.random.default_rng(1)
    for m, n, k in [(1, 5, 7), (3, 1, 4), (64, 64, 64), (200, 300, 150), (17, 1000, 33)]:
        left = random.standard_normal((m, k), np.float32)
        right = random.standard_normal((k, n), np.float32)
        by_rows_and_columns = [(a, b) for a in [left, np.asfortranarray(left)]
                               for b in [right, np.asfortranarray(right)]]
        found = [a @ b for a, b in by_rows_and_columns]
        # Products of a matrix and a vector are sgemv's, of two vectors sdot's, which is not Lockstep's.
        columns = [a @ b[:, 0] for a, b in by_rows_and_columns if m > 1]
        expected = product(gemm, left, right)
        assert all(c.tobytes() == expected.tobytes() for c in found), (m, n, k)
        assert all(c.tobytes() == expected[:, 0].tobytes() for c in columns), (m, k)
        assert np.allclose(left.astype(np.float64) @ right, expected, atol=1e-3)
    print("all products have the bits of lockstep_gemm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
