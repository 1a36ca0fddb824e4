r"""The free characteristic triplet behind a law with a rational R-transform.

A rational function that maps the open lower half-plane into its closure, as the R-transform of a
freely infinitely divisible law does, has the form (free Lévy-Khintchine representation,
Bercovici & Voiculescu 1993; the jumps are finitely many because R is rational)

.. math:: &R(z) = \gamma + a z + \sum_j \frac{\lambda_j s_j}{1 - s_j z}, \\
          &a \ge 0,\ \lambda_j > 0,\ s_j \ne 0 \text{ real:}

a shift by :math:`\gamma`, a semicircle of variance :math:`a`, and free Poisson laws of jump size
:math:`s_j` and rate :math:`\lambda_j`. Everything is computed in :math:`F = 1/G`, the reciprocal
of the Stieltjes transform, which stays finite where G has poles. With :math:`z = R(G) + 1/G`,

.. math:: \psi(F) = F + \gamma + \frac{a}{F} + \sum_j \frac{\lambda_j s_j F}{F - s_j} = z .

Which root is the right one? From :math:`\operatorname{Im}\psi(F) = (1 - k(F)) \operatorname{Im} F`,
:math:`k(F) = a/|F|^2 + \sum_j \lambda_j s_j^2/|F - s_j|^2`, and because
:math:`F \mapsto z - (\psi(F) - F)` maps the upper half-plane into itself (Denjoy-Wolff), exactly
one root has :math:`k < 1` when z is off the support; on the support a single conjugate pair has
:math:`k = 1` and all other roots have :math:`k > 1`. So the physical root is the one of least k,
taken in the upper half-plane. No branch has to be followed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import frexp, ldexp, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.polynomial import polynomial as P
from numpy.polynomial import polyutils
from numpy.typing import NDArray

from hessrmt.laws._boundary_curve import BoundaryCurve
from hessrmt.laws._transforms import CHUNK, Gap, RationalTransform

__all__ = ["FreeTriplet"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]
Jump: TypeAlias = tuple[Fraction, Fraction]  # size and rate

# Poles closer than this, relative to their size, are one pole: they differ by rounding only.
_SAME_POLE = 1e-13
_MOST_STEPS = 500
# Scales of laws, and their spread within one, at which nothing under- or overflows.
_LEAST, _LARGEST, _SPREAD = Decimal("1e-100"), Decimal("1e100"), Decimal("1e60")


@dataclass(frozen=True, eq=False)
class FreeTriplet(RationalTransform):
    """Shift, semicircular variance and free Poisson jumps of a law, as exact fractions.

    Exact, because 1 less the sum of the rates decides about an edge or an atom at the drift, to
    all its digits; and equal laws are equal in whatever order they were added.

    Parameters
    ----------
    drift, variance : Fraction
        The coefficients of the polynomial part of R; ``variance >= 0``.
    jumps : tuple of pairs of Fraction
        Sizes (non-zero, ascending, distinct) and rates (positive).
    """

    drift: Fraction
    variance: Fraction
    jumps: tuple[Jump, ...]

    # -- construction and algebra ------------------------------------------------------------

    @classmethod
    def build(
        cls,
        drift: float | Fraction,
        variance: float | Fraction = 0,
        jumps: Iterable[tuple[float | Fraction, float | Fraction]] = (),
    ) -> FreeTriplet:
        """Merge equal jump sizes, drop empty jumps, sort."""
        rates: dict[Fraction, Fraction] = {}
        for size, rate in jumps:
            if size and rate:
                rates[Fraction(size)] = rates.get(Fraction(size), Fraction(0)) + Fraction(rate)
        return cls(Fraction(drift), Fraction(variance), tuple(sorted(rates.items())))

    def checked(self) -> FreeTriplet:
        """The triplet itself.

        Raises
        ------
        ValueError
            If the law is larger or smaller than what is computed with.
        """
        scales = [_decimal(abs(size)) for size, _ in self.jumps]
        if self.variance:
            scales.append(_decimal(self.variance).sqrt())
        for scale in (*scales, *([_decimal(abs(self.drift))] if self.drift else [])):
            if not _LEAST <= scale <= _LARGEST:
                raise ValueError(f"the scale of a law must be in [1e-100, 1e100], got {scale:.3e}")
        if scales and max(scales) > _SPREAD * min(scales):
            raise ValueError(
                "the scales of a law's parts must be within a factor of 1e60, "
                f"got {min(scales):.3e} and {max(scales):.3e}"
            )
        return self

    def plus(self, other: FreeTriplet) -> FreeTriplet:
        """R-transforms add."""
        return self.build(
            self.drift + other.drift, self.variance + other.variance, self.jumps + other.jumps
        )

    def scaled(self, c: float | Fraction) -> FreeTriplet:
        """The triplet of c times the variable: R becomes c R(c z)."""
        c = Fraction(c)
        return self.build(
            self.drift * c, self.variance * c * c, [(size * c, rate) for size, rate in self.jumps]
        )

    # -- in floating point -------------------------------------------------------------------

    @cached_property
    def _merged(self) -> tuple[Real, tuple[Fraction, ...]]:
        """Sizes that differ by more than rounding, and their rates."""
        sizes: list[float] = []
        rates: list[Fraction] = []
        for size, rate in self.jumps:
            s = float(size)
            if sizes and abs(s - sizes[-1]) <= _SAME_POLE * abs(s):
                rates[-1] += rate
            else:
                sizes.append(s)
                rates.append(rate)
        return np.array(sizes, dtype=np.float64), tuple(rates)

    @cached_property
    def sizes(self) -> Real:
        """Jump sizes, ascending."""
        return self._merged[0]

    @cached_property
    def rates(self) -> Real:
        """Jump rates."""
        return np.array([float(rate) for rate in self._merged[1]], dtype=np.float64)

    @cached_property
    def unit(self) -> float:
        """A power of two near the largest scale of the law; 1 for a point mass."""
        scales = [*np.abs(self.sizes), sqrt(self.variance)]
        return ldexp(1.0, frexp(max(scales))[1]) if max(scales) else 1.0

    @cached_property
    def curve(self) -> BoundaryCurve:
        """The boundary values of F, of the law without its drift and divided by `unit`."""
        sizes, rates = self.checked()._merged
        return BoundaryCurve(
            float(self.variance / Fraction(self.unit) ** 2), sizes / self.unit, rates
        )

    @property
    def key(self) -> Hashable:
        """What equal transforms have in common."""
        return self.drift, self.variance, self.jumps

    def coefficients(self) -> tuple[Real, Real]:
        """R as numerator and denominator, lowest power first, denominator 1 at z = 0."""
        factors = [np.array([1.0, -s]) for s in self.sizes]
        den = _product(factors)
        num = P.polymul([float(self.drift), float(self.variance)], den)
        for j, (s, rate) in enumerate(zip(self.sizes, self.rates, strict=True)):
            num = P.polyadd(num, rate * s * _product(factors[:j] + factors[j + 1 :]))
        return np.asarray(polyutils.trimseq(num), dtype=float), den  # one coefficient is left

    def r_transform(self, g: Complex) -> Complex:
        """R at g; infinite at its poles."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(self.drift) + float(self.variance) * g
            for s, rate in zip(self.sizes, self.rates, strict=True):
                value = value + rate * s / (1 - s * g)
        return value

    # -- psi, and the support from its critical points -----------------------------------------

    @property
    def atom(self) -> tuple[float, float]:
        """Place and mass of the one possible atom, the drift and psi'(0) where that is positive."""
        defect = 1 - sum(rate for _, rate in self.jumps)
        return float(self.drift), 0.0 if self.variance else max(0.0, float(defect))

    @property
    def hard_edge(self) -> float | None:
        """The edge where the density diverges (F = 0 is a critical point of psi), or None."""
        return float(self.drift) if self.curve.hard else None

    def free_cumulant(self, k: int) -> float:
        """The k-th free cumulant."""
        scaled = float(np.sum(self.rates * (self.sizes / self.unit) ** k))
        scaled += float(self.variance / Fraction(self.unit) ** 2) * (k == 2)
        return float(self.drift) * (k == 1) + scaled * self.unit**k

    def psi(self, F: Complex) -> tuple[Complex, Complex]:
        """Value and derivative of psi at F."""
        value, slope = F + float(self.drift), np.ones_like(F)
        if self.variance:
            variance, inverse = float(self.variance), 1 / F
            value, slope = value + variance * inverse, slope - variance * inverse * inverse
        for s, rate in zip(self.sizes, self.rates, strict=True):
            t = s / (F - s)
            value, slope = value + (rate * s) * (1 + t), slope - rate * t * t
        return value, slope

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """The components of the complement of the support, from left to right."""
        unit, curve = self.unit, self.curve
        return tuple(
            Gap(low * unit, high * unit, curve.mass_below(low)) for low, high in curve.gaps
        )

    @cached_property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The intervals on which the density is positive."""
        drift, unit = float(self.drift), self.unit
        return tuple((drift + low * unit, drift + high * unit) for low, high in self.curve.support)

    @cached_property
    def _scaled_polynomials(self) -> tuple[Real, Real]:
        """`polynomials` of the law without its drift and divided by `unit`."""
        return replace(self, drift=Fraction(0)).scaled(1 / Fraction(self.unit)).polynomials

    def _centred(self, x: Any) -> Any:
        """Places as `curve` counts them."""
        return (x - float(self.drift)) / self.unit

    def solve(self, z: Complex) -> Complex:
        """The physical F at points z of the open upper half-plane, in a flat array.

        Eigenvalues of companion matrices give every root, the least k(F) marks the physical one,
        Newton steps polish it. Where the scales of the law are too far apart for that, F is
        followed from far above.
        """
        z = self._centred(z)
        F = np.empty(z.shape, dtype=np.complex128)
        p0, p1 = self._scaled_polynomials
        degree = p0.size - 1
        for start in range(0, z.size, CHUNK):
            part = z[start : start + CHUNK]
            companion = np.zeros((part.size, degree, degree), dtype=np.complex128)
            companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
            companion[:, :, -1] = part[:, None] * p1 - p0[:degree]
            roots = np.asarray(np.linalg.eigvals(companion), dtype=np.complex128)
            with np.errstate(all="ignore"):
                k = self.curve.excess(roots.real, roots.imag**2)[0]
            best = np.argmin(np.where(np.isfinite(k) & (roots.imag > 0), k, np.inf), axis=1)
            F[start : start + CHUNK] = roots[np.arange(part.size), best]
        with np.errstate(all="ignore"):
            for _ in range(4):
                value, slope = self.curve.psi(F)
                step = (value - z) / slope
                F = F - step
            # k < 1 at one point of the half-plane only.
            found = (np.abs(step) <= 1e-9 * np.abs(F)) & (F.imag > 0)
            found &= self.curve.excess(F.real, F.imag**2)[0] < 1e-6
        if not found.all():
            F[~found] = self._from_above(z[~found])
        return F * self.unit

    def _from_above(self, z: Complex) -> Complex:
        """F along z + i h, h falling to 0; steps of F -> z + F - psi(F) where Newton's leave."""
        heights = 8 + 2 * np.abs(z)
        F = z + 1j * heights
        while True:
            target = z + 1j * heights
            active = np.arange(z.size)
            for step in range(_MOST_STEPS):
                value, slope = self.curve.psi(F[active])
                off = value - target[active]
                newton = F[active] - off / slope
                usable = (newton.imag > 0) & (step % 10 < 9)
                F[active] = np.where(usable, newton, F[active] - off)
                moved = np.abs(off / slope) > 1e-14 * np.abs(F[active])
                active = active[moved | ~usable]
                if not active.size:
                    break
            if not heights.any():
                return F
            heights = np.where(heights > 0.1 * z.imag, 0.2 * heights, 0.0)

    def inside(self, i: int, x: Real) -> Complex:
        """F at real points of support interval `i`, in a flat array."""
        d = self._centred(x)
        return self.curve.at(i, d) * self.unit

    def solve_in_gap(self, x: Real, gap: Gap) -> Real:
        """The physical F, which is real, at real points of one gap."""
        d = self._centred(x)
        return self.curve.at_gap(gap.low / self.unit, gap.high / self.unit, d) * self.unit

    def polish(
        self, F: Complex, x: Complex | Real, steps: int
    ) -> tuple[Complex, NDArray[np.bool_]]:
        """As in the base class; without cancellation where psi(F) is close to the drift."""
        F, converged = super().polish(F, x, steps)
        d = x.real - float(self.drift)
        (delicate,) = np.nonzero(converged & (np.abs(d) < 1e-2 * np.abs(F)))
        if delicate.size:
            near = self.curve.polish(F[delicate] / self.unit, d[delicate] / self.unit)
            F[delicate] = near * self.unit
        return F, converged

    def cdf(self, x: Real, F: Complex) -> Real:
        """Integral of G by parts; the formula stands in `hessrmt.SpectralLaw.cdf`."""
        return self.curve.mass(F / self.unit)

    def place_of_mass(self, i: int, q: Real) -> Real:
        """Quantiles in support interval `i`."""
        return float(self.drift) + self.unit * self.curve.place_of_mass(i, q)


def _decimal(x: Fraction) -> Decimal:
    return Decimal(x.numerator) / Decimal(x.denominator)


def _product(factors: list[Real]) -> Real:
    result = np.array([1.0])
    for factor in factors:
        result = P.polymul(result, factor)
    return result
