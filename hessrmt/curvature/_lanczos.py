"""Lanczos' method with full reorthogonalisation, and what its matrix says of a spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

__all__ = ["Nodes", "lanczos", "nodes"]

Real: TypeAlias = NDArray[np.floating[Any]]


def lanczos(
    operator: Any,
    start: Real,
    steps: int,
    against: Real,
    step: Callable[[float, float], None],
) -> Real:
    """Run Lanczos' method and return its orthonormal basis, a row a step.

    Parameters
    ----------
    operator : LinearOperator
        Symmetric, of shape (P, P).
    start : (P,) ndarray
        A unit vector orthogonal to the rows of `against`.
    steps : int
        At most; fewer if the vectors span an invariant space.
    against : (r, P) ndarray
        Orthonormal rows: the operator is the one compressed to their complement.
    step : callable
        Told the diagonal and the off-diagonal entry of each step, the latter 0 at the end of an
        invariant space; so that an interruption loses nothing.
    """
    basis = np.empty((steps, start.size), start.dtype)
    basis[0], largest, eps = start, 0.0, float(np.finfo(start.dtype).eps)
    for k in range(steps):
        r = operator.matvec(basis[k]).astype(start.dtype, copy=False)
        a = float(basis[k] @ r)
        for _ in range(2):  # against all: rounding errors would bring copies of eigenvalues
            r = r - basis[: k + 1].T @ (basis[: k + 1] @ r)
            r = r - against.T @ (against @ r)
        b = float(np.linalg.norm(r))
        largest = max(largest, abs(a) + b)
        ended = b <= 100 * eps * largest
        step(a, 0.0 if ended else b)
        if ended:
            return basis[: k + 1]
        if k + 1 < steps:
            basis[k + 1] = r / b
    return basis


class Nodes(NamedTuple):
    """Gauss quadrature of the spectral measure of a start: places, masses, residual norms."""

    places: NDArray[np.float64]
    masses: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vectors: NDArray[np.float64]


def nodes(alpha: NDArray[np.float64], beta: NDArray[np.float64]) -> Nodes:
    """Ritz values of a run, ascending, with masses that sum to 1 and residual norms."""
    places, vectors = eigh_tridiagonal(alpha, beta[: alpha.size - 1])
    residuals = np.abs(beta[alpha.size - 1] * vectors[-1])
    return Nodes(places, vectors[0] ** 2, residuals, vectors)
