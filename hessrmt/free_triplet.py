r"""The free characteristic triplet behind a law with a rational R-transform.

A rational function that maps the open lower half-plane into its closure, as the R-transform of a
freely infinitely divisible law does, has the form (free Lévy-Khintchine representation,
Bercovici & Voiculescu 1993; the jumps are finitely many because R is rational)

.. math:: R(z) = \gamma + a z + \sum_j \frac{\lambda_j s_j}{1 - s_j z},
          \qquad a \ge 0,\ \lambda_j > 0,\ s_j \ne 0 \text{ real:}

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

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.polynomial import polynomial as P
from numpy.typing import NDArray
from scipy import optimize, signal

__all__ = ["FreeTriplet", "Gap"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Poles closer than this, relative to their size, are one pole: they differ by rounding only.
_SAME_POLE = 1e-13
_CHUNK = 8192  # points per Newton sweep: the working arrays then stay in the processor's cache


class Gap(NamedTuple):
    """A component of the complement of the support, as an interval of real F, and its mass below.

    psi increases on (`low`, `high`) and maps it onto the component; `cdf_below` is the
    mass to the left of it.
    """

    low: float
    high: float
    cdf_below: float


@dataclass(frozen=True, eq=False)
class FreeTriplet:
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

    @classmethod
    def from_coefficients(cls, numerator: Real, denominator: Real) -> FreeTriplet:
        """Decompose R = numerator/denominator (lowest power first) into partial fractions.

        Raises
        ------
        ValueError
            If R is not the R-transform of a freely infinitely divisible law.
        """
        num, den = np.trim_zeros(numerator, "b"), np.trim_zeros(denominator, "b")
        if den.size == 0 or den[0] == 0:
            raise ValueError(f"denominator must not vanish at 0, got {denominator.tolist()}")
        if num.size == 0:
            return cls(0.0, 0.0, np.empty(0), np.empty(0))
        # residue() groups poles within tol and lists a group's residues by rising order.
        residues, poles, polynomial = signal.residue(num[::-1], den[::-1], tol=1e-6)
        scale = float(np.abs(num).max() / np.abs(den).max())
        repeated = np.append(False, poles[1:] == poles[:-1]) if poles.size else np.empty(0, bool)
        large = np.abs(residues) > 1e-9 * scale  # the rest is a common factor of the two
        multiple = bool((repeated & large).any())
        residues, poles = residues[large], poles[large]
        coefficients = np.zeros(2)
        tail = np.trim_zeros(np.real(polynomial)[::-1], "b")
        coefficients[: tail.size] = tail[:2]
        problem = ""
        if tail.size > 2:
            problem = "it grows faster than z"
        elif coefficients[1] < 0:
            problem = "the coefficient of z is negative"
        elif (np.abs(poles.imag) > 1e-9 * np.abs(poles)).any():
            problem = "it has poles off the real line"
        elif multiple:
            problem = "it has a multiple pole"
        elif (residues.real > 0).any():
            problem = "it has a pole of positive residue"
        if problem:
            raise ValueError(
                "numerator/denominator must be the R-transform of a freely infinitely divisible "
                f"law, got {numerator.tolist()} / {denominator.tolist()}: {problem}"
            )
        return cls.build(coefficients[0], coefficients[1], 1 / poles.real, -residues.real)

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
        return np.asarray(np.trim_zeros(num, "b"), dtype=float), den

    def r_transform(self, g: Complex) -> Complex:
        """R at g; infinite at its poles."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.drift + self.variance * g
            for s, rate in zip(self.sizes, self.rates, strict=True):
                value = value + rate * s / (1 - s * g)
        return value

    # -- psi, and the support from its critical points -----------------------------------------

    @cached_property
    def spread(self) -> float:
        """Variance of the law."""
        return self.variance + float(self.rates @ self.sizes**2)

    @cached_property
    def defect(self) -> float:
        """One minus the total jump rate, exactly 0 where it is so up to rounding."""
        value = 1.0 - float(self.rates.sum())
        return value if abs(value) > 4e-16 * max(1, self.rates.size) else 0.0

    @property
    def atom_mass(self) -> float:
        """Mass of the one possible atom, which sits at the drift: psi'(0) where positive."""
        return max(0.0, self.defect) if self.variance == 0 else 0.0

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
            bottom = optimize.brentq(half_slope, q[i] + inset, q[i + 1] - inset, xtol=1e-300)
            if h(bottom) < 0:
                gaps.append(
                    (
                        _crossing(h, q[i] + reach[i], bottom),
                        _crossing(h, bottom, q[i + 1] - reach[i + 1]),
                    )
                )
        gaps.append((_crossing(h, q[-1] + reach[-1], q[-1] + far), np.inf))
        return tuple(Gap(low, high, self._mass_below(low)) for low, high in gaps)

    def _mass_below(self, low: float) -> float:
        """Mass to the left of the gap that begins at `low`: sums of rates, hence exact."""
        if low == -np.inf:
            return 0.0
        return 1.0 - float(self.rates[self.sizes > low].sum()) - self.defect * (low < 0)

    @cached_property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The intervals on which the density is positive."""
        ends = [(g.low, g.high) for g in self.gaps]
        return tuple((self._real_psi(a[1]), self._real_psi(b[0])) for a, b in pairwise(ends))

    def _real_psi(self, F: float) -> float:
        return float(self.psi(np.array(F))[0]) if F != 0 or self.variance else self.drift

    # -- solving psi(F) = z ----------------------------------------------------------------------

    @cached_property
    def _polynomials(self) -> tuple[Real, Real]:
        """P0, P1 with P0(F) - z P1(F) = 0 equivalent to psi(F) = z; P0 is monic, deg P1 less."""
        factors = [np.array([-s, 1.0]) for s in self.sizes]
        every = _product(factors)
        zero = np.array([0.0, 1.0])
        p1 = P.polymul(zero, every) if self.variance else every
        p0 = P.polymul([self.drift, 1.0], p1) + (
            np.append(self.variance * every, [0.0, 0.0])[: p1.size + 1] if self.variance else 0.0
        )
        for j, (s, rate) in enumerate(zip(self.sizes, self.rates, strict=True)):
            others = P.polymul(zero, _product(factors[:j] + factors[j + 1 :]))
            if self.variance:
                others = P.polymul(zero, others)
            p0 = P.polyadd(p0, rate * s * others)
        return p0, p1

    def solve(self, z: Complex) -> Complex:
        """The physical F at points z of the closed upper half-plane, in a flat array.

        Eigenvalues of companion matrices give every root, the least k(F) marks the physical one,
        Newton steps polish it. On the real axis the result is the limit from above.
        """
        F = np.empty(z.shape, dtype=np.complex128)
        p0, p1 = self._polynomials
        degree = p0.size - 1
        for start in range(0, z.size, _CHUNK):
            part = z[start : start + _CHUNK]
            companion = np.zeros((part.size, degree, degree), dtype=np.complex128)
            companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
            companion[:, :, -1] = part[:, None] * p1 - p0[:degree]
            roots = np.asarray(np.linalg.eigvals(companion), dtype=np.complex128)
            real = part.imag == 0
            roots[real] = roots[real].real + 1j * np.abs(roots[real].imag)
            k = self.contraction(roots)
            best = np.argmin(np.where(np.isnan(k), np.inf, k), axis=1)
            F[start : start + _CHUNK] = roots[np.arange(part.size), best]
        polished, _ = self.polish(F, z, steps=4)
        safe = np.isfinite(polished) & (polished.imag >= 0)
        return np.where(safe, polished, F)

    def solve_in_gap(self, x: Real, gap: Gap) -> Real:
        """The physical F, which is real, at real points of one gap."""
        F = self.solve(x.astype(np.complex128)).real.clip(gap.low, gap.high)
        for _ in range(4):
            with np.errstate(divide="ignore", invalid="ignore"):
                value, slope = self.psi(F)
                better = (F - (value - x) / slope).clip(gap.low, gap.high)
            F = np.where(np.isfinite(better), better, F)
        return F

    def polish(
        self, F: Complex, x: Complex | Real, steps: int
    ) -> tuple[Complex, NDArray[np.bool_]]:
        """Newton's method for psi(F) = x, and where its last step was negligible against Im F."""
        F = F.copy()
        converged = np.zeros(F.shape, dtype=bool)
        for start in range(0, F.size, _CHUNK):
            part, target = F[start : start + _CHUNK], x[start : start + _CHUNK]
            with np.errstate(all="ignore"):
                for _ in range(steps):
                    value, slope = self.psi(part)
                    step = (value - target) / slope
                    part = part - step
                    # The next step would be about the square of this one.
                    small = np.abs(step) < 1e-8 * np.abs(part.imag)
                    if small.all():
                        break
            F[start : start + _CHUNK], converged[start : start + _CHUNK] = part, small
        return F, converged


def _product(factors: list[Real]) -> Real:
    result = np.array([1.0])
    for factor in factors:
        result = P.polymul(result, factor)
    return result


def _crossing(h, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
    """The zero of h between two points of opposite sign; an end where h is already (nearly) 0."""
    at_low, at_high = h(low), h(high)
    if at_low * at_high >= 0:
        return low if abs(at_low) < abs(at_high) else high
    return float(optimize.brentq(h, low, high, xtol=1e-300, rtol=8.9e-16))
