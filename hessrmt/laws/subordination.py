"""The free sum of any two laws, by subordination: neither need be rational, nor known but by G."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.validation import complex_array, real_array

__all__ = ["FreeSum"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

_TOLERANCE = 1e-11  # of a step
_STEPS = 200
_FEW_STEPS = 40
_INSIDE = 1e-6  # imaginary part over the scale, of what is inside the half-plane
_RUNGS = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)  # heights above a real point, over the scale
_CDF_NODES = 40


class FreeSum:
    r"""Law of A + B for free A and B of given laws.

    With :math:`h = 1/G - \omega` of each law the subordination functions solve (Belinschi &
    Bercovici 2007, J. Anal. Math. 101)

    .. math:: \omega_1 = z + h_B(\omega_2), \quad \omega_2 = z + h_A(\omega_1), \quad
              G(z) = G_A(\omega_1) .

    In the upper half-plane the solution is unique, and iteration leads to it from everywhere; it is
    made faster by secants. `SpectralLaw` adds by ``+``, faster and in closed form; this is for laws
    that are not rational, such as `GaussNewtonLaw`.

    Parameters
    ----------
    first, second : law
        With ``stieltjes``, ``mean`` and ``var`` as the laws of this package have them. `second` is
        evaluated as often as `first`.

    Raises
    ------
    TypeError
        If an argument has no such methods.

    Examples
    --------
    >>> from hessrmt import MarchenkoPastur, Semicircle
    >>> law = FreeSum(MarchenkoPastur(0.5), Semicircle())
    >>> closed = MarchenkoPastur(0.5) + Semicircle()
    >>> bool(abs(law.stieltjes(0.3) - closed.stieltjes(0.3)) < 1e-8)
    True
    """

    def __init__(self, first: Any, second: Any) -> None:
        for name, law in (("first", first), ("second", second)):
            if not all(callable(getattr(law, m, None)) for m in ("stieltjes", "mean", "var")):
                raise TypeError(f"{name} must be a law with stieltjes, mean and var, got {law!r}")
        self.first, self.second = first, second
        self._scale = float(np.sqrt(first.var() + second.var()))

    def __repr__(self) -> str:
        return f"FreeSum({self.first!r}, {self.second!r})"

    def mean(self) -> float:
        """First moment."""
        return float(self.first.mean() + self.second.mean())

    def var(self) -> float:
        """Variance."""
        return float(self.first.var() + self.second.var())

    def stieltjes(self, z: ArrayLike) -> Complex:
        r"""Stieltjes transform :math:`G(z) = \int \rho(t)/(z-t)\,dt`.

        Parameters
        ----------
        z : array_like of complex, any shape
            On the real axis the result is the limit from the upper half-plane, to 1e-4 next to an
            edge and to 1e-8 elsewhere.

        Returns
        -------
        ndarray of complex128, the shape of `z`

        Raises
        ------
        TypeError, ValueError
            If an element is not a finite number.
        RuntimeError
            If a point does not converge; it is named.
        """
        array = complex_array("z", z)
        upper = np.where(array.imag < 0, array.conj(), array).ravel()
        G = np.asarray(self.first.stieltjes(self._subordination(upper))).reshape(array.shape)
        return np.asarray(np.where(array.imag < 0, G.conj(), G))[()]

    def pdf(self, x: ArrayLike) -> Real:
        """Density; errors are those of `stieltjes`."""
        x = real_array("x", x)
        return np.asarray(np.maximum(-self.stieltjes(x.astype(np.complex128)).imag, 0) / np.pi)[()]

    def cdf(self, x: ArrayLike) -> Real:
        r"""Mass below x, and half of an atom at x; errors are those of `stieltjes`.

        .. math:: P(x) = \frac12 + \frac1\pi\int_0^\infty \operatorname{Re}G(x + iy)\,dy

        by Gauss-Legendre quadrature on 40 nodes, within 1e-5 save next to an atom.
        """
        x = real_array("x", x)
        v, weight = np.polynomial.legendre.leggauss(_CDF_NODES)
        r = (1 + v) / (1 - v)
        y, dy = 0.25 * self._scale * r**2, self._scale * r / (1 - v) ** 2 * weight
        G = np.reshape(self.stieltjes(np.add.outer(x, 1j * y)), (*x.shape, v.size))
        return np.asarray(np.clip(0.5 + G.real @ dy / np.pi, 0.0, 1.0))[()]

    def index(self) -> float:
        """Mass below 0, as by `cdf`."""
        return float(self.cdf(0.0))

    def _subordination(self, z: Complex) -> Complex:
        r"""The subordination function :math:`\omega_1`, at Im z >= 0.

        A fixed point inside the half-plane is the only one (Denjoy & Wolff), and taken wherever it
        is found from. Where none is, outside the support, the point is reached from above.
        """
        w, solved = self._fixed_point(z, z + 1j * self._scale, _FEW_STEPS)
        (left,) = np.nonzero(~solved | (w.imag <= _INSIDE * self._scale))
        if left.size:
            w[left] = self._from_above(z[left])
        return w

    def _from_above(self, z: Complex) -> Complex:
        w = z + 1j * self._scale
        for height in _RUNGS:
            lifted = z + 1j * np.maximum(height * self._scale - z.imag, 0.0)
            w, solved = self._fixed_point(lifted, w, _STEPS)
            if not solved.all():
                raise RuntimeError(f"no convergence of {self!r} at z = {lifted[~solved][0]}")
        (real,) = np.nonzero(z.imag < _RUNGS[-1] * self._scale)
        last, solved = self._fixed_point(z[real], w[real], _STEPS)
        w[real[solved]] = last[solved]
        return w

    def _fixed_point(
        self, z: Complex, start: Complex, steps: int
    ) -> tuple[Complex, NDArray[np.bool_]]:
        """Solve w = z + h_B(z + h_A(w)), and say where that succeeds."""
        w, before, change = start.copy(), start.copy(), np.zeros_like(start)
        solved = np.zeros(z.shape, dtype=np.bool_)
        active = np.arange(z.size)
        for step in range(steps):
            at, here = w[active], z[active]
            f = here + self._h(self.second, here + self._h(self.first, at)) - at
            with np.errstate(divide="ignore", invalid="ignore"):
                secant = at - f * (at - before[active]) / (f - change[active])
            # A plain step brings w nearer from everywhere; a secant may leave the half-plane.
            plain = ~(np.isfinite(secant) & (secant.imag >= here.imag)) | (step % 6 == 0)
            before[active], change[active] = at, f
            w[active] = np.where(plain, at + f, secant)
            small = np.abs(f) <= _TOLERANCE * (np.abs(at) + self._scale)
            solved[active[small]] = True
            active = active[~small]
            if not active.size:
                break
        return w, solved

    @staticmethod
    def _h(law: Any, w: Complex) -> Complex:
        return np.asarray(1 / law.stieltjes(w) - w)
