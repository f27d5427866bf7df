#!/usr/bin/env python3
"""Fits exp and prints its constants as they are in kernels/src/simd/constants.h.

exp(x) = 2^n 2^(j/8) exp(r) with x = (n + j/8) ln 2 + r and |r| <= ln(2)/16. exp(r) is
c0 + r (c1 + r (c2 + r c3)). The powers come from a table; a second one holds c0 - 1 plus the relative
rounding error of the first, both of which are too small for a float next to 1.

Needs numpy and mpmath.
"""

import sys

import mpmath
import numpy as np

from minimax import chebyshev_grid, fit_float32, hexadecimal, remez

STEPS = 8
EDGE = float(mpmath.log(2)) / (2 * STEPS) * 1.0001

r = chebyshev_grid(-EDGE, EDGE)
offset = remez(r, np.exp(r), np.ones_like(r), range(4))[0] - 1
rest = np.expm1(r) - offset
nonzero = abs(r) > 1e-6
coefficients = fit_float32(r[nonzero], (rest / r)[nonzero], abs(r)[nonzero], 2)
error = sum(c * r ** (i + 1) for i, c in enumerate(coefficients)) - rest
print(f"// largest error relative to exp: 2^{np.log2(abs(error).max()):.2f}", file=sys.stderr)

powers = [mpmath.mpf(2) ** (mpmath.mpf(j) / STEPS) for j in range(STEPS)]
rounded = [float(np.float32(float(p))) for p in powers]
errors = [float(np.float32(float(p / t - 1 + offset))) for p, t in zip(powers, rounded)]
print("constexpr float kExpCoefficients[] = {" + ", ".join(map(hexadecimal, coefficients)) + "};")
print("constexpr LookupTable kExpPowers({" + ", ".join(map(hexadecimal, rounded)) + "});")
print("constexpr LookupTable kExpPowerErrors({" + ", ".join(map(hexadecimal, errors)) + "});")
