r"""Local statistics of spectra: spacings after unfolding, and ratios of spacings.

Neighbouring eigenvalues of a random symmetric matrix repel each other, whatever the distribution
of its entries and whatever its spectral density; independent points do not. Spacings show it once
the density is divided out (*unfolding*). Ratios of neighbouring spacings need no unfolding.

Reference distributions are those of the Gaussian orthogonal ensemble (GOE) and of independent
points ("poisson"). For the GOE they are surmises, exact for matrices of size two (spacings;
Wigner 1957) and three (ratios; Atas, Bogomolny, Giraud & Roux 2013), and within two per cent for
large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.laws import SpectralLaw
from hessrmt.validation import integer, real_array

__all__ = [
    "GOE_MEAN_RATIO",
    "POISSON_MEAN_RATIO",
    "RatioStatistics",
    "ratio_cdf",
    "ratio_density",
    "ratio_statistics",
    "spacing_ratios",
    "unfold",
    "wigner_surmise",
    "wigner_surmise_cdf",
]

Real: TypeAlias = NDArray[np.float64]

_FAR = 100.0  # a spacing that has no weight left

GOE_MEAN_RATIO = 0.5307
"""Mean of min(r, 1/r) for large GOE matrices, within 1e-4 (Atas et al. 2013, table I)."""
POISSON_MEAN_RATIO = float(2 * np.log(2) - 1)
"""Mean of min(r, 1/r) for independent points."""


def unfold(
    eigenvalues: ArrayLike, reference: ArrayLike | SpectralLaw | Callable[[Real], Real]
) -> Real:
    r"""Map eigenvalues to unit mean spacing, :math:`x_i = n F(\lambda_i)`.

    Parameters
    ----------
    eigenvalues : (..., n) array_like
        Spectra, one a row, in any order.
    reference : array_like, SpectralLaw or callable
        What gives the distribution function F: eigenvalues of *other* matrices of the same kind,
        pooled whatever their shape; a law; or F itself. Pooled eigenvalues are interpolated
        linearly, which is exact for their own mean density where there are many of them between
        two neighbours: the noise of K pooled matrices widens the spacings' variance by about
        0.5/K.

    Returns
    -------
    (..., n) ndarray of float64
        Ascending along the last axis. Spacings are the differences; eigenvalues outside the range
        of the reference are all mapped to its ends and should be dropped.

    Raises
    ------
    TypeError, ValueError
        If there are no eigenvalues, or those of the reference are fewer than two distinct ones.

    Examples
    --------
    >>> from hessrmt import Semicircle
    >>> unfold([1.0, -1.0, 0.0], Semicircle()).round(3)
    array([0.587, 1.5  , 2.413])
    >>> unfold([2.5, 0.5], [[0.0, 1.0], [2.0, 3.0]])
    array([0.5, 1.5])
    """
    eigs = _spectra("eigenvalues", eigenvalues, 1)
    if isinstance(reference, SpectralLaw):
        levels = reference.cdf(eigs)
    elif callable(reference):
        levels = reference(eigs)
    else:
        pooled = np.sort(np.ravel(real_array("reference", reference)))
        places, first = np.unique(pooled, return_index=True)
        if places.size < 2:
            raise ValueError(
                f"reference must have at least 2 distinct eigenvalues, got {places.size}"
            )
        # At the j-th of N pooled points F = (j + 1/2)/N, at equal ones the middle of their steps.
        count = np.diff(np.append(first, pooled.size))
        levels = np.interp(eigs, places, (first + count / 2) / pooled.size)
    return np.asarray(eigs.shape[-1] * levels, dtype=np.float64)


def wigner_surmise(s: ArrayLike) -> Real:
    r"""Density of spacings of mean one in the GOE, :math:`\frac{\pi s}2 e^{-\pi s^2/4}`.

    Parameters
    ----------
    s : array_like of float, any shape
        Spacings in units of their mean; there are none below 0.

    Returns
    -------
    ndarray of float64, the shape of `s`

    Raises
    ------
    TypeError, ValueError
        If `s` is not made of numbers.

    Examples
    --------
    >>> wigner_surmise([0.0, 1.0]).round(6)
    array([0.      , 0.716186])
    """
    s = real_array("s", s, "[-inf, inf]").clip(0.0, _FAR)
    return (np.pi / 2 * s * np.exp(-np.pi / 4 * s**2))[()]


def wigner_surmise_cdf(s: ArrayLike) -> Real:
    r"""Distribution function of `wigner_surmise`, :math:`1 - e^{-\pi s^2/4}`.

    Parameters and errors as there.
    """
    s = real_array("s", s, "[-inf, inf]").clip(0.0, _FAR)
    return (-np.expm1(-np.pi / 4 * s**2))[()]


def ratio_density(r: ArrayLike) -> Real:
    r"""Density of :math:`\tilde r = \min(r, 1/r)` of neighbouring spacings' ratio r in the GOE.

    .. math:: &p(\tilde r) = \frac{27}4\,
              \frac{\tilde r + \tilde r^2}{(1 + \tilde r + \tilde r^2)^{5/2}}, \\
              &0 \le \tilde r \le 1,

    of mean :math:`4 - 2\sqrt3`; r itself has half of it, on the whole half-line. For independent
    points it is :math:`2/(1 + \tilde r)^2`.

    Parameters
    ----------
    r : array_like of float, any shape
        Ratios; there are none outside [0, 1].

    Returns
    -------
    ndarray of float64, the shape of `r`

    Raises
    ------
    TypeError, ValueError
        If `r` is not made of numbers.

    Examples
    --------
    >>> ratio_density([0.0, 1.0]).round(6)
    array([0.      , 0.866025])
    """
    r = real_array("r", r, "[-inf, inf]")
    outside, r = (r < 0) | (r > 1), r.clip(0.0, 1.0)
    return np.where(outside, 0.0, 27 / 4 * (r + r**2) / (1 + r + r**2) ** 2.5)[()]


def ratio_cdf(r: ArrayLike) -> Real:
    r"""Distribution function of `ratio_density`; parameters and errors as there.

    .. math:: P(\tilde r) = 1 - \frac{(1 - \tilde r)(2 + \tilde r)(1 + 2\tilde r)}
                                     {2\,(1 + \tilde r + \tilde r^2)^{3/2}} .
    """
    r = real_array("r", r, "[-inf, inf]").clip(0.0, 1.0)
    return np.asarray(1 - (1 - r) * (2 + r) * (1 + 2 * r) / (2 * (1 + r + r**2) ** 1.5))[()]


class RatioStatistics(NamedTuple):
    """Mean ratio of neighbouring spacings, and what its error comes from."""

    mean: float  # of min(r, 1/r)
    standard_error: float  # of the mean
    ratios: int  # how many were averaged

    @property
    def z_goe(self) -> float:
        """Standard errors above `GOE_MEAN_RATIO`."""
        return (self.mean - GOE_MEAN_RATIO) / self.standard_error

    @property
    def z_poisson(self) -> float:
        """Standard errors above `POISSON_MEAN_RATIO`."""
        return (self.mean - POISSON_MEAN_RATIO) / self.standard_error


def spacing_ratios(eigenvalues: ArrayLike) -> Real:
    r"""Ratios :math:`\tilde r_i = \min(s_i, s_{i+1})/\max(s_i, s_{i+1})` of neighbouring spacings.

    Parameters
    ----------
    eigenvalues : (..., n) array_like
        Spectra, one a row, in any order; n >= 3. No unfolding is needed.

    Returns
    -------
    (..., n - 2) ndarray of float64
        In [0, 1]; nan where both spacings vanish. Eigenvalues that are equal but for rounding give
        ratios of rounding errors: drop them first.

    Raises
    ------
    TypeError, ValueError
        If `eigenvalues` are not rows of at least 3 finite numbers.

    Examples
    --------
    >>> spacing_ratios([0.0, 1.0, 3.0, 7.0])
    array([0.5, 0.5])
    """
    s = np.diff(_spectra("eigenvalues", eigenvalues, 3), axis=-1)
    small, large = np.minimum(s[..., 1:], s[..., :-1]), np.maximum(s[..., 1:], s[..., :-1])
    with np.errstate(invalid="ignore"):
        return np.asarray(small / large)


def ratio_statistics(eigenvalues: ArrayLike, *, block: int = 20) -> RatioStatistics:
    """Mean ratio of neighbouring spacings with a standard error from blocks.

    Neighbouring ratios share a spacing, so they are correlated; means over blocks of consecutive
    ones hardly are.

    Parameters
    ----------
    eigenvalues : (..., n) array_like
        Spectra, one a row; enough for at least two blocks, n - 2 >= `block`.
    block : int
        Ratios in a block, >= 1. What is left over at the end of a row is not used.

    Returns
    -------
    RatioStatistics
        Ratios that are not defined (see `spacing_ratios`) are left out.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, or fewer than two blocks with ratios.

    Examples
    --------
    >>> from hessrmt import wigner
    >>> result = ratio_statistics([np.linalg.eigvalsh(wigner(200, rng=i)) for i in range(20)])
    >>> result.ratios, abs(result.z_goe) < 3, result.z_poisson > 20
    (3600, True, True)
    """
    block = integer("block", block, "[1, inf)")
    ratios = spacing_ratios(eigenvalues)
    blocks = ratios.shape[-1] // block
    cut = ratios[..., : blocks * block].reshape(-1, block)
    defined = np.isfinite(cut)
    counts = defined.sum(axis=1)
    sums = np.where(defined, cut, 0.0).sum(axis=1)[counts > 0]
    counts = counts[counts > 0]
    if counts.size < 2:
        raise ValueError(
            f"eigenvalues must have at least 2 blocks of {block} ratios, got {counts.size}"
        )
    mean = sums.sum() / counts.sum()
    # The mean is a ratio of sums over blocks; its error is that of the blocks' residuals.
    spread = np.sqrt(np.sum((sums - mean * counts) ** 2) * counts.size / (counts.size - 1))
    return RatioStatistics(float(mean), float(spread / counts.sum()), int(counts.sum()))


def _spectra(name: str, value: ArrayLike, least: int) -> Real:
    eigs = real_array(name, value)
    if eigs.ndim == 0 or eigs.shape[-1] < least or eigs.size == 0:
        raise ValueError(f"{name} must be rows of at least {least} numbers, got shape {eigs.shape}")
    return np.sort(eigs, axis=-1)
