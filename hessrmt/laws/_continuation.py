"""R-transforms of laws that are not freely infinitely divisible, by continuation from infinity.

For such a law, for example R(z) = z + z^2/10 (Bercovici & Voiculescu 1995: a law whose third free
cumulant is its last), several roots of psi(F) = z can lie in the upper half-plane. The physical
one is the one that is continuous in z and behaves like z at infinity. So it is followed, by
Newton's method, down the vertical line through z from far above; the logarithms in the integral
of G are followed with it. This is slower than `hessrmt.laws._free_triplet`, and used only where
that does not apply.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.polynomial import polynomial as P
from numpy.typing import NDArray
from scipy import signal

from hessrmt.laws._free_triplet import FreeTriplet
from hessrmt.laws._transforms import CHUNK, Gap, RationalTransform

__all__ = ["ContinuedTransform", "free_sum", "transform_of"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_RATIO = 0.75  # of successive heights on the way down; a singularity is at least a height away
_STEPS = 135  # _RATIO**_STEPS is below the rounding error of a height of order one


def transform_of(numerator: Real, denominator: Real) -> RationalTransform:
    """The law with R = numerator/denominator (coefficients, lowest power first).

    Raises
    ------
    ValueError
        If the denominator vanishes at 0, or R is no R-transform of a compactly supported law.
    """
    num, den = np.trim_zeros(numerator, "b"), np.trim_zeros(denominator, "b")
    if den.size == 0 or den[0] == 0:
        raise ValueError(f"denominator must not vanish at 0, got {denominator.tolist()}")
    if num.size == 0:
        num = np.zeros(1)
    # residue() groups poles within tol and lists a group's residues by rising order.
    residues, poles, polynomial = signal.residue(num[::-1], den[::-1], tol=1e-6)
    orders = np.ones(poles.size, dtype=int)
    for j in range(1, poles.size):
        orders[j] = orders[j - 1] + 1 if poles[j] == poles[j - 1] else 1
    # What is left of a common factor of the two is a residue of rounding errors.
    large = np.abs(residues) > 1e-9 * float(np.abs(num).max() / np.abs(den).max())
    residues, poles, orders = residues[large], poles[large], orders[large]
    tail = np.trim_zeros(np.real(polynomial)[::-1], "b")
    divisible = (
        tail.size <= 2
        and not (tail[1:] < 0).any()
        and (np.abs(poles.imag) <= 1e-9 * np.abs(poles)).all()
        and (orders == 1).all()
        and (residues.real < 0).all()
    )
    if divisible:
        drift, variance = np.append(tail, np.zeros(2 - tail.size))
        return FreeTriplet.build(drift, variance, 1 / poles.real, -residues.real)
    transform = ContinuedTransform(num / den[0], den / den[0], tail, residues, poles, orders)
    if problem := transform.problem():
        raise ValueError(
            "numerator/denominator must be the R-transform of a law, got "
            f"{numerator.tolist()} / {denominator.tolist()}: {problem}"
        )
    return transform


def free_sum(a: RationalTransform, b: RationalTransform) -> RationalTransform:
    """R-transforms add."""
    if isinstance(a, FreeTriplet) and isinstance(b, FreeTriplet):
        return a.plus(b)
    (n, d), (m, e) = a.coefficients(), b.coefficients()
    numerator = np.asarray(P.polyadd(P.polymul(n, e), P.polymul(m, d)), dtype=np.float64)
    return transform_of(numerator, np.asarray(P.polymul(d, e), dtype=np.float64))


class ContinuedTransform(RationalTransform):
    """An R-transform known by its coefficients and partial fractions.

    Parameters
    ----------
    num, den : arrays
        Coefficients of R, lowest power first, ``den[0] == 1``.
    polynomial, residues, poles, orders : arrays
        R(z) as the polynomial plus the sum of residues/(z - poles)**orders.
    """

    def __init__(
        self,
        num: Real,
        den: Real,
        polynomial: Real,
        residues: Complex,
        poles: Complex,
        orders: NDArray[np.int_],
    ) -> None:
        self._num, self._den = num, den
        self._polynomial, self._residues = polynomial, residues
        self._poles, self._orders = poles, orders

    def coefficients(self) -> tuple[Real, Real]:
        """R as numerator and denominator."""
        return self._num, self._den

    def scaled(self, c: float) -> RationalTransform:
        """The transform of c times the variable."""
        powers = c ** np.arange(max(self._num.size, self._den.size), dtype=np.float64)
        num, den = self._num * powers[: self._num.size], self._den * powers[: self._den.size]
        return transform_of(np.asarray(c * num), np.asarray(den))

    def r_transform(self, g: Complex) -> Complex:
        """R at g."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(P.polyval(g, self._num) / P.polyval(g, self._den))

    def free_cumulant(self, k: int) -> float:
        """Coefficient of z^(k-1) in R, by long division."""
        num, den = (np.append(part, np.zeros(k)) for part in (self._num, self._den))
        series = np.empty(k)
        for i in range(k):
            series[i] = num[i] - den[1 : i + 1] @ series[:i][::-1]
        return float(series[k - 1])

    def psi(self, F: Complex) -> tuple[Complex, Complex]:
        """Value and derivative of psi at F, as the quotient of polynomials P0/P1."""
        p0, p1 = self.polynomials
        below = P.polyval(F, p1)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = P.polyval(F, p0) / below
            slope = (P.polyval(F, P.polyder(p0)) - value * P.polyval(F, P.polyder(p1))) / below
        return value, slope

    @cached_property
    def _at_zero(self) -> tuple[float, float]:
        """Value and slope of psi at F = 0; infinite or nan if R grows at infinity."""
        value, slope = self.psi(np.zeros(1, dtype=np.complex128))
        return float(value[0].real), float(slope[0].real)

    @property
    def atom(self) -> tuple[float, float]:
        """The atom, psi(0) with mass psi'(0), where F = 0 is a physical point off the support."""
        place, mass = self._at_zero
        physical = any(gap.low < 0 < gap.high for gap in self.gaps)
        return (place, mass) if physical and mass > 1e-12 else (place, 0.0)

    @property
    def hard_edge(self) -> float | None:
        """The place of F = 0 where it is an end of a gap."""
        ends = [end for gap in self.gaps for end in (gap.low, gap.high)]
        return self._at_zero[0] if 0.0 in ends else None

    # -- continuation --------------------------------------------------------------------------

    @cached_property
    def _critical(self) -> tuple[Real, Real]:
        """Real critical points F of psi and their psi, by rising psi: candidates for edges."""
        p0, p1 = self.polynomials
        slope = P.polysub(P.polymul(P.polyder(p0), p1), P.polymul(p0, P.polyder(p1)))
        roots = P.polyroots(slope)
        F = roots[np.abs(roots.imag) < 1e-7 * (1e-300 + np.abs(roots))].real
        if np.isfinite(self._at_zero[1]) and abs(self._at_zero[1]) < 1e-12:
            F = np.append(F[np.abs(F) > 1e-7], 0.0)
        x = np.array([self.psi(np.array([f + 0j]))[0][0].real for f in F])
        finite = np.isfinite(x)
        order = np.argsort(x[finite])
        return F[finite][order], x[finite][order]

    def _follow(self, z: Complex) -> tuple[Complex, Real]:
        """F at z and Im of the integral of R from 0 to 1/F, followed down from infinity."""
        reach = 10 * (np.abs(self._critical[1]).max(initial=0.0) + np.sqrt(abs(self._spread)))
        F = z + 1j * reach - self._num[0]
        logs = np.zeros((self._poles.size, z.size), dtype=np.complex128)
        before = np.ones_like(logs)
        for k in range(_STEPS + 1):
            target = z + 1j * reach * _RATIO**k * (k < _STEPS)
            for _ in range(4 if k in (0, _STEPS) else 2):
                with np.errstate(all="ignore"):
                    value, slope = self.psi(F)
                    better = F - (value - target) / slope
                F = np.where(np.isfinite(better), better, F)
            with np.errstate(divide="ignore", invalid="ignore"):
                now = 1 - 1 / (F * self._poles[:, None])
                logs += np.log(now / before)
            before = now
        with np.errstate(divide="ignore", invalid="ignore"):
            G = 1 / F
            total = P.polyval(G, P.polyint(self._polynomial)) if self._polynomial.size else 0 * G
            for r, p, order, log in zip(
                self._residues, self._poles, self._orders, logs, strict=True
            ):
                power = 1 - order
                total = total + r * (
                    log if order == 1 else ((G - p) ** power - (-p) ** power) / power
                )
        return F, np.asarray(total.imag)

    @property
    def _spread(self) -> float:
        return self.free_cumulant(2)

    def solve(self, z: Complex) -> Complex:
        """The physical F at z in the closed upper half-plane."""
        F = np.empty(z.shape, dtype=np.complex128)
        for start in range(0, z.size, CHUNK):
            F[start : start + CHUNK] = self._follow(z[start : start + CHUNK])[0]
        return F

    def cdf(self, x: Real, F: Complex) -> Real:
        """1 - Im[x G - log G - integral of R]/pi, the integral followed from infinity."""
        value = np.empty(x.shape)
        for start in range(0, x.size, CHUNK):
            part = x[start : start + CHUNK]
            F, integral = self._follow(part.astype(np.complex128))
            phase = (part / F).imag + np.angle(F) - integral
            value[start : start + CHUNK] = 1 - phase / np.pi
        return value

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Between neighbouring candidates for edges one point tells whether there is density."""
        F, x = self._critical
        if x.size < 2:
            return (Gap(-np.inf, np.inf, 0.0),)
        middle = (x[:-1] + x[1:]) / 2
        dense = self.solve(middle.astype(np.complex128)).imag > 1e-7 * (x[-1] - x[0])
        state = np.concatenate([[False], dense, [False]])  # to the left of each candidate
        (starts,) = np.nonzero(~state[:-1] & state[1:])
        (ends,) = np.nonzero(state[:-1] & ~state[1:])
        after = np.append(middle, 2 * x[-1] - x[0])[ends]  # a point in the gap behind each end
        below = np.append(0.0, self.cdf(after, self.solve(after.astype(np.complex128))))
        lows, highs = np.append(-np.inf, F[ends]), np.append(F[starts], np.inf)
        return tuple(Gap(*map(float, gap)) for gap in zip(lows, highs, below, strict=True))

    def problem(self) -> str:
        """Why this is not the R-transform of a law, or nothing."""
        if self._spread <= 0:
            return "its second free cumulant, the variance, is not positive"
        if not self.support:
            return "its law would have no support"
        nodes, weights = np.polynomial.legendre.leggauss(300)
        angles, weights = (nodes + 1) * np.pi / 2, weights * np.pi / 2
        place, mass = self.atom
        moments = np.array([mass, mass * place, mass * place**2]) if mass else np.zeros(3)
        for low, high in self.support:
            x = (low + high) / 2 - (high - low) / 2 * np.cos(angles)
            F = self.solve(x.astype(np.complex128))
            density = -(1 / F).imag / np.pi
            if (density < -1e-9).any():
                return "its density would be negative"
            share = weights * (high - low) / 2 * np.sin(angles) * density
            moments += [share.sum(), share @ x, share @ x**2]
        mean = self.free_cumulant(1)
        expected = np.array([1.0, mean, self._spread + mean**2])
        if not np.allclose(moments, expected, rtol=1e-6, atol=1e-6 * (1 + self._spread)):
            return "its moments are not those of its density"
        return ""
