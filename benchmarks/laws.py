"""Density and index of both models of the Hessian against peers, as ratios within one run.

    make bench

Times the density of MarchenkoPastur(0.5) + Semicircle(sqrt(0.6)) on 100,000 points against

- ``numpy.roots`` of the cubic, point by point (on every 20th point, time per point), and
- the PyPI package ``freealg``, class ``FreeLevy``, at its default smoothing parameter,

and the index at 10,000 energies; then the same, marked §6, for the model of the paper's section 6,
MarchenkoPastur(0.5) + ProductWishart(0.5, 0.6), against ``numpy.roots`` of the quartic. Where that
has two complex pairs, the loop takes the root of least imaginary part, which happens to be right
for this law. Each time is the best of several; all on one core. With ``--save`` the table goes to
book/data/benchmarks.json, from where the book shows it.
"""

import argparse
import json
import os
import platform
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

import numpy as np  # noqa: E402
import scipy.optimize  # noqa: E402, F401  (loaded before the clock runs)

from hessrmt import (  # noqa: E402
    MarchenkoPastur,
    ProductWishart,
    Semicircle,
    WishartPlusProductWishart,
    WishartPlusWigner,
)

PHI, VARIANCE, POINTS, ENERGIES = 0.5, 0.6, 100_000, 10_000
TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "benchmarks.json"


def seconds(call, repeat):
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


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


def density_rows(label, build, polynomial):
    """The package's row and that of numpy.roots; the points and the density for further rows."""
    edges = np.ravel(build().support())
    x = np.linspace(edges[0], edges[-1], POINTS + 2)[1:-1]

    def ours():  # a new law each time, so that nothing is reused
        return build().pdf(x)

    exact = ours()
    what = f"{label}density on {POINTS:,} points"
    own = seconds(ours, 7)
    part = x[::20]
    spent = seconds(lambda: by_numpy_roots(polynomial, part), 3) * x.size / part.size
    error = np.abs(by_numpy_roots(polynomial, part) - exact[::20])
    table = [
        ("hessrmt", what, own, 1.0, None, None),
        ("numpy.roots per point", what, spent, spent / own, error.max(), np.median(error)),
    ]
    return table, x, exact


def rows():
    """One row a method: name, what, seconds, ratio to ours, largest and median error."""
    sigma = np.sqrt(VARIANCE)
    table, x, exact = density_rows("", lambda: MarchenkoPastur(PHI) + Semicircle(sigma), cubic)
    yield from table
    what, own = table[0][1:3]
    try:
        from freealg.distributions import FreeLevy
    except ImportError:
        print("freealg is not installed: its row is left out (pip install hessrmt[bench])")
    else:
        peer = FreeLevy([PHI], [1.0], 1 / PHI, sigma=sigma)
        spent = seconds(lambda: peer.density(x), 2)
        error = np.abs(peer.density(x) - exact)
        yield "freealg FreeLevy", what, spent, spent / own, error.max(), np.median(error)
    table, _, _ = density_rows(
        "§6 ", lambda: MarchenkoPastur(PHI) + ProductWishart(PHI, VARIANCE), quartic
    )
    yield from table
    energies = np.linspace(0, 2, ENERGIES)
    for label, model in (
        ("", WishartPlusWigner(PHI)),
        ("§6 ", WishartPlusProductWishart(PHI)),
    ):
        spent = seconds(lambda model=model: model.index(energies), 20)
        yield "hessrmt", f"{label}index at {ENERGIES:,} energies", spent, None, None, None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help=f"write {TARGET.name}")
    arguments = parser.parse_args()
    names = ("method", "what", "seconds", "ratio", "max_error", "median_error")
    table = [dict(zip(names, row, strict=True)) for row in rows()]
    print(f"{'method':24}{'what':30}{'time':>10}{'ratio':>9}{'max error':>11}{'median':>10}")
    for row in table:
        cells = [f"{row['seconds'] * 1e3:.1f} ms"]
        cells.append("" if row["ratio"] is None else f"{row['ratio']:.1f}")
        cells += ["" if row[k] is None else f"{row[k]:.1e}" for k in names[4:]]
        print(f"{row['method']:24}{row['what']:30}{cells[0]:>10}", end="")
        print(f"{cells[1]:>9}{cells[2]:>11}{cells[3]:>10}")
    if arguments.save:
        versions = {}
        for package in ("hessrmt", "numpy", "scipy", "freealg"):
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                versions[package] = "not installed"
        provenance = {
            "command": "make bench SAVE=--save",
            "date": date.today().isoformat(),
            "python": platform.python_version(),
            "versions": versions,
            "machine": f"{platform.system()} {platform.machine()}, one core",
        }
        text = json.dumps({"provenance": provenance, "rows": table}, indent=1)
        TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
