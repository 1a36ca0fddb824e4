r"""Energies at which saddles begin: where the lower edge of a law of H reaches 0.

At a fixed point z the energy is a function of the solution, whose maximum is the energy at which
the edge passes z: for a free sum in closed form, for the law of the full Hessian by following the
real solution at z = 0 from zero energy up to its turning point.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from hessrmt.hessians._full_hessian_equations import FullHessianEquations
from hessrmt.validation import choice, real

__all__ = ["free_critical_energy", "full_hessian_critical_energy"]

Real: TypeAlias = NDArray[np.float64]

_NUDGE = 1e-7  # of finite differences
_STEPS = 10  # of Newton's method
_CLOSE = 1e-8
_LENGTH, _MOST = 0.02, 60  # of a first step along the curve, and number of steps


def free_critical_energy(law: Any, variance: float, psi: float) -> float:
    r"""Energy at which the free sum of a law of H0 and one of H1 first reaches 0.

    For :math:`R_1(g) = \epsilon v g/(1 - \psi\,\epsilon v g^2)`, that is
    ``ProductWishart(phi=psi, epsilon=2 * epsilon * v / psi)``, or a semicircle if psi = 0,

    .. math:: \epsilon_c = \max_{0<\omega<\mathrm{gap}} \frac\omega{v\,g\,(1 + \psi\,\omega g)},
              \qquad g(\omega) = \int\frac{\rho_0(x)\,dx}{x - \omega} .

    Parameters
    ----------
    law : law with ``stieltjes`` and ``support``
        Of H0, such as `GaussNewtonLaw`.
    variance : float
        v, the second moment of H1 over the energy: phi/2 for independent residuals and ReLU,
        `VanishingGradient.h1_variance` at vanishing gradient. Positive.
    psi : float
        Fourth free cumulant of H1 over v^2: phi for independent residuals, >= 0.

    Returns
    -------
    float
        0 if the law has no gap.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Examples
    --------
    The paper's equation 32 at phi = 1/2, with its Marchenko-Pastur law of scale 1:

    >>> from hessrmt import MarchenkoPastur, WishartPlusProductWishart
    >>> energy = free_critical_energy(MarchenkoPastur(0.5), 0.25, 0.5)
    >>> bool(np.isclose(energy, WishartPlusProductWishart(0.5).critical_energy))
    True
    """
    variance = real("variance", variance, "(0, inf)")
    psi = real("psi", psi, "[0, inf)")
    gap = law.support()[0][0]
    if gap <= 0:
        return 0.0

    def energy(depth: float) -> float:
        omega = gap * (1 - depth**2)  # g has a square root at the gap
        g = -float(np.real(law.stieltjes(omega)))
        return float(omega / (variance * g * (1 + psi * omega * g)))

    found = minimize_scalar(
        lambda depth: -energy(depth), bounds=(1e-4, 1 - 1e-9), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    return float(-found.fun)


def full_hessian_critical_energy(phi: float, activation: str = "relu") -> float:
    r"""Energy at which the support of `FullHessianLaw` first reaches 0.

    Parameters
    ----------
    phi : float
        2n/m, in [0.02, 2].
    activation : str
        ``"relu"``, or ``"linear"``, where H0 has no gap and the energy is 0, as it is for
        phi >= 1. For tanh the law's support is not bounded, as H1 holds products of residuals with
        f'': its index is positive, if small, at all energies.

    Returns
    -------
    float
        Within 1e-4 of itself for phi <= 0.8; at larger phi the gap of H0 closes, and it is within
        1e-7.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.
    RuntimeError
        If the turning point is not found.

    Examples
    --------
    >>> round(full_hessian_critical_energy(0.25), 5)
    0.02353
    """
    phi = real("phi", phi, "[0.02, 2]")
    activation = choice("activation", activation, "relu | linear")
    if activation == "linear" or phi >= 1:
        return 0.0
    return _RealCurve(FullHessianEquations(phi, activation)).turning_point()


class _RealCurve:
    """Solutions at z = 0 as a curve through (unknowns, energy), followed by its length."""

    def __init__(self, equations: FullHessianEquations) -> None:
        self._equations = equations
        start = equations.continued(np.zeros(1, dtype=np.complex128), 0.0)[0].real
        self._point = np.append(start, 0.0)
        upwards = np.zeros_like(self._point)
        upwards[-1] = 1.0
        self._tangent = self._at(self._point, upwards, 0.0)[1]

    def turning_point(self) -> float:
        """The largest energy."""
        length = _LENGTH
        for _ in range(_MOST):
            try:
                point, tangent = self._at(self._point, self._tangent, length)
            except RuntimeError:
                length /= 3
                continue
            if tangent[-1] < 0:
                turn = brentq(self._slope, 0.0, length, xtol=1e-5 * length)
                return float(self._at(self._point, self._tangent, turn)[0][-1])
            self._point, self._tangent, length = point, tangent, length * 1.5
        raise RuntimeError(f"no turning point found from the energy {self._point[-1]:.6g}")

    def _slope(self, length: float) -> float:
        """Change of the energy with the length, so far from the last point."""
        return float(self._at(self._point, self._tangent, length)[1][-1])

    def _at(self, back: Real, along: Real, length: float) -> tuple[Real, Real]:
        """Point on the curve above ``back + length * along``, and the unit tangent there."""
        point, before = back + length * along, np.inf
        for _ in range(_STEPS):
            residual, jacobian = self._linearised(point)
            jacobian[-1] = along
            rhs = np.zeros((point.size, 2))
            rhs[:-1, 0], rhs[-1, 1] = -residual, 1.0
            step, tangent = np.linalg.solve(jacobian, rhs).T
            size = np.abs(step).max() / (1 + np.abs(point).max())
            if not size < before:  # it converges at once, or the point is too far
                break
            point, before = point + step, size
            if size < _CLOSE:
                return point, tangent / np.linalg.norm(tangent)
        raise RuntimeError(f"the real solution is lost at the energy {back[-1]:.6g}")

    def _linearised(self, point: Real) -> tuple[Real, Real]:
        """Residual (unknowns,), and its Jacobian with a last row left empty."""
        u, epsilon = point[:-1], float(point[-1])
        nudge = _NUDGE * (1 + np.abs(u))
        rows = np.vstack([u, u + np.diag(nudge)])
        values = self._equations.step(np.zeros(len(rows)), epsilon, rows) - rows
        further = self._equations.step(np.zeros(1), epsilon + _NUDGE, u[None])[0] - u
        jacobian = np.zeros((point.size, point.size))
        jacobian[:-1, :-1] = ((values[1:] - values[0]) / nudge[:, None]).T
        jacobian[:-1, -1] = (further - values[0]) / _NUDGE
        return values[0], jacobian
