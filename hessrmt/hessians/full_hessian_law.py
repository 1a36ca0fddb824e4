r"""The limiting law of the full Hessian H = H0 + H1, without assuming that its parts are free.

Pennington & Bahri (2017, sections 4 and 5) take H0 and H1 to be free, which at fixed phi they are
not. Here the equations are closed for H itself, for a network with one hidden layer of equal
widths n, random weights, Gaussian data and independent residuals. The vocabulary is that of
`hessrmt.laws`.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.hessians._activations import gaussian_averages
from hessrmt.hessians._density_shape import DensityShape
from hessrmt.hessians._full_hessian_equations import FullHessianEquations
from hessrmt.hessians.gauss_newton_law import GaussNewtonLaw
from hessrmt.validation import choice, complex_array, integer, real, real_array

__all__ = ["FullHessianLaw"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

_INDEX_NODES = 28
# Ratios between which, and epsilon phi up to which, the law was never found to lack mass.
_ANALYTIC = {
    "relu": (0.0, 1.1, np.inf),
    "tanh": (0.0, 0.5, np.inf),
    "linear": (0.15, 0.75, 0.25),
}
_MASS_ERROR = 1e-3
_CLOSEST = 4e-4  # distance to an atom, over its mass and the scale, at which the density is taken


class _Solved(NamedTuple):
    """Equations, and what their density looks like."""

    equations: FullHessianEquations
    shape: DensityShape


class FullHessianLaw:
    r"""Limiting spectral law of H for the network :math:`W_2f(W_1x)` of equal widths n.

    W1 and W2 have entries N(0, 1/n), the m = 2n/phi examples are N(0, 1), the residuals are
    independent N(0, 2 epsilon) whatever the weights; n grows at fixed phi. With d = f', v = Var f
    and :math:`\tau(H_0^2)` as in `GaussNewtonLaw`,

    .. math::
       \tau(H) = \tfrac12(v + Ed^2), \qquad
       \tau(H^2) = \tau(H_0^2) + \epsilon\phi\,\big(Ed^2 + \tfrac12 E f''^2\big).

    Parameters
    ----------
    phi : float
        Parameters per scalar target, 2n/m, in [0.02, 2].
    epsilon : float
        Energy, in [0, 100].
    activation : str
        ``"relu"``, ``"tanh"`` or ``"linear"``.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.
    RuntimeError
        From any method: if a point does not converge (it is named), or the density found does not
        integrate to 1 within 1e-3.

    Notes
    -----
    Derived at a physicist's level of rigour; in no paper, and not exact. Moments agree with exact
    ones, counted by Wick pairings, up to order 7 where they were computed; further crossings of
    residuals and activations, which are left out, are expected from order 8 on. At epsilon = 0 it
    is the law of H0.

    With one crossing put in and others left out, the equations need not have a solution that is
    analytic in the half-plane: at some energies, for phi above 1.1 (tanh: above 0.5, linear:
    outside [0.15, 0.75], or with epsilon phi above 0.25), its density lacks up to 1 % of its mass,
    or some points have no solution. There the equations are solved without the crossing: they then
    have mass 1, and differ by up to 0.006 in their distribution. `crossing` says which it is; at
    these phi the first call takes the seconds that it takes to know. `moment` keeps the crossing in
    all cases.

    For ReLU H has n more eigenvalues of order n, which are not part of the law. If phi > 1 a unit
    is active on fewer examples than there are inputs: an atom at 0, of mass (1 - 1/phi)/2. The
    residuals are not bounded: if f'' is not 0, as for tanh, the support has no edges, and `support`
    says where the density falls below 1e-5 over the scale.

    The averages over the spectrum of W2 W2^T are on 10 nodes. Off the real axis they are exact to
    1e-6 for phi < 1; the density is within 1e-3, and 1e-2 where the tail of large eigenvalues, for
    small epsilon, shows the nodes.

    Examples
    --------
    >>> law = FullHessianLaw(0.5, 0.1)
    >>> round(law.index(), 4), round(law.mean(), 6)
    (0.1503, 0.420423)
    >>> law.pdf([-1.0, 0.0, 1.0]).round(3)
    array([0.   , 1.613, 0.207])
    """

    def __init__(self, phi: float, epsilon: float, activation: str = "relu") -> None:
        self.phi = real("phi", phi, "[0.02, 2]")
        self.epsilon = real("epsilon", epsilon, "[0, 100]")
        self.activation = choice("activation", activation, "relu | tanh | linear")
        self._averages = gaussian_averages(self.activation, 1.0)

    def __repr__(self) -> str:
        return (
            f"FullHessianLaw(phi={self.phi}, epsilon={self.epsilon}, "
            f"activation={self.activation!r})"
        )

    @property
    def _key(self) -> tuple[object, ...]:
        return self.phi, self.epsilon, self.activation

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, FullHessianLaw) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def mean(self) -> float:
        """First moment, exact: that of H0."""
        return (self._averages.variance + self._averages.slope_moment(2)) / 2

    def var(self) -> float:
        """Variance, exact: that of H0 and the second moment of H1."""
        bend = FullHessianEquations(self.phi, self.activation).mean_square_bend
        curvature = self._averages.slope_moment(2) + bend / 2
        return GaussNewtonLaw(self.phi, self.activation).var() + self.epsilon * self.phi * curvature

    def std(self) -> float:
        """Standard deviation, exact."""
        return float(np.sqrt(self.var()))

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Point masses ``((location, mass), ...)``: for ReLU and phi > 1, of (1 - 1/phi)/2 at 0."""
        return ((0.0, self._atom_mass),) if self._atom_mass > 0 else ()

    def moment(self, k: int) -> float:
        r"""The k-th moment, :math:`\frac1{2\pi i}\oint z^kG\,dz` around the spectrum; `k` >= 0.

        Always with the crossing, so that it is exact up to order 7; see the notes.
        """
        k = integer("k", k, "[0, inf)")
        low, high = self.support()[0][0], self.support()[-1][1]
        points = 64 + 2 * k
        turn = np.exp(2j * np.pi * (np.arange(points) + 0.5) / points)
        middle, radius = (low + high) / 2, high - low
        z = middle + radius * turn
        G = self._transform(z, FullHessianEquations(self.phi, self.activation))
        return float(np.mean(z**k * G * radius * turn).real)

    def stieltjes(self, z: ArrayLike) -> Complex:
        r"""Stieltjes transform :math:`G(z) = \int \rho(t)/(z-t)\,dt`.

        Parameters
        ----------
        z : array_like of complex, any shape
            On the real axis the result is the limit from the upper half-plane. Not 0 if the law has
            an atom or diverges there.

        Returns
        -------
        ndarray of complex128, the shape of `z`

        Raises
        ------
        TypeError, ValueError
            If an element is not a finite number, or is 0 where that is excluded.
        RuntimeError
            If a point does not converge, or there is no such law, see the notes.
        """
        singular = self._singular
        domain = "finite and not 0" if singular else "finite"
        array = complex_array(
            "z", z, domain, lambda z: np.isfinite(z) & ((z != 0) | (not singular))
        )
        return np.asarray(self._transform(array, self._equations))[()]

    def pdf(self, x: ArrayLike) -> Real:
        r"""Density of the continuous part, :math:`-\operatorname{Im}G(x+i0)/\pi`.

        Parameters
        ----------
        x : array_like of float
            Of any shape.

        Returns
        -------
        ndarray of float64, the shape of `x`
            Infinite at 0 if it diverges there.

        Raises
        ------
        TypeError, ValueError
            If `x` is not real.
        RuntimeError
            If a point does not converge, or there is no such law, see the notes.
        """
        x = real_array("x", x, "[-inf, inf]")
        density = np.zeros(x.shape)
        density[np.isfinite(x)] = self._density(x[np.isfinite(x)], self._equations)
        if self._singular and not self.atoms():
            density = np.where(x == 0, np.inf, density)
        return np.asarray(density)[()]

    def cdf(self, x: ArrayLike) -> Real:
        """Cumulative distribution, mass on (-inf, x], the atom included.

        The density is integrated as Chebyshev series on panels of each side of 0. What the total
        lacks to 1, at most 1e-3 and usually 1e-5, is made up by a factor.

        Parameters
        ----------
        x : array_like of float
            Of any shape.

        Returns
        -------
        ndarray of float64, the shape of `x`

        Raises
        ------
        TypeError, ValueError
            If `x` is not real.
        RuntimeError
            If a point of the density does not converge, or the total is not 1 within 1e-3.
        """
        x = real_array("x", x, "[-inf, inf]")
        shape = self._with_mass(self._chosen)
        mass = sum((part.mass_below(x) for part in shape.intervals), start=np.zeros(x.shape))
        mass = mass * ((1 - self._atom_mass) / shape.total) + self._atom_mass * (x >= 0)
        return np.asarray(np.clip(mass, 0.0, 1.0))[()]

    def sf(self, x: ArrayLike) -> Real:
        """Survival function, 1 - `cdf`."""
        return np.asarray(1 - self.cdf(x))[()]

    def index(self) -> float:
        r"""Mass on :math:`(-\infty, 0)`.

        .. math:: \alpha = \frac12 + \frac1\pi\int_0^\infty \operatorname{Re}G(iy)\,dy,

        less half of the atom at 0, by Gauss-Legendre quadrature on 28 nodes: within 1e-5, and 1e-3
        for phi >= 1.
        """
        x, weight = np.polynomial.legendre.leggauss(_INDEX_NODES)
        r = (1 + x) / (1 - x)  # from 0 to inf
        y = 0.25 * self._scale * r**2
        dy = self._scale * r / (1 - x) ** 2 * weight
        g = self._equations.solve((1j * y).astype(np.complex128), self.epsilon, near=False)
        index = 0.5 + g.real @ dy / np.pi - self._atom_mass / 2
        return min(max(float(index), 0.0), 1.0)

    def support(self) -> tuple[tuple[float, float], ...]:
        """Intervals ``((lo, hi), ...)`` of positive density, ascending; atoms are not included.

        Edges are found to 1e-6 of themselves; the upper one, where the density fades out like a
        square, to 1e-2. A gap inside the support is found if its ends are a fifth apart. What is
        below 1e-4 of the scale is not told from 0.
        """
        return self._chosen.shape.support

    # -- which equations ---------------------------------------------------------------------------

    @property
    def crossing(self) -> bool:
        """Whether the first crossing of residuals and activations is in the equations."""
        return self._equations.crossing

    @property
    def _equations(self) -> FullHessianEquations:
        return self._chosen.equations

    @cached_property
    def _chosen(self) -> _Solved:
        """With the crossing, unless the density lacks mass: then without."""
        found = self._solved(crossing=True)
        low, high, most = _ANALYTIC[self.activation]
        known = low <= self.phi <= high and self.epsilon * self.phi <= most
        if known or self.epsilon == 0:
            return found
        try:
            lacks = self._lacks(found.shape)
        except RuntimeError:  # where there is no such law, some points have no solution
            lacks = 1.0
        if lacks > _MASS_ERROR:
            found = self._solved(crossing=False)
            self._with_mass(found)
        return found

    def _solved(self, crossing: bool) -> _Solved:
        equations = FullHessianEquations(self.phi, self.activation, crossing)
        return _Solved(equations, DensityShape(lambda x: self._density(x, equations), self._scale))

    def _lacks(self, shape: DensityShape) -> float:
        return abs(shape.total + self._atom_mass - 1)

    def _with_mass(self, found: _Solved) -> DensityShape:
        if self._lacks(found.shape) > _MASS_ERROR:
            raise RuntimeError(
                f"the density of {self!r} and its atoms integrate to "
                f"{found.shape.total + self._atom_mass:.6g}, not to 1 within {_MASS_ERROR}"
            )
        return found.shape

    @cached_property
    def _atom_mass(self) -> float:
        return FullHessianEquations(self.phi, self.activation).atom_mass

    @property
    def _singular(self) -> bool:
        """Whether there is an atom at 0, or a density that diverges."""
        return self.epsilon == 0 or self.phi == 2 or (self.activation == "relu" and self.phi >= 1)

    @cached_property
    def _scale(self) -> float:
        return self.mean() + float(np.sqrt(self.epsilon * self.phi))

    def _transform(self, z: Complex, equations: FullHessianEquations) -> Complex:
        upper = np.where(z.imag < 0, z.conj(), z)
        G = equations.solve(upper.ravel(), self.epsilon).reshape(z.shape)
        return np.asarray(np.where(z.imag < 0, G.conj(), G))

    def _density(self, x: Real, equations: FullHessianEquations) -> Real:
        if self._atom_mass > 0:  # the density is smooth at the atom, but lost in its rounding
            closest = _CLOSEST * self._atom_mass * self._scale
            x = np.where(np.abs(x) < closest, np.copysign(closest, x), x)
        g = equations.solve(x.astype(np.complex128), self.epsilon)
        return np.asarray(np.maximum(-g.imag, 0.0) / np.pi)
