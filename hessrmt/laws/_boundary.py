"""Boundary values on the real axis: density, cumulative distribution, quantiles.

Everything is read off F = 1/G(x + i0), see `hessrmt.laws._transforms`. For many points Newton's
method starts from a table of F on each support interval. Where the law is freely infinitely
divisible it only has to start closer to the root than to its conjugate, since just one root in the
upper half-plane is there to converge to.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hessrmt.laws._transforms import RationalTransform
from hessrmt.laws.pieces import Piece, at_angle, quantiles

__all__ = ["BoundaryValues"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_NODES = 256  # cells of the table on each support interval; smaller calls do without


class BoundaryValues:
    """F from above on the real axis and what follows from it, for one law.

    Parameters
    ----------
    transform : RationalTransform
        The law.
    """

    def __init__(self, transform: RationalTransform) -> None:
        self._transform = transform
        self._support = transform.support

    # -- F -----------------------------------------------------------------------------------------

    @cached_property
    def _tables(self) -> list[Complex]:
        """F at the nodes middle - half cos(pi k/_NODES) of each support interval.

        In that angle F is smooth up to the edges, where it has square roots in x.
        """
        angles = np.linspace(0.0, np.pi, _NODES + 1)[1:-1]
        gaps, tables = self._transform.gaps, []
        for i, (low, high) in enumerate(self._support):
            inner = self._transform.inside(i, at_angle(low, high, angles))
            tables.append(np.concatenate([[gaps[i].high], inner, [gaps[i + 1].low]]))
        return tables

    def inside(self, i: int, x: Real) -> Complex:
        """F at points strictly inside support interval `i`, in a flat array."""
        if x.size < _NODES and "_tables" not in self.__dict__:
            return self._transform.inside(i, x)
        low, high = self._support[i]
        position = np.arccos(((low + high - 2 * x) / (high - low)).clip(-1, 1)) * (_NODES / np.pi)
        cell = position.astype(np.intp).clip(0, _NODES - 1)
        table = self._tables[i]
        guess = table[cell] + (position - cell) * np.diff(table)[cell]
        F, converged = self._transform.polish(guess, x, steps=8)
        redo = ~(converged & (F.imag > 0))
        if redo.any():
            F[redo] = self._transform.inside(i, x[redo])
        return F

    def everywhere(self, x: Real) -> Complex:
        """F at any real points, in a flat array; real off the support."""
        F = np.empty(x.shape, dtype=np.complex128)
        where = np.searchsorted(np.ravel(self._support), x, side="left")  # odd: inside
        for i, gap in enumerate(self._transform.gaps):
            outside = where == 2 * i
            F[outside] = self._transform.solve_in_gap(x[outside], gap)
        for i in range(len(self._support)):
            inside = where == 2 * i + 1
            F[inside] = self.inside(i, x[inside])
        return F

    # -- distribution ------------------------------------------------------------------------------

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        """Support intervals and atoms, from left to right."""
        gaps, (place, mass) = self._transform.gaps, self._transform.atom
        pieces = []
        for i, gap in enumerate(gaps):
            below = gap.cdf_below
            if mass > 0 and gap.low < 0 < gap.high:
                pieces.append(Piece(place, place, below, below + mass))
                below += mass
            if i < len(self._support):
                pieces.append(Piece(*self._support[i], below, gaps[i + 1].cdf_below))
        return (*pieces[:-1], pieces[-1]._replace(cdf_above=1.0))  # no rounding in the total

    def cdf(self, x: Real, *, below: bool = False) -> Real:
        """Mass on (-inf, x], atoms included; on (-inf, x) with `below`."""
        value = np.zeros(x.shape)
        for piece in self._pieces:
            inside = (x > piece.low) & (x < piece.high)
            if inside.any():
                part = x[inside]
                mass = self._transform.cdf(part, self.inside(self._number(piece), part))
                value[inside] = np.clip(mass, piece.cdf_below, piece.cdf_above)
            is_atom = piece.low == piece.high
            value[x > piece.high if below and is_atom else x >= piece.high] = piece.cdf_above
        return value

    def ppf(self, q: Real) -> Real:
        """The least x with cdf(x) >= q; the lower end of the law for q = 0."""
        within = getattr(self._transform, "place_of_mass", None)
        if within is None:
            return quantiles(q, self._pieces, self.cdf)
        return quantiles(q, self._pieces, self.cdf, lambda p, q: within(self._number(p), q))

    def _number(self, piece: Piece) -> int:
        """Which of the support intervals a piece is."""
        return self._support.index((piece.low, piece.high))
