"""What all rational R-transforms have in common: psi(F) = F + R(1/F) and its inverse.

F = 1/G is the reciprocal of the Stieltjes transform. It stays finite where G has poles, and the
polynomial equation for it is monic. Subclasses say which of the roots is the physical one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial as P
from numpy.typing import NDArray

__all__ = ["Gap", "RationalTransform"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

CHUNK = 8192  # points per sweep: the working arrays then stay in the processor's cache


class Gap(NamedTuple):
    """A component of the complement of the support, as an interval of real F, and its mass below.

    psi increases on (`low`, `high`) and maps it onto the component; `cdf_below` is the
    mass to the left of it.
    """

    low: float
    high: float
    cdf_below: float


class RationalTransform(ABC):
    """An R-transform with the inverse of psi that belongs to a probability law."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What equal transforms have in common."""

    @abstractmethod
    def coefficients(self) -> tuple[Real, Real]:
        """R as numerator and denominator, lowest power first, denominator 1 at z = 0."""

    @abstractmethod
    def scaled(self, c: float) -> RationalTransform:
        """The transform of c times the variable: R becomes c R(c z)."""

    @abstractmethod
    def r_transform(self, g: Complex) -> Complex:
        """R at g; infinite at its poles."""

    @abstractmethod
    def free_cumulant(self, k: int) -> float:
        """The k-th free cumulant."""

    @property
    @abstractmethod
    def atom(self) -> tuple[float, float]:
        """Place and mass of the one possible atom; the mass is 0 where there is none."""

    @property
    @abstractmethod
    def hard_edge(self) -> float | None:
        """The edge where the density diverges (F = 0 is a critical point of psi), or None."""

    @property
    @abstractmethod
    def gaps(self) -> tuple[Gap, ...]:
        """The components of the complement of the support, from left to right."""

    @abstractmethod
    def psi(self, F: Complex) -> tuple[Complex, Complex]:
        """Value and derivative of psi at F."""

    @abstractmethod
    def solve(self, z: Complex) -> Complex:
        """The physical F at points z of the closed upper half-plane, in a flat array.

        On the real axis the result is the limit from above.
        """

    @abstractmethod
    def cdf(self, x: Real, F: Complex) -> Real:
        """Distribution function at real points x, given F there."""

    @cached_property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The intervals on which the density is positive."""
        return tuple((self._edge(a.high), self._edge(b.low)) for a, b in pairwise(self.gaps))

    def _edge(self, F: float) -> float:
        if F == 0:
            return self.atom[0]
        return float(self.psi(np.array(F, dtype=np.complex128))[0].real)

    @cached_property
    def polynomials(self) -> tuple[Real, Real]:
        """P0, P1 with P0(F) - z P1(F) = 0 equivalent to psi(F) = z; P0 is monic, deg P1 less."""
        num, den = self.coefficients()
        size = max(num.size, den.size)
        n, d = (np.append(part, np.zeros(size - part.size))[::-1] for part in (num, den))
        return np.asarray(P.polyadd(P.polymulx(d), n)), np.asarray(d)

    def inside(self, i: int, x: Real) -> Complex:
        """F at real points of support interval `i`, in a flat array."""
        return self.solve(x.astype(np.complex128))

    def solve_in_gap(self, x: Real, gap: Gap) -> Real:
        """The physical F, which is real, at real points of one gap."""
        F = self.solve(x.astype(np.complex128)).real.clip(gap.low, gap.high)
        for _ in range(4):
            with np.errstate(divide="ignore", invalid="ignore"):
                value, slope = (part.real for part in self.psi(F.astype(np.complex128)))
                better = (F - (value - x) / slope).clip(gap.low, gap.high)
            F = np.where(np.isfinite(better), better, F)
        return F

    def polish(
        self, F: Complex, x: Complex | Real, steps: int
    ) -> tuple[Complex, NDArray[np.bool_]]:
        """Newton's method for psi(F) = x, and where its last step was negligible against Im F."""
        F = F.copy()
        converged = np.zeros(F.shape, dtype=bool)
        for start in range(0, F.size, CHUNK):
            part, target = F[start : start + CHUNK], x[start : start + CHUNK]
            with np.errstate(all="ignore"):
                for _ in range(steps):
                    value, slope = self.psi(part)
                    step = (value - target) / slope
                    part = part - step
                    # The next step would be about the square of this one.
                    small = np.abs(step) < 1e-8 * np.abs(part.imag)
                    if small.all():
                        break
            F[start : start + CHUNK], converged[start : start + CHUNK] = part, small
        return F, converged
