"""R-transforms of laws that are not freely infinitely divisible, by continuation from infinity.

For such a law, for example R(z) = z + z^2/10 (Bercovici & Voiculescu 1995: a law whose third free
cumulant is its last), several roots of psi(F) = z can lie in the upper half-plane. The physical
one is the one that is continuous in z and behaves like z at infinity. So it is followed, by
Newton's method, down the vertical line through z from far above; the logarithms in the integral
of G are followed with it. This is slower than `hessrmt.laws._free_triplet`, and used only where
that does not apply.
"""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
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
_LEAST, _LARGEST = 1e-100, 1e100  # scales of laws
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
    given = f"{numerator.tolist()} / {denominator.tolist()}"
    unit = _unit(num / den[0], den / den[0])
    num, den = _rescaled(num / den[0], den / den[0], 1 / unit)
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
        jumps = [(1 / p, -Fraction(r)) for p, r in zip(poles.real, residues.real, strict=True)]
        defect = 1 - sum((rate for _, rate in jumps), start=Fraction(0))
        if jumps and abs(defect) <= 4e-16 * len(jumps):  # up to rounding they add to 1
            jumps[0] = (jumps[0][0], jumps[0][1] + defect)
        return FreeTriplet.build(drift, variance, jumps).scaled(unit)
    transform = ContinuedTransform(num, den, tail, residues, poles, orders, unit)
    if problem := transform.problem():
        raise ValueError(
            f"numerator/denominator must be the R-transform of a law, got {given}: {problem}"
        )
    return transform


def _unit(num: Real, den: Real) -> float:
    """A power of two near the standard deviation, or the mean of a point mass."""
    mean, slope = num[0], num[1] if num.size > 1 else 0.0
    with np.errstate(all="ignore"):
        variance = slope - mean * (den[1] if den.size > 1 else 0.0)
        scale = np.sqrt(abs(variance)) or abs(mean) or 1.0
    if not _LEAST <= scale <= _LARGEST:
        raise ValueError(f"the scale of a law must be in [1e-100, 1e100], got {scale:.3e}")
    return float(np.ldexp(1.0, np.frexp(scale)[1]))


