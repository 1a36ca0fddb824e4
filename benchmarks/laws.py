"""Density and index of both models of the Hessian against peers, as ratios within one run.

    make bench

Times the density of MarchenkoPastur(0.5) + Semicircle(sqrt(0.6)) on 100,000 points against

- ``numpy.roots`` of the cubic, point by point (on every 20th point, time per point),
- subordination, G(z) = G_MP(z - sigma^2 G(z)), iterated at a small height above the axis, on the
  same points, and
- the PyPI package ``freealg``, class ``FreeLevy``, at its default smoothing parameter,
- the PyPI package ``rmtool``, which derives the polynomial by sympy (once, not timed) and solves it
  point by point (on every 20th),

and the index at 10,000 energies; then the same, marked §6, for the model of the paper's section 6,
MarchenkoPastur(0.5) + ProductWishart(0.5, 0.6), against ``numpy.roots`` of the quartic. Where that
has two complex pairs, the loop takes the root of least imaginary part, which happens to be right
for this law. Errors are the largest differences to the package's density, whose own error, against
40-digit arithmetic, is below 1e-12 (tests/test_laws.py).
"""

from table import report, seconds  # isort: skip  (first: it sets the number of threads)

import numpy as np
import scipy.optimize  # noqa: F401  (loaded before the clock runs)

from hessrmt import (
    MarchenkoPastur,
    ProductWishart,
    Semicircle,
    WishartPlusProductWishart,
    WishartPlusWigner,
)

PHI, VARIANCE, POINTS, ENERGIES = 0.5, 0.6, 100_000, 10_000


def cubic(x):
    """Coefficients of the paper's equation 18 at z = x, from G^3 to 1."""
    return [VARIANCE * PHI, -(VARIANCE + x * PHI), x + PHI - 1, -1]


def quartic(x):
    """Coefficients of the paper's equation 30 at z = x with sigma = 1, from G^4 to 1."""
    e = VARIANCE
    square = -PHI * (2 * x + e * (1 - PHI))
    return [x * e * PHI**3, -e * PHI**2 * (x + PHI - 2), square, 2 * (x - 1 + PHI), -2]


def by_numpy_roots(polynomial, x):
    return np.array([-np.roots(polynomial(value)).imag.min() / np.pi for value in x])


def by_subordination(x, height=1e-4, tolerance=1e-8):
    """The fixed point of G = G_MP(z - sigma^2 G), damped by half, at all points together."""
    z = x + 1j * height
    low, high = (1 - np.sqrt(PHI)) ** 2, (1 + np.sqrt(PHI)) ** 2
    G = 1 / (z + 1j)
    while True:
        w = z - VARIANCE * G
        new = (w - (1 - PHI) - np.sqrt(w - low) * np.sqrt(w - high)) / (2 * PHI * w)
        if np.abs(new - G).max() < tolerance:
            return -new.imag / np.pi
        G = (G + new) / 2


def density_rows(label, build, polynomial):
    """The package's row and that of numpy.roots; the points and the density for further rows."""
    edges = np.ravel(build().support())
    x = np.linspace(edges[0], edges[-1], POINTS + 2)[1:-1]

    def ours():  # a new law each time, so that nothing is reused
        return build().pdf(x)

    exact = ours()
    what = f"{label}density on {POINTS:,} points"
    own = seconds(ours)
    part = x[::20]
    spent = seconds(lambda: by_numpy_roots(polynomial, part)) * x.size / part.size
    error = np.abs(by_numpy_roots(polynomial, part) - exact[::20])
    table = [
        ("hessrmt", what, own, 1.0, None),
        ("numpy.roots per point", what, spent, spent / own, error.max()),
    ]
    return table, x, exact


def rows():
    sigma = np.sqrt(VARIANCE)
    table, x, exact = density_rows("", lambda: MarchenkoPastur(PHI) + Semicircle(sigma), cubic)
    yield from table
    what, own = table[0][1:3]
    part = x[::20]
    spent = seconds(lambda: by_subordination(part)) * x.size / part.size
    error = np.abs(by_subordination(part) - exact[::20]).max()
    yield "subordination", what, spent, spent / own, error
    try:
        from freealg.distributions import FreeLevy
    except ImportError:
        print("freealg is not installed: its row is left out (pip install hessrmt[bench])")
    else:
        peer = FreeLevy([PHI], [1.0], 1 / PHI, sigma=sigma)
        spent = seconds(lambda: peer.density(x))
        yield "freealg FreeLevy", what, spent, spent / own, np.abs(peer.density(x) - exact).max()
    try:
        import rmtool
        from sympy import Rational, sqrt
    except ImportError:
        print("rmtool is not installed: its row is left out (pip install hessrmt[bench])")
    else:
        wigner = rmtool.scaleA(rmtool.wignerpol(), sqrt(Rational(3, 5)))
        polynomial = rmtool.AplusB(rmtool.wishartpol(Rational(1, 2)), wigner)
        spent = seconds(lambda: rmtool.Lmz2pdf(polynomial, part)) * x.size / part.size
        error = np.abs(rmtool.Lmz2pdf(polynomial, part).best_density() - exact[::20]).max()
        yield "rmtool Lmz2pdf", what, spent, spent / own, error
    table, _, _ = density_rows(
        "§6 ", lambda: MarchenkoPastur(PHI) + ProductWishart(PHI, VARIANCE), quartic
    )
    yield from table
    energies = np.linspace(0, 2, ENERGIES)
    for label, model in (("", WishartPlusWigner(PHI)), ("§6 ", WishartPlusProductWishart(PHI))):
        spent = seconds(lambda model=model: model.index(energies))
        yield "hessrmt", f"{label}index at {ENERGIES:,} energies", spent, None, None


if __name__ == "__main__":
    report("laws", rows(), ("hessrmt", "numpy", "scipy", "freealg", "rmtool"))
