"""Distances between spectra: of matrices, of laws, or of one and the other.

Where eigenvalues are asked for, any shape will do: those of several matrices are pooled, masked
ones left out. What differs from 0 by rounding counts as 0, so that a null space is not scattered
about it: up to 1e-10 of the largest eigenvalue for doubles, up to 4e-5 of it for single precision
(see `precision`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hessrmt.laws import SpectralLaw
from hessrmt.validation import generator, integer, real, real_array

__all__ = [
    "bootstrap_interval",
    "ks_distance",
    "pooled_eigenvalues",
    "precision",
    "wasserstein_distance",
]

Real: TypeAlias = NDArray[np.float64]
Cdf: TypeAlias = Callable[[Real], Real]


def ks_distance(a: ArrayLike | SpectralLaw | Cdf, b: ArrayLike | SpectralLaw | Cdf) -> float:
    r"""Kolmogorov-Smirnov distance :math:`\sup_x |F_a(x) - F_b(x)|` of two spectra.

    Parameters
    ----------
    a, b : array_like of eigenvalues, SpectralLaw, or callable
        A callable is a cumulative distribution function; the other must then be eigenvalues.

    Returns
    -------
    float
        Exact if one of them is eigenvalues, atoms or not; for two laws within 1e-6.

    Raises
    ------
    TypeError, ValueError
        If one is none of these, there are no eigenvalues, or they are not finite.

    Examples
    --------
    >>> from hessrmt import MarchenkoPastur
    >>> round(ks_distance([0.0, 0.0, 0.0, 9.0], MarchenkoPastur(4.0)), 9)  # atom 3/4 at 0
    0.25
    """
    x, Fa, Fb = _compared(a, b, crossings=False)
    left = np.nextafter(x, -np.inf)
    return float(max(np.abs(Fa(x) - Fb(x)).max(), np.abs(Fa(left) - Fb(left)).max()))


def wasserstein_distance(a: ArrayLike | SpectralLaw, b: ArrayLike | SpectralLaw) -> float:
    r"""Wasserstein distance :math:`\int |F_a(x) - F_b(x)|\,dx` of two spectra.

    Two samples go to `scipy.stats.wasserstein_distance`. With a law the integral is taken by
    Gauss-Legendre quadrature between the points where the distributions step or cross.

    Parameters
    ----------
    a, b : array_like of eigenvalues, or SpectralLaw
        The spectra, in one unit.

    Returns
    -------
    float
        In the unit of the eigenvalues; within 1e-8 of its scale where a law takes part.

    Raises
    ------
    TypeError, ValueError
        If one is neither, there are no eigenvalues, or they are not finite.

    Examples
    --------
    >>> from hessrmt import Semicircle
    >>> round(wasserstein_distance(Semicircle(1.0).shift(3.0), Semicircle(1.0)), 8)
    3.0
    """
    if not (isinstance(a, SpectralLaw) or isinstance(b, SpectralLaw)):
        return float(
            stats.wasserstein_distance(pooled_eigenvalues("a", a), pooled_eigenvalues("b", b))
        )
    x, Fa, Fb = _compared(a, b, crossings=True)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    between = x[:-1, None] + np.diff(x)[:, None] * (1 + nodes) / 2
    return float(np.diff(x) @ (np.abs(Fa(between) - Fb(between)) @ weights) / 2)


def _compared(a: Any, b: Any, crossings: bool) -> tuple[Real, Cdf, Cdf]:
    """The eigenvalues, in order, with edges and a fine grid of quantiles of laws; F_a and F_b.

    Laws contribute if there are no eigenvalues, or if points where F_a = F_b are asked for.
    """
    samples: list[Real] = []
    laws: list[SpectralLaw] = []
    cdfs: list[Cdf] = []
    for name, spectrum in (("a", a), ("b", b)):
        if isinstance(spectrum, SpectralLaw):
            laws.append(spectrum)
            cdfs.append(spectrum.cdf)
        elif callable(spectrum):
            cdfs.append(spectrum)
        else:
            other = b if name == "a" else a
            atoms = other.atoms() if isinstance(other, SpectralLaw) else ()
            eigs = _at_atoms(pooled_eigenvalues(name, spectrum), atoms, precision(spectrum))
            samples.append(eigs)
            cdfs.append(stats.ecdf(eigs).cdf.evaluate)
    if not samples and len(laws) < 2:
        raise TypeError("a or b must be eigenvalues if the other is a callable")
    if crossings or not samples:
        levels = [np.linspace(0, 1, 4001), *(np.arange(s.size) / s.size for s in samples)]
        samples += [law.ppf(np.concatenate(levels)) for law in laws]
        samples += [np.ravel(law.support()) for law in laws]
    return np.unique(np.concatenate(samples)), cdfs[0], cdfs[1]


def _at_atoms(eigs: Real, atoms: Sequence[tuple[float, float]], tolerance: float) -> Real:
    """Eigenvalues, those that differ from an atom's place by rounding moved to it."""
    size = np.abs(eigs).max()
    for place, _ in atoms:
        eigs = np.where(np.abs(eigs - place) <= tolerance * size, place, eigs)
    return eigs


