r"""Spectral laws given by their R-transforms, and their algebra.

A law here *is* its R-transform, a rational function; everything else follows from it:

- R-transforms add under free sums, so ``MarchenkoPastur(phi) + Semicircle(sigma)`` is a law;
- the Stieltjes transform G(z) solves ``R(G) + 1/G = z``, and the density is ``-Im G/pi`` on the
  real axis itself, with no smoothing parameter;
- the cumulative distribution is exact, by parts: ``∫ G dz = z G - log G - ∫ R dG``. The idea of
  integrating an inverse function this way is Laisant's (1905); Pennington & Bahri (2017, section
  4) use it for the index.

The physical root needs no branch to be followed where the law is freely infinitely divisible, as
every sum of scaled semicircle, Marchenko-Pastur and product-Wishart laws is: see
`hessrmt.laws._free_triplet`. `hessrmt.laws._continuation` has the other laws, slower.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.laws._arithmetic import LawArithmetic
from hessrmt.laws._boundary import BoundaryValues
from hessrmt.laws._continuation import transform_of
from hessrmt.laws._free_triplet import FreeTriplet
from hessrmt.laws._transforms import RationalTransform
from hessrmt.validation import complex_array, generator, integer, real, real_array, shape

if TYPE_CHECKING:
    import sympy

__all__ = ["MarchenkoPastur", "ProductWishart", "Semicircle", "SpectralLaw"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_RATIOS = "[1e-15, 1e15]"  # of a law that is told from a point mass


class SpectralLaw(LawArithmetic):
    r"""A compactly supported spectral law given by its rational R-transform.

    Parameters
    ----------
    numerator, denominator : sequences of float
        Coefficients of R, lowest power first. R must be the R-transform of a law, which is
        checked.

    Raises
    ------
    TypeError, ValueError
        If the coefficients are not finite real numbers, the denominator vanishes at 0, or R is no
        R-transform of a compactly supported law.

    Notes
    -----
    Scales are in [1e-100, 1e100], those of a sum's parts within a factor of 1e60, ratios phi in
    [1e-15, 1e15]; other laws are refused, sums and multiples when they are asked for values.
    There, density and distribution function are those at a
    place that differs from x by rounding, a few 1e-16 of the larger of \|x\| and the law's scale:
    for scales of order one 1e-12 against 40-digit arithmetic away from the edges of the support.
    At distance d from an edge the density is as sensitive to rounding of x as
    :math:`10^{-16}/\sqrt d`. At the drift, the constant that was added to a law, there may be a
    hard edge, or one almost hard: close to it density, distribution function and edge keep their
    relative accuracy, too. Laws that are not freely infinitely divisible have 1e-9, and no more.

    Examples
    --------
    The Hessian of Pennington & Bahri (2017), equation 17, at phi = 1/2 and energy 0.3:

    >>> law = MarchenkoPastur(0.5) + Semicircle(0.6**0.5)
    >>> [(round(lo, 6), round(hi, 6)) for lo, hi in law.support()]
    [(-0.923805, 3.382572)]
    >>> round(law.index(), 6)
    0.20528

    The same from the coefficients of R(z) = 1/(1 - z/2) + 0.6 z:

    >>> same = SpectralLaw([1.0, 0.6, -0.3], [1.0, -0.5])
    >>> bool(np.isclose(same.pdf(1.0), law.pdf(1.0), rtol=1e-12))
    True
    """

    def __init__(self, numerator: ArrayLike, denominator: ArrayLike = (1.0,)) -> None:
        num = np.atleast_1d(real_array("numerator", numerator))
        den = np.atleast_1d(real_array("denominator", denominator))
        self._transform = transform_of(num, den)
        self._text = f"SpectralLaw({num.tolist()}, {den.tolist()})"

    @classmethod
    def _of(cls, transform: RationalTransform, text: str, is_sum: bool) -> SpectralLaw:
        law = SpectralLaw.__new__(SpectralLaw)
        law._transform, law._text, law._is_sum = transform, text, is_sum
        return law

    @cached_property
    def _boundary(self) -> BoundaryValues:
        return BoundaryValues(self._transform)

    # -- transforms, cumulants, moments ----------------------------------------------------------

    def r_transform(self, g: ArrayLike) -> Complex:
        """R(g) at complex `g`, of any shape; infinite at the poles."""
        return self._transform.r_transform(complex_array("g", g))

    def stieltjes(self, z: ArrayLike) -> Complex:
        r"""Stieltjes transform :math:`G(z) = \int \rho(t)/(z-t)\,dt` (paper, section 3).

        Parameters
        ----------
        z : array_like of complex, any shape
            On the real axis the result is the limit from the upper half-plane.

        Returns
        -------
        ndarray of complex128, the shape of `z`
            Infinite at an atom.
        """
        z = complex_array("z", z)
        flat = np.where(z.imag < 0, z.conj(), z).ravel()
        F = np.empty(flat.shape, dtype=np.complex128)
        off_axis = flat.imag > 0
        F[off_axis] = self._transform.solve(flat[off_axis])
        x = flat[~off_axis].real
        F[~off_axis] = self._boundary.everywhere(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            G = np.where(F == 0, np.inf, 1 / F)
        G = G.reshape(z.shape)
        return np.where(z.imag < 0, G.conj(), G)[()]

    def polynomial(self) -> sympy.Poly:
        """The polynomial in (G, z) that G(z) solves, as a `sympy.Poly`.

        It is ``(z G - 1) D(G) - G N(G)`` for R = N/D with D(0) = 1: equation 18 of the paper for
        Wishart + Wigner, up to a constant equations 28 and 30.
        """
        import sympy

        G, z = sympy.symbols("G z")
        num, den = (
            sum((float(c) * G**k for k, c in enumerate(part)), start=sympy.Integer(0))
            for part in self._transform.coefficients()
        )
        return sympy.Poly((z * G - 1) * den - G * num, G, z)

    def free_cumulant(self, k: int) -> float:
        """The k-th free cumulant, the coefficient of z^(k-1) in R; `k` >= 1."""
        k = integer("k", k, "[1, inf)")
        return self._transform.free_cumulant(k)

    def moment(self, k: int) -> float:
        r"""The k-th moment, from the free cumulants by the moment-cumulant recursion.

        With :math:`M(w) = 1 + \sum_k m_k w^k`, the relation is
        :math:`M(w) = 1 + \sum_s \kappa_s\, (w M(w))^s`.
        """
        k = integer("k", k, "[0, inf)")
        moments = np.array([1.0])
        for order in range(1, k + 1):
            power, total = np.array([1.0]), 0.0
            for s in range(1, order + 1):
                power = np.convolve(power, moments)[:order]  # M^s up to w^(order-1)
                total += self.free_cumulant(s) * power[order - s]
            moments = np.append(moments, total)
        return float(moments[k])

    def mean(self) -> float:
        """First moment."""
        return self.free_cumulant(1)

    def var(self) -> float:
        """Variance, the second free cumulant."""
        return self.free_cumulant(2)

    def std(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.var()))

    # -- where the mass is -----------------------------------------------------------------------

    def support(self) -> tuple[tuple[float, float], ...]:
        """Intervals ``((lo, hi), ...)`` of positive density, ascending; atoms are not included."""
        return self._transform.support

    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Point masses ``((location, mass), ...)``; a rational R allows at most one."""
        place, mass = self._transform.atom
        return ((place, mass),) if mass > 0 else ()

    def index(self) -> float:
        """Mass on the open half-line (-inf, 0): the expected fraction of negative eigenvalues."""
        return float(self._boundary.cdf(np.zeros(1), below=True)[0])

    # -- distribution ----------------------------------------------------------------------------

    def pdf(self, x: ArrayLike) -> Real:
        r"""Density of the continuous part, :math:`-\operatorname{Im} G(x+i0)/\pi`.

        Parameters
        ----------
        x : array_like of float
            Of any shape; -inf and inf are allowed.

        Returns
        -------
        ndarray of float64, the shape of `x`
            Zero off the support and at its edges, infinite at an edge where the density diverges.
        """
        x = real_array("x", x, "[-inf, inf]")
        density = np.zeros(x.shape)
        for i, (low, high) in enumerate(self.support()):
            inside = (x > low) & (x < high)
            F = self._boundary.inside(i, x[inside])
            with np.errstate(divide="ignore", invalid="ignore"):  # F = 0 where it diverges
                density[inside] = F.imag / (np.pi * (F.real**2 + F.imag**2))
        if (edge := self._transform.hard_edge) is not None:
            density[x == edge] = np.inf
        return density[()]

    def cdf(self, x: ArrayLike) -> Real:
        r"""Cumulative distribution, mass on (-inf, x], atoms included.

        Integrating G by parts, with F = 1/G in the upper half-plane and the triplet's
        :math:`\gamma, a, \lambda_j, s_j`,

        .. math:: P(x) = 1 - \frac1\pi \Big[& \arg F + \sum_j \lambda_j \arg(1 - s_j G) \\
                  &+ \operatorname{Im}\big((x-\gamma) G - \tfrac a2 G^2\big) \Big].
        """
        x = real_array("x", x, "[-inf, inf]")
        return self._boundary.cdf(x)[()]

    def sf(self, x: ArrayLike) -> Real:
        """Survival function, mass on (x, inf), small values to all their digits.

        It is the mass of the reflected law on (-inf, -x).
        """
        x = real_array("x", x, "[-inf, inf]")
        return (-self)._boundary.cdf(-x, below=True)[()]

    def ppf(self, q: ArrayLike) -> Real:
        """Quantile function: the least x with ``cdf(x) >= q``; ``ppf(0)`` is the lower end.

        `q` outside [0, 1] is a `ValueError`.
        """
        q = real_array("q", q, "[0, 1]")
        return self._boundary.ppf(q)[()]

    def rvs(self, size: int | tuple[int, ...] = 1, rng: Any = None) -> Real:
        """Independent draws by inversion; `rng` is a seed, a `numpy.random.Generator` or None."""
        return self.ppf(generator("rng", rng).random(shape("size", size)))


