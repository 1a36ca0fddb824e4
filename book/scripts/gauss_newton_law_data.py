"""Make the stored tables of the chapter on the law of H0.

    python book/scripts/gauss_newton_law_data.py TABLE ...

The tables are laws, spectra, units and rate. How rows are added: `tables`.
"""

from collections.abc import Iterator
from functools import cache

import gauss_newton_spectra as gn
import numpy as np
import tables
from gauss_newton_spectra import ACTIVATIONS, Real
from tables import Group, Table

from hessrmt import GaussNewtonLaw, ks_distance

RATIOS = (500, 250, 125)  # phi, in thousandths
SLIDER = (100, 150, 200, 300, 400, 640, 800, 900, 1000, 1250, 1500, 2000, 2500, 3000)
SINES = np.sin(np.linspace(0, np.pi / 2, 161)) ** 4  # where a law is tabulated, over its support
VARIANTS = ("ReLU", "ReLU without h2", "tanh", "tanh with h2")


@cache
def table_of(activation: int, permille: int) -> tuple[Real, Real, Real]:
    """Places, density and distribution function of a law."""
    law = GaussNewtonLaw(permille / 1000, ACTIVATIONS[activation])
    low, high = law.support()[0][0], law.support()[-1][1]
    x = low + (high - low) * SINES
    return x, law.pdf(np.maximum(x, 1e-9)), law.cdf(x)


def laws(activation: int, permille: int) -> Iterator[str]:
    """A law, as one row."""
    x, density, distribution = table_of(activation, permille)
    cells = " ".join(f"{v:.4g}" for v in density), " ".join(f"{v:.6f}" for v in distribution)
    yield f"{x[0]:.6g},{x[-1]:.6g},{cells[0]},{cells[1]}"


def distance(found: Real, activation: int, permille: int) -> float:
    """Kolmogorov-Smirnov distance of a spectrum to the tabulated law."""
    x, _, F = table_of(activation, permille)
    return ks_distance(found, lambda at: np.where(at < 0, 0.0, np.interp(at, x, F, left=F[0])))


def summary(rows: list[list[float]]) -> str:
    """Count, means, standard errors of rows."""
    scatter = np.std(rows, axis=0, ddof=1 if len(rows) > 1 else 0) / np.sqrt(len(rows))
    return ",".join([str(len(rows)), *(f"{v:.6f}" for v in (*np.mean(rows, axis=0), *scatter))])


def spectra(activation: int, permille: int, n: int) -> Iterator[str]:
    """Smallest eigenvalue, two moments, distance to the law."""
    linear = ACTIVATIONS[activation] == "linear"
    count = {12: 20, 16: 20, 24: 10, 32: 6, 48: 2, 64: 1, 96: 1, 128: 6}[n]
    count = {128: 6}.get(n, 20) if linear else count
    if permille not in RATIOS:
        count = {12: 20, 16: 20, 24: 8, 32: 4}[n]
    rows = []
    for k in range(count):
        rng = np.random.default_rng([0, activation, n, permille, k])
        found, null = gn.spectrum(n, permille / 1000, ACTIVATIONS[activation], rng)
        far = distance(found, activation, permille) if permille in RATIOS else 0.0
        rows.append([found[null], found.mean(), np.mean(found**2), far])
    yield summary(rows)


def units(permille: int, n: int) -> Iterator[str]:
    """Smallest eigenvalue of ReLU networks, and what it sits on."""
    count = {16: 120, 24: 16, 32: 6, 48: 2}[n]
    seeds = ([0, 3, n, permille, k] for k in range(count))
    yield summary([gn.weakest_units(permille / 1000, n, seed) for seed in seeds])


def rate(variant: int, n: int, number: int) -> Iterator[str]:
    """Distance to its law of a network of phi = 1/8 with or without f's second Hermite term."""
    rng = np.random.default_rng([9, variant, n, number])
    pair = gn.hermite_pair(variant)
    found = np.sort(gn.spectrum_of_pair(n, 0.125, pair, rng))
    x, F = law_of_pair(variant)
    far = ks_distance(found, lambda at: np.interp(at, x, F, left=0.0, right=1.0))
    yield f"{far:.6f}"


@cache
def law_of_pair(variant: int) -> tuple[Real, Real]:
    """Places and distribution function of the law of a pair (f, f')."""
    law = GaussNewtonLaw(0.125, gn.hermite_pair(variant))
    low, high = law.support()[0][0], law.support()[-1][1]
    x = low + (high - low) * SINES
    return x, law.cdf(x)


def plan_spectra() -> list[Group]:
    """Sizes, the small ones first."""
    plan = [(a, p, n) for n in (16, 24, 32, 48, 64) for a in range(3) for p in RATIOS]
    plan += [(2, p, 128) for p in RATIOS]
    plan += [(a, p, 96) for p in RATIOS for a in range(3)]
    plan += [(0, p, n) for p in (800, 640) for n in (16, 24, 32)]
    return plan + [(0, p, n) for p in (1500, 3000) for n in (12, 24)]


OF = "activation 0, 1, 2 is relu, tanh, linear; permille is 1000 phi; "
MEANS = "count,least,mean,square,distance,least_error,mean_error,square_error,distance_error"
PART = "count,least,alike,units,first,second,least_error,alike_error,units_error,first_error"
TABLES = {
    "laws": Table(
        OF + "laws of H0: ends of the support, density and distribution function at low + (high - "
        "low) sin^4 of 161 angles from 0 to pi/2",
        "activation,permille,low,high,pdf,cdf",
        2,
        lambda: (
            [(a, p) for a in range(3) for p in RATIOS]
            + [(0, p) for p in SLIDER]
            + [(a, p) for a in (0, 1) for p in (50, 20)]
        ),
        laws,
    ),
    "spectra": Table(
        OF + "spectra of H0 of random networks: number of them; smallest eigenvalue that is not an "
        "exact null direction, two moments, distance to the law (means, then standard errors)",
        "activation,permille,n," + MEANS,
        3,
        plan_spectra,
        spectra,
    ),
    "units": Table(
        "ReLU networks: number; smallest eigenvalue of H0, the same with all norms 1, units that "
        "its vector sits on, their squared norms (means, then standard errors)",
        "permille,n," + PART + ",second_error",
        2,
        lambda: (
            [(p, n) for p in RATIOS for n in (16, 24, 32, 48)]
            + [(p, n) for p in (200, 400) for n in (16, 24, 32)]
        ),
        units,
    ),
    "rate": Table(
        f"phi = 1/8, variants {', '.join(VARIANTS)}: distance of H0's spectrum to its own law",
        "variant,n,number,distance",
        3,
        lambda: [
            (v, n, k)
            for n, c in ((12, 24), (16, 16), (24, 8), (32, 4))
            for k in range(c)
            for v in range(4)
        ],
        rate,
    ),
}

if __name__ == "__main__":
    tables.main("gauss_newton_law", TABLES, __doc__)
