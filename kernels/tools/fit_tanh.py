#!/usr/bin/env python3
"""Fits the eight polynomials of tanh, prints them as they are in kernels/src/simd/constants.h and
draws their error.

|x| up to kTanhHigh is cut where the float u = kTanhScale |x| + 1/2 crosses a power of two or the
middle between two of them, since bits 22 to 24 of u then are the number of the polynomial. Each is
c0 + t c1 + ... + t^6 c6 with t = |x| - centre. The first has centre 0, c0 = 0 and c1 = 1, so that its
error is relative and tiny arguments come back as they are. The others start with a c0 of the size of
the result, so that nearly all of their rounding error is that of the last step; their centres are
moved until c0 is a float32 all but exactly (S. Gal's accurate tables, 1986).

Needs numpy and, for the plot, matplotlib: fit_tanh.py [plot.svg]
"""

import sys

import numpy as np

from minimax import chebyshev_grid, fit_float32, fma, hexadecimal, remez, ulp

DEGREE = 6
SCALE = np.float32(0.78125)
OFFSET = np.float32(0.5)
HIGH = np.float32(9.125)  # from 9.011 on tanh rounds to 1


def index_of(a):
    """Bits 22 to 24 of u."""
    return (fma(a, SCALE, OFFSET).view(np.uint32) >> 22) & 7


def segments():
    """(index, first, last) of each polynomial."""
    edges = [(u - float(OFFSET)) / float(SCALE) for u in (0.5, 0.75, 1, 1.5, 2, 3, 4, 6)]
    for low, high in zip(edges, edges[1:] + [float(HIGH)]):
        middle = np.array([(low + high) / 2], dtype=np.float32)
        yield int(index_of(middle)[0]), low, high


def value(coefficients, t):
    return sum(c * t**i for i, c in enumerate(coefficients))


def fit_first(high):
    a = chebyshev_grid(0, high)[1:]
    return [*fit_float32(a, np.tanh(a), 1 / ulp(np.tanh(a)), DEGREE, (0.0, 1.0)), 0.0]


def fit(low, high):
    a = chebyshev_grid(low, high)
    y = np.tanh(a)
    middle = (low + high) / 2
    best = remez(a - middle, y, 1 / ulp(y), range(DEGREE + 1))

    def distance(centre):  # of c0 from a float32, with a preference for the middle
        c0 = value(best, centre - middle)
        return abs(c0 - float(np.float32(c0))) / ulp(c0) + abs(centre - middle) / (high - low) / 20

    offsets = np.linspace(-0.04, 0.04, 401) * (high - low)
    centre = min((float(np.float32(middle + o)) for o in offsets), key=distance)
    c0 = float(np.float32(value(best, centre - middle)))
    return [*fit_float32(a - centre, y, 1 / ulp(y), DEGREE, (c0,)), centre]


def evaluate(coefficients, a):
    """As the kernel does, in float32."""
    t = (a - np.float32(coefficients[-1])).astype(np.float32)
    q = np.full_like(t, coefficients[DEGREE])
    for c in coefficients[DEGREE - 1::-1]:
        q = fma(q, t, np.float32(c))
    return q


def print_tables(table):
    rows = ["LookupTable({" + ", ".join(hexadecimal(c) for c in row) + "})" for row in table.T]
    print("constexpr LookupTable kTanhCoefficients[] = {" + ",\n".join(rows[:-1]) + "};")
    print(f"constexpr LookupTable kTanhCentres = {rows[-1]};")


def plot(path, curves):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "lockstep"
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7, 2.6), layout="constrained")
    for a, rounded, exact in curves:
        axes.scatter(a, rounded, s=0.6, color="#9db8d2", linewidths=0, rasterized=True)
        axes.plot(a, exact, color="#123a63", linewidth=1)
        axes.axvline(a[-1], color="#bbbbbb", linewidth=0.5)
    axes.set(xlabel="|x|", ylabel="error (ULP)", xlim=(0, float(HIGH)))
    axes.set_title("tanh: polynomials (line) and float32 results (dots)", fontsize=10)
    figure.savefig(path, metadata={"Date": None}, dpi=100)


def main():
    table = np.zeros((8, DEGREE + 2))
    curves = []
    for index, low, high in segments():
        table[index] = fit(low, high) if low > 0 else fit_first(high)
        a = np.linspace(low, high, 200001)[1:].astype(np.float32)
        exact = np.tanh(a.astype(float))
        unit = ulp(exact)
        rounded = (evaluate(table[index], a) - exact) / unit
        smooth = (value(table[index][:-1], a - table[index][-1]) - exact) / unit
        print(f"// |x| up to {high:.4f}: polynomial {abs(smooth).max():.3f} ULP, "
              f"result {abs(rounded).max():.3f} ULP", file=sys.stderr)
        some = np.linspace(0, len(a) - 1, 600).astype(int)
        curves.append((a[some], rounded[some], smooth[some]))
    print_tables(table)
    if len(sys.argv) > 1:
        plot(sys.argv[1], curves)


if __name__ == "__main__":
    main()