def bootstrap_interval(
    statistic: Callable[..., float],
    *samples: ArrayLike,
    level: float = 0.95,
    resamples: int = 1000,
    paired: bool = False,
    rng: Any = None,
) -> tuple[float, float]:
    """Bootstrap confidence interval of a statistic of spectra, resampling whole matrices.

    Eigenvalues of one matrix depend on each other, so what is drawn with replacement is rows. The
    interval is the basic one, (2 s - q_high, 2 s - q_low) with s the statistic of the samples and
    q the quantiles of the resampled ones: resampling inflates a distance as the sample's own noise
    did, and "percentile" or "BCa" intervals would keep both and miss. For a distance no larger than
    its noise the basic one is still optimistic (about 7 of 10 at level 0.95 hold the truth) and
    may reach below 0.

    Parameters
    ----------
    statistic : callable
        Takes arrays shaped like the samples, returns a number.
    *samples : (matrices, ...) array_like
        At least 2 rows each.
    level : float
        Confidence, in (0, 1).
    resamples : int
        Number of resamples, >= 1.
    paired : bool
        Draw the same rows of every sample: row i belongs to the same matrix in all of them.
    rng : int, numpy.random.Generator or None
        Seed or generator of the resampling.

    Returns
    -------
    low, high : float

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, paired samples of different lengths included.

    Examples
    --------
    >>> bootstrap_interval(np.mean, [[1.0, 3.0], [2.0, 2.0]], rng=0)
    (2.0, 2.0)
    """
    level = real("level", level, "(0, 1)")
    resamples = integer("resamples", resamples, "[1, inf)")
    data = [real_array(f"sample {i}", sample) for i, sample in enumerate(samples)]
    for i, sample in enumerate(data):
        if sample.ndim == 0 or len(sample) < 2 or (paired and len(sample) != len(data[0])):
            rows = "as many rows as sample 0" if paired and i else "at least 2 rows"
            raise ValueError(f"sample {i} must have {rows}, got shape {sample.shape}")
    data = [np.asarray(sample) for sample in samples]  # of the precision that they have
    rng = generator("rng", rng)

    def resampled() -> float:
        rows = [rng.integers(len(sample), size=len(sample)) for sample in data]
        rows = rows[:1] * len(data) if paired else rows
        return float(statistic(*(sample[i] for sample, i in zip(data, rows, strict=True))))

    tails = np.quantile([resampled() for _ in range(resamples)], [0.5 + level / 2, 0.5 - level / 2])
    low, high = 2 * float(statistic(*data)) - tails
    return float(low), float(high)


def pooled_eigenvalues(name: str, value: Any) -> Real:
    """Eigenvalues of any shape as one flat array, rounding errors at 0 removed."""
    tolerance = precision(value)
    if isinstance(value, np.ma.MaskedArray):
        value = value.compressed()
    eigs = np.ravel(real_array(name, value))
    if not eigs.size:
        raise ValueError(f"{name} must hold eigenvalues, got an empty array")
    size = np.abs(eigs)
    return np.where(size > tolerance * size.max(), eigs, 0.0)


def precision(value: Any) -> float:
    """Size of rounding errors of eigenvalues, relative to the largest.

    It is 1e-10 for doubles, and for shorter numbers as large a share of their digits.

    Parameters
    ----------
    value : array_like
        Matrices or eigenvalues, in the precision in which they were computed.

    Returns
    -------
    float

    Examples
    --------
    >>> precision([1.0]), round(precision(np.ones(3, dtype=np.float32)), 7)
    (1e-10, 3.78e-05)
    """
    kind = np.asarray(value).dtype
    double = np.finfo(np.float64).eps
    eps = max(np.finfo(kind).eps, double) if kind.kind == "f" else double
    return float(1e-10 ** (np.log(eps) / np.log(double)))
