r"""Mean number of critical points of the spherical spin glass, exactly and to leading order.

Auffinger, Ben Arous & Cerny (2013, section 3) write the mean number over the couplings, by the
Kac-Rice formula, in terms of the eigenvalues of one Gaussian orthogonal matrix of size Lambda
(their N; their p is H). With entries of variance (1 + delta_ij)/(2 Lambda) and a = (H - 2)/(2H),

.. math:: \E\,\#\{&L/\Lambda \le u\} = 2\sqrt{\tfrac 2H}\,(H-1)^{\Lambda/2} \\
          &\E \sum_i e^{-a\Lambda\lambda_i^2}\,
          \mathbf 1\bigl\{\lambda_i \le u\sqrt{H/(2(H-1))}\bigr\}.

The density of the eigenvalues is known for every size, so no limit has to be taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, logsumexp

from hessrmt.spin_glass.annealed_complexity import complexity, threshold_energy
from hessrmt.validation import integer, real_array

__all__ = ["log_critical_points", "log_leading_order"]

Real = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_BIG = 1e100  # mantissas are brought back below this


def log_critical_points(u: ArrayLike, H: int, size: int) -> Real:
    r"""Logarithm of the mean number of critical points with :math:`L/\Lambda \le u`.

    Parameters
    ----------
    u : array_like of float, any shape
        Energies per weight.
    H : int
        Order of the interaction, >= 2.
    size : int
        Number Lambda of weights, >= 2.

    Returns
    -------
    ndarray of float64, the shape of `u`
        Relative accuracy of the number about 1e-10 up to size 1000.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Notes
    -----
    The mean of a number that is large only for rare couplings says little about typical ones: a
    negative logarithm bounds the probability that there is any such point.

    Examples
    --------
    A symmetric matrix has its eigenvectors, with both signs, and no other critical points:

    >>> round(float(np.exp(log_critical_points(9.0, 2, 5))), 9)
    10.0
    """
    u = real_array("u", u)
    H = integer("H", H, "[2, inf)")
    size = integer("size", size, "[2, inf)")
    x = np.atleast_1d(u).ravel() * np.sqrt(size * H / (2 * (H - 1)))
    log_below = _log_mass_below(np.append(-np.abs(x), 0.0), size, (H - 2) / (2 * H))
    log_half = log_below[-1]
    # The ensemble is symmetric: the mass below x > 0 is twice that below 0 less that below -x.
    above = x > 0
    with np.errstate(divide="ignore"):
        mirrored = log_half + np.log(2 - np.exp(log_below[:-1] - log_half))
    log_mass = np.where(above, mirrored, log_below[:-1])
    total = np.log(2) + np.log(2 / H) / 2 + size / 2 * np.log(H - 1) + log_mass
    counts: Real = total.reshape(u.shape)
    return counts[()]


def log_leading_order(u: ArrayLike, H: int, size: int) -> Real:
    r"""Logarithm of the leading order for large Lambda, prefactor included, below u = 0.

    With :math:`v = -u\sqrt{H/(2(H-1))}` and, for :math:`u < -E_\infty`,
    :math:`h(v) = |(v-\sqrt2)/(v+\sqrt2)|^{1/4} + |(v+\sqrt2)/(v-\sqrt2)|^{1/4}`,

    .. math::
       &\frac{h(v)}{\sqrt{2\pi H\Lambda}}\,
       \frac{e^{I(u) - \frac v2\sqrt{v^2-2}}}{\frac{H-2}Hv + \sqrt{v^2-2}}\; e^{\Lambda\Theta_H(u)},
       \quad u < -E_\infty, \\
       &\sqrt{\frac 2H}\,\frac{2H\sqrt{2-v^2}}{\pi(H-2)\,v}\; e^{\Lambda\Theta_H(u)},
       \quad -E_\infty < u < 0.

    Both fail in a window around :math:`-E_\infty` that shrinks like :math:`\Lambda^{-2/3}`.

    Parameters
    ----------
    u : array_like of float, any shape
        Negative energies per weight, none of them the threshold itself.
    H : int
        Order of the interaction, >= 3.
    size : int
        Number Lambda of weights, >= 2.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Notes
    -----
    Auffinger, Ben Arous & Cerny (2013), theorem 2.17, for :math:`u < -E_\infty`; above, from the
    semicircle by Laplace's method at the end point.

    Examples
    --------
    >>> exact, leading = (f(-1.8, 3, 400) for f in (log_critical_points, log_leading_order))
    >>> bool(abs(exact - leading) < 0.02)
    True
    """
    u = real_array("u", u, "(-inf, 0)")
    H = integer("H", H, "[3, inf)")
    size = integer("size", size, "[2, inf)")
    E = threshold_energy(H)
    if (at := u == -E).any():
        raise ValueError(f"u must not be the threshold -E_infinity, got {float(u[at].flat[0])!r}")
    v = -u / E * np.sqrt(2)
    root = np.sqrt(np.abs(v**2 - 2))
    ratio = np.abs((v - np.sqrt(2)) / (v + np.sqrt(2))) ** 0.25
    # I(u) - v/2 sqrt(v^2 - 2) = -arccosh(v/sqrt 2)
    shape = np.exp(-np.arccosh(np.maximum(v / np.sqrt(2), 1.0)))
    outer = (ratio + 1 / ratio) * shape / ((H - 2) / H * v + root) / np.sqrt(2 * np.pi * H * size)
    inner = np.sqrt(2 / H) * 2 * H * root / (np.pi * (H - 2) * v)
    prefactor = np.where(u < -E, outer, inner)
    leading: Real = np.log(prefactor) + size * complexity(u, H)
    return leading[()]


def _log_mass_below(x: Real, size: int, a: float) -> Real:
    """Logarithm of the integral of rho(t) exp(-a t^2) up to each x <= 0, rho of mass `size`.

    Here t is an eigenvalue of the matrix times sqrt(size): entries of variance (1 + delta)/2.
    """
    edge = np.sqrt(2.0 * size)
    lowest = min(float(x.min()), -edge)
    # Beyond the edge the density falls at least like exp(-t^2/2): 12 further down nothing is left.
    step = 2.0 / edge  # two thirds of the shortest wave of a Hermite function
    grid = np.arange(lowest - 12.0, step, step)
    edges = np.unique(np.concatenate([grid[grid < 0], x]))
    half = np.diff(edges) / 2
    t = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
    log_values = _log_density(t.ravel(), size).reshape(t.shape) - a * t**2
    panels = logsumexp(log_values, b=half[:, None] * _WEIGHTS, axis=1)
    below = np.append(-np.inf, np.logaddexp.accumulate(panels))
    mass: Real = below[np.searchsorted(edges, x)]
    return mass


def _log_density(x: Real, size: int) -> Real:
    r"""Logarithm of the density of eigenvalues at x <= 0 (Mehta, Random Matrices, section 7.2).

    With the Hermite functions phi_j and their integrals Phi_j from minus infinity,

    .. math:: \sum_{j<N} \phi_j^2 + \sqrt{N/2}\,\phi_{N-1}\,(\Phi_N - \tfrac12\Phi_N(\infty))
              + [N \text{ odd}]\;\phi_{N-1}/\Phi_{N-1}(\infty) .

    All of them are kept as mantissas times exp(scale): they underflow where the recurrence starts.
    """
    scale = -(x**2) / 2
    phi, before = np.full(x.shape, np.pi**-0.25), np.zeros(x.shape)
    # Phi_0 = pi^(-1/4) sqrt(2 pi) ndtr(x), relative to exp(scale), and Phi_1 = -sqrt(2) phi_0.
    whole = np.pi**-0.25 * np.sqrt(2 * np.pi)
    integral, integral_before = whole * np.exp(log_ndtr(x) - scale), np.zeros(x.shape)
    ends = np.array([whole, 0.0])  # integrals over the line of phi_j and of phi_{j-1}
    squares = phi**2
    last, last_end = phi, whole
    for j in range(size):
        up, down = np.sqrt(2 / (j + 1)), np.sqrt(j / (j + 1))
        integral, integral_before = down * integral_before - up * phi, integral
        phi, before = up * x * phi - down * before, phi
        ends = np.array([down * ends[1], ends[0]])
        last, last_end = before, ends[1]
        if j + 1 < size:
            squares = squares + phi**2
        large = np.maximum(np.abs(phi), np.abs(integral)) > _BIG
        if large.any():
            shrink = np.where(large, 1 / _BIG, 1.0)
            phi, before, last = phi * shrink, before * shrink, last * shrink
            integral, integral_before = integral * shrink, integral_before * shrink
            squares = squares * shrink**2
            scale = scale - np.log(shrink)
    # What does not carry two factors exp(scale) is divided by one: it may overflow to inf only
    # where the squares are negligible beside it, so it is taken apart in logarithms.
    pairs = squares + np.sqrt(size / 2) * last * integral
    single = -np.sqrt(size / 2) * last * ends[0] / 2
    if size % 2:
        single = single + last / last_end
    with np.errstate(divide="ignore"):
        log_pairs, log_single = np.log(np.abs(pairs)), np.log(np.abs(single))
    log_values: Real = logsumexp(
        np.stack([log_pairs + 2 * scale, log_single + scale]),
        b=np.stack([np.sign(pairs), np.sign(single)]),
        axis=0,
    )
    return log_values
