r"""The limiting law of H0, the Gauss-Newton part of the Hessian, without a fitted parameter.

Pennington & Bahri (2017, section 6) replace H0 by a Marchenko-Pastur law whose scale is fitted, as
"the limiting spectral density cannot easily be deduced". Here it is, for a network with one hidden
layer of equal widths n, random weights and Gaussian data; the equations are in
`hessrmt.hessians._gauss_newton_equations`. The vocabulary is that of `hessrmt.laws`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.hessians._activations import gaussian_averages
from hessrmt.hessians._gauss_newton_equations import GaussNewtonEquations
from hessrmt.hessians._intervals import SupportInterval, edges_on
from hessrmt.laws import Piece, quantiles
from hessrmt.validation import complex_array, generator, integer, real, real_array, shape

__all__ = ["GaussNewtonLaw"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_GRID = np.geomspace(1e-6, 300.0, 140)  # where the support is looked for, over the mean
_DEEPER = np.geomspace(1e-11, 9e-7, 80)  # if there is density at the lowest, or mass is lacking
_SILENT = 1e-5  # density times mean that counts as none; at an edge it is reached within 1e-9
_CDF_NODES, _MOST_NODES = 192, 1536
_LACKING = 1e-4  # of the mass: then it is looked for further down
_MASS_ERROR = 1e-3


class GaussNewtonLaw:
    r"""Limiting spectral law of H0 for the network :math:`W_2f(W_1x)` of equal widths n.

    W1 has entries N(0, sigma1^2/n), W2 has N(0, sigma2^2/n), the m = 2n/phi examples are N(0, 1);
    n grows at fixed phi. With c = phi/2, d = f' and v = Var f of a preactivation,

    .. math::
       E\lambda &= \tfrac12(v + \sigma_2^2 Ed^2), \\
       E\lambda^2 &= \tfrac12\big[(1+c)v^2 + c_1^4\big]
         + \sigma_2^2\big[c\,v\,Ed^2 + c_1^2(Ed)^2\big] \\
       &\quad + \tfrac{\sigma_2^4}2\big[(1+c)(Ed^2)^2 + c\,Ed^4 + (Ed)^4\big].

    Parameters
    ----------
    phi : float
        Parameters per scalar target, 2n/m, in [0.02, 4].
    activation : str or pair of callables
        ``"relu"``, ``"tanh"``, ``"linear"``, or (f, f') taking and returning arrays.
    sigma1, sigma2 : float
        Standard deviations of the entries of sqrt(n) W1 and sqrt(n) W2, in [0.1, 10].

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, or f' is not the derivative of f.
    RuntimeError
        From any method: if a point does not converge (it is named), or the density found does not
        integrate to 1 within 1e-3.

    Notes
    -----
    If E f is not 0, as for ReLU, H0 has n more eigenvalues of order n, a vanishing fraction of the
    2n^2 that carries the finite part (E f)^2/2 of the mean; they are not part of the law. Nor are
    null directions of vanishing fraction: n for ReLU, one for the scale of each unit. For a linear
    network they are half of all, an atom.

    The law is not algebraic: it averages classically over the spectrum of W2 W2^T, on 64 nodes.
    For phi < 1 the density has a weak kink where the part from an eigenvalue 0 begins or ends: it
    is within 1e-5 elsewhere, within 1e-2 there. For phi >= 1, and without a nonlinearity, the nodes
    are complex and it is within 3e-4 down to 1e-9 of the mean.

    Slopes below 1e-4 of the largest count as 0: what saturated units have of eigenvalues below 1e-8
    is not resolved.

    At 0 the density of ReLU and tanh networks diverges, like :math:`x^{-1/2}` for 1 < phi < 2 and
    faster at phi = 1 (the exponent seen is near -3/4); at phi = 2 it is finite. In linear networks
    it is finite for phi < 2 and diverges at phi = 2. Otherwise there is a gap.

    Derived by free probability, with three steps that are asymptotic and not proved here; see
    `hessrmt.hessians._gauss_newton_equations`. Simulated networks come nearer to it in proportion
    to 1/n if f has no second Hermite term, as tanh, and somewhat more slowly if it has, as ReLU.

    Examples
    --------
    >>> law = GaussNewtonLaw(0.5)
    >>> round(law.mean(), 6), round(law.gap, 4)  # (1 - 1/(2 pi))/2
    (0.420423, 0.0066)
    >>> law.pdf([0.001, 0.1, 1.0]).round(4)
    array([0.    , 2.4545, 0.1968])
    """

    def __init__(
        self, phi: float, activation: Any = "relu", sigma1: float = 1.0, sigma2: float = 1.0
    ) -> None:
        self.phi = real("phi", phi, "[0.02, 4]")
        self.activation = activation
        self.sigma1 = real("sigma1", sigma1, "[0.1, 10]")
        self.sigma2 = real("sigma2", sigma2, "[0.1, 10]")
        self._averages = gaussian_averages(activation, self.sigma1)
        self._equations = GaussNewtonEquations(self.phi, self._averages, self.sigma2)

    def __repr__(self) -> str:
        return (
            f"GaussNewtonLaw(phi={self.phi}, activation={self.activation!r}, "
            f"sigma1={self.sigma1}, sigma2={self.sigma2})"
        )

    @property
    def _key(self) -> tuple[object, ...]:
        return self.phi, self.activation, self.sigma1, self.sigma2

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, GaussNewtonLaw) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def mean(self) -> float:
        """First moment, exact."""
        a = self._averages
        return (a.variance + self.sigma2**2 * a.slope_moment(2)) / 2

    def var(self) -> float:
        """Variance, exact: the second moment of the class's formula less the mean squared."""
        a, c, s = self._averages, self.phi / 2, self.sigma2**2
        v, d1, d2, d4 = a.variance, *(a.slope_moment(k) for k in (1, 2, 4))
        second_layer = (1 + c) * v**2 + a.linear**4
        mixed = c * v * d2 + (a.linear * d1) ** 2
        first_layer = (1 + c) * d2**2 + c * d4 + d1**4
        return second_layer / 2 + s * mixed + s**2 * first_layer / 2 - self.mean() ** 2

    def std(self) -> float:
        """Standard deviation, exact."""
        return float(np.sqrt(self.var()))

    def moment(self, k: int) -> float:
        r"""The k-th moment, :math:`\frac1{2\pi i}\oint z^kG\,dz` around the spectrum.

        Within 1e-6; the first two are exact in `mean` and `var`. `k` is >= 0.
        """
        k = integer("k", k, "[0, inf)")
        top, points = self._support[-1][1], 64 + k
        turn = np.exp(2j * np.pi * (np.arange(points) + 0.5) / points)
        z = top * (0.5 + turn)
        return float(np.mean(z**k * self.stieltjes(z) * top * turn).real)

    def atoms(self) -> tuple[tuple[float, float], ...]:
        r"""Point masses ``((location, mass), ...)``: at 0, where the Jacobian lacks rank.

        With p the probability of :math:`f' \ne 0`, the rank of J over :math:`n^2` is the least of
        :math:`\min(1, 2p/\phi) + \min(1, 2/\phi)`, for the two layers, and :math:`2/\phi`, for the
        targets. For ReLU and tanh the mass is max(0, 1 - 1/phi). In a linear network the layers
        span the same directions, of rank :math:`\min(1, 2/\phi)`.
        """
        return ((0.0, self._atom_mass),) if self._atom_mass > 1e-12 else ()

    def stieltjes(self, z: ArrayLike) -> Complex:
        r"""Stieltjes transform :math:`G(z) = \int \rho(t)/(z-t)\,dt`.

        Parameters
        ----------
        z : array_like of complex, any shape
            Not 0. On the real axis the result is the limit from the upper half-plane.

        Returns
        -------
        ndarray of complex128, the shape of `z`
            Within 1e-9 over the modulus of `z`.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If an element is not a finite number, or is 0, or a point does not converge.
        """
        array = complex_array("z", z, "finite and not 0", lambda z: z != 0)
        upper = np.where(array.imag < 0, array.conj(), array).ravel()
        # K = J^T J/m has the non-zero eigenvalues of H0, and 2n^2/(nm) = phi times its dimension.
        G = (self._equations.solve(upper) - (1 - self.phi) / upper) / self.phi
        G = G.reshape(array.shape)
        return np.asarray(np.where(array.imag < 0, G.conj(), G))[()]

    def pdf(self, x: ArrayLike) -> Real:
        r"""Density of the continuous part, :math:`-\operatorname{Im}G(x+i0)/\pi`.

        Parameters
        ----------
        x : array_like of float
            Of any shape.

        Returns
        -------
        ndarray of float64, the shape of `x`
            0 off the support and for x <= 0, but infinite at 0 if it diverges there.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If `x` is not real, or a point does not converge.
        """
        x = real_array("x", x, "[-inf, inf]")
        density = np.zeros(x.shape)
        positive = (x > 0) & (x < np.inf)
        density[positive] = self._density(x[positive])
        if self._diverges:
            density[x == 0] = np.inf
        return density[()]

    def cdf(self, x: ArrayLike) -> Real:
        """Cumulative distribution, mass on (-inf, x], atoms included.

        The density is integrated as Chebyshev series on panels of each interval of the support.
        What the total lacks to 1, at most 1e-3 and usually 1e-5, is made up by a factor.

        Parameters
        ----------
        x : array_like of float
            Of any shape.

        Returns
        -------
        ndarray of float64, the shape of `x`

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If `x` is not real, a point does not converge, or the total is not 1 within 1e-3.
        """
        x = real_array("x", x, "[-inf, inf]")
        continuous = 1 - self._atom_mass
        mass = sum(
            (interval.mass_below(x) for interval in self._intervals), start=np.zeros(x.shape)
        )
        mass = np.where(x < 0, 0.0, self._atom_mass + mass * (continuous / self._found_mass))
        return np.asarray(np.clip(mass, 0.0, 1.0))[()]

    def sf(self, x: ArrayLike) -> Real:
        """Survival function, 1 - `cdf`."""
        return 1 - self.cdf(x)

    def ppf(self, q: ArrayLike) -> Real:
        """Quantile function: the least x with ``cdf(x) >= q``; ``ppf(0)`` is the lower end.

        Errors are those of `cdf`; `q` outside [0, 1] is a `ValueError`.
        """
        q = real_array("q", q, "[0, 1]")
        ends = [(i.low, i.high) for i in self._intervals]
        below = self.cdf(np.array([low for low, _ in ends]))
        above = np.append(self.cdf(np.array([low for low, _ in ends[1:]])), 1.0)
        pieces = [Piece(place, place, 0.0, mass) for place, mass in self.atoms()]
        pieces += [Piece(*end, a, b) for end, a, b in zip(ends, below, above, strict=True)]
        return quantiles(q, pieces, self.cdf)[()]

    def rvs(self, size: int | tuple[int, ...] = 1, rng: Any = None) -> Real:
        """Independent draws by inversion; `rng` is a seed, a `numpy.random.Generator` or None."""
        return self.ppf(generator("rng", rng).random(shape("size", size)))

    def support(self) -> tuple[tuple[float, float], ...]:
        """Intervals ``((lo, hi), ...)`` of positive density, ascending; atoms are not included.

        Edges where the density starts like a square root, as the lower one does, are found to 1e-6
        of themselves; the upper one, where it fades out like a square, to 1e-2. A gap inside the
        support is found if its ends are a fifth apart; an edge below 1e-11 of the mean counts
        as 0. The support of a ReLU or tanh network reaches down to 0 for 1 <= phi <= 2, that of a
        linear one for all phi <= 2.
        """
        return self._support

    @property
    def gap(self) -> float:
        """Lower end of the support, the limit of the smallest eigenvalues that are not null."""
        return self._support[0][0]

    # -- integrals and edges -----------------------------------------------------------------------

    @property
    def _linear(self) -> bool:
        return self._averages.slopes.size == 1

    @cached_property
    def _rank(self) -> float:
        """Rank of the Jacobian over n^2, as in `atoms`."""
        per_unit = 2 / self.phi
        second_layer = min(1.0, per_unit)
        if self._linear:
            return second_layer
        active = 1 - float(self._averages.weights[self._averages.slopes == 0].sum())
        return min(min(1.0, active * per_unit) + second_layer, per_unit)

    @property
    def _atom_mass(self) -> float:
        return 1 - self._rank / 2

    @property
    def _diverges(self) -> bool:
        """Whether the density is infinite at 0.

        On the kernel of A, which there is for phi < 2, K is as small as the eigenvalue of W2 W2^T,
        whose density diverges. If K has full rank these are not null directions.
        """
        if self._linear:
            return self.phi == 2
        return 1 <= self.phi < 2 and self._rank >= 2 / self.phi

    def _density(self, x: Real) -> Real:
        g = self._equations.solve(x.astype(np.complex128))
        return np.asarray(np.maximum(-g.imag, 0.0) / (np.pi * self.phi))

    def _is_positive(self, x: Real) -> NDArray[np.bool_]:
        return np.asarray(self._density(x) * self.mean() > _SILENT)

    @property
    def _support(self) -> tuple[tuple[float, float], ...]:
        return tuple((interval.low, interval.high) for interval in self._intervals)

    @cached_property
    def _intervals(self) -> tuple[SupportInterval, ...]:
        """The support and its masses."""
        grid = self.mean() * _GRID
        positive = self._is_positive(grid)
        found = None if positive[0] else self._intervals_on(grid, positive)
        if found is None or self._lack(found) > _LACKING:
            deeper = self.mean() * _DEEPER
            positive = np.concatenate([self._is_positive(deeper), positive])
            found = self._intervals_on(np.concatenate([deeper, grid]), positive)
        return found

    def _intervals_on(self, grid: Real, positive: NDArray[np.bool_]) -> tuple[SupportInterval, ...]:
        return tuple(
            SupportInterval.of(low, high, self._density, _CDF_NODES, _MOST_NODES)
            for low, high in self._edges(grid, positive)
        )

    def _lack(self, intervals: tuple[SupportInterval, ...]) -> float:
        return abs(1 - self._atom_mass - sum(interval.total for interval in intervals))

    def _edges(self, grid: Real, positive: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
        """Ends of the stretches where there is density, between the points of a grid."""
        if positive[-1]:
            raise RuntimeError(f"the law of H0 has no upper edge below {grid[-1]:.6g}")
        edges = edges_on(grid, positive, self._is_positive)
        if positive[0]:
            edges.insert(0, 0.0)
        return tuple(zip(edges[::2], edges[1::2], strict=True))

    @cached_property
    def _found_mass(self) -> float:
        found = sum(interval.total for interval in self._intervals)
        if abs(found + self._atom_mass - 1) > _MASS_ERROR:
            raise RuntimeError(
                f"the density of {self!r} and its atoms integrate to "
                f"{found + self._atom_mass:.6g}, not to 1 within {_MASS_ERROR}"
            )
        return found
