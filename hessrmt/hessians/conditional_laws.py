r"""Spectra of H0 and of H given the examples and the first layer: matrix equations.

With X and W1 fixed at any finite n, and W2 (for H also the residuals e) random, the average
resolvent solves a closed equation for matrices, for H approximately. For H0, with
:math:`A = f(W_1X)`, :math:`B_k = D_kX^TXD_k/m` and :math:`D_k` the diagonal matrix of slopes of
unit k, summing over pairings of the entries of W2 that do not cross gives

.. math:: g = \Big[z - A^TA/m - \frac{\sigma_2^2}n \sum_k B_k(1 - \sigma_2^2 gB_k)^{-1}\Big]^{-1},

the m by m partial resolvent of :math:`K = J^TJ/m`, which has the non-zero eigenvalues of H0.

For H of a ReLU network, J is kept apart: :math:`z - H` is the Schur complement of the unit corner
in :math:`\begin{pmatrix} z - H_1 & J/\sqrt m \\ J^T/\sqrt m & 1 \end{pmatrix}`. With
:math:`F_k = XD_k/\sqrt m` and independent residuals N(0, 2 epsilon), the average inverse has blocks
:math:`G_a` (W1 by W1), :math:`G_b` (units, for each output) and :math:`G_y` (examples),

.. math::
   G_a^{-1} &= z - \big(\delta_{kk'} \sigma_2^2 F_kG_yF_k^T\big) \\
            &\quad - \epsilon\phi\,\big(G_{b,kk'} F_kF_{k'}^T\big), \\
   \begin{pmatrix} G_b & \cdot \\ \cdot & G_y \end{pmatrix} &=
   \begin{pmatrix} z - S_b & -A/\sqrt m \\ -A^T/\sqrt m & 1 - S_y \end{pmatrix}^{-1}, \\
   S_{b,kk'} &= \tfrac{2\epsilon}m \operatorname{tr}(G_{a,kk'}F_{k'}F_k^T), \\
   S_y &= \tfrac{\sigma_2^2}n \textstyle\sum_k F_k^TG_{a,kk}F_k .

Neither is in the paper. They are derived at a physicist's level of rigour and checked against
simulation. For H0 pairings that cross cost 1/n. For H those of the residuals with W2 do not, and
are left out: the second equation is an approximation (a coefficient of
moment 6 by .4 %);
`hessrmt.hessians.FullHessianLaw`, averaged over everything, has them. tanh is open, as its H1 has
a third block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.hessians._activations import activation_functions
from hessrmt.validation import complex_array, real, real_array

__all__ = [
    "conditional_gauss_newton_stieltjes",
    "conditional_hessian_stieltjes",
    "smoothed_density",
]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

_TOLERANCE = 1e-8  # of a step, relative to the largest entry
_MOST_STEPS = 1000


def conditional_gauss_newton_stieltjes(
    z: ArrayLike,
    x: ArrayLike,
    W1: ArrayLike,
    activation: Any = "relu",
    sigma2: float = 1.0,
) -> Complex:
    r"""Stieltjes transform of H0, averaged over W2, for given examples and first layer.

    .. math:: &G(z) = \frac1\phi\Big(\frac1m \operatorname{tr} g(z) - \frac{1-\phi}z\Big), \\
              &\phi = 2n/m,

    with g from the equation at the head of this module, solved by damped iteration from one z to
    the next: neighbours in the flattened `z` should be close.

    Parameters
    ----------
    z : array_like of complex, any shape
        Im z > 0. A point takes a tenth of a second at n = 16, three or four at n = 24.
    x : (n, m) array_like
        Examples, one a column.
    W1 : (n, n) array_like
        First layer.
    activation : str or pair of callables
        As for `GaussNewtonLaw`.
    sigma2 : float
        W2 has independent entries of variance sigma2^2/n.

    Returns
    -------
    ndarray of complex128, the shape of `z`

    Raises
    ------
    TypeError, ValueError
        If an argument has another kind or shape, or is outside its domain.
    RuntimeError
        If the iteration does not converge at some point, which the message names.

    Examples
    --------
    For one unit and linear activation, K is (x^T x/m) (w1^2 + w2^2), with w2 N(0, 1):

    >>> G = conditional_gauss_newton_stieltjes([100j], [[1.0, 1.0]], [[1.0]], "linear")
    >>> bool(abs(G[0] - 1 / 100j) < 2e-4)
    True
    """
    points = _upper_half_plane(z)
    x, W1, h, F = _network(x, W1, activation, real("sigma2", sigma2, "(0, inf)"))
    n, m = x.shape
    phi = 2 * n / m
    data, one = h.T @ h / m, np.eye(n)
    Ft = F.mT

    def step(unknowns: list[Any], z: complex) -> tuple[complex, list[Any]]:
        # B (1 - g B)^{-1} = F^T (1 - F g F^T)^{-1} F, with n by n inverses.
        inner = np.linalg.solve(one - F @ unknowns[0] @ Ft, F)
        pairings = np.tensordot(Ft, inner, axes=([0, 2], [0, 1])) / n
        g = np.linalg.inv(z * np.eye(m) - data - pairings)
        return (np.trace(g) / m - (1 - phi) / z) / phi, [g]

    return _solve(points, lambda z: [np.eye(m) / z], step, "H0")[()]


def conditional_hessian_stieltjes(
    z: ArrayLike, x: ArrayLike, W1: ArrayLike, epsilon: float, sigma2: float = 1.0
) -> Complex:
    r"""Stieltjes transform of H, averaged over W2 and residuals, for a ReLU network.

    .. math:: G(z) = \frac{\operatorname{tr}G_a + n\operatorname{tr}G_b}{2n^2}

    with the blocks at the head of this module, solved by damped iteration from one z to the
    next: neighbours in the flattened `z` should be close.

    Parameters
    ----------
    z : array_like of complex, any shape
        Im z > 0. A step inverts n^2 by n^2 matrices: a point takes half a second at n = 16.
    x : (n, m) array_like
        Examples, one a column.
    W1 : (n, n) array_like
        First layer.
    epsilon : float
        Energy: the residuals are independent N(0, 2 epsilon).
    sigma2 : float
        W2 has independent entries of variance sigma2^2/n.

    Returns
    -------
    ndarray of complex128, the shape of `z`

    Raises
    ------
    TypeError, ValueError
        If an argument has another kind or shape, or is outside its domain.
    RuntimeError
        If the iteration does not converge at some point, which the message names.

    Examples
    --------
    Far out only the mean of H counts, here (E|w2|^2 x^2 + f(x)^2)/2 = 1:

    >>> G = conditional_hessian_stieltjes([1e4 + 1j], [[1.0]], [[1.0]], 0.1)
    >>> round(float((1e4 * (1e4 * G[0] - 1)).real), 3)
    1.0
    """
    points = _upper_half_plane(z)
    epsilon = real("epsilon", epsilon, "[0, inf)")
    scale = real("sigma2", sigma2, "(0, inf)")
    x, W1, h, F = _network(x, W1, "relu", 1.0)
    n, m = x.shape
    Ft = F.mT
    grams = np.einsum("kam,lbm->kalb", F, F, optimize=True)  # F_k F_l^T
    unit = np.arange(n)
    inverse = np.empty((n + m, n + m), dtype=np.complex128)
    inverse[:n, n:], inverse[n:, :n] = -h / np.sqrt(m), -h.T / np.sqrt(m)

    def step(unknowns: list[Any], z: complex) -> tuple[complex, list[Any]]:
        Gb, Gy = unknowns
        inverse_a = -(2 * epsilon * n / m) * Gb[:, None, :, None] * grams
        inverse_a[unit, :, unit, :] += z * np.eye(n) - scale**2 * (F @ Gy @ Ft)
        Ga = np.linalg.inv(inverse_a.reshape(n * n, n * n)).reshape(n, n, n, n)
        Sb = (2 * epsilon / m) * np.einsum("kalb,kalb->kl", Ga, grams)
        own = Ga[unit, :, unit, :] @ F
        Sy = (scale**2 / n) * np.tensordot(F, own, axes=([0, 1], [0, 1]))
        inverse[:n, :n], inverse[n:, n:] = z * np.eye(n) - Sb, np.eye(m) - Sy
        G = np.linalg.inv(inverse)
        total = np.einsum("kaka->", Ga) + n * np.trace(G[:n, :n])
        return total / (2 * n * n), [G[:n, :n], G[n:, n:]]

    return _solve(points, lambda z: [np.eye(n) / z, np.eye(m, dtype=np.complex128)], step, "H")[()]


def smoothed_density(eigenvalues: ArrayLike, x: ArrayLike, width: float) -> Real:
    r"""Density of eigenvalues smoothed by a Cauchy law, :math:`-\operatorname{Im}G(x+i\eta)/\pi`.

    What the Stieltjes transforms of this module are compared with: at height eta, they give the
    density of their law smoothed in the same way, ``-G.imag / pi``.

    Parameters
    ----------
    eigenvalues : array_like of float
        Of any shape; several matrices are pooled.
    x : array_like of float
        Of any shape.
    width : float
        eta, positive.

    Returns
    -------
    ndarray of float64, the shape of `x`

    Raises
    ------
    TypeError, ValueError
        If an argument is not real and finite, or `width` not positive.

    Examples
    --------
    >>> float(smoothed_density([0.0, 0.0], 0.0, 0.5).round(6))  # 1/(pi eta)
    0.63662
    """
    eigs = np.ravel(real_array("eigenvalues", eigenvalues))
    if not eigs.size:
        raise ValueError("eigenvalues must not be empty")
    x, width = real_array("x", x), real("width", width, "(0, inf)")
    density = [np.mean(width / ((point - eigs) ** 2 + width**2)) / np.pi for point in x.flat]
    return np.reshape(density, x.shape)[()]


def _upper_half_plane(z: ArrayLike) -> Complex:
    return complex_array("z", z, "finite with Im z > 0", lambda z: z.imag > 0)


def _solve(
    points: Complex,
    start: Callable[[complex], list[Any]],
    step: Callable[[list[Any], complex], tuple[complex, list[Any]]],
    what: str,
) -> Complex:
    """Stieltjes transform at each of `points`, where `step` maps unknowns to it and to new ones.

    Damped by half, from the solution at the point before; `start` is for the first.
    """
    out = np.empty(points.size, dtype=np.complex128)
    unknowns = start(points.flat[0]) if points.size else []
    for i, z in enumerate(points.flat):
        for _ in range(_MOST_STEPS):
            out[i], new = step(unknowns, z)
            pairs = list(zip(new, unknowns, strict=True))
            unknowns = [(old + updated) / 2 for updated, old in pairs]
            if all(np.abs(a - b).max() < _TOLERANCE * np.abs(a).max() for a, b in pairs):
                break
        else:
            raise RuntimeError(f"the equation for {what} does not converge at z = {z}")
    return out.reshape(points.shape)


def _network(
    x: ArrayLike, W1: ArrayLike, activation: Any, scale: float
) -> tuple[Real, Real, Real, Real]:
    """Examples, first layer, activations A and ``scale * F``, F (unit, n, m) as in the module."""
    x, W1 = real_array("x", x), real_array("W1", W1)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"x must have shape (n, m), got {x.shape}")
    n, m = x.shape
    if W1.shape != (n, n):
        raise ValueError(f"W1 must have shape ({n}, {n}), as x has {n} rows, got {W1.shape}")
    f, slope = activation_functions(activation)
    preactivation = W1 @ x
    h, d = (np.asarray(g(preactivation), dtype=np.float64) for g in (f, slope))
    return x, W1, h, scale * d[:, None, :] * x / np.sqrt(m)
