"""Quantiles of a law on several intervals, with atoms, from its distribution function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

__all__ = ["Piece", "at_angle", "quantiles"]

Real: TypeAlias = NDArray[np.float64]

_CELLS = 256  # of an interval, in one of which a root is looked for


class Piece(NamedTuple):
    """A support interval, or an atom (low == high), and the distribution function around it."""

    low: float
    high: float
    cdf_below: float
    cdf_above: float


def at_angle(low: float, high: float, angle: Real) -> Real:
    """The point middle - half cos(angle), without cancellation near either end."""
    width = high - low
    return np.where(
        angle < np.pi / 2,
        low + width * np.sin(angle / 2) ** 2,
        high - width * np.cos(angle / 2) ** 2,
    )


def quantiles(q: Real, pieces: Sequence[Piece], cdf: Callable[[Real], Real]) -> Real:
    """The least x with ``cdf(x) >= q``; the lower end of the law for q = 0.

    Parameters
    ----------
    q : ndarray of float64
        In [0, 1].
    pieces : sequence of Piece
        From left to right.
    cdf : callable
        The distribution function, increasing.

    Returns
    -------
    ndarray of float64, the shape of `q`

    Raises
    ------
    RuntimeError
        If a root is not found.

    Examples
    --------
    An atom of mass 1/2 at 0 and a uniform law on [1, 2] of mass 1/2:

    >>> law = [Piece(0, 0, 0, 0.5), Piece(1, 2, 0.5, 1)]
    >>> x = quantiles(np.array([0.0, 0.3, 0.75]), law, lambda x: 0.5 + 0.5 * np.clip(x - 1, 0, 1))
    >>> x.round(12)
    array([0. , 0. , 1.5])
    """
    x = np.full(q.shape, float(pieces[0].low))
    for piece in pieces:
        chosen = (q > piece.cdf_below) & (q <= piece.cdf_above)
        x[chosen] = piece.low if piece.low == piece.high else _inside(piece, q[chosen], cdf)
    return x


def _inside(piece: Piece, q: Real, cdf: Callable[[Real], Real]) -> Real:
    """Invert the distribution function on one support interval, in the angle of `at_angle`."""

    def excess(angle: Real, q: Real) -> Real:
        return cdf(at_angle(piece.low, piece.high, angle)) - q

    angles = np.linspace(0.0, np.pi, _CELLS + 1)
    cell = np.searchsorted(cdf(at_angle(piece.low, piece.high, angles[1:-1])), q)
    found = elementwise.find_root(excess, (angles[cell], angles[cell + 1]), args=(q,))
    if not np.all(found.success):
        raise RuntimeError(f"no quantile found at q = {q[~found.success][0]}")
    return at_angle(piece.low, piece.high, found.x)
