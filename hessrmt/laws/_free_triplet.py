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

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import polynomial as P
from numpy.polynomial import polyutils
from numpy.typing import NDArray
from scipy import optimize

from hessrmt.laws._transforms import CHUNK, Gap, RationalTransform

__all__ = ["FreeTriplet"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Poles closer than this, relative to their size, are one pole: they differ by rounding only.
_SAME_POLE = 1e-13


@dataclass(frozen=True, eq=False)
class FreeTriplet(RationalTransform):
    """Shift, semicircular variance and free Poisson jumps of a law.

    Parameters
    ----------
    drift, variance : float
        The coefficients of the polynomial part of R; ``variance >= 0``.
    sizes, rates : (J,) arrays
        Jump sizes (non-zero, ascending, distinct) and rates (positive).
    """

    drift: float
    variance: float
    sizes: Real
    rates: Real

    # -- construction and algebra ------------------------------------------------------------

    @classmethod
    def build(cls, drift: float, variance: float, sizes: Real, rates: Real) -> FreeTriplet:
        """Merge equal jump sizes, drop empty jumps, sort."""
        sizes, rates = np.asarray(sizes, dtype=float), np.asarray(rates, dtype=float)
        keep = (sizes != 0) & (rates != 0)
        order = np.argsort(sizes[keep])
        s, r = sizes[keep][order], rates[keep][order]
        new = np.ones(s.size, dtype=bool)
        new[1:] = np.diff(s) > _SAME_POLE * np.abs(s[1:])
        merged = np.add.reduceat(r, np.flatnonzero(new)) if s.size else r
        return cls(float(drift), float(variance), s[new], merged)

    def plus(self, other: FreeTriplet) -> FreeTriplet:
        """R-transforms add."""
        return self.build(
            self.drift + other.drift,
            self.variance + other.variance,
            np.concatenate([self.sizes, other.sizes]),
            np.concatenate([self.rates, other.rates]),
        )

    def scaled(self, c: float) -> FreeTriplet:
        """The triplet of c times the variable: R becomes c R(c z)."""
        return self.build(self.drift * c, self.variance * c * c, self.sizes * c, self.rates)

    def coefficients(self) -> tuple[Real, Real]:
        """R as numerator and denominator, lowest power first, denominator 1 at z = 0."""
        factors = [np.array([1.0, -s]) for s in self.sizes]
        den = _product(factors)
        num = P.polymul([self.drift, self.variance], den)
        for j, (s, rate) in enumerate(zip(self.sizes, self.rates, strict=True)):
            num = P.polyadd(num, rate * s * _product(factors[:j] + factors[j + 1 :]))
        return np.asarray(polyutils.trimseq(num), dtype=float), den  # one coefficient is left

    def r_transform(self, g: Complex) -> Complex:
        """R at g; infinite at its poles."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.drift + self.variance * g
            for s, rate in zip(self.sizes, self.rates, strict=True):
                value = value + rate * s / (1 - s * g)
        return value

    # -- psi, and the support from its critical points -----------------------------------------

    @cached_property
    def defect(self) -> float:
        """One minus the total jump rate, exactly 0 where it is so up to rounding."""
        value = 1.0 - float(self.rates.sum())
        return value if abs(value) > 4e-16 * max(1, self.rates.size) else 0.0

    @property
    def atom(self) -> tuple[float, float]:
        """Place and mass of the one possible atom, the drift and psi'(0) where that is positive."""
        return self.drift, max(0.0, self.defect) if self.variance == 0 else 0.0

    @property
    def hard_edge(self) -> float | None:
        """The edge where the density diverges (F = 0 is a critical point of psi), or None."""
        return self.drift if self.variance == 0 and self.defect == 0 else None

    def free_cumulant(self, k: int) -> float:
        """The k-th free cumulant."""
        jumps = float(np.sum(self.rates * self.sizes**k))
        return self.drift * (k == 1) + self.variance * (k == 2) + jumps

    def psi(self, F: Complex) -> tuple[Complex, Complex]:
        """Value and derivative of psi at F."""
        value, slope = F + self.drift, np.ones_like(F)
        if self.variance:
            inverse = 1 / F
            value, slope = value + self.variance * inverse, slope - self.variance * inverse**2
        for s, rate in zip(self.sizes, self.rates, strict=True):
            t = s / (F - s)
            value, slope = value + (rate * s) * (1 + t), slope - rate * t * t
        return value, slope

    def contraction(self, F: Complex) -> Real:
        """k(F) of the module's text; below 1 exactly at physical roots off the support."""
        with np.errstate(divide="ignore", invalid="ignore"):
            k = self.variance / np.abs(F) ** 2 if self.variance else np.zeros(F.shape)
            for s, rate in zip(self.sizes, self.rates, strict=True):
                k = k + rate * (s / np.abs(F - s)) ** 2
        return k

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """The components of the complement of the support, from left to right.

        On the real line outside the support psi'(F) = 1 - h(F) > 0 with
        h(F) = a/F^2 + sum_j rate_j s_j^2/(F - s_j)^2. Between neighbouring poles h is convex, so
        each stretch holds one interval where h < 1, or none.
        """
        weights = dict(zip(self.sizes.tolist(), (self.rates * self.sizes**2).tolist(), strict=True))
        if self.variance:
            weights[0.0] = self.variance
        if not weights:  # a point mass
            return (Gap(-np.inf, np.inf, 0.0),)
        q = np.array(sorted(weights))
        w = np.array([weights[p] for p in q])
        reach = np.sqrt(w)  # h >= 1 within this distance of each pole

        def h(F: float) -> float:
            return float((w / (F - q) ** 2).sum()) - 1.0

        def half_slope(F: float) -> float:
            return -float((w / (F - q) ** 3).sum())

        far = np.sqrt(w.sum()) * (1 + 1e-12)
        gaps = [(-np.inf, _crossing(h, q[0] - far, q[0] - reach[0]))]
        for i in range(q.size - 1):
            inset = 1e-9 * (q[i + 1] - q[i])
            bottom = optimize.brentq(
                half_slope, q[i] + inset, q[i + 1] - inset, xtol=1e-16 * (q[i + 1] - q[i])
            )
            if h(bottom) < 0:
                gaps.append(
                    (
                        _crossing(h, q[i] + reach[i], bottom),
                        _crossing(h, bottom, q[i + 1] - reach[i + 1]),
                    )
                )
        gaps.append((_crossing(h, q[-1] + reach[-1], q[-1] + far), np.inf))
        if self.hard_edge is not None:  # F = 0 is a critical point exactly
            tiny = 1e-9 * float(reach.min())
            gaps = [(low * (abs(low) > tiny), high * (abs(high) > tiny)) for low, high in gaps]
        return tuple(Gap(low, high, self._mass_below(low)) for low, high in gaps)

    def _mass_below(self, low: float) -> float:
        """Mass to the left of the gap that begins at `low`: sums of rates, hence exact."""
        if low == -np.inf:
            return 0.0
        return 1.0 - float(self.rates[self.sizes > low].sum()) - self.defect * (low < 0)

    def solve(self, z: Complex) -> Complex:
        """The physical F at points z of the closed upper half-plane, in a flat array.

        Eigenvalues of companion matrices give every root, the least k(F) marks the physical one,
        Newton steps polish it. On the real axis the result is the limit from above.
        """
        F = np.empty(z.shape, dtype=np.complex128)
        p0, p1 = self.polynomials
        degree = p0.size - 1
        for start in range(0, z.size, CHUNK):
            part = z[start : start + CHUNK]
            companion = np.zeros((part.size, degree, degree), dtype=np.complex128)
            companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
            companion[:, :, -1] = part[:, None] * p1 - p0[:degree]
            roots = np.asarray(np.linalg.eigvals(companion), dtype=np.complex128)
            real = part.imag == 0
            roots[real] = roots[real].real + 1j * np.abs(roots[real].imag)
            k = self.contraction(roots)
            best = np.argmin(np.where(np.isnan(k), np.inf, k), axis=1)
            F[start : start + CHUNK] = roots[np.arange(part.size), best]
        polished, _ = self.polish(F, z, steps=4)
        safe = np.isfinite(polished) & (polished.imag >= 0)
        return np.where(safe, polished, F)

    def cdf(self, x: Real, F: Complex) -> Real:
        """Integral of G by parts; the formula stands in `hessrmt.SpectralLaw.cdf`."""
        singular = F == 0  # inside the support the density may diverge, where all rates sum to 1
        G = 1 / np.where(singular, 1.0, F)
        phase = np.angle(F) + ((x - self.drift) * G - self.variance / 2 * G * G).imag
        for s, rate in zip(self.sizes, self.rates, strict=True):
            phase = phase + rate * np.angle(1 - s * G)
        left_of_zero = 1 - float(self.rates[self.sizes > 0].sum())
        return np.where(singular, left_of_zero, 1 - phase / np.pi)


def _product(factors: list[Real]) -> Real:
    result = np.array([1.0])
    for factor in factors:
        result = P.polymul(result, factor)
    return result


def _crossing(h: Callable[[float], float], low: float, high: float) -> float:
    """The zero of h between two points of opposite sign; an end where h is already (nearly) 0."""
    at_low, at_high = h(low), h(high)
    if at_low * at_high >= 0:
        return low if abs(at_low) < abs(at_high) else high
    return float(optimize.brentq(h, low, high, xtol=1e-300, rtol=8.9e-16))
