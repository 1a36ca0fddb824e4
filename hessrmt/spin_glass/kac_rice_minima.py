r"""Mean number and mean energy of the minima of the spherical spin glass, at every size.

In the Kac-Rice formula of `hessrmt.spin_glass.counts` the i-th smallest eigenvalue stands for the
critical points of index i - 1 (Auffinger, Ben Arous & Cerny 2013, section 3), so the smallest one
stands for the minima. With entries of variance (1 + delta_ij)/(2 Lambda) and a = (H - 2)/(2H),

.. math:: \E\,\#\{\text{minima}, L/\Lambda \le u\} = 2\sqrt{\tfrac 2H}\,(H-1)^{\Lambda/2}\,
          \E\; e^{-a\Lambda\lambda_0^2}\, \mathbf 1\bigl\{\lambda_0 \le u\sqrt{H/(2(H-1))}\bigr\}.

That all eigenvalues lie above t is the Pfaffian of an antisymmetric matrix of integrals of Hermite
functions over (t, infinity) squared (de Bruijn 1955), so no limit has to be taken.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.linalg import lu_factor, lu_solve
from scipy.special import ndtr

from hessrmt.spin_glass.annealed_complexity import threshold_energy
from hessrmt.validation import integer, real_array

__all__ = ["log_minima", "mean_minimum_energy"]

Real = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_STEPS = 120  # of the grid on which the law of the smallest eigenvalue is known
_FINE = 40  # points for each of them in the integrals over that law
_BELOW = 15.0  # the grid begins so many widths of the edge below it: less than 1e-16 is beyond


def log_minima(u: ArrayLike, H: int, size: int) -> Real:
    r"""Logarithm of the mean number of minima with :math:`L/\Lambda \le u`.

    Parameters
    ----------
    u : array_like of float, any shape
        Energies per weight; infinity counts all minima.
    H : int
        Order of the interaction, >= 2.
    size : int
        Number Lambda of weights, in [2, 1000].

    Returns
    -------
    ndarray of float64, the shape of `u`
        Relative accuracy of the number about 1e-6.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    A symmetric matrix has its lowest eigenvector, with both signs, and no other minima:

    >>> round(float(np.exp(log_minima(np.inf, 2, 5))), 5)
    2.0
    """
    u = real_array("u", u, "[-inf, inf]")
    energies, below = _law(*_checked(H, size))
    log_share = np.interp(u, energies, below, left=-np.inf)
    counts: Real = np.asarray(log_share)
    return counts[()]


def mean_minimum_energy(H: int, size: int) -> float:
    r"""Energy per weight of the minima, in the mean over all minima of all couplings.

    Couplings with many minima count in proportion to their number: this is the ratio of two means,
    not the mean of a ratio.

    Parameters
    ----------
    H : int
        Order of the interaction, >= 2.
    size : int
        Number Lambda of weights, in [2, 1000].

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> round(mean_minimum_energy(3, 25) + 2 * (2 / 3) ** 0.5, 3)  # above the threshold
    0.248
    """
    energies, log_below = _law(*_checked(H, size))
    below = np.exp(log_below - log_below[-1])
    return float(energies[-1] - np.sum((below[1:] + below[:-1]) / 2 * np.diff(energies)))


def _checked(H: int, size: int) -> tuple[int, int]:
    return integer("H", H, "[2, inf)"), integer("size", size, "[2, 1000]")


@lru_cache(maxsize=32)
def _law(H: int, size: int) -> tuple[Real, Real]:
    """Energies per weight, increasing, and the logarithm of the mean number of minima below."""
    t, log_density = _smallest(size)
    weighted = log_density - (H - 2) / (2 * H) * t**2
    # Far above the edge the Pfaffian is lost in rounding, but nothing is there.
    ends = np.arange(t.size) > weighted.argmax()
    stop = np.flatnonzero(ends & (weighted < weighted.max() - 40))
    if stop.size:
        t, weighted = t[: stop[0]], weighted[: stop[0]]
    fine = np.linspace(t[0], t[-1], _FINE * t.size)
    log_values = CubicSpline(t, weighted)(fine)
    top = log_values.max()
    values = np.exp(log_values - top)
    mass = np.append(0.0, np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(fine)))
    total = np.log(2) + np.log(2 / H) / 2 + size / 2 * np.log(H - 1) + top
    with np.errstate(divide="ignore"):
        return fine * threshold_energy(H) / np.sqrt(2 * size), total + np.log(mass)


@lru_cache(maxsize=32)
def _smallest(size: int) -> tuple[Real, Real]:
    """Grid, and the logarithm of the density there of the smallest eigenvalue.

    Eigenvalues times sqrt(size): entries of variance (1 + delta)/2, joint density of the
    eigenvalues prod exp(-x^2/2) prod |x_i - x_j|. With L_j the integral of phi_j up to t, T_j that
    over the line and B the matrix of the integrals of sgn(y - x) phi_j(x) phi_k(y) over the plane,
    the probability that all are above t is Pf A(t)/Pf B,

        A_jk = B_jk - L_j T_k + T_j L_k + 2 int_{-inf}^t phi_j L_k - L_j L_k,

    with a last row and column of the T_j - L_j if the size is odd. As the derivative of A has rank
    two, that of log Pf A is phi A^-1 (T - L).
    """
    edge, width = np.sqrt(2 * size), size ** (-1 / 6) / np.sqrt(2)
    grid = np.linspace(-edge - _BELOW * width, -edge + 4 + 8 / size, _STEPS + 1)
    half = (grid[1] - grid[0]) / 2
    inner = (grid[:-1, None] + half * (1 + _NODES)).ravel()
    phi, left = _hermite(np.append(inner, grid), size)
    B, T = _whole(size)
    double = np.zeros((size, size))  # twice the integral of phi_j L_k so far
    log_pfaffian, ratio = np.zeros(grid.size), np.zeros(grid.size)
    for k in range(grid.size):
        if k:
            panel = slice(16 * (k - 1), 16 * k)
            double += 2 * half * (phi[:, panel] * _WEIGHTS) @ left[:, panel].T
        p, low = phi[:, inner.size + k], left[:, inner.size + k]
        A = B - np.outer(low, T) + np.outer(T, low) + double - np.outer(low, low)
        A, high = (A - A.T) / 2, T - low
        if size % 2:
            A = np.block([[A, high[:, None]], [-high[None], np.zeros((1, 1))]])
            p, high = np.append(p, 0.0), np.append(high, 1.0)
        factors = lu_factor(A)
        log_pfaffian[k] = np.log(np.abs(np.diag(factors[0]))).sum() / 2
        ratio[k] = -p @ lu_solve(factors, high)
    log_ratio = np.log(np.maximum(ratio, np.finfo(float).tiny))
    log_density: Real = log_pfaffian - log_pfaffian[0] + log_ratio
    return grid, log_density


def _hermite(x: Real, size: int) -> tuple[Real, Real]:
    """Hermite functions (size, points) and their integrals from minus infinity.

    The recurrence runs on mantissas times exp(scale): its start underflows.
    """
    phi, left = np.empty((size, x.size)), np.empty((size, x.size))
    scale = -(x**2) / 2
    now, before = np.full(x.shape, np.pi**-0.25), np.zeros(x.shape)
    for j in range(size):
        phi[j] = now * np.exp(scale)
        now, before = np.sqrt(2 / (j + 1)) * x * now - np.sqrt(j / (j + 1)) * before, now
        shrink = np.where(np.abs(now) > 1e100, 1e-100, 1.0)
        now, before, scale = now * shrink, before * shrink, scale - np.log(shrink)
    left[0] = np.pi**-0.25 * np.sqrt(2 * np.pi) * ndtr(x)
    left[1] = -np.sqrt(2) * phi[0]
    for j in range(1, size - 1):  # from phi_j' = sqrt(j/2) phi_{j-1} - sqrt((j+1)/2) phi_{j+1}
        left[j + 1] = (np.sqrt(j) * left[j - 1] - np.sqrt(2) * phi[j]) / np.sqrt(j + 1)
    return phi, left


def _whole(size: int) -> tuple[Real, Real]:
    """The matrix B and the integrals T of `_smallest`, by the same recurrence."""
    T, B = np.zeros(size), np.zeros((size, size))
    T[0] = np.pi**-0.25 * np.sqrt(2 * np.pi)
    for k in range(1, size - 1, 2):
        T[k + 1] = np.sqrt(k / (k + 1)) * T[k - 1]
    B[0, 1] = 2 * np.sqrt(2)
    for k in range(2, size - 1, 2):
        B[0, k + 1] = np.sqrt(k / (k + 1)) * B[0, k - 1]
    B[:, 0] = -B[0]
    for k in range(size - 1):
        previous = B[:, k - 1] if k else np.zeros(size)
        B[1:, k + 1] = np.sqrt(k / (k + 1)) * previous[1:]
        if k:
            B[k, k + 1] += 2 * np.sqrt(2 / (k + 1))
    return B, T
