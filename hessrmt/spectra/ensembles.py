r"""Finite random matrices whose limiting laws are in `hessrmt.laws`.

Entries may have any distribution of mean 0 and variance 1, given as a `scipy.stats`
distribution; the limits do not depend on it (universality).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hessrmt.validation import generator, integer, real

__all__ = ["haar_orthogonal", "product_wishart", "wigner", "wishart"]

Real = NDArray[np.float64]


def wigner(n: int, sigma: float = 1.0, *, entries: Any = None, rng: Any = None) -> Real:
    r"""Real symmetric Wigner matrix with limiting law ``Semicircle(sigma)``.

    Entries above the diagonal have variance :math:`\sigma^2/n`; the diagonal has twice that for
    normal entries (the Gaussian orthogonal ensemble), in general the law of a sum of two entries
    over :math:`\sqrt 2`.

    Parameters
    ----------
    n : int
        Size, >= 1.
    sigma : float
        Standard deviation of the limiting law, positive.
    entries : scipy.stats distribution, optional
        Mean 0 and variance 1; standard normal by default.
    rng : int, numpy.random.Generator or None
        Seed or generator of the draw.

    Returns
    -------
    (n, n) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, `entries` of other mean or variance included.

    Examples
    --------
    >>> H = wigner(400, sigma=0.5, rng=0)
    >>> bool(np.allclose(H, H.T)), round(float(np.linalg.eigvalsh(H).max()), 1)
    (True, 1.0)
    """
    n = integer("n", n, "[1, inf)")
    sigma = real("sigma", sigma, "(0, inf)")
    A = _entries((n, n), entries, rng)
    symmetric: Real = (A + A.T) * (sigma / np.sqrt(2 * n))
    return symmetric


def wishart(
    n: int, phi: float, sigma: float = 1.0, *, entries: Any = None, rng: Any = None
) -> Real:
    r"""Wishart matrix :math:`X X^T`, limiting law ``MarchenkoPastur(phi, sigma)``.

    X is n by p with p = n/phi, rounded, and entries of variance :math:`\sigma/p`.

    Parameters
    ----------
    n : int
        Size, >= 1.
    phi : float
        Ratio n/p, positive; n/phi must round to at least 1.
    sigma : float
        Mean eigenvalue, positive.
    entries, rng
        As for `wigner`.

    Returns
    -------
    (n, n) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> round(float(np.trace(wishart(300, 0.5, rng=0)) / 300), 1)
    1.0
    """
    n = integer("n", n, "[1, inf)")
    sigma = real("sigma", sigma, "(0, inf)")
    p = _columns(n, real("phi", phi, "(0, inf)"))
    X = _entries((n, p), entries, rng)
    return X @ X.T * (sigma / p)


def product_wishart(
    n: int, phi: float, epsilon: float, *, entries: Any = None, rng: Any = None
) -> Real:
    r"""Block matrix with the law of H1 of a ReLU network, ``ProductWishart(phi, epsilon)``.

    The matrix is 2 n by 2 n with off-diagonal blocks :math:`B = \hat e\hat x^T/m` and
    :math:`B^T`, where m = 2n/phi, :math:`\hat e` and :math:`\hat x` are n by m/2 (half of the
    examples are active at a unit), with entries of variance :math:`2\epsilon` and 1 (paper,
    equations 25 to 27).

    Parameters
    ----------
    n : int
        Size of a block, >= 1.
    phi : float
        Parameters per scalar target, positive; n/phi must round to at least 1.
    epsilon : float
        Energy, positive.
    entries, rng
        As for `wigner`.

    Returns
    -------
    (2 n, 2 n) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> H1 = product_wishart(200, 0.5, 4.0, rng=0)
    >>> round(float(np.trace(H1 @ H1) / 400), 1)  # mean eigenvalue of the square: epsilon phi/2
    1.0
    """
    n = integer("n", n, "[1, inf)")
    epsilon = real("epsilon", epsilon, "(0, inf)")
    half = _columns(n, real("phi", phi, "(0, inf)"))
    rng = generator("rng", rng)
    e = np.sqrt(2 * epsilon) * _entries((n, half), entries, rng)
    x = _entries((n, half), entries, rng)
    B = e @ x.T / (2 * half)
    zero = np.zeros((n, n))
    return np.block([[zero, B], [B.T, zero]])


def haar_orthogonal(n: int, *, rng: Any = None) -> Real:
    """Orthogonal matrix drawn from the Haar measure of O(n), by `scipy.stats.ortho_group`.

    Parameters
    ----------
    n : int
        Size, >= 1.
    rng : int, numpy.random.Generator or None
        Seed or generator of the draw.

    Returns
    -------
    (n, n) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If `n` is not a positive integer.

    Examples
    --------
    >>> Q = haar_orthogonal(5, rng=0)
    >>> bool(np.allclose(Q @ Q.T, np.eye(5)))
    True
    """
    n = integer("n", n, "[1, inf)")
    rng = generator("rng", rng)
    if n == 1:  # scipy starts at 2
        return np.asarray(rng.choice([-1.0, 1.0], size=(1, 1)))
    return np.asarray(stats.ortho_group.rvs(n, random_state=rng))


def _columns(n: int, phi: float) -> int:
    p = round(n / phi)
    if p < 1:
        raise ValueError(f"phi must be in (0, {2 * n}) for n = {n}, got {phi!r}")
    return p


def _entries(shape: tuple[int, int], entries: Any, rng: Any) -> Real:
    rng = generator("rng", rng)
    if entries is None:
        return np.asarray(rng.standard_normal(shape))
    if not all(hasattr(entries, name) for name in ("rvs", "mean", "var")):
        raise TypeError(f"entries must be a scipy.stats distribution, got {entries!r}")
    mean, variance = float(entries.mean()), float(entries.var())
    if not (abs(mean) < 1e-12 and abs(variance - 1) < 1e-12):
        raise ValueError(
            f"entries must have mean 0 and variance 1, got mean {mean!r} and variance {variance!r}"
        )
    return np.asarray(entries.rvs(size=shape, random_state=rng), dtype=np.float64)
