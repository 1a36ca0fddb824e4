r"""Models of the Hessian of a network: index against energy.

The Hessian at a point of energy epsilon is modelled as a free sum H0 + H1, whose first term (a
Wishart matrix) does not depend on epsilon and whose second term grows with it. The *index*, the
fraction of negative eigenvalues, is zero up to a critical energy and grows from there with power
3/2 (paper: Pennington & Bahri 2017, sections 4 and 6). phi is the number of parameters over the
number of scalar targets, 2n/m for a square network with n units and m examples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import elementwise

from hessrmt.laws import MarchenkoPastur, ProductWishart, Semicircle, SpectralLaw
from hessrmt.validation import real, real_array

__all__ = ["HessianModel", "WishartPlusProductWishart", "WishartPlusWigner"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_LOG_EXCESS = (-700.0, 200.0)  # where `energy_at_index` looks, in units of the model
_NO_SIGN_CHANGE = -1  # a status of scipy.optimize.elementwise.find_root


class HessianModel(ABC):
    """What all models share; a model adds its law, its index and its critical energy.

    Parameters
    ----------
    phi : float
        Parameters per scalar target, positive.
    """

    _energy_unit = 1.0  # the energy that the model compares epsilon with

    def __init__(self, phi: float) -> None:
        self.phi = real("phi", phi, "(0, inf)")

    @abstractmethod
    def law(self, epsilon: float) -> SpectralLaw:
        """Spectral law of the Hessian at energy `epsilon` >= 0."""

    @property
    @abstractmethod
    def critical_energy(self) -> float:
        """Energy up to which the index is zero; 0 for phi >= 1."""

    @property
    @abstractmethod
    def index_prefactor(self) -> float:
        """alpha0 of the law for small index; defined for phi < 1."""

    @abstractmethod
    def _positive_index(self, epsilon: Real) -> Real:
        """The index at energies above the critical one."""

    def _index_limits(self) -> tuple[float, float]:
        """The index just above the critical energy and at infinite energy.

        For phi > 1 the null eigenvalues of H0, a fraction 1 - 1/phi, split evenly as soon as
        epsilon > 0: to first order they become those of H1 compressed to the null space of H0,
        which has a symmetric law.
        """
        return max(0.0, (1 - 1 / self.phi) / 2), 0.5

    def index(self, epsilon: ArrayLike) -> Real:
        r"""Index alpha(epsilon, phi), the mass of the law on the negative half-line.

        Parameters
        ----------
        epsilon : array_like of float, any shape
            Energies, >= 0.

        Returns
        -------
        ndarray of float64, the shape of `epsilon`
            Exactly 0 up to the critical energy. Close above it the relative error is about that
            of rounding `epsilon`. For phi > 1 the index tends to (1 - 1/phi)/2 as epsilon falls
            to 0, where it drops to 0: the null eigenvalues of H0 split evenly, as long as H1 has
            enough of its own (Wishart + product Wishart: up to phi = 2).
        """
        epsilon = real_array("epsilon", epsilon, "[0, inf)")
        alpha = np.zeros(epsilon.shape)
        above = epsilon > self.critical_energy
        alpha[above] = self._positive_index(epsilon[above])
        return alpha[()]

    def small_index(self, epsilon: ArrayLike) -> Real:
        r"""The law for small index, :math:`\alpha_0\,|(\epsilon-\epsilon_c)/\epsilon_c|^{3/2}`.

        Zero below the critical energy (paper, equations 20 and 31). Raises `ValueError` if
        phi >= 1, where there is no positive critical energy.
        """
        epsilon = real_array("epsilon", epsilon, "[0, inf)")
        above = np.maximum(epsilon / self._positive_critical_energy() - 1, 0.0)
        return (self.index_prefactor * above**1.5)[()]

    def energy_at_index(self, alpha: ArrayLike) -> Real:
        """Energy at which the index is `alpha`: the inverse of `index`.

        Parameters
        ----------
        alpha : array_like of float, any shape
            Between the index just above the critical energy (0 for phi <= 1, else (1 - 1/phi)/2)
            and that at infinite energy: 1/2, but 1/(2 phi) for Wishart + product Wishart with
            phi > 1. At alpha = 0 the result is the critical energy.

        Raises
        ------
        ValueError
            For an `alpha` that the model does not reach at a single energy.
        """
        least, most = self._index_limits()
        domain = f"({least!r}, {most!r})" if least > 0 else f"[0, {most!r})"
        alpha = real_array("alpha", alpha, domain)
        energy = np.full(alpha.shape, self.critical_energy)
        positive = alpha[alpha > 0]
        # In the logarithm of the excess energy, because that spans many decades. An index that is
        # passed before the first of them belongs to an excess of less, lost in rounding.
        found = elementwise.find_root(self._index_gap, _LOG_EXCESS, args=(positive,))
        log_excess = np.where(found.status == _NO_SIGN_CHANGE, _LOG_EXCESS[0], found.x)
        energy[alpha > 0] += self._energy_unit * np.exp(log_excess)
        return energy[()]

    def _index_gap(self, log_excess: Real, alpha: Real) -> Real:
        return self.index(self.critical_energy + self._energy_unit * np.exp(log_excess)) - alpha

    def _positive_critical_energy(self) -> float:
        if self.critical_energy <= 0:
            raise ValueError(
                f"phi must be in (0, 1) for a positive critical energy, got {self.phi!r}"
            )
        return self.critical_energy

    def __repr__(self) -> str:
        return f"{type(self).__name__}(phi={self.phi})"


class WishartPlusWigner(HessianModel):
    r"""Wishart + Wigner: H0 ~ Marchenko-Pastur(phi), H1 ~ semicircle of variance 2 epsilon.

    .. math:: R(z) = \frac{1}{1 - \phi z} + 2\epsilon z

    (paper, section 4, equations 15 to 22).

    Parameters
    ----------
    phi : float
        Parameters per scalar target, positive.

    Examples
    --------
    >>> model = WishartPlusWigner(0.5)
    >>> round(model.critical_energy, 6)
    0.011271
    >>> model.index([0.0, 0.01, 0.3]).round(6)
    array([0.     , 0.     , 0.20528])
    """

    def law(self, epsilon: float) -> SpectralLaw:
        """Spectral law at energy `epsilon` >= 0; at 0 it is Marchenko-Pastur itself."""
        epsilon = real("epsilon", epsilon, "[0, inf)")
        wishart = MarchenkoPastur(self.phi)
        return wishart + Semicircle(np.sqrt(2 * epsilon)) if epsilon > 0 else wishart

    @property
    def critical_energy(self) -> float:
        r"""Equation 21, :math:`(1 - 20\phi - 8\phi^2 + (1+8\phi)^{3/2})/16`; 0 for phi >= 1.

        Written so that nothing cancels as phi tends to 1: with :math:`s = \sqrt{1+8\phi}`,
        :math:`\epsilon_c = (3-s)^3 (1+s)/128`.
        """
        s = np.sqrt(1 + 8 * self.phi)
        three_minus_s = 8 * (1 - self.phi) / (3 + s)
        return max(0.0, float(three_minus_s**3 * (1 + s) / 128))

    @property
    def index_prefactor(self) -> float:
        r"""alpha0 in :math:`\alpha \approx \alpha_0 |(\epsilon-\epsilon_c)/\epsilon_c|^{3/2}`.

        .. math:: &\alpha_0 = \frac{2(3-s)}{3\pi\sqrt s\,(1+s)}, \\
                  &s = \sqrt{1+8\phi},

        which the paper does not print; `hessrmt.hessians.derivations.index_prefactor` derives it.
        Raises `ValueError` if phi >= 1.
        """
        self._positive_critical_energy()
        s = np.sqrt(1 + 8 * self.phi)
        three_minus_s = 8 * (1 - self.phi) / (3 + s)
        return float(2 * three_minus_s / (3 * np.pi * np.sqrt(s) * (1 + s)))

    def _positive_index(self, epsilon: Real) -> Real:
        r"""The closed form that the paper leaves out, with G the root at z = 0.

        .. math:: &\alpha = 1 + \frac1\pi \operatorname{Im}\Big[\log G
                  - \frac1\phi\log(1-\phi G) + \epsilon G^2\Big], \\
                  &\operatorname{Im} G < 0.

        At z = 0 the cubic (18) reads F^3 + (1-phi) F^2 + 2 epsilon F - 2 epsilon phi = 0
        in F = 1/G.
        """
        phi = self.phi
        F = _upper_root(np.full(epsilon.shape, 1 - phi), 2 * epsilon, -2 * epsilon * phi)
        # The square root of epsilon is of the size of F, and epsilon may be 1e-300 or 1e300.
        wigner = ((np.sqrt(epsilon) / F) ** 2).imag
        return np.maximum((_wishart_angle(phi, F) + wigner) / np.pi, 0.0)


class WishartPlusProductWishart(HessianModel):
    r"""Wishart + product Wishart: H0 ~ Marchenko-Pastur(phi, sigma), H1 ~ the law of equation 28.

    .. math:: R(z) = \frac{\sigma}{1 - \sigma\phi z} + \frac{\epsilon\phi z}{2 - \epsilon\phi^2 z^2}

    (paper, section 6, equations 29 to 33).

    Parameters
    ----------
    phi : float
        Parameters per scalar target, positive.
    sigma : float
        Mean eigenvalue of H0, positive; energies scale with its square.

    Examples
    --------
    >>> model = WishartPlusProductWishart(0.5)
    >>> round(model.critical_energy, 6)
    0.081037
    >>> model.index([0.0, 0.06, 0.3]).round(6)
    array([0.      , 0.      , 0.047369])
    """

    def __init__(self, phi: float, sigma: float = 1.0) -> None:
        super().__init__(phi)
        self.sigma = real("sigma", sigma, "(0, inf)")
        self._energy_unit = self.sigma**2

    def law(self, epsilon: float) -> SpectralLaw:
        """Spectral law at energy `epsilon` >= 0; at 0 it is Marchenko-Pastur itself."""
        epsilon = real("epsilon", epsilon, "[0, inf)")
        wishart = MarchenkoPastur(self.phi, self.sigma)
        return wishart + ProductWishart(self.phi, epsilon) if epsilon > 0 else wishart

    @property
    def critical_energy(self) -> float:
        r"""Equation 32, with :math:`\chi = 1 + 16\phi - 8\phi^2`; 0 for phi >= 1.

        .. math:: \epsilon_c &= \sigma^2\,
                  \frac{27 - 18\chi - \chi^2 + 8\chi^{3/2}}{32\phi(1-\phi)^3} \\
                  &= \frac{16\sigma^2 (1-\phi)^3 (1+s)}{\phi(3+s)^3}, \quad s = \sqrt\chi,

        where in the second form nothing cancels as phi tends to 1 or to 0.
        """
        if self.phi >= 1:
            return 0.0
        s = _root_of_chi(self.phi)
        value = 16 * (1 - self.phi) ** 3 * (1 + s) / (self.phi * (3 + s) ** 3)
        return float(self._energy_unit * value)

    @property
    def saturation_energy(self) -> float:
        r"""Energy from which on the index is 1/(2 phi), its largest value; infinite for phi <= 1.

        .. math:: &\epsilon_s = \frac{\sigma^2 (2-\phi)(3+s)^3}{4(\phi-1)^3(1+s)}, \\
                  &s = \sqrt{1 + 16\phi - 8\phi^2}, \\
                  &1 < \phi < 2 .

        For phi > 1 the negative eigenvalues of H1, a fraction 1/(2 phi), are all that H can have.
        From this energy on it has them: an edge of the spectrum passes 0 here, where the
        discriminant behind equation 32 has its other zero. For phi >= 2 the ranges of H0 and H1
        do not meet, and the result is 0. The paper does not mention it.
        """
        if self.phi <= 1:
            return np.inf
        if self.phi >= 2:
            return 0.0
        s = _root_of_chi(self.phi)
        value = (2 - self.phi) * (3 + s) ** 3 / (4 * (self.phi - 1) ** 3 * (1 + s))
        return float(self._energy_unit * value)

    @property
    def index_prefactor(self) -> float:
        r"""alpha0 in :math:`\alpha \approx \alpha_0 |(\epsilon-\epsilon_c)/\epsilon_c|^{3/2}`.

        .. math:: &\alpha_0 = \frac{2(1-\phi)(1+s)}{3\pi\sqrt s\,(1+s+8\phi)}, \\
                  &s = \sqrt{1 + 16\phi - 8\phi^2},

        which the paper does not print; `hessrmt.hessians.derivations.index_prefactor` derives it.
        Raises `ValueError` if phi >= 1.
        """
        self._positive_critical_energy()
        phi, s = self.phi, _root_of_chi(self.phi)
        return float(2 * (1 - phi) * (1 + s) / (3 * np.pi * np.sqrt(s) * (1 + s + 8 * phi)))

    def _index_limits(self) -> tuple[float, float]:
        """As in the base class, and H1 has no more than 1/(2 phi) of negative eigenvalues."""
        if self.phi >= 2:
            raise ValueError(
                f"phi must be in (0, 2) for an index that depends on energy, got {self.phi!r}"
            )
        return super()._index_limits()[0], min(0.5, 1 / (2 * self.phi))

    def _positive_index(self, epsilon: Real) -> Real:
        r"""The closed form that the paper leaves out, with G the root at z = 0.

        .. math:: &\alpha = 1 + \frac1\pi \operatorname{Im}\Big[\log G
                  - \frac1\phi\log(1-\sigma\phi G)
                  - \frac1{2\phi}\log(2-\epsilon\phi^2G^2)\Big], \\
                  &\operatorname{Im} G < 0.

        At z = 0 the quartic (30) has no term in G^4, and reads in F = 1/G

        .. math:: F^3 + \sigma(1-\phi) F^2 + \tfrac12\epsilon\phi(1-\phi) F
                  - \tfrac12\sigma\epsilon\phi^2(2-\phi) = 0 .

        For phi < 2 its last coefficient is negative, and between the critical and the saturation
        energy its discriminant is, too: it has one real root, a positive one.
        """
        phi = self.phi
        alpha = np.full(epsilon.shape, 1 / (2 * phi))
        below = epsilon < self.saturation_energy
        e = epsilon[below] / self._energy_unit  # with sigma = 1
        b = np.full(e.shape, 1 - phi)
        F = _upper_root(b, e * phi * (1 - phi) / 2, -e * phi**2 * (2 - phi) / 2)
        w = phi * np.sqrt(e / 2) / F
        # Two logarithms in one: 1 + w and 1 - w lie on different sides of the real axis, so that
        # the argument of their product stays on the principal branch.
        pair = np.arctan2(-2 * w.real * w.imag, (1 - w.real) * (1 + w.real) + w.imag**2)
        angle = _wishart_angle(phi, F) - pair / (2 * phi)
        alpha[below] = np.maximum(angle / np.pi, 0.0)
        return alpha

    def __repr__(self) -> str:
        return f"{type(self).__name__}(phi={self.phi}, sigma={self.sigma})"


def _root_of_chi(phi: float) -> float:
    return float(np.sqrt(1 + 8 * phi * (2 - phi)))


def _wishart_angle(phi: float, F: Complex) -> Real:
    """The angle pi + arg G - arg(1 - phi G)/phi for F = 1/G in the upper half-plane.

    The two forms differ in what cancels: nothing for small phi in the first, nothing for phi near
    1 and small F in the second. Neither does for F near the negative half-line.
    """
    from_negative = np.arctan2(F.imag, -F.real)  # pi - arg F
    if phi < 0.5:
        modulus = np.abs(F)
        factor = np.arctan2(phi * (F.imag / modulus), modulus - phi * (F.real / modulus))
        return from_negative - factor / phi
    shifted = np.arctan2(F.imag, phi - F.real)  # pi - arg(F - phi)
    return (shifted - (1 - phi) * from_negative) / phi


def _upper_root(b: Real, c: Real, d: Real) -> Complex:
    """The root in the upper half-plane of F^3 + b F^2 + c F + d with one real root, d < 0.

    The real root r by Cardano's formula and Newton steps; the pair then has product -d/r and sum
    -(b + r) = (c + d/r)/r, of which the form with the smaller rounding error is taken.
    """
    # Coefficients of order one, by a power of two, so that nothing is rounded or overflows.
    size = np.maximum.reduce([np.abs(b), np.sqrt(np.abs(c)), np.cbrt(-d)])
    unit = np.exp2(np.round(np.log2(size)))
    b, c, d = b / unit, c / unit / unit, d / unit / unit / unit
    p = c - b * b / 3
    q = (2 * b * b / 27 - c / 3) * b + d
    root = np.sqrt(np.maximum((q / 2) ** 2 + (p / 3) ** 3, 0.0))
    u = np.cbrt(-q / 2 - np.copysign(root, q))  # no cancellation with this sign
    r = u - p / (3 * u) - b / 3
    for _ in range(2):
        r = r - (((r + b) * r + c) * r + d) / ((3 * r + 2 * b) * r + c)
    direct = np.abs(b) + r < (np.abs(c) + np.abs(d) / r) / r
    middle = -np.where(direct, b + r, -(c + d / r) / r) / 2
    F: Complex = unit * (middle + 1j * np.sqrt(np.maximum(-d / r - middle**2, 0.0)))
    return F
