r"""Residuals for which the gradient vanishes: uniform on the kernel of the Jacobian.

Pennington & Bahri (2017, assumption 2) let the residuals be independent, so that "the gradient
vanishes" in the mean. At fixed phi it does not: :math:`E|\nabla L|^2 = 2\epsilon\phi n\,\tau(H_0)`
grows with n. Here independent residuals are projected on :math:`\{e : Je = 0\}` and rescaled to
the energy epsilon; weights and data are as before. Their covariance is
:math:`\frac{2\epsilon}{1-\phi}P` with the projector :math:`P = \lim_{z\to0} z(z - J^TJ/m)^{-1}`,
whose equations are those of the law of H0 (`hessrmt.hessians._gauss_newton_equations`) as z tends
to 0, scaled by z; with :math:`\kappa = -1/\omega_{11}` they are algebraic:

.. math::
   r_\lambda(t) &= \frac1{1 - \lambda Q(t) + y_\lambda\Sigma(t)}, \qquad
   Q = \omega_{22} + \kappa\,\omega_{12}^2\,[t>0], \qquad
   y_\lambda\,\tau(\Sigma r_\lambda) = \tfrac\phi2, \\
   \Pi &= \langle\lambda r_\lambda\rangle, \quad G_{22} = \tau\Pi, \quad
   G_{12} = \kappa\,\omega_{12}\,\tau([t>0]\,\Pi), \quad
   G_{11} = \kappa\tfrac\phi2 + \kappa^2\omega_{12}^2\,\tau([t>0]\,\Pi), \\
   G &= E_d\big[(d\,\sigma_x + G^{-1} + \omega)^{-1}\big],
   \qquad \langle\tau r_\lambda\rangle = 1 - \phi .

Own results, derived at a physicist's level of rigour and checked against simulation.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from hessrmt.hessians._activations import GaussianAverages, gaussian_averages
from hessrmt.hessians._gauss_newton_equations import marchenko_pastur_rule, spectrum_of_examples
from hessrmt.validation import choice, real

__all__ = ["VanishingGradient", "VanishingGradientLimit", "vanishing_gradient_limit"]

Real: TypeAlias = NDArray[np.float64]

_NODES = 60  # of lambda and of t: twice as many change nothing in 8 digits
_LIMIT_NODES = 2000
_STRIDE = 0.08  # in phi, of the continuation from small phi
_ERROR = 1e-9  # of the equations, and of the exact check


class VanishingGradientLimit(NamedTuple):
    r"""What is left of H1 as phi tends to 0.

    Attributes
    ----------
    share : float
        gamma, the share of the variance of :math:`c_1eX^T` that survives the projection.
    h1_variance_per_phi : float
        :math:`\tau(H_1^2)/(\epsilon\phi)`.
    psi : float or None
        Fourth free cumulant of H1 over the square of its variance; None if f'' is not 0.
    """

    share: float
    h1_variance_per_phi: float
    psi: float | None


def vanishing_gradient_limit(activation: str = "relu") -> VanishingGradientLimit:
    r"""Moments of H1 at vanishing gradient as phi tends to 0, in closed form.

    With :math:`x = c_*^2/c_1^2`, :math:`\eta = Ed^2/c_1^2 - 1` and lambda of the Marchenko-Pastur
    law of ratio 1,

    .. math::
       \gamma = \Big\langle\frac x2\Big(\sqrt{1 + \frac4{x(1 + \lambda/\eta)}} - 1\Big)\Big\rangle,
       \qquad \frac{\tau(H_1^2)}{\epsilon\phi} \to c_1^2(\eta + \gamma) + \tfrac12 E[f''^2p],

    where p(d) is the share of residuals left on examples of slope d, 1 as phi tends to 0.

    Parameters
    ----------
    activation : str
        ``"relu"`` or ``"tanh"``.

    Returns
    -------
    VanishingGradientLimit

    Raises
    ------
    TypeError, ValueError
        If `activation` is another one.

    Examples
    --------
    >>> limit = vanishing_gradient_limit()
    >>> round(limit.share, 5), round(limit.psi, 5)
    (0.31706, 0.02257)
    """
    a = _averages(activation)
    lam, weight = marchenko_pastur_rule(1.0, _LIMIT_NODES)
    c1 = a.linear**2
    x, eta = a.nonlinear / c1, a.slope_moment(2) / c1 - 1
    by_lam = x / 2 * (np.sqrt(1 + 4 / (x * (1 + lam / eta))) - 1)
    share = float(weight @ by_lam)
    bends = _squared_bends(activation, a)
    variance = c1 * (eta + share) + float(a.weights @ bends) / 2
    if bends.any():
        return VanishingGradientLimit(share, variance, None)
    by_sigma = eta / 2 * (np.sqrt(1 + 4 * x / ((lam + x) * eta)) - 1)
    spread = weight @ (by_lam - share) ** 2 + weight @ (by_sigma - share) ** 2
    return VanishingGradientLimit(share, variance, float(spread) / (eta + share) ** 2)


class VanishingGradient:
    r"""Moments of H0 and H1 where the residuals are uniform on the kernel of J.

    With A = H0 and B = H1, c = phi/2, :math:`\gamma = \tau(t\bar r)/(c(1-\phi))`,
    :math:`p(d) = [(d\,\sigma_x + G^{-1} + \omega)^{-1}]_{22}`:

    .. math::
       \frac{\tau(B^2)}\epsilon = \phi\,[Ed^2 - c_1^2 + c_1^2\gamma]
           + \frac\phi{2(1-\phi)} E[f''^2p] .

    Parameters
    ----------
    phi : float
        Parameters per scalar target, 2n/m, in (0, 1).
    activation : str
        ``"relu"`` or ``"tanh"``.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.
    RuntimeError
        If the equations do not converge, or the solution fails the check
        :math:`\langle\tau r_\lambda\rangle = 1 - \phi`.

    Examples
    --------
    >>> vg = VanishingGradient(0.5)
    >>> round(vg.h1_variance, 4), round(vg.psi, 3)  # 0.25 and 0.5 for independent residuals
    (0.1698, 0.567)
    >>> np.round(vg.moment_ratios, 3)
    array([1.174, 1.349])
    """

    def __init__(self, phi: float, activation: str = "relu") -> None:
        self.phi = real("phi", phi, "(0, 1)")
        self.activation = activation
        self._averages = _averages(activation)
        self._bends = _squared_bends(activation, self._averages)
        self._lam, self._lam_weight = marchenko_pastur_rule(1.0, _NODES)
        a = self._averages
        now = min(self.phi, _STRIDE)
        omega = np.array([a.slope_moment(2) - a.slope_moment(1) ** 2, -a.slope_moment(1), -now / 2])
        while True:
            self._set(now)
            with np.errstate(all="ignore"):  # trial points may have no solution y
                omega = optimize.root(self._equations, omega, tol=1e-12).x
            if now == self.phi:
                break
            now = min(self.phi, now + _STRIDE * min(1.0, 4 * (1 - now)))
        self._omega = omega
        error = np.abs(self._equations(omega)).max()
        kept = float(self._tau(self._lam_weight @ self._r(omega)[0]))
        if not (error < _ERROR and abs(kept - 1 + self.phi) < _ERROR):
            raise RuntimeError(
                f"the equations at vanishing gradient do not converge at phi = {self.phi}: error "
                f"{error:.2g}, kernel {kept:.6g} instead of {1 - self.phi:.6g}"
            )

    def __repr__(self) -> str:
        return f"VanishingGradient(phi={self.phi}, activation={self.activation!r})"

    @property
    def h1_variance(self) -> float:
        r""":math:`\tau(H_1^2)/\epsilon`."""
        return self._moments[0]

    @property
    def moment_ratios(self) -> tuple[float, float]:
        r""":math:`\tau(ABB)/(\tau(A)\tau(BB))` and :math:`\tau(ABAB)/(\tau(A)^2\tau(BB))`.

        Both are 1 if A and B are free. tau(A) includes the part (E f)^2/2 that n eigenvalues of
        order n carry, as in `limiting_moments`.
        """
        return self._moments[1:]

    # -- the equations -----------------------------------------------------------------------------

    def _set(self, phi: float) -> None:
        self._now = phi
        self._t, self._t_weight = spectrum_of_examples(phi / 2, _NODES)
        self._on = self._t > 0
        a = self._averages
        self._sigma = a.linear**2 * self._t / (phi / 2) + a.nonlinear

    def _tau(self, values: Real) -> Real:
        return np.asarray(values @ self._t_weight)

    def _r(self, omega: Real) -> tuple[Real, Real]:
        """The r (lambda, t), and y (lambda,) by bisection: y tau(Sigma r) increases with y."""
        Q = omega[2] - omega[1] ** 2 / omega[0] * self._on
        base = 1 - self._lam[:, None] * Q
        low, high = np.full(self._lam.size, -40.0), np.full(self._lam.size, 60.0)
        for _ in range(70):
            middle = (low + high) / 2
            y = np.exp(middle)[:, None]
            big = self._tau(y * self._sigma / (base + y * self._sigma)) > self._now / 2
            low, high = np.where(big, low, middle), np.where(big, middle, high)
        y = np.exp((low + high) / 2)
        return 1 / (base + y[:, None] * self._sigma), y

    def _matrices(self, omega: Real) -> tuple[Real, Real]:
        """G, and G^{-1} + omega."""
        Pi = (self._lam_weight * self._lam) @ self._r(omega)[0]
        k, on = -1 / omega[0], float(self._tau(self._on * Pi))
        side = k * omega[1] * on
        G = np.array(
            [[k * self._now / 2 + k * omega[1] * side, side], [side, float(self._tau(Pi))]]
        )
        return G, np.linalg.inv(G) + np.array([[omega[0], omega[1]], [omega[1], omega[2]]])

    def _inverse(self, N: Real) -> tuple[Real, Real, Real]:
        """Entries 11, 12 and 22 of (d sigma_x + N)^{-1} for each slope d."""
        side = self._averages.slopes + N[0, 1]
        det = N[0, 0] * N[1, 1] - side**2
        return N[1, 1] / det, -side / det, N[0, 0] / det

    def _equations(self, omega: Real) -> Real:
        G, N = self._matrices(omega)
        found = np.array([self._averages.weights @ entry for entry in self._inverse(N)])
        return np.asarray((found - [G[0, 0], G[0, 1], G[1, 1]]) / [self._now, 1, 1])

    # -- moments -----------------------------------------------------------------------------------

    @cached_property
    def _moments(self) -> tuple[float, float, float]:
        a, phi, kernel, c = self._averages, self.phi, 1 - self.phi, self.phi / 2
        g = self._lam_weight @ self._r(self._omega)[0]
        g0, g1, g2 = (float(self._tau(self._t**k * g)) for k in (0, 1, 2))
        p = self._inverse(self._matrices(self._omega)[1])[2]
        m1, m2, m3, m4 = (a.slope_moment(k) for k in (1, 2, 3, 4))
        square = a.variance + a.mean**2  # E f^2
        spread = m2 - m1**2
        across = phi * (spread + m1**2 * g1 / (c * kernel))  # blocks between the layers
        bent, bent_once, bent_twice = (
            phi / 2 / kernel * float(a.weights @ (self._bends * p * (m2 + a.slopes**2 * c) ** k))
            for k in (0, 1, 2)
        )
        examples = c * (1 + c)  # tau(t^2)
        first = m2 * m1**2 * g2 + 2 * (m3 - m2 * m1) * m1 * c * g1 + spread * m2 * g0 * examples
        first += (m4 - m2**2 - 2 * m1 * m3 + 2 * m2 * m1**2) * c**2 * g0
        first /= kernel
        mean = (m2 + square) / 2
        variance = across + bent
        abb = (first + bent_once + square * across / 2) / (mean * variance)
        abab = (2 * square * first + bent_twice) / (mean**2 * variance)
        return variance, abb, abab

    @cached_property
    def psi(self) -> float | None:
        r""":math:`\kappa_4/\kappa_2^2` of H1 for ReLU, None if f'' is not 0.

        The shape of ``ProductWishart(psi, 2 * h1_variance * epsilon / psi)``, which has the first
        four moments of H1; that it has the higher ones is a conjecture.
        """
        if self._bends.any():
            return None
        a, kernel, c, weight = self._averages, 1 - self.phi, self.phi / 2, self._t_weight
        r, y = self._r(self._omega)
        g = self._lam_weight @ r
        g0, g1, g2 = (float(self._tau(self._t**k * g)) for k in (0, 1, 2))
        m1, m2, m3, m4 = (a.slope_moment(k) for k in (1, 2, 3, 4))
        spread = m2 - m1**2
        ladder = np.outer(y, y) / c
        chain = ladder / (1 - ladder * ((self._sigma**2 * r * weight) @ r.T))

        def two(f: Real, g: Real) -> float:
            """tau(f P g P) with the projector P not averaged in between."""
            left = (self._sigma * g * r * weight) @ r.T
            right = (f * self._sigma * r * weight) @ r.T
            pair = (f * g * r * weight) @ r.T + chain * left * right
            return float(self._lam_weight @ pair @ self._lam_weight)

        one, t = np.ones_like(self._t), self._t
        k3 = m3 - 3 * m2 * m1 + 2 * m1**3  # classical and free cumulants of the slope
        k4 = m4 - 4 * m3 * m1 - 2 * m2**2 + 10 * m2 * m1**2 - 5 * m1**4
        crossed = m1**4 * two(t, t)
        crossed += m1**2 * spread * (2 * c * two(t, one) + 2 * g0 * g2 + 2 * g1**2)
        crossed += spread**2 * (c**2 * two(one, one) + g0**2 * c * (1 + c))
        crossed += 4 * m1 * k3 * c * g0 * g1 + k4 * c**2 * g0**2
        by_lambda = 2 / kernel * (m1**2 * self._tau(t * r) + spread * c * self._tau(r))
        fourth = self._lam_weight @ by_lambda**2 + (2 / kernel) ** 2 * c * crossed
        return float(fourth / self.h1_variance**2 - 2)


def _averages(activation: str) -> GaussianAverages:
    return gaussian_averages(choice("activation", activation, "relu | tanh"), 1.0)


def _squared_bends(activation: str, averages: GaussianAverages) -> Real:
    """Values of f''^2 at those of f'; for tanh f'' = -2 f f' and f^2 = 1 - f'."""
    d = averages.slopes
    return 4 * d**2 * (1 - d) if activation == "tanh" else np.zeros_like(d)
