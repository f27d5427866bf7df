#!/usr/bin/env python3
"""Fits the polynomial behind exp and tanh: expm1(r) = r + r^2 q(r) on |r| <= ln(2)/2.

q is the polynomial of degree 5 whose largest error, relative to expm1(r), is smallest (Remez's
exchange algorithm in 60-digit arithmetic). The coefficients are then rounded to float32 one after
the other, the lowest first, each time refitting the rest, so that rounding costs little.

Needs mpmath. Prints the coefficients for kernels/src/simd/constants.h and the error reached.
"""

import struct

import mpmath as mp

mp.mp.dps = 60
DEGREE = 5
EDGE = mp.log(2) / 2 * mp.mpf("1.0001")


def target(r):
    """(expm1(r) - r) / r^2, by its series near zero."""
    if abs(r) < mp.mpf("1e-12"):
        return mp.mpf(1) / 2 + r / 6
    return (mp.expm1(r) - r) / r**2


def weight(r):
    """Turns an error of q into one relative to expm1(r)."""
    return mp.mpf(0) if r == 0 else r**2 / abs(mp.expm1(r))


def remez(fixed):
    """Coefficients beyond the `fixed` lowest ones that make the weighted error level."""
    free = DEGREE + 1 - len(fixed)
    known = lambda r: sum(c * r**i for i, c in enumerate(fixed))
    error = lambda r, c: weight(r) * (known(r) + sum(
        c[i] * r ** (len(fixed) + i) for i in range(free)) - target(r))
    points = [EDGE * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / (free + 1)) for i in range(free + 1)]
    grid = [EDGE * (2 * mp.mpf(i) / 2000 - 1) for i in range(2001)]
    for _ in range(12):
        rows = [[weight(r) * r ** (len(fixed) + i) for i in range(free)] + [(-1) ** k]
                for k, r in enumerate(points)]
        right = [weight(r) * (target(r) - known(r)) for r in points]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix(right))
        coefficients = [solution[i] for i in range(free)]
        values = [error(r, coefficients) for r in grid]
        # The largest deviation of each run of one sign becomes the next reference point.
        runs = []
        for r, v in zip(grid, values):
            if runs and (runs[-1][1] > 0) == (v > 0):
                if abs(v) > abs(runs[-1][1]):
                    runs[-1] = (r, v)
            else:
                runs.append((r, v))
        while len(runs) > free + 1:
            runs.remove(min(runs, key=lambda run: abs(run[1])))
        if len(runs) < free + 1:
            break
        points = [r for r, _ in runs]
    return coefficients, max(abs(v) for v in values)


def to_float32(x):
    return mp.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


fixed = []
for _ in range(DEGREE + 1):
    coefficients, worst = remez(fixed)
    fixed.append(to_float32(coefficients[0]))
worst = max(abs(weight(r) * (sum(c * r**i for i, c in enumerate(fixed)) - target(r)))
            for r in (EDGE * (2 * mp.mpf(i) / 5000 - 1) for i in range(5001)))
print("kExpm1[6] = {" + ", ".join(float(c).hex() + "f" for c in fixed) + "}")
print(f"largest error relative to expm1: {mp.nstr(worst, 3)} = 2^{mp.nstr(mp.log(worst, 2), 4)}")
