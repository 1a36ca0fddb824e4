r"""The spherical spin glass: complexity, layers, and the Hessian at its critical points.

Choromanska, Henaff, Mathieu, Ben Arous & LeCun (2015) liken the loss of a network with H - 1
hidden layers to

.. math:: &L(w) = \Lambda^{-(H-1)/2}
          \sum_{i_1,\dots,i_H} X_{i_1\dots i_H}\, w_{i_1}\cdots w_{i_H}, \\
          &|w|^2 = \Lambda,

with independent standard normal X. Energies u are per weight, u = L/Lambda. What is known of the
critical points of L is the work of Auffinger, Ben Arous & Cerny (Communications on Pure and
Applied Mathematics 66, 2013), whose p is H here and whose N is Lambda. How many there are on
average at a finite Lambda is in `hessrmt.spin_glass.counts`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from hessrmt.laws import Semicircle, SpectralLaw
from hessrmt.validation import integer, real, real_array

__all__ = [
    "complexity",
    "hessian_index",
    "hessian_law",
    "layer_energy",
    "small_hessian_index",
    "threshold_energy",
]

Real = NDArray[np.float64]


def threshold_energy(H: int) -> float:
    r"""Threshold :math:`E_\infty = 2\sqrt{(H-1)/H}`, a positive number.

    Critical points of energy above :math:`-E_\infty` have an index proportional to Lambda, up to
    exceptions that are exponentially rare in :math:`\Lambda^2`; below it, typical ones are minima.

    Parameters
    ----------
    H : int
        Order of the interaction, >= 2; H - 1 hidden layers.

    Examples
    --------
    >>> round(threshold_energy(3), 6)
    1.632993
    """
    H = integer("H", H, "[2, inf)")
    return float(2 * np.sqrt((H - 1) / H))


def complexity(u: ArrayLike, H: int, k: int | None = None) -> Real:
    r"""Growth rate in Lambda of the mean number of critical points of energy at most `u`.

    For all indices together

    .. math::
       \Theta_H(u) &= \tfrac12\log(H-1) - \frac{(H-2)\min(u,0)^2}{4(H-1)} - I(u), \\
       I(u) &= -\frac{u}{E_\infty^2}\sqrt{u^2 - E_\infty^2} \\
       &\quad - \log\bigl(-u + \sqrt{u^2 - E_\infty^2}\bigr) + \log E_\infty,

    with I = 0 for :math:`u \ge -E_\infty`; for index `k` there is :math:`(k+1)I` in place of I, and
    above :math:`-E_\infty` the value there, :math:`\frac12\log(H-1) - (H-2)/H`, since nearly no
    critical point above has so small an index.

    Parameters
    ----------
    u : array_like of float, any shape
        Energies per weight.
    H : int
        Order of the interaction, >= 2.
    k : int, optional
        Index, the *number* of negative eigenvalues of the Hessian; all indices if left out.

    Returns
    -------
    ndarray of float64, the shape of `u`
        Continuous in `u` and nondecreasing. The mean number is
        :math:`e^{\Lambda\Theta + o(\Lambda)}`.

    Raises
    ------
    TypeError, ValueError
        If `u` is not made of finite real numbers, `H` is no integer >= 2 or `k` none >= 0.

    Notes
    -----
    Auffinger, Ben Arous & Cerny (2013), theorems 2.5 and 2.8. These are means over the couplings.

    Examples
    --------
    >>> complexity([-1.7, -1.64, 0.0], 3).round(6)
    array([-0.030446,  0.009843,  0.346574])
    >>> complexity([-1.65, -1.0], 3, k=0).round(6)
    array([0.004254, 0.01324 ])
    """
    u = real_array("u", u)
    E = threshold_energy(H)
    layers = 1 if k is None else integer("k", k, "[0, inf)") + 1
    counted = np.minimum(u, 0.0 if k is None else -E)
    angle = np.arccosh(np.maximum(-counted / E, 1.0))
    rate = np.sinh(2 * angle) / 2 - angle  # I(u) with u = -E cosh(angle)
    theta: Real = np.log(H - 1) / 2 - (H - 2) * counted**2 / (4 * (H - 1)) - layers * rate
    return theta[()]


def layer_energy(H: int, k: int = 0) -> float:
    r"""The energy :math:`E_k`, a positive number, at which :math:`\Theta_{k,H}(-E_k) = 0`.

    Below :math:`-E_k` there is no critical point of index k or more, up to a probability
    exponentially small in Lambda. :math:`-E_0` is the energy of the global minimum, and
    :math:`E_0 > E_1 > \dots \to E_\infty`.

    Parameters
    ----------
    H : int
        Order of the interaction, >= 3. (For H = 2 all :math:`E_k` are :math:`E_\infty`.)
    k : int
        Index, >= 0.

    Examples
    --------
    >>> [round(layer_energy(3, k), 6) for k in (0, 1, 2)]
    [1.656998, 1.652873, 1.650253]
    """
    H = integer("H", H, "[3, inf)")
    E = threshold_energy(H)
    outside = 2 * E
    while complexity(-outside, H, k) >= 0:
        outside *= 2
    root: float = brentq(
        lambda e: float(complexity(-e, H, k)), E, outside, xtol=1e-15, rtol=8.9e-16
    )
    return root


def hessian_law(u: float, H: int) -> SpectralLaw:
    r"""Law of the Riemannian Hessian at a critical point of energy `u`, a shifted semicircle.

    On the tangent space the Hessian of L is

    .. math:: \nabla^2 L = \sqrt{H(H-1)}\; W - H u ,

    with W a Wigner matrix whose law is the standard semicircle, independent of u and of the
    gradient: the derivatives of the covariance :math:`\Lambda (w\cdot w'/\Lambda)^H` say so, and
    the shift is the radial derivative that the sphere's curvature brings in. At a critical
    point W is drawn with a weight, the absolute determinant of the Hessian, that does not change
    the limiting law.

    Parameters
    ----------
    u : float
        Energy per weight.
    H : int
        Order of the interaction, >= 2.

    Examples
    --------
    The left edge reaches zero at the threshold:

    >>> low, high = hessian_law(-threshold_energy(3), 3).support()[0]
    >>> abs(low) < 1e-12, round(high, 6)
    (True, 9.797959)
    """
    u = real("u", u)
    H = integer("H", H, "[2, inf)")
    return Semicircle(float(np.sqrt(H * (H - 1)))).shift(-H * u)


def hessian_index(u: ArrayLike, H: int) -> Real:
    r"""Fraction of negative eigenvalues at a critical point of energy `u`.

    .. math:: &\alpha(u) = \tfrac12 + \tfrac1\pi\bigl(x\sqrt{1-x^2} + \arcsin x\bigr), \\
              &x = u/E_\infty \in [-1, 1],

    the mass of `hessian_law` below zero; 0 for :math:`u \le -E_\infty` and 1 for
    :math:`u \ge E_\infty`.

    Parameters
    ----------
    u : array_like of float, any shape
        Energies per weight.
    H : int
        Order of the interaction, >= 2.

    Examples
    --------
    >>> hessian_index([-1.7, -1.0, 0.0], 3).round(6)
    array([0.      , 0.136114, 0.5     ])
    """
    u = real_array("u", u)
    # With x = -cos(t) the mass is (t - sin(t) cos(t))/pi, which loses no digits next to x = -1.
    t = 2 * np.arcsin(np.sqrt(np.clip((1 + u / threshold_energy(H)) / 2, 0.0, 1.0)))
    small = t < 1e-2
    series = t**3 * (2 / 3 - t**2 * (2 / 15 - 4 * t**2 / 315))
    alpha: Real = np.where(small, series, t - np.sin(2 * t) / 2) / np.pi
    return alpha[()]


def small_hessian_index(u: ArrayLike, H: int) -> Real:
    r"""The 3/2 law next to the threshold, as in equation 20 of Pennington & Bahri (2017).

    .. math:: &\alpha(u) \approx \frac{4\sqrt2}{3\pi}
              \Bigl(\frac{u - u_c}{|u_c|}\Bigr)^{3/2}, \\
              &u_c = -E_\infty ,

    with a prefactor that does not depend on H; 0 below the threshold.

    Parameters
    ----------
    u : array_like of float, any shape
        Energies per weight.
    H : int
        Order of the interaction, >= 2.

    Examples
    --------
    >>> u = -0.99 * threshold_energy(3)
    >>> bool(abs(small_hessian_index(u, 3) / hessian_index(u, 3) - 1) < 2e-3)
    True
    """
    u = real_array("u", u)
    above = np.maximum(1 + u / threshold_energy(H), 0.0)
    alpha: Real = 4 * np.sqrt(2) / (3 * np.pi) * above**1.5
    return alpha[()]
