"""Intervals of positive density, and masses on them, with nodes where a density is rough."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.interpolate import PchipInterpolator

__all__ = ["SupportInterval", "edges_on"]

Real: TypeAlias = NDArray[np.float64]

_PANEL = 16  # nodes
_COSINES = np.cos((np.arange(_PANEL) + 0.5) * np.pi / _PANEL)  # from right to left
_MEANS = np.array([0.0 if k % 2 else 1 / (1 - k * k) for k in range(_PANEL)])  # of T_k
_ROUGH = 1e-5
_LEAST = 1e-4  # width of a panel that is halved no more
_SECTIONS, _ROUNDS = 8, 7  # an edge is enclosed to 1e-7 of the cell of its grid


def edges_on(
    grid: Real, positive: NDArray[np.bool_], is_positive: Callable[[Real], NDArray[np.bool_]]
) -> list[float]:
    """Where the density begins or ends, ascending; just outside of where it is positive.

    Parameters
    ----------
    grid : (k,) ndarray
        Ascending.
    positive : (k,) ndarray of bool
        Whether there is density at its points; edges lie between those that differ.
    is_positive : callable
        The same for any points, many at once.

    Examples
    --------
    >>> grid = np.array([0.0, 0.9, 2.0, 4.0])
    >>> inside = lambda x: np.abs(x - 1.5) < 1
    >>> [round(edge, 5) for edge in edges_on(grid, inside(grid), inside)]
    [0.5, 2.5]
    """
    change = np.flatnonzero(positive[1:] != positive[:-1])
    silent = np.where(positive[change], grid[change + 1], grid[change])
    dense = np.where(positive[change], grid[change], grid[change + 1])
    fraction = np.arange(1, _SECTIONS) / _SECTIONS
    for _ in range(_ROUNDS):
        points = silent + fraction[:, None] * (dense - silent)  # (section, edge)
        inside = is_positive(points.ravel()).reshape(points.shape)
        first = np.where(inside.any(axis=0), inside.argmax(axis=0), _SECTIONS - 1)
        ladder = np.vstack([silent, points, dense])
        silent = np.take_along_axis(ladder, first[None], axis=0)[0]
        dense = np.take_along_axis(ladder, first[None] + 1, axis=0)[0]
    return [float(edge) for edge in silent]


class SupportInterval(NamedTuple):
    """A support interval that does not cross 0, its mass, and the mass up to an angle.

    Density times dx/dangle is integrated as a Chebyshev series on panels, and read off at so many
    angles that a monotone cubic between them adds no error. Angles run from 0, at the end nearer to
    0, to pi. At either end the square root of the density becomes smooth; if the nearer is not 0 a
    logarithm resolves a small gap, if it is, the fourth power a density that diverges there.
    """

    low: float
    high: float
    total: float
    inner: Callable[[Real], Real]

    @property
    def _ends(self) -> tuple[float, float]:
        """Moduli of the nearer and the farther end."""
        return (self.low, self.high) if self.high > 0 else (-self.high, -self.low)

    @property
    def sign(self) -> float:
        return 1.0 if self.high > 0 else -1.0

    def x(self, angle: Real) -> Real:
        """Points of the interval."""
        near, far = self._ends
        if near == 0:
            return np.asarray(self.sign * far * np.sin(angle / 2) ** 4)
        return np.asarray(self.sign * near * (far / near) ** np.sin(angle / 2) ** 2)

    def angle(self, x: Real) -> Real:
        """Inverse of `x`, for values clipped to the interval."""
        near, far = self._ends
        x = np.clip(self.sign * x, near, far)
        root = (x / far) ** 0.25 if near == 0 else np.sqrt(np.log(x / near) / np.log(far / near))
        return np.asarray(2 * np.arcsin(np.minimum(root, 1.0)))

    def slope(self, angle: Real) -> Real:
        """Modulus of dx/dangle."""
        near, far = self._ends
        half = angle / 2
        if near == 0:
            return np.asarray(2 * far * np.sin(half) ** 3 * np.cos(half))
        return np.asarray(np.abs(self.x(angle)) * np.log(far / near) * np.sin(half) * np.cos(half))

    def mass_below(self, x: Real) -> Real:
        """Mass between the lower end and `x`."""
        inner = self.inner(self.angle(x))
        return np.asarray(inner if self.sign > 0 else self.total - inner)

    @classmethod
    def of(
        cls, low: float, high: float, density: Callable[[Real], Real], nodes: int, most: int = 0
    ) -> SupportInterval:
        """Integrate a density from `low` to `high`, on so many nodes.

        They are spread evenly over panels of 16. A panel whose series does not fade out to 1e-5 of
        the mass, as next to a kink or in the shadow of much larger scales, is halved, the worst
        ones where there would be more than `most` nodes in all.

        Examples
        --------
        >>> semicircle = SupportInterval.of(
        ...     0.0, 4.0, lambda x: np.sqrt(x * (4 - x)) / (2 * np.pi), 64
        ... )
        >>> round(semicircle.total, 7), round(float(semicircle.mass_below(np.array(2.0))), 7)
        (1.0, 0.5)
        """
        empty = cls(low, high, 0.0, np.zeros_like)
        ends = np.linspace(0.0, np.pi, max(1, nodes // _PANEL) + 1)
        left, width = ends[:-1], np.diff(ends)
        done: list[tuple[Real, Real, Real]] = []  # left, width, series of panels
        used, mass = 0, 0.0
        while left.size:
            angle = left[:, None] + width[:, None] * (1 - _COSINES) / 2
            values = density(empty.x(angle.ravel())).reshape(angle.shape) * empty.slope(angle)
            # First-kind Chebyshev points: the series of the integrand on each panel.
            series = dct(values, type=2, axis=1) / _PANEL * (-1.0) ** np.arange(_PANEL)
            series[:, 0] /= 2
            used += angle.size
            mass = max(mass, float(np.abs(width * (series @ _MEANS)).sum()))
            rest = np.abs(series[:, -3:]).max(axis=1) * width
            rough = (rest > _ROUGH * mass) & (width > _LEAST)
            room = max(0, (most - used) // (2 * _PANEL))
            rough[np.argsort(-np.where(rough, rest, 0.0))[room:]] = False
            done.append((left[~rough], width[~rough], series[~rough]))
            half = width[rough] / 2
            left = np.concatenate([left[rough], left[rough] + half])
            width = np.concatenate([half, half])
        left, width, series = (np.concatenate(part) for part in zip(*done, strict=True))
        order = np.argsort(left)
        left, width, series = left[order], width[order], series[order]
        # The integral of each panel's series from its left end, at _PANEL * 8 places.
        place = np.linspace(-1.0, 1.0, 8 * _PANEL + 1)[1:]
        integral = chebyshev.chebint(series.T, lbnd=-1)
        inner = chebyshev.chebval(place, integral) * width[:, None] / 2
        before = np.concatenate([[0.0], np.cumsum(inner[:, -1])])
        total = float(before[-1])
        fine = left[:, None] + width[:, None] * (1 + place) / 2
        # Where the density is next to nothing the waves of the series would show as falls.
        mass_at = np.concatenate([[0.0], (before[:-1, None] + inner).ravel()])
        rising = np.maximum.accumulate(np.clip(mass_at, 0.0, total))
        rising[-1] = total
        angles = np.concatenate([[0.0], fine.ravel()])
        angles[-1] = np.pi
        return empty._replace(total=total, inner=PchipInterpolator(angles, rising))
