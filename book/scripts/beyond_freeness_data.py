"""Make the stored tables of the chapter beyond freeness.

    python book/scripts/beyond_freeness_data.py TABLE ...

The tables are laws, density, moments, pairings, eighth, fourth, spectra, floor, scale and inertia.
Distributions are smoothed by a normal law of standard deviation .05, so that whole spectra and
those measured by products are alike. How rows are added: `tables`.
"""

from collections.abc import Iterator
from functools import cache

import exact_limits
import numpy as np
import tables
import torch
from numpy.typing import NDArray
from products import PARTS, Network
from scipy import linalg, stats
from tables import Group, Table

from hessrmt import (
    FreeSum,
    FullHessianLaw,
    GaussNewtonLaw,
    ProductWishart,
    free_sum_cdf,
    full_hessian_critical_energy,
    lanczos_spectrum,
    network_moments,
)

WIDTH = 0.05
GRIDS = {"h0": (-0.2, 4.0), "h1": (-1.3, 1.3), "h": (-1.5, 4.0)}
POINTS = 111
ENERGIES = (0.1, 0.5)
ABOVE = (0.7, 1.1, 1.2, 1.5, 2.0, 4.0)  # energies over the critical one
DENSE = 48  # the largest width of which matrices are built
LAW_PHI = 4  # 1/phi of the window
SLIDERS = (100, 125, 167, 250, 333, 500, 800), (20, 50, 100, 300, 1000)  # 1000 phi and energy

Real = NDArray[np.float64]


def smoothed(places: Real, masses: Real, part: str) -> str:
    """Distribution function on the grid of a part, as one cell."""
    x = np.linspace(*GRIDS[part], POINTS)[:, None]
    return " ".join(f"{v:.5f}" for v in stats.norm.cdf((x - places) / WIDTH) @ masses)


def uniform(values: Real, part: str) -> str:
    """The same for eigenvalues."""
    return smoothed(values, np.full(values.size, 1 / values.size), part)


def dense(network: Network, energy: float) -> tuple[Real, Real]:
    """H0 and H1 as matrices."""
    parts = network.net.hessian_parts(network.theta, network.x, network.target(energy))
    return parts[0].numpy(), parts[1].numpy()


@cache
def critical(inverse_phi: int) -> float:
    """Critical energy of the law of H, ReLU."""
    return full_hessian_critical_energy(1 / inverse_phi)


def network(relu: int, inverse_phi: int, n: int, number: int, dtype: torch.dtype) -> Network:
    """A random network, the same for every table."""
    rng = np.random.default_rng([relu, inverse_phi, n, number, 5])
    return Network("relu" if relu else "tanh", n, inverse_phi, rng, dtype)


def spectra(relu: int, inverse_phi: int, energy: int, n: int, number: int) -> Iterator[str]:
    """H, and H0 with H1 turned by a random rotation; for ReLU without the n largest."""
    net = network(relu, inverse_phi, n, number, torch.float64)
    A, B = dense(net, ENERGIES[energy])
    rng = np.random.default_rng([number, n, 6])
    Q, R = linalg.qr(rng.standard_normal(A.shape), overwrite_a=True, check_finite=False)
    Q *= np.sign(np.diag(R))
    for turned, H in enumerate((A + B, A + Q @ B @ Q.T)):
        values = linalg.eigvalsh(H, check_finite=False)
        moments = (np.mean(values**k) for k in (1, 2, 3, 4))
        cells = [turned, np.mean(values < -1e-9), *moments]
        bulk = values[:-n] if relu else values
        yield ",".join(f"{cell:.7g}" for cell in cells) + "," + uniform(bulk, "h")


def scales(W1: Real, W2: Real) -> Real:
    """One unit direction a unit: more incoming weight, as much less outgoing weight (columns)."""
    n = len(W1)
    found = np.zeros((2, n, n, n))  # layer, row, column, unit
    found[0, np.arange(n), :, np.arange(n)] = W1
    found[1, :, np.arange(n), np.arange(n)] = -W2.T
    found = found.reshape(2 * n * n, n)
    return found / np.linalg.norm(found, axis=0)


def floor(inverse_phi: int, n: int, number: int) -> Iterator[str]:
    """Negative eigenvalues of H of a ReLU network at half the critical energy."""
    net = network(1, inverse_phi, n, number, torch.float64)
    energy = critical(inverse_phi) / 2
    H = sum(dense(net, energy))
    rest = linalg.null_space(scales(net.W1.numpy(), net.W2.numpy()).T)
    counts = (np.sum(linalg.eigvalsh(M) < -1e-9) for M in (H, rest.T @ H @ rest))
    yield ",".join(str(count) for count in counts)


