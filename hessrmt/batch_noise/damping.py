r"""Damped inverses of curvature matrices that are means over a batch, in the mean over batches.

A batch shows the curvature :math:`H_b = \frac1b\sum_i h_i` of b independent examples; its mean is
A. An example that takes part in :math:`H_b` blocks its own way through the resolvent (Sherman &
Morrison): its curvature counts as :math:`h_i(1 + Mh_i/b)^{-1}`. With M replaced by its mean m
where examples have their curvature,

.. math:: &\mathbb E\,(H_b + d)^{-1} \approx M = (cA + d)^{-1}, \\
          &c = \frac{\sum_i \operatorname{tr} h_i(1 + mh_i/b)^{-1}}{\sum_i\operatorname{tr} h_i}, \\
          &m = \frac{\operatorname{tr} AM}{\operatorname{tr} A} .

Adding t B to :math:`H_b` and differentiating at t = 0 gives products of two resolvents,

.. math:: &\mathbb E\,(H_b + d)^{-1}B(H_b + d)^{-1} \approx M(B + c'A)M, \\
          &c' = \frac{dc}{dt},

so that the mean change of a quadratic loss by a damped step is known (`expected_change`). All
matrices are diagonal in the eigenbasis of A; of B only the diagonal there matters to c'.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from hessrmt.validation import real, real_array

__all__ = ["DampedInverse", "damped_inverse", "expected_change", "kronecker_damped_inverse"]

Real = NDArray[np.float64]
_STEPS, _TOLERANCE = 10_000, 1e-10


class DampedInverse(NamedTuple):
    """Mean of a damped inverse, and its response to a matrix added to the curvature."""

    mean: Real  # diagonal of M in the eigenbasis of A
    response: Real  # diagonal of c' A, what noise adds to B in M (B + c' A) M
    shrinkage: Real  # factor c of each eigenvalue of A


def damped_inverse(
    values: ArrayLike, examples: ArrayLike, batch: float, damping: float, added: ArrayLike = 0.0
) -> DampedInverse:
    r"""Mean of :math:`(H_b + d)^{-1}` over batches of independent examples.

    Parameters
    ----------
    values : (N,) array_like
        Eigenvalues of A, >= 0.
    examples : (m, r) array_like
        Eigenvalues of each example's curvature :math:`h_i`, >= 0, those that are zero left out or
        not. Their mean trace is that of A.
    batch : float
        Examples in a batch, drawn independently; > 0.
    damping : float
        d, > 0.
    added : (N,) array_like or float
        Diagonal of B in the eigenbasis of A, for the response.

    Returns
    -------
    DampedInverse
        Of shape (N,); the shrinkage is one number.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, or without curvature.

    Notes
    -----
    Exact for one eigenvalue of rank-one Gaussian examples as the dimension grows; otherwise m
    stands for the quadratic form of each example, whose fluctuations are left out.

    Examples
    --------
    Half as many examples as dimensions, vectors of length one in all directions alike:

    >>> found = damped_inverse(np.full(100, 0.01), np.ones((1000, 1)), batch=50, damping=1e-6)
    >>> float(found.shrinkage.round(3)), float((1e-6 * found.mean[0]).round(3))
    (0.0, 0.5)
    """
    a, own, batch, d = _inputs(values, examples, batch, damping)
    added = _added(added, a.shape)
    low, high = 1e-300, 1 / d

    def gap(m: float) -> float:
        return float(m - a @ (1 / (_shrink(own, m / batch)[0] * a + d)) / a.sum())

    m = brentq(gap, low, high, xtol=1e-300, rtol=1e-13)
    c, slope = _shrink(own, m / batch)
    M = 1 / (c * a + d)
    # m' = -tr AM(B + c'A)M / tr A and c' = slope m' / batch are two linear equations.
    k = slope / (batch * a.sum())
    rate = -k * np.sum(a * M**2 * added) / (1 + k * np.sum((a * M) ** 2))
    return DampedInverse(M, rate * a, np.asarray(c))


def kronecker_damped_inverse(
    left: tuple[ArrayLike, ArrayLike],
    right: tuple[ArrayLike, ArrayLike],
    batch: float,
    damping: float,
    added: ArrayLike = 0.0,
) -> DampedInverse:
    r"""The same for a Kronecker product of two means, as in K-FAC.

    The inverse is :math:`(G_b \otimes A_b + d)^{-1}`. For a fixed eigenvalue g of :math:`G_b` the
    curvature is the mean :math:`g A_b`, with a factor c(g); and the other way round. Each factor is
    that of the noise left by the other, and both multiply :math:`g_k a_j`:

    .. math:: M_{kj} = \frac1{c_k\,c'_j\,g_ka_j + d} .

    Parameters
    ----------
    left, right : pairs of array_like, shapes (q,) and (m, r); (p,) and (m, s)
        Eigenvalues of the mean of each factor, and of each example's contribution to it.
    batch, damping
        As in `damped_inverse`.
    added : (q, p) array_like or float
        Diagonal of B in the eigenbasis of the two factors.

    Returns
    -------
    DampedInverse
        All of shape (q, p).

    Raises
    ------
    TypeError, ValueError
        As in `damped_inverse`.
    RuntimeError
        If the iteration for the two factors does not converge.

    Examples
    --------
    A factor without noise leaves the other's:

    >>> one, a = (np.ones(1), np.zeros((1000, 0))), (np.full(100, 0.01), np.ones((1000, 1)))
    >>> found = kronecker_damped_inverse(one, a, batch=50, damping=1e-6)
    >>> float((1e-6 * found.mean[0, 0]).round(3))
    0.5
    """
    g, own_g, batch, d = _inputs(*left, batch, damping, named="left")
    a, own_a, _, _ = _inputs(*right, batch, damping, named="right")
    product = np.outer(g, a)
    added = _added(added, product.shape)

    def solve(t: float, row: Real, column: Real) -> tuple[Real, Real]:
        """Factors of the rows and columns, each in the other's presence, for curvature + t B."""
        for _ in range(_STEPS):
            M = 1 / (np.outer(row * g, column * a) + t * added + d)
            new_row = _shrink(own_a, g * (M @ (column * a)) / (a.sum() * batch))[0]
            new_column = _shrink(own_g, a * ((row * g) @ M) / (g.sum() * batch))[0]
            off = max(np.max(np.abs(new_row / row - 1)), np.max(np.abs(new_column / column - 1)))
            if off < _TOLERANCE:
                return row, column
            row, column = np.sqrt(row * new_row), np.sqrt(column * new_column)  # else it swings
        raise RuntimeError(f"no fixed point at batch {batch:g} and damping {d:g}")

    row, column = solve(0.0, np.ones_like(g), np.ones_like(a))
    c, rate = np.outer(row, column), np.zeros_like(product)
    if added.any():
        step = 1e-3 * d / float(np.abs(added).max())
        up, down = (np.outer(*solve(t, row, column)) for t in (step, -step))
        rate = (up - down) / (2 * step)
    return DampedInverse(1 / (c * product + d), rate * product, c)


def expected_change(inverse: DampedInverse, gradient: ArrayLike, hessian: ArrayLike) -> float:
    r"""Mean change of :math:`g^Ts + \frac12 s^THs` by the steps :math:`s = -(H_b + d)^{-1}g`.

    .. math:: -g^TMg + \tfrac12 g^TM(H + c'A)Mg

    Parameters
    ----------
    inverse : DampedInverse
        Calculated with the diagonal of H as `added`.
    gradient : (N,) array_like
        In the eigenbasis of A; for (q, p) inverses row by row.
    hessian : (N, N) or (N,) array_like
        In the same basis, or its diagonal if it is diagonal there.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For arrays of other shapes.
    """
    g, H = real_array("gradient", gradient), real_array("hessian", hessian)
    size = inverse.mean.size
    if g.shape != (size,) or H.shape not in ((size,), (size, size)):
        raise ValueError(
            f"gradient must have shape ({size},) and hessian that or ({size}, {size}), "
            f"got {g.shape} and {H.shape}"
        )
    s = np.ravel(inverse.mean) * g
    curvature = s @ H @ s if H.ndim == 2 else H @ s**2
    return float(-g @ s + (curvature + np.ravel(inverse.response) @ s**2) / 2)


def _shrink(own: Real, m: ArrayLike) -> tuple[Any, Any]:
    """Factor c of the curvature for each m (already over the batch), and its derivative."""
    if not own.any():  # no example has curvature of its own: no noise
        return np.ones_like(m), np.zeros_like(m)
    flat = np.ravel(own)
    x = np.multiply.outer(np.asarray(m), flat)
    return (flat / (1 + x)).sum(-1) / flat.sum(), -((flat / (1 + x)) ** 2).sum(-1) / flat.sum()


def _added(added: ArrayLike, shape: tuple[int, ...]) -> Real:
    found = real_array("added", added)
    if found.shape not in ((), shape):
        raise ValueError(f"added must be one number or have shape {shape}, got {found.shape}")
    return np.broadcast_to(found, shape)


def _inputs(
    values: ArrayLike, examples: ArrayLike, batch: float, damping: float, named: str = "values"
) -> tuple[Real, Real, float, float]:
    a = real_array(named, values, "[0, inf)")
    whose = "examples" if named == "values" else f"examples of {named}"
    own = real_array(whose, examples, "[0, inf)") if np.size(examples) else np.zeros((1, 0))
    if a.ndim != 1 or not a.sum() > 0:
        raise ValueError(f"{named} must be one row of eigenvalues with a positive sum, got {a!r}")
    return a, own, real("batch", batch, "(0, inf)"), real("damping", damping, "(0, inf)")