def _rescaled(num: Real, den: Real, c: float) -> tuple[Real, Real]:
    """Coefficients of c R(c z) from those of R."""
    with np.errstate(all="ignore"):
        powers = c ** np.arange(max(num.size, den.size), dtype=np.float64)
        num, den = c * num * powers[: num.size], den * powers[: den.size]
    if not (np.isfinite(num).all() and np.isfinite(den).all()):
        raise ValueError("the coefficients of R must be of one scale")
    return num, den


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
    unit : float
        All these are those of the law divided by it; it should be near the law's scale.
    """

    def __init__(
        self,
        num: Real,
        den: Real,
        polynomial: Real,
        residues: Complex,
        poles: Complex,
        orders: NDArray[np.int_],
        unit: float,
    ) -> None:
        self._num, self._den = num, den
        self._polynomial, self._residues = polynomial, residues
        self._poles, self._orders = poles, orders
        self._unit = unit

    @property
    def key(self) -> Hashable:
        """What equal transforms have in common."""
        return tuple(tuple(part.tolist()) for part in self.coefficients())

    def coefficients(self) -> tuple[Real, Real]:
        """R as numerator and denominator."""
        return _rescaled(self._num, self._den, self._unit)

    def scaled(self, c: float | Fraction) -> RationalTransform:
        """The transform of c times the variable."""
        return transform_of(*_rescaled(*self.coefficients(), float(c)))

    def r_transform(self, g: Complex) -> Complex:
        """R at g."""
        with np.errstate(divide="ignore", invalid="ignore"):
            g = g * self._unit
            return np.asarray(self._unit * (P.polyval(g, self._num) / P.polyval(g, self._den)))

    def free_cumulant(self, k: int) -> float:
        """The k-th free cumulant."""
        return self._cumulant(k) * self._unit**k

    def _cumulant(self, k: int) -> float:
        """Coefficient of z^(k-1) in R, by long division."""
        num, den = (np.append(part, np.zeros(k)) for part in (self._num, self._den))
        series = np.empty(k)
        for i in range(k):
            series[i] = num[i] - den[1 : i + 1] @ series[:i][::-1]
        return float(series[k - 1])

    def psi(self, F: Complex) -> tuple[Complex, Complex]:
        """Value and derivative of psi at F."""
        value, slope = self._psi(F / self._unit)
        return self._unit * value, slope

    @cached_property
    def polynomials(self) -> tuple[Real, Real]:
        """P0, P1 with P0(F) - z P1(F) = 0 equivalent to psi(F) = z; P0 is monic, deg P1 less."""
        size = max(self._num.size, self._den.size)
        n, d = (np.append(c, np.zeros(size - c.size))[::-1] for c in (self._num, self._den))
        return np.asarray(P.polyadd(P.polymulx(d), n)), np.asarray(d)

    def _psi(self, F: Complex) -> tuple[Complex, Complex]:
        """The same in units, as the quotient of polynomials P0/P1."""
        p0, p1 = self.polynomials
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            below = P.polyval(F, p1)
            value = P.polyval(F, p0) / below
            slope = (P.polyval(F, P.polyder(p0)) - value * P.polyval(F, P.polyder(p1))) / below
        return value, slope

    @cached_property
    def _at_zero(self) -> tuple[float, float]:
        """Value and slope of psi at F = 0; infinite or nan if R grows at infinity."""
        value, slope = self._psi(np.zeros(1, dtype=np.complex128))
        return float(value[0].real), float(slope[0].real)

    @property
    def atom(self) -> tuple[float, float]:
        """The atom, psi(0) with mass psi'(0), where F = 0 is a physical point off the support."""
        place, mass = self._at_zero
        physical = any(gap.low < 0 < gap.high for gap in self.gaps)
        return place * self._unit, mass if physical and mass > 1e-12 else 0.0

    @property
    def hard_edge(self) -> float | None:
        """The place of F = 0 where it is an end of a gap."""
        ends = [end for gap in self.gaps for end in (gap.low, gap.high)]
        return self._at_zero[0] * self._unit if 0.0 in ends else None

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
        x = np.array([self._psi(np.array([f + 0j]))[0][0].real for f in F])
        finite = np.isfinite(x)
        order = np.argsort(x[finite])
        return F[finite][order], x[finite][order]

    def _follow(self, z: Complex) -> tuple[Complex, Real]:
        """F at z and Im of the integral of R from 0 to 1/F, followed down from infinity."""
        reach = 10 * (np.abs(self._critical[1]).max(initial=0.0) + np.sqrt(abs(self._cumulant(2))))
        F = z + 1j * reach - self._num[0]
        logs = np.zeros((self._poles.size, z.size), dtype=np.complex128)
        before = np.ones_like(logs)
        for k in range(_STEPS + 1):
            target = z + 1j * reach * _RATIO**k * (k < _STEPS)
            for _ in range(4 if k in (0, _STEPS) else 2):
                with np.errstate(all="ignore"):
                    value, slope = self._psi(F)
                    better = F - (value - target) / slope
                F = np.where(np.isfinite(better), better, F)
            # Im F >= Im z. Next to an edge the two roots are conjugate, and rounding decides
            # between them; -0 is on the side of the wrong one.
            F = F.real + 1j * np.abs(F.imag)
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

    def solve(self, z: Complex) -> Complex:
        """The physical F at z in the closed upper half-plane."""
        F = np.empty(z.shape, dtype=np.complex128)
        for start in range(0, z.size, CHUNK):
            F[start : start + CHUNK] = self._follow(z[start : start + CHUNK] / self._unit)[0]
        return F * self._unit

    def cdf(self, x: Real, F: Complex) -> Real:
        """1 - Im[x G - log G - integral of R]/pi, the integral followed from infinity."""
        value = np.empty(x.shape)
        for start in range(0, x.size, CHUNK):
            part = x[start : start + CHUNK] / self._unit
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
        F, x = F * self._unit, x * self._unit
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
        if self._cumulant(2) <= 0:
            return "its second free cumulant, the variance, is not positive"
        if not self.support:
            return "its law would have no support"
        nodes, weights = np.polynomial.legendre.leggauss(300)
        angles, weights = (nodes + 1) * np.pi / 2, weights * np.pi / 2
        place, mass = self.atom[0] / self._unit, self.atom[1]
        moments = np.array([mass, mass * place, mass * place**2]) if mass else np.zeros(3)
        for low, high in np.array(self.support) / self._unit:
            x = (low + high) / 2 - (high - low) / 2 * np.cos(angles)
            F = self.solve(self._unit * x.astype(np.complex128)) / self._unit
            density = -(1 / F).imag / np.pi
            if (density < -1e-9).any():
                return "its density would be negative"
            share = weights * (high - low) / 2 * np.sin(angles) * density
            moments += [share.sum(), share @ x, share @ x**2]
        mean, variance = self._cumulant(1), self._cumulant(2)
        expected = np.array([1.0, mean, variance + mean**2])
        if not np.allclose(moments, expected, rtol=1e-6, atol=1e-6 * (1 + variance)):
            return "its moments are not those of its density"
        return ""