def scale(relu: int, inverse_phi: int, n: int, number: int) -> Iterator[str]:
    """H0, H1 and H: index, its error, eigenvalues counted, distribution."""
    net = network(relu, inverse_phi, n, number, torch.float64 if n <= DENSE else torch.float32)
    out = n if relu else 0
    if n <= DENSE:
        A, B = dense(net, ENERGIES[0])
        for part, M in zip(PARTS, (A, B, A + B), strict=True):
            values = linalg.eigvalsh(M, check_finite=False)
            bulk = values[: values.size - out] if part != "h1" else values
            yield f"{part},{np.mean(values < -1e-9):.7g},0,{values.size}," + uniform(bulk, part)
        return
    starts = max(1, round(1.5e5 / n**2))
    for k, part in enumerate(PARTS):
        operator = net.operator(part, ENERGIES[0])
        steps = 60 if part == "h1" or n > 500 else 90
        found = lanczos_spectrum(operator, steps, starts, rng=[n, number, k])
        places, masses = found.quadrature()
        share = 1 - (out / operator.shape[0] if part != "h1" else 0)
        index = "{:.7g},{:.2g}".format(*found.index())
        cells = smoothed(places, masses / share, part)
        yield f"{part},{index},{operator.shape[0] * starts}," + cells


def negative(H: Real) -> int:
    """Number of negative eigenvalues, exactly: that of D in H = L D L^T (Sylvester)."""
    _, D, _ = linalg.ldl(H, overwrite_a=True)  # D has blocks of one and two
    return int(np.sum(linalg.eigvalsh_tridiagonal(np.diag(D), np.diag(D, 1)) < 0))


def inertia(n: int, number: int, step: int) -> Iterator[str]:
    """Negative eigenvalues of H near the critical energy, and on what does not rescale units."""
    net = network(1, LAW_PHI, n, number, torch.float64)
    H = sum(dense(net, ABOVE[step] * critical(LAW_PHI)))
    null = scales(net.W1.numpy(), net.W2.numpy())
    null = linalg.qr(null, mode="economic")[0]
    side = H @ null
    # On the complement: the rest of P H P, and the directions themselves moved far up.
    rest = H - side @ null.T - null @ side.T
    rest += null @ (null.T @ side + 10 * np.eye(n)) @ null.T
    yield f"{negative(H)},{negative(rest)}"