class Semicircle(SpectralLaw):
    r"""Wigner's semicircle of standard deviation `sigma` (paper, section 3).

    .. math:: &\rho(\lambda) = \frac{\sqrt{4\sigma^2 - \lambda^2}}{2\pi\sigma^2}, \\
              &R(z) = \sigma^2 z .

    Parameters
    ----------
    sigma : float
        Standard deviation, positive; the support is [-2 sigma, 2 sigma].

    Examples
    --------
    >>> Semicircle(0.5).support()
    ((-1.0, 1.0),)
    """

    def __init__(self, sigma: float = 1.0) -> None:
        self.sigma = real("sigma", sigma, "(0, inf)")
        self._transform = FreeTriplet.build(0, Fraction(self.sigma) ** 2).checked()
        self._text = f"Semicircle(sigma={self.sigma})"


class MarchenkoPastur(SpectralLaw):
    r"""Marchenko-Pastur law of X X^T for X of shape n by p (paper, section 3).

    .. math:: &\rho(\lambda) = \frac{\sqrt{(\lambda-\lambda_-)(\lambda_+-\lambda)}}
              {2\pi\lambda\sigma\phi}, \\
              &\lambda_\pm = \sigma(1 \pm \sqrt\phi)^2, \\
              &R(z) = \frac{\sigma}{1 - \sigma\phi z},

    and an atom of mass 1 - 1/phi at 0 when phi > 1.

    Parameters
    ----------
    phi : float
        Ratio n/p, positive; in [1e-15, 1e15].
    sigma : float
        Mean eigenvalue, positive: entries of X have *variance* sigma/p. (The paper's text says
        variance σ²/p, its formulas mean σ/p.)

    Examples
    --------
    >>> MarchenkoPastur(4.0).atoms()
    ((0.0, 0.75),)
    """

    def __init__(self, phi: float, sigma: float = 1.0) -> None:
        self.phi = real("phi", real("phi", phi, "(0, inf)"), _RATIOS)
        self.sigma = real("sigma", sigma, "(0, inf)")
        self._transform = FreeTriplet.build(
            0, 0, [(Fraction(self.sigma) * Fraction(self.phi), 1 / Fraction(self.phi))]
        ).checked()
        self._text = f"MarchenkoPastur(phi={self.phi}, sigma={self.sigma})"


class ProductWishart(SpectralLaw):
    r"""Law of H1 of a ReLU network, equation 28 of the paper.

    .. math:: R(z) = \frac{\epsilon\phi z}{2 - \epsilon\phi^2 z^2},

    the difference of two free Poisson laws of rate 1/(2 phi) and jump size phi sqrt(epsilon/2).

    Parameters
    ----------
    phi : float
        Parameters per scalar target, positive; in [1e-15, 1e15].
    epsilon : float
        Energy, positive; the variance of the law is epsilon phi/2.

    Examples
    --------
    >>> round(ProductWishart(0.5, 50.0).var(), 12)
    12.5
    """

    def __init__(self, phi: float, epsilon: float) -> None:
        self.phi = real("phi", real("phi", phi, "(0, inf)"), _RATIOS)
        self.epsilon = real("epsilon", epsilon, "(0, inf)")
        size = self.phi * np.sqrt(self.epsilon / 2)
        rate = 1 / (2 * Fraction(self.phi))
        self._transform = FreeTriplet.build(0, 0, [(-size, rate), (size, rate)]).checked()
        self._text = f"ProductWishart(phi={self.phi}, epsilon={self.epsilon})"
