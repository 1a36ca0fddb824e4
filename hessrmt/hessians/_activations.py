r"""Activations as plain functions, and the Gaussian averages that spectral laws depend on.

A wide network with random weights sees its activation f only through averages over a normal
preactivation: the distribution of the slope f', and how much of f is linear. (Networks themselves,
with gradients, are in `hessrmt.networks`.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["GaussianAverages", "activation_functions", "gaussian_averages"]

Real: TypeAlias = NDArray[np.float64]
Function: TypeAlias = Callable[[Real], Real]

_REACH = 9.0  # standard deviations; the normal weight left out is 2e-19
_NODES = 48  # Gauss-Legendre on each side of 0, where the kink of ReLU is
_SATURATED = 1e-4  # slopes below this part of the largest count as 0
_NODES_PER_SIGMA = 20  # tanh's slopes fall by e^2 a unit of sigma zeta: each scale needs its node


def _relu(z: Real) -> Real:
    return np.maximum(z, 0.0)


def _relu_slope(z: Real) -> Real:
    return (z > 0).astype(np.float64)


def _tanh_slope(z: Real) -> Real:
    return np.asarray(1 - np.tanh(z) ** 2)


_NAMED: dict[str, tuple[Function, Function]] = {
    "relu": (_relu, _relu_slope),
    "tanh": (np.tanh, _tanh_slope),
    "linear": (np.array, np.ones_like),
}


@dataclass(frozen=True)
class GaussianAverages:
    r"""What a law needs to know of f for preactivations :math:`z = \sigma\zeta`, zeta normal.

    Attributes
    ----------
    slopes, weights : (k,) ndarray
        Values of :math:`d = f'(z)` and their probabilities, a quadrature rule for averages over d.
    linear : float
        :math:`c_1 = E[\zeta f(z)] = \sigma E f'(z)`, the linear part of f.
    nonlinear : float
        :math:`c_*^2 = \operatorname{Var} f(z) - c_1^2`, the variance of the rest.
    variance : float
        :math:`\operatorname{Var} f(z)`.
    mean : float
        :math:`E f(z)`.
    """

    slopes: Real
    weights: Real
    linear: float
    nonlinear: float
    variance: float
    mean: float

    def slope_moment(self, k: int) -> float:
        """:math:`E d^k`."""
        return float(self.weights @ self.slopes**k)


def activation_functions(activation: Any) -> tuple[Function, Function]:
    """Return (f, f') for a name, ``"relu"``, ``"tanh"`` or ``"linear"``, or for the pair itself.

    Raises
    ------
    TypeError
        If `activation` is neither a string nor a pair of callables.
    ValueError
        If there is no activation of that name.

    Examples
    --------
    >>> f, slope = activation_functions("relu")
    >>> f(np.array([-1.0, 2.0])), slope(np.array([-1.0, 2.0]))
    (array([0., 2.]), array([0., 1.]))
    """
    if isinstance(activation, str):
        if activation not in _NAMED:
            raise ValueError(f"activation must be one of {' | '.join(_NAMED)}, got {activation!r}")
        return _NAMED[activation]
    if (
        isinstance(activation, tuple)
        and len(activation) == 2
        and all(callable(function) for function in activation)
    ):
        return activation
    raise TypeError(
        f"activation must be one of {' | '.join(_NAMED)} or a pair (f, f'), got {activation!r}"
    )


def gaussian_averages(activation: Any, sigma: float) -> GaussianAverages:
    r"""Averages of an activation over normal preactivations of standard deviation `sigma`.

    By Gauss-Legendre quadrature on both sides of 0: exact to rounding for smooth f and for kinks
    at 0, first order in a panel's width for a kink elsewhere.

    Parameters
    ----------
    activation : str or pair of callables
        As for `activation_functions`; the callables take and return arrays.
    sigma : float
        Positive.

    Returns
    -------
    GaussianAverages

    Raises
    ------
    TypeError, ValueError
        If `activation` is none, is not finite, is constant, or f' is not the derivative of f,
        which Stein's identity :math:`E[\zeta f(\sigma\zeta)] = \sigma E f'(\sigma\zeta)` tells.

    Examples
    --------
    >>> averages = gaussian_averages("relu", 1.0)
    >>> averages.slopes, averages.weights, round(averages.linear, 12)
    (array([0., 1.]), array([0.5, 0.5]), 0.5)
    >>> bool(np.isclose(averages.nonlinear, 1 / 4 - 1 / (2 * np.pi)))
    True
    """
    f, slope = activation_functions(activation)
    nodes = max(_NODES, round(_NODES_PER_SIGMA * sigma))
    x, w = np.polynomial.legendre.leggauss(nodes)
    half, half_weight = _REACH * (1 + x) / 2, w * np.exp(-((_REACH * (1 + x) / 2) ** 2) / 2)
    zeta = np.concatenate([-half[::-1], half])
    weight = np.concatenate([half_weight[::-1], half_weight]) / (2 * half_weight.sum())
    values, d = (np.asarray(g(sigma * zeta), dtype=np.float64) for g in (f, slope))
    if values.shape != zeta.shape or d.shape != zeta.shape:
        raise ValueError(
            f"activation must map arrays of shape {zeta.shape} to arrays of that shape, "
            f"got {values.shape} and {d.shape}"
        )
    if not (np.isfinite(values).all() and np.isfinite(d).all()):
        raise ValueError("activation must be finite, got nan or inf")
    mean = float(weight @ values)
    variance = float(weight @ (values - mean) ** 2)
    linear, by_slope = float(weight @ (zeta * values)), sigma * float(weight @ d)
    if variance == 0 or not d.any():
        raise ValueError("activation must not be constant")
    if abs(linear - by_slope) > 1e-2 * np.sqrt(variance):
        raise ValueError(
            "activation must be a pair (f, f') with f' the derivative of f, "
            f"got E[z f(z)] = {linear:.6g} but E f'(z) = {by_slope:.6g}"
        )
    # Saturated units have eigenvalues, squares of slopes, over dozens of decades: most are null.
    d[np.abs(d) < _SATURATED * np.abs(d).max()] = 0.0
    # One node for each value: two for ReLU, half of them for an even slope.
    slopes, which = np.unique(np.round(d, 13), return_inverse=True)
    return GaussianAverages(
        slopes=slopes,
        weights=np.bincount(which, weight).astype(np.float64),
        linear=linear,
        nonlinear=max(variance - linear**2, 0.0),
        variance=variance,
        mean=mean,
    )
