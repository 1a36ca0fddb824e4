"""Masses on an interval from its density, with nodes dense where a spectral density is rough."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.interpolate import PchipInterpolator

__all__ = ["SupportInterval"]

Real: TypeAlias = NDArray[np.float64]


class SupportInterval(NamedTuple):
    """A support interval that does not cross 0, its mass, and the mass up to an angle.

    Density times dx/dangle is integrated as a cosine series, and read off at so many angles that a
    monotone cubic between them adds no error. Angles run from 0, at the end nearer to 0, to pi. At
    either end the density's square root becomes smooth; if the nearer end is not 0 the logarithm
    resolves a gap that is small, if it is, the fourth power a density that diverges there.
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
        cls, low: float, high: float, density: Callable[[Real], Real], nodes: int
    ) -> SupportInterval:
        """Integrate a density from `low` to `high`, on so many nodes.

        Examples
        --------
        >>> semicircle = SupportInterval.of(
        ...     0.0, 4.0, lambda x: np.sqrt(x * (4 - x)) / (2 * np.pi), 64
        ... )
        >>> round(semicircle.total, 7), round(float(semicircle.mass_below(np.array(2.0))), 7)
        (1.0, 0.5)
        """
        empty = cls(low, high, 0.0, np.zeros_like)
        angle = (np.arange(nodes) + 0.5) * np.pi / nodes
        series = dct(density(empty.x(angle)) * empty.slope(angle), type=2) / nodes
        total, k = float(np.pi / 2 * series[0]), np.arange(1, nodes)
        fine = np.linspace(0.0, np.pi, 16 * nodes + 1)
        mass = series[0] / 2 * fine + np.sin(fine[:, None] * k) @ (series[1:] / k)
        # Where the density is next to nothing the waves of the series would show as falls.
        rising = np.maximum.accumulate(np.clip(mass, 0.0, total))
        rising[-1] = total
        return empty._replace(total=total, inner=PchipInterpolator(fine, rising))
