"""Polynomials of float32 coefficients with the smallest largest error, by Remez's exchange.

After M. Remez, "Sur le calcul effectif des polynomes d'approximation de Tchebichef" (1934). The
reference values are doubles: errors of interest are near 2^-26, theirs near 2^-53. Needs numpy.
"""

import numpy as np

POINTS = 2000


def chebyshev_grid(low, high, points=POINTS):
    """Points that lie densest at the ends, where the error of a minimax polynomial peaks."""
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(points + 1) / points)


def extrema(error, count):
    """Indices of `count` alternating peaks of the error, or None if it has fewer."""
    ends = np.nonzero(np.diff(np.sign(error)))[0] + 1
    runs = np.split(np.arange(len(error)), ends)
    peaks = [run[np.argmax(abs(error[run]))] for run in runs]
    while len(peaks) > count:
        if len(peaks) == count + 1:  # one too many: drop the smaller end, the signs still alternate
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
            continue
        i = min(range(len(peaks)), key=lambda k: abs(error[peaks[k]]))
        if i in (0, len(peaks) - 1):
            peaks.pop(i)
        else:
            neighbour = i - 1 if abs(error[peaks[i - 1]]) < abs(error[peaks[i + 1]]) else i
            del peaks[neighbour:neighbour + 2]
    return np.array(peaks) if len(peaks) == count else None


def remez(t, target, weight, powers):
    """Coefficients c_i that make the largest weight * |sum c_i t^powers_i - target| smallest."""
    scale = np.max(abs(t))
    basis = np.array([(t / scale) ** p for p in powers]).T * weight[:, None]
    right = target * weight
    count = len(powers) + 1
    peaks = np.round((1 - np.cos(np.pi * np.arange(count) / len(powers))) / 2 * (len(t) - 1))
    peaks = peaks.astype(int)
    for _ in range(15):
        system = np.hstack([basis[peaks], ((-1.0) ** np.arange(count))[:, None]])
        solution = np.linalg.solve(system, right[peaks])[:-1]
        next_peaks = extrema(basis @ solution - right, count)
        if next_peaks is None or np.array_equal(next_peaks, peaks):
            break
        peaks = next_peaks
    return solution / scale ** np.array(powers, dtype=float)


def fit_float32(t, target, weight, degree, fixed=()):
    """Coefficients 0 .. degree in float32: each is rounded in turn, lowest first, and the rest fitted
    again, so that rounding costs little. `fixed` are the lowest ones, if they are given."""
    known = list(fixed)
    while len(known) <= degree:
        powers = range(len(known), degree + 1)
        rest = target - sum(c * t**i for i, c in enumerate(known))
        known.append(float(np.float32(remez(t, rest, weight, powers)[0])))
    return known


def ulp(y):
    """The unit in the last place of float32 at y (of the normal range)."""
    return 2.0 ** (np.floor(np.log2(abs(y))) - 23)


def fma(a, b, c):
    """A float32 fused multiply-add: the product is exact in double, its sum nearly always."""
    return (a.astype(float) * b + c).astype(np.float32)


def hexadecimal(x):
    """A float32 as a C++ literal with six digits after the point."""
    if x == 0:
        return "0.0f"
    mantissa, exponent = float(x).hex().split("p")
    sign_and_one, _, digits = mantissa.partition(".")
    return f"{sign_and_one}.{digits[:6].ljust(6, '0')}p{exponent}f"
