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

from hessrmt.laws import MarchenkoPastur, Semicircle, SpectralLaw
from hessrmt.validation import real, real_array

__all__ = ["HessianModel", "WishartPlusWigner"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


class HessianModel(ABC):
    """What all models share; a model adds its law, its index and its critical energy.

    Parameters
    ----------
    phi : float
        Parameters per scalar target, positive.
    """

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

    def index(self, epsilon: ArrayLike) -> Real:
        r"""Index alpha(epsilon, phi), the mass of the law on the negative half-line.

        Parameters
        ----------
        epsilon : array_like of float, any shape
            Energies, >= 0.

        Returns
        -------
        ndarray of float64, the shape of `epsilon`
            Exactly 0 up to the critical energy. For phi > 1 the index tends to (1 - 1/phi)/2 as
            epsilon falls to 0, where it drops to 0: the null eigenvalues of H0 split evenly.
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
            and 1/2. At alpha = 0 the result is the critical energy.

        Raises
        ------
        ValueError
            For an `alpha` that the model does not reach.
        """
        least = max(0.0, (1 - 1 / self.phi) / 2)
        domain = f"({least!r}, 0.5)" if least > 0 else "[0, 0.5)"
        alpha = real_array("alpha", alpha, domain)
        energy = np.full(alpha.shape, self.critical_energy)
        positive = alpha[alpha > 0]
        # In the logarithm of the excess energy, because that spans many decades.
        found = elementwise.find_root(self._index_gap, (-60.0, 200.0), args=(positive,))
        energy[alpha > 0] += np.exp(found.x)
        return energy[()]

    def _index_gap(self, log_excess: Real, alpha: Real) -> Real:
        return self.index(self.critical_energy + np.exp(log_excess)) - alpha

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

        .. math:: \alpha_0 = \frac{2(3-s)}{3\pi\sqrt s\,(1+s)}, \qquad s = \sqrt{1+8\phi},

        which the paper does not print; `hessrmt.derivations.index_prefactor` derives it. Raises
        `ValueError` if phi >= 1.
        """
        self._positive_critical_energy()
        s = np.sqrt(1 + 8 * self.phi)
        three_minus_s = 8 * (1 - self.phi) / (3 + s)
        return float(2 * three_minus_s / (3 * np.pi * np.sqrt(s) * (1 + s)))

    def _positive_index(self, epsilon: Real) -> Real:
        r"""The closed form that the paper leaves out, with G the root at z = 0.

        .. math:: \alpha = 1 + \frac1\pi \operatorname{Im}\Big[\log G
                  - \frac1\phi\log(1-\phi G) + \epsilon G^2\Big], \qquad \operatorname{Im} G < 0.

        At z = 0 the cubic (18) reads F^3 + (1-phi) F^2 + 2 epsilon F - 2 epsilon phi = 0
        in F = 1/G.
        """
        phi = self.phi
        G = 1 / _upper_root(np.full(epsilon.shape, 1 - phi), 2 * epsilon, -2 * epsilon * phi)
        phase = np.angle(G) - np.angle(1 - phi * G) / phi + epsilon * (G * G).imag
        return np.maximum(1 + phase / np.pi, 0.0)


def _upper_root(b: Real, c: Real, d: Real) -> Complex:
    """The root in the upper half-plane of F^3 + b F^2 + c F + d with one real root, d < 0.

    The real root r by Cardano's formula and Newton steps; the pair then has product -d/r and sum
    -(b + r) = (c + d/r)/r, of which the form with the smaller rounding error is taken.
    """
    p = c - b * b / 3
    q = (2 * b * b / 27 - c / 3) * b + d
    root = np.sqrt(np.maximum((q / 2) ** 2 + (p / 3) ** 3, 0.0))
    u = np.cbrt(-q / 2 - np.copysign(root, q))  # no cancellation with this sign
    r = u - p / (3 * u) - b / 3
    for _ in range(2):
        r = r - (((r + b) * r + c) * r + d) / ((3 * r + 2 * b) * r + c)
    direct = np.abs(b) + r < (np.abs(c) + np.abs(d) / r) / r
    middle = -np.where(direct, b + r, -(c + d / r) / r) / 2
    F: Complex = middle + 1j * np.sqrt(np.maximum(-d / r - middle**2, 0.0))
    return F
