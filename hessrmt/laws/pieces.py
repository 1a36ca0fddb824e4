"""Quantiles of a law on several intervals, with atoms, from its distribution function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

__all__ = ["Piece", "at_angle", "inverse", "quantiles"]

Real: TypeAlias = NDArray[np.float64]

_CELLS = 256  # of an interval, in one of which a root is looked for
_NO_SIGN_CHANGE = -1  # a status of scipy.optimize.elementwise.find_root


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


def quantiles(
    q: Real,
    pieces: Sequence[Piece],
    cdf: Callable[[Real], Real],
    within: Callable[[Piece, Real], Real] | None = None,
) -> Real:
    """The least x with ``cdf(x) >= q``; the lower end of the law for q = 0.

    Parameters
    ----------
    q : ndarray of float64
        In [0, 1].
    pieces : sequence of Piece
        From left to right.
    cdf : callable
        The distribution function, increasing.
    within : callable, optional
        Its inverse on one interval, where there is a better one than by halving angles.

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
        if piece.low == piece.high:
            x[chosen] = piece.low
        elif chosen.any():
            part = q[chosen]
            place = within(piece, part) if within else _inside(piece, part, cdf)
            place = np.where(part == piece.cdf_above, piece.high, place)
            x[chosen] = np.clip(place, piece.low, piece.high)
    return x


def _inside(piece: Piece, q: Real, cdf: Callable[[Real], Real]) -> Real:
    """Invert the distribution function on one support interval, in the angle of `at_angle`."""
    angles = np.linspace(0.0, np.pi, _CELLS + 1)
    inner = cdf(at_angle(piece.low, piece.high, angles[1:-1]))
    values = np.concatenate([[piece.cdf_below], inner, [piece.cdf_above]])

    def at(angle: Real) -> Real:
        return cdf(at_angle(piece.low, piece.high, angle))

    return at_angle(piece.low, piece.high, inverse(angles, values, at, q))


def inverse(nodes: Real, values: Real, function: Callable[[Real], Real], q: Real) -> Real:
    """Where a rising function is `q`.

    Parameters
    ----------
    nodes, values : ndarray of float64
        Arguments, ascending, and the values there.
    function : callable
        Elementwise.
    q : ndarray of float64
        Between the first and the last value.

    Returns
    -------
    ndarray of float64, the shape of `q`

    Raises
    ------
    RuntimeError
        If a root is not found.
    """
    values = np.maximum.accumulate(values)
    cell = np.searchsorted(values[1:-1], q)
    low, high = nodes[cell], nodes[cell + 1]

    def excess(argument: Real, q: Real) -> Real:
        return function(argument) - q

    found = elementwise.find_root(excess, (low, high), args=(q,))
    lost = ~found.success & (found.status != _NO_SIGN_CHANGE)
    if lost.any():
        raise RuntimeError(f"no quantile found at q = {q[lost][0]}")
    # Without a change of sign q is, to rounding, the value at an end.
    at_end = np.where(q - values[cell] < values[cell + 1] - q, low, high)
    return np.where(found.success, found.x, at_end)
