r"""The curve on which F = 1/G(x + i0) runs over the support, and what is read off it.

With the triplet's :math:`a, \lambda_j, s_j` and u + iv = F, the curve is where

.. math:: k(F) = \frac a{|F|^2} + \sum_j \frac{\lambda_j s_j^2}{|F - s_j|^2} = 1 .

k falls as v grows, so that at each u with k(u) > 1 there is one v(u) > 0, and none elsewhere: the
curve is a graph over intervals of u. On it :math:`x = \psi(F)` is real and increases with u (Biane
1997 for the semicircle, Huang 2015), so that u can be enclosed and bisected. Nothing has to be
chosen among roots, and nothing depends on how far apart the scales of the parts of a law are.

Where :math:`|F| < |s_j|`, a jump is entered as its limit for F = 0 plus the rest, and the limits
are added exactly: by them :math:`\psi(F) - \gamma` begins with :math:`(1 - \sum_j \lambda_j) F`,
whose factor all digits of a hard edge depend on, or of one that is almost hard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from hessrmt.laws.pieces import inverse

__all__ = ["BoundaryCurve"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
_MOST_STEPS = 200  # of any iteration here; each encloses its root, and bisects where it must
_SERIES = 1e-2  # |s/F| below which log(1 - s/F) + s/(F - s) is a series, as its terms cancel
_CLUSTER = 0.25  # ratio of distances, from an end or a pole, of neighbouring nodes


class BoundaryCurve:
    """The curve of one law, whose scales should be at most of order 1.

    Places x are counted from the drift.

    Parameters
    ----------
    variance : float
        Of the semicircular part.
    sizes : (J,) array
        Of the jumps, distinct.
    rates : sequence of J fractions
        Of the jumps, exact.
    """

    def __init__(self, variance: float, sizes: Real, rates: Sequence[Fraction]) -> None:
        order = np.argsort(-np.abs(sizes), kind="stable")
        exact = [rates[j] for j in order]
        self._variance, self._sizes, self._exact = variance, sizes[order], exact
        self._rates = np.array([float(rate) for rate in exact])
        # With the first k jumps entered as their limits: 1 less their rates, all or the positive.
        self._left = np.array([float(1 - sum(exact[:k])) for k in range(len(exact) + 1)])
        positive = [
            rate if s > 0 else Fraction(0) for s, rate in zip(self._sizes, exact, strict=True)
        ]
        self._below = np.array([float(1 - sum(positive[:k])) for k in range(len(exact) + 1)])

    # -- the functions k, psi and P ----------------------------------------------------------------

    def excess(self, u: Real, t: Real | float) -> tuple[Real, Real]:
        """Value of k - 1 at u + iv with t = v^2, and its derivative by t."""
        square = u * u + t
        size = np.sqrt(square)
        count = np.zeros(u.shape, dtype=np.intp)
        value, slope = np.zeros(u.shape), np.zeros(u.shape)
        if self._variance:
            value, slope = self._variance / square, -self._variance / square / square
        for s, rate in zip(self._sizes, self._rates, strict=True):
            near = size < abs(s)
            count += near
            distance = (u - s) ** 2 + t
            value = value + rate * np.where(near, 2 * u * s - square, s * s) / distance
            slope = slope - rate * (s / distance) ** 2
        return value - self._left[count], slope

    def height(self, u: Real) -> Real:
        """v(u), 0 off the curve.

        1/k is concave in t = v^2 and rises, so that Newton's method for 1/k = 1 stays below the
        root from its first step on.
        """
        t = np.maximum(0.0, self._variance - u * u)
        for s, rate in zip(self._sizes, self._rates, strict=True):
            t = np.maximum(t, rate * s * s - (u - s) ** 2)
        active = np.arange(u.size)
        for number in range(_MOST_STEPS):
            excess, slope = self.excess(u[active], t[active])
            step = -excess * (1 + excess) / slope
            t[active] = new = np.maximum(t[active] + step, 0.0)
            active = active[(step > 2 * _EPS * new) | (number == 0)]  # a step back is rounding
            if not active.size:
                break
        return np.sqrt(t)

    def psi(self, F: Complex) -> tuple[Complex, Complex]:
        """Value, less the drift, and derivative of psi."""
        size = np.abs(F)
        count = np.zeros(F.shape, dtype=np.intp)
        value, slope = np.zeros_like(F), np.zeros_like(F)
        if self._variance:
            value, slope = self._variance / F, -self._variance / F / F
        for s, rate in zip(self._sizes, self._rates, strict=True):
            near = size < abs(s)
            count += near
            distance = F - s
            value = value + rate * F * (np.where(near, F, s) / distance)
            slope = slope + rate * np.where(near, F * (F - 2 * s), -s * s) / distance / distance
        left = self._left[count]
        return value + left * F, slope + left

    def mass(self, F: Complex) -> Real:
        r"""Distribution function P at the place of F, a point of the curve.

        .. math:: \pi (1 - P) = \arg F + \operatorname{Im} \frac a{2F^2} + \sum_j \lambda_j
                  \Big[\arg\Big(1 - \frac{s_j}F\Big) + \operatorname{Im}\frac{s_j}{F - s_j}\Big]

        is the formula of `hessrmt.SpectralLaw.cdf` with :math:`x = \psi(F)`. The arguments are
        those of points of the upper half-plane, or of the lower for :math:`s_j < 0`, whatever
        sign the zero of a vanishing imaginary part has.
        """
        u, v = F.real, np.maximum(F.imag, 0.0)
        square = u * u + v * v
        size = np.sqrt(square)
        count = np.zeros(F.shape, dtype=np.intp)
        angle = np.zeros(F.shape)  # pi times what P is more than its limit at F = 0
        if self._variance:
            angle = self._variance * (u / square) * (v / square)
        for s, rate in zip(self._sizes, self._rates, strict=True):
            near = size < abs(s)
            count += near
            distance = (u - s) ** 2 + v * v
            pull = s * v / distance  # -Im s/(F - s)
            # Near: arg(F - s), from 0 or from pi. Else arg(1 - s/F). Both up to the sign.
            turn = np.arctan2(
                np.where(near, v, abs(s) * v), np.where(near, np.abs(s - u), (u - s) * u + v * v)
            )
            gain = pull + np.where(near, turn, -turn) * np.sign(s)
            if (small := size * _SERIES > abs(s)).any():
                gain[small] = -_log_and_pole(s / F[small]).imag
            angle = angle + rate * gain
        turned = np.arctan2(v, u)
        left, below = self._left[count], self._below[count]
        # left arg F + pi (1 - below) is what the arguments leave out; from the nearer side.
        return np.asarray(below + (angle - left * turned) / np.pi)

    # -- ends and gaps -----------------------------------------------------------------------------

    @cached_property
    def gaps(self) -> list[tuple[float, float]]:
        """Intervals of real F, ascending, that psi maps onto the components off the support.

        On them k < 1. Between neighbouring poles k is convex: each stretch holds one or none.
        """
        poles = {float(s): float(r * s * s) for s, r in zip(self._sizes, self._rates, strict=True)}
        if self._variance:
            poles[0.0] = self._variance
        if not poles:  # a point mass
            return [(-np.inf, np.inf)]
        q = np.array(sorted(poles))
        w = np.array([poles[p] for p in q])
        # k > 1 within reach of a pole, k < 1 far from all, by more than rounding of the places.
        reach, far = 0.999 * np.sqrt(w), 1.001 * np.sqrt(w.sum())
        hard = self.hard
        rises = float(np.sum(self._rates / self._sizes)) if hard else 0.0  # the slope of k at F = 0

        jumps = list(zip(self._sizes.tolist(), self._rates.tolist(), strict=True))

        def k(F: float) -> float:  # `excess` on the axis, for one number
            value, count = (self._variance / F / F if self._variance else 0.0), 0
            for s, rate in jumps:
                near = abs(F) < abs(s)
                count += near
                value += rate * (F * (2 * s - F) if near else s * s) / (F - s) / (F - s)
            return value - float(self._left[count])

        def crossing(low: float, high: float, rising: bool) -> float:
            # F = 0 is on the curve exactly where the density diverges there.
            if hard and low <= 0 <= high and (rises > 0 if rising else rises < 0):
                return 0.0
            return _crossing(k, low, high)

        gaps = [(-np.inf, crossing(q[0] - far, q[0] - reach[0], True))]
        for i, (left, right) in enumerate(pairwise(q)):
            bottom = _bottom(q, w, i)
            if k(bottom) < 0:
                gaps.append(
                    (
                        crossing(min(left + reach[i], bottom), bottom, False),
                        crossing(bottom, max(right - reach[i + 1], bottom), True),
                    )
                )
        gaps.append((crossing(q[-1] + reach[-1], q[-1] + far, False), np.inf))
        return gaps

    @property
    def hard(self) -> bool:
        """Whether F = 0 is on the curve, at its height 0: the density diverges."""
        return self._variance == 0 and self._left[-1] == 0

    @cached_property
    def ends(self) -> list[tuple[float, float]]:
        """Intervals of u over which the curve runs."""
        return [(a[1], b[0]) for a, b in pairwise(self.gaps)]

    @cached_property
    def support(self) -> list[tuple[float, float]]:
        """Places of the ends, less the drift."""
        return [(self._place(low), self._place(high)) for low, high in self.ends]

    def _place(self, F: float) -> float:
        return float(self.psi(np.array([F + 0j]))[0][0].real) if F else 0.0

    def mass_below(self, low: float) -> float:
        """Mass to the left of the gap that begins at F = `low`."""
        if low == -np.inf:
            return 0.0
        above = [r for s, r in zip(self._sizes, self._exact, strict=True) if s > low]
        return float(1 - sum(above) - (1 - sum(self._exact)) * (low < 0))

    # -- points of the curve -----------------------------------------------------------------------

    def nodes(self, i: int) -> tuple[Real, Complex, Real]:
        """Values of u over interval `i`, F and x there; dense towards ends and poles."""
        return self._nodes[i]

    @cached_property
    def _nodes(self) -> list[tuple[Real, Complex, Real]]:
        return [self._nodes_of(*end) for end in self.ends]

    def _nodes_of(self, low: float, high: float) -> tuple[Real, Complex, Real]:
        width = high - low
        angle = np.linspace(0.0, np.pi, 65)[1:-1]
        parts = [low + width * np.sin(angle / 2) ** 2]
        inner = [p for p in (0.0, *self._sizes) if low <= p <= high]
        for place in {low, high, *inner}:
            least = max(_EPS * abs(place), 1e-305)
            steps = width * _CLUSTER ** np.arange(1, 1 + np.log(least / width) / np.log(_CLUSTER))
            parts += [place - steps, place + steps]
        u = np.unique(np.concatenate([*parts, inner]))
        u = np.concatenate([[low], u[(u > low) & (u < high)], [high]])
        F = u + 1j * self.height(u)
        F[[0, -1]] = low, high
        x = self.psi(np.where(F == 0, 1.0, F))[0].real
        x[F == 0] = 0.0
        return u, F, np.maximum.accumulate(x)

    def at(self, i: int, x: Real) -> Complex:
        """F at places `x` strictly inside interval `i`, in a flat array."""
        _, values, places = self._nodes[i]
        k = np.searchsorted(places, x).clip(1, places.size - 1)
        share = (x - places[k - 1]) / np.maximum(places[k] - places[k - 1], _TINY)
        F = values[k - 1] + share.clip(0.0, 1.0) * (values[k] - values[k - 1])
        F, found = self._newton(F, x)
        if not found.all() and not self._variance:
            (lost,) = np.nonzero(~found)
            F[lost], found[lost] = self._newton(self._near_drift(x[lost]), x[lost])
        (lost,) = np.nonzero(~found)
        if lost.size:
            F[lost] = self._enclosed(x[lost], values[k[lost] - 1].real, values[k[lost]].real)
        return np.where(x == 0, 0.0, F) if self.hard else F

    def _newton(self, F: Complex, x: Real) -> tuple[Complex, NDArray[np.bool_]]:
        """Newton's method, and where it found the root: the upper half-plane holds one only."""
        with np.errstate(all="ignore"):
            for _ in range(6):
                value, slope = self.psi(F)
                step = (value - x) / slope
                F = F - step
            return F, (np.abs(step) < 1e-10 * F.imag) & np.isfinite(F)

    def _near_drift(self, x: Real) -> Complex:
        """Solution of the quadratic equation that psi(F) = x is to second order in F.

        Next to an edge that is almost hard u hardly changes: its digits do not tell the places.
        """
        first, second = float(self._left[-1]), -float(np.sum(self._rates / self._sizes))
        root = np.sqrt((first**2 + 4 * second * x).astype(np.complex128))
        with np.errstate(all="ignore"):
            F = (root - first) / (2 * second)
        return np.asarray(F.real + 1j * np.abs(F.imag))

    def _enclosed(self, x: Real, low: Real, high: Real) -> Complex:
        """F at places `x` between those that belong to u = `low` and `high`."""
        u = (low + high) / 2
        active = np.arange(x.size)
        for step in range(_MOST_STEPS):
            here = u[active]
            value, slope = self.psi(here + 1j * self.height(here))
            off = value.real - x[active]
            low[active] = np.where(off <= 0, here, low[active])
            high[active] = np.where(off >= 0, here, high[active])
            with np.errstate(all="ignore"):
                new = here - off * (1 / slope).real
            a, b = low[active], high[active]
            outside = ~((a < new) & (new < b)) | (step % 4 == 3)
            u[active] = new = np.where(outside, (a + b) / 2, new)
            active = active[(np.abs(new - here) > 2 * _EPS * np.abs(here)) & (off != 0)]
            if not active.size:
                break
        return self.polish(u + 1j * self.height(u), x)

    def at_gap(self, low: float, high: float, x: Real) -> Real:
        """F, which is real, at places `x` in the gap of F from `low` to `high`."""
        mean = float(self._rates @ self._sizes)
        a = np.full(x.shape, low) if low > -np.inf else x - mean - 1e-9 - 1e-9 * np.abs(x - mean)
        b = np.full(x.shape, high) if high < np.inf else x - mean + 1e-9 + 1e-9 * np.abs(x - mean)
        F = np.where(np.isfinite([low, high]).all(), (a + b) / 2, np.where(low > -np.inf, b, a))
        active = np.arange(x.size)
        for step in range(_MOST_STEPS):
            here = F[active]
            with np.errstate(all="ignore"):
                value, slope = (part.real for part in self.psi(here.astype(np.complex128)))
            off = value - x[active]
            a[active] = np.where(off <= 0, here, a[active])
            b[active] = np.where(off >= 0, here, b[active])
            with np.errstate(all="ignore"):
                new = here - off / slope
            outside = ~((a[active] < new) & (new < b[active])) | (step % 8 == 7)
            F[active] = new = np.where(outside, (a[active] + b[active]) / 2, new)
            active = active[(np.abs(new - here) > _EPS * np.abs(here)) & (off != 0)]
            if not active.size:
                break
        return np.where(x == 0, 0.0, F) if self._variance == 0 and low <= 0 <= high else F

    def place_of_mass(self, i: int, q: Real) -> Real:
        """Places on interval `i` where the distribution function is `q`."""
        u, F, _ = self._nodes[i]

        def mass(u: Real) -> Real:
            return self.mass(u + 1j * self.height(u))

        values = np.concatenate([[-np.inf], self.mass(F[1:-1]), [np.inf]])
        found = inverse(u, values, mass, q)
        return self.psi(found + 1j * self.height(found))[0].real

    def polish(self, F: Complex, x: Real) -> Complex:
        """Newton steps for psi(F) = x, as far as they are small against the height."""
        for _ in range(3):
            with np.errstate(all="ignore"):
                value, slope = self.psi(F)
                step = (value - x) / slope
            F = np.where(np.abs(step) < 0.1 * F.imag, F - step, F)
        return F


def _log_and_pole(w: Complex) -> Complex:
    """log(1 - w) + w/(1 - w) for small w, without cancellation."""
    total = np.zeros_like(w)
    for k in range(9, 1, -1):
        total = (total + (1 - 1 / k)) * w
    return total * w


def _bottom(q: Real, w: Real, i: int) -> float:
    """Where sum w/(F - q)^2 is least between the poles q[i] and q[i + 1]."""
    width = q[i + 1] - q[i]
    inset = 0.49 * width * np.cbrt(w[[i, i + 1]] / w.sum())  # the nearer pole wins within it

    def slope(F: float) -> float:
        return float((w / (F - q) ** 3).sum())

    low, high = q[i] + inset[0], q[i + 1] - inset[1]
    return _crossing(slope, float(low), float(high))


def _crossing(h: Callable[[float], float], low: float, high: float) -> float:
    """The zero of h between two points of opposite sign; an end where h is already (nearly) 0."""
    at_low, at_high = h(low), h(high)
    if at_low * at_high >= 0:
        return low if abs(at_low) < abs(at_high) else high
    return float(optimize.brentq(h, low, high, xtol=1e-300, rtol=8.9e-16, maxiter=2000))