def laws(relu: int, inverse_phi: int, energy: int) -> Iterator[str]:
    """Smoothed distribution functions of the law of H (0), and of the free sum of its parts (1)."""
    phi, epsilon = 1 / inverse_phi, ENERGIES[energy]
    law = FullHessianLaw(phi, epsilon, "relu" if relu else "tanh")
    low, high = GRIDS["h"]
    x = np.arange(low - 0.7, high + 1.0, 0.02)
    # Density off the axis at three heights, extrapolated to it: after smoothing within 5e-4.
    heights = [law.stieltjes(x + 0.006j * k).imag / np.pi for k in (1, 2, 3)]
    slope = 3 * heights[1] - 3 * heights[0] - heights[2]
    found = [(law.index(), np.append(0, np.cumsum((slope[1:] + slope[:-1]) / 2) * 0.02))]
    if relu:
        first, second = GaussNewtonLaw(phi), ProductWishart(phi, epsilon)
        at = np.geomspace(first.support()[0][0], first.support()[-1][1], 800)
        shares = (np.arange(2000) + 0.5) / 2000
        parts = np.interp(shares, first.cdf(at), at), second.ppf(shares)
        found.append((FreeSum(first, second).index(), free_sum_cdf(*parts, x)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    places = np.linspace(low, high, POINTS)[:, None] + WIDTH * nodes
    for free, (index, distribution) in enumerate(found):
        smooth = np.interp(places, x, distribution) @ weights / weights.sum()
        yield f"{free},{index:.6f}," + " ".join(f"{v:.5f}" for v in smooth)


def density(permille: int, energy: int) -> Iterator[str]:
    """Densities of both for ReLU, smoothed by a Cauchy law of width .02, and both indices."""
    phi, epsilon = permille / 1000, energy / 1000
    free = FreeSum(GaussNewtonLaw(phi), ProductWishart(phi, epsilon))
    z = np.linspace(-1.5, 3.0, 121) + 0.02j
    for number, law in enumerate((FullHessianLaw(phi, epsilon), free)):
        heights = -law.stieltjes(z).imag / np.pi
        yield f"{number},{law.index():.6f}," + " ".join(f"{v:.4f}" for v in heights)


def moments(inverse_phi: int, n: int, number: int) -> Iterator[str]:
    """A, BB, ABB, ABAB of a ReLU network at energy 1, averaged over its residuals."""
    rng = np.random.default_rng([0, n, round(1000 / inverse_phi), number])
    X = rng.standard_normal((n, 2 * n * inverse_phi))
    W1, W2 = rng.standard_normal((2, n, n)) / np.sqrt(n)
    yield ",".join(f"{v:.7f}" for v in network_moments(X, W1, W2, 1.0))


def plan_spectra() -> list[Group]:
    """Networks whose whole spectra are stored."""
    counts = {16: 12, 24: 6, 32: 3}
    relu = [
        (1, p, e, n, k)
        for n, c in counts.items()
        for k in range(c)
        for p in (2, 4, 8)
        for e in (0, 1)
    ]
    return relu + [(0, p, e, 24, k) for k in range(2) for p in (2, 4) for e in (0, 1)]


def plan_scale() -> list[Group]:
    """Networks of all sizes; the largest, which take longest, last."""
    counts = {16: 12, 32: 4, 96: 2, 192: 1, 384: 1}
    plan = [(n, k) for n, c in counts.items() for k in range(c)]
    large = [(1, 2, 48, 0), (1, 8, 192, 1), (1, 2, 1000, 0), (0, 2, 1000, 0), (1, 8, 600, 0)]
    return [(relu, p, n, k) for n, k in plan for relu, p in ((1, 2), (0, 2), (1, 8))] + large


NETWORKS = "networks with weights N(0, 1/n), data N(0, 1), residuals N(0, 2 energy); "
TABLES = {
    "laws": Table(
        "law of H (free 0) and, for ReLU, free sum of the laws of H0 and H1 (1), energy 0 is .1, 1 "
        "is .5: index, distribution function smoothed by .05 on 111 points from -1.5 to 4",
        "relu,inverse_phi,energy,free,index,cdf",
        3,
        lambda: [(1, p, e) for p in (2, 4, 8) for e in (0, 1)] + [(0, 2, 0)],
        laws,
    ),
    "density": Table(
        "ReLU; permille is 1000 phi, energy 1000 epsilon: law of H (free 0) and free sum (1), "
        "index and density smoothed by a Cauchy law of width .02 on 121 points from -1.5 to 3",
        "permille,energy,free,index,pdf",
        2,
        lambda: [(p, e) for p in SLIDERS[0] for e in SLIDERS[1]],
        density,
    ),
    "moments": Table(
        "mixed moments A, BB, ABB, ABAB of ReLU networks at energy 1, A = H0, B = H1, averaged "
        "over the residuals",
        "inverse_phi,n,number,a,bb,abb,abab",
        3,
        lambda: [(p, 64, k) for p, c in ((2, 50), (4, 50), (8, 25)) for k in range(c)],
        moments,
    ),
    "pairings": Table(
        "exact limit of the coefficient of energy^(j/2) in tau(H^k) at phi = 1/2, by counting "
        "pairings of the Gaussian factors",
        "linear,k,j,exact",
        3,
        exact_limits.plan_pairings,
        exact_limits.pairings,
    ),
    "eighth": Table(
        "linear networks, phi = 1/2: coefficient of energy^2 in tau(H^k), k = 6, 7, 8, a mean over "
        "several networks (60, 25, 10, 2 of n = 8, 12, 16, 24)",
        "n,number,six,seven,eight",
        2,
        lambda: [(n, k) for n in (8, 12, 16, 24) for k in range(8)],
        exact_limits.eighth,
    ),
    "fourth": Table(
        "phi = 0 taken exactly at finite n, ReLU without the mean of f: tau(abab) over tau(a^2) "
        "tau(b^2) of the centred H0 and H1^2",
        "n,number,ratio",
        2,
        lambda: [
            (n, k)
            for n, c in ((8, 40), (12, 30), (16, 20), (24, 10), (32, 6), (44, 3))
            for k in range(c)
        ],
        exact_limits.fourth,
    ),
    "spectra": Table(
        NETWORKS + "energy 0 is .1, 1 is .5; H (turned 0) and H0 + Q H1 Q^T (1): index, four "
        "moments, distribution function smoothed by .05 on 111 points from -1.5 to 4, for ReLU "
        "without the n largest eigenvalues",
        "relu,inverse_phi,energy,n,number,turned,index,m1,m2,m3,m4,cdf",
        5,
        plan_spectra,
        spectra,
    ),
    "floor": Table(
        NETWORKS + "ReLU, half the critical energy of the law of H: negative eigenvalues of H, and "
        "of H on the complement of the n directions that rescale units",
        "inverse_phi,n,number,negative,rest",
        3,
        lambda: [
            (p, n, k) for n, c in ((12, 12), (16, 8), (24, 3)) for k in range(c) for p in (2, 4, 8)
        ],
        floor,
    ),
    "scale": Table(
        NETWORKS + "energy .1; index with standard error, eigenvalues or products of them and "
        "random starts, distribution function smoothed by .05 on 111 points (h0 from -.2 to 4, h1 "
        "from -1.3 to 1.3, h from -1.5 to 4), for ReLU without the n largest eigenvalues; matrices "
        "up to n = 48, stochastic Lanczos quadrature beyond",
        "relu,inverse_phi,n,number,part,index,error,counted,cdf",
        4,
        plan_scale,
        scale,
    ),
    "inertia": Table(
        NETWORKS + "ReLU, phi = 1/4, energies .7, 1.1, 1.2, 1.5, 2 and 4 times the critical one of "
        "the law of H: negative eigenvalues of H, and of H on the complement of the n directions "
        "that rescale units, counted by Sylvester's law of inertia",
        "n,number,step,negative,rest",
        3,
        lambda: [
            (n, k, s)
            for n, c in ((16, 24), (24, 10), (32, 6))
            for k in range(c)
            for s in range(len(ABOVE))
        ],
        inertia,
    ),
}

if __name__ == "__main__":
    tables.main("beyond_freeness", TABLES, __doc__)
