"""The free sum of two empirical spectra, as a density and a distribution function.

The curve against which the spectrum of A + B is held if A and B are to be free: no random
rotation is drawn. Eigenvalues may have any shape and are pooled; those that differ from
0 by rounding count as 0 (`hessrmt.spectra.precision`).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.spectra.distances import pooled_eigenvalues, precision
from hessrmt.validation import real, real_array

__all__ = ["free_sum_cdf", "free_sum_density"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]
Measure: TypeAlias = tuple[Real, Real]  # locations of the atoms, ascending, and their masses


def free_sum_density(
    eigs_a: ArrayLike, eigs_b: ArrayLike, x: ArrayLike, eta: float | None = None
) -> Real:
    r"""Density of the free additive convolution of two empirical spectra.

    With :math:`h(\omega) = 1/G(\omega) - \omega` of each spectrum, the subordination functions
    solve (Belinschi & Bercovici 2007, J. Anal. Math. 101)

    .. math:: &\omega_1 = z + h_B(\omega_2), \quad \omega_2 = z + h_A(\omega_1), \\
              &1/G_{A \boxplus B}(z) = \omega_1 + \omega_2 - z .

    The solution in the upper half-plane is unique. Newton steps follow it from large Im z down to
    `eta`; a step that leaves the half-plane is replaced by a fixed-point step.

    Parameters
    ----------
    eigs_a, eigs_b : array_like, any shape
        Eigenvalues. Those that differ by rounding, 1e-10 of the largest, count as one.
    x : array_like, any shape
        Where to evaluate.
    eta : float, optional
        Imaginary part of z, in units of `x`: the density is smoothed by a Cauchy kernel of this
        half-width. Default 1e-6 of the sum of the two ranges, invisible in a plot: the free sum of
        discrete spectra is smooth itself. Larger values hide the single eigenvalues of one
        spectrum where they show, next to an atom or if the other spectrum is very narrow.

    Returns
    -------
    ndarray of float64, the shape of `x`
        The continuous part. A free sum has an atom at a + b where the masses of a and b exceed 1
        together (Bercovici & Voiculescu 1998); it is left out here, and a step in `free_sum_cdf`.

    Raises
    ------
    TypeError, ValueError
        If there are no eigenvalues, or they, `x` or `eta` are not finite or not in their domain.
    RuntimeError
        If the iteration does not converge.

    Examples
    --------
    The arcsine law, the free sum of two coins:

    >>> float(free_sum_density([-1.0, 1.0], [-1.0, 1.0], 1.0).round(6))  # 1/(pi sqrt(4 - x^2))
    0.183776
    """
    a, b = _measure("eigs_a", eigs_a), _measure("eigs_b", eigs_b)
    F, _, atoms, d, eta = _free_sum(a, b, x, eta, 1e-6)
    density = -np.imag(1 / F)
    for place, mass in zip(*atoms, strict=True):
        density -= mass * eta / ((d - place) ** 2 + eta**2)
    return np.maximum(density / np.pi, 0.0)


def free_sum_cdf(
    eigs_a: ArrayLike,
    eigs_b: ArrayLike,
    x: ArrayLike,
    eta: float | None = None,
    *,
    masses_a: ArrayLike | None = None,
    masses_b: ArrayLike | None = None,
) -> Real:
    r"""Cumulative distribution of the free additive convolution of two spectra, atoms included.

    The logarithmic potential :math:`\int \log(z - t)` of the free sum is that of A at
    :math:`\omega_1`, plus that of B at :math:`\omega_2`, plus log G (its derivative in z is G), so
    no integration is needed:

    .. math:: P(x) = 1 - \tfrac1\pi \big[ \tau_A \arg(\omega_1 - a) + \tau_B \arg(\omega_2 - b)
                       + \arg G \big] .

    Parameters
    ----------
    eigs_a, eigs_b, x, eta
        As for `free_sum_density`, but `eta` is 1e-9 of the ranges by default. The atoms are steps,
        not smoothed. The time is that of 50 complex divisions per point and eigenvalue: for
        thousands of both, tabulate and interpolate.
    masses_a, masses_b : array_like, optional
        Of each eigenvalue, positive or zero and summing to 1 within 1e-6: for measured spectra.
        Equal by default.

    Returns
    -------
    ndarray of float64, the shape of `x`
        Mass on (-inf, x]; total mass 1.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As for `free_sum_density`.

    Examples
    --------
    >>> free_sum_cdf([0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [-1e-9, 0.0]).round(2)
    array([0. , 0.5])
    """
    a, b = _measure("eigs_a", eigs_a, masses_a), _measure("eigs_b", eigs_b, masses_b)
    _, above, atoms, d, eta = _free_sum(a, b, x, eta, 1e-9)
    cdf = 1 - above / np.pi
    for place, mass in zip(*atoms, strict=True):
        cdf += mass * ((d >= place) - 0.5 - np.arctan((d - place) / eta) / np.pi)
    return np.clip(cdf, 0.0, 1.0)


def _free_sum(
    a: Measure, b: Measure, x: ArrayLike, eta: float | None, default: float
) -> tuple[Complex, Real, Measure, Real, float]:
    """1/G and the argument of the potential at x + i eta; atoms; `x` and `eta` as they are used."""
    x = real_array("x", x)
    spread = float(np.ptp(a[0]) + np.ptp(b[0]))
    eta = default * (spread or 1.0) if eta is None else real("eta", eta, "(0, inf)")
    heavy_a, heavy_b = a[1] > 1 - b[1].max(), b[1] > 1 - a[1].max()  # all that can make an atom
    mass = np.add.outer(a[1][heavy_a], b[1][heavy_b]) - 1
    place = np.add.outer(a[0][heavy_a], b[0][heavy_b])
    atoms = (place[mass > 1e-12], mass[mass > 1e-12])
    mean_a, mean_b = a[1] @ a[0], b[1] @ b[0]
    a, b = (a[0] - mean_a, a[1]), (b[0] - mean_b, b[1])  # centred, so that h decays
    z = np.asarray(np.ravel(x) - (mean_a + mean_b) + 1j * eta, dtype=np.complex128)
    F, above = np.empty_like(z), np.empty(z.shape)
    chunk = max(1, 2**17 // max(a[0].size, b[0].size))  # fits a cache
    for part in (slice(i, i + chunk) for i in range(0, z.size, chunk)):
        w1 = _subordination(z[part], a, b)
        w2 = z[part] + _h(w1, a)[0]
        F[part] = w1 + w2 - z[part]
        args = (np.angle(w[:, None] - t) @ p for w, (t, p) in ((w1, a), (w2, b)))
        above[part] = sum(args) - np.angle(F[part])
    return F.reshape(x.shape), above.reshape(x.shape), atoms, x, eta


def _subordination(z: Complex, a: Measure, b: Measure) -> Complex:
    """The subordination function omega_1 at points of equal imaginary part."""
    scale, eta = float(np.sqrt(a[1] @ a[0] ** 2 + b[1] @ b[0] ** 2)), float(z[0].imag)
    start = max(eta, 4 * scale)
    w = z + 1j * (start - eta)
    for height in np.geomspace(start, eta, 1 + int(np.ceil(np.log10(start / eta)))):
        target = z + 1j * (height - eta)
        active = np.arange(z.size)
        for step in range(1, 501):
            v, t = w[active], target[active]
            h_a, slope_a = _h(v, a)
            h_b, slope_b = _h(t + h_a, b)
            with np.errstate(divide="ignore", invalid="ignore"):
                residual = t + h_b - v
                change = residual / (1 - slope_a * slope_b)
            # A fixed-point step is safe: it brings v nearer to the solution, from everywhere.
            newton = ((v + change).imag > 0) & (step % 10 > 0)
            w[active] = np.where(newton, v + change, t + h_b)
            near = np.abs(change) <= 1e-10 * (np.abs(v) + scale)
            # As at 0 for two coins, where all w solve the equation in the limit eta = 0: what is
            # lost in w1 is lost in w2 with the other sign.
            near |= np.abs(residual) <= 1e-15 * (np.abs(v) + np.abs(h_b) + scale)
            active = active[~(newton & near)]
            if not active.size:
                break
        else:
            worst = float(t[0].real)
            raise RuntimeError(f"no convergence at x = mean + {worst:.6g}, try a larger eta")
    return w


def _h(w: Complex, measure: Measure) -> tuple[Complex, Complex]:
    """The function h = 1/G - w and its derivative, with no cancellation at large w."""
    places, masses = measure
    R: Complex = 1 / (w[:, None] - places)
    both = np.stack([masses, masses * places], axis=1).astype(np.complex128)
    G, S = (R @ both).T
    R *= R
    dG, dS = (R @ both).T
    return -S / G, (dS * G - S * dG) / G**2


def _measure(name: str, eigs: ArrayLike, masses: ArrayLike | None = None) -> Measure:
    """Distinct eigenvalues and their masses."""
    x = pooled_eigenvalues(name, eigs)
    weights = np.full(x.size, 1 / x.size)
    if masses is not None:
        which = name.replace("eigs", "masses")
        weights = np.ravel(real_array(which, masses, "[0, inf)"))
        if weights.size != x.size or abs(weights.sum() - 1) > 1e-6:
            what = f"{weights.size} of sum {weights.sum():.6g}"
            raise ValueError(f"{which} must be one for each of {name} and sum to 1, got {what}")
        x, weights = x[weights > 0], weights[weights > 0] / weights.sum()
    order = np.argsort(x, kind="stable")
    x, weights = x[order], weights[order]
    starts = np.flatnonzero(np.diff(x, prepend=-np.inf) > precision(eigs) * np.abs(x).max())
    ends = np.append(starts[1:], x.size)
    return x[(starts + ends) // 2], np.add.reduceat(weights, starts)
