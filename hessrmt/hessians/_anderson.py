"""Anderson's acceleration of fixed-point iterations, for many small problems side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["anderson"]

Real: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

_DEPTH = 5  # iterates remembered; more gains nothing on the equations of the Hessian


def anderson(
    step: Callable[[NDArray[np.int_], Complex], Complex],
    start: Complex,
    tolerance: Real,
    most: int,
) -> tuple[Complex, NDArray[np.bool_]]:
    r"""Solve :math:`u = \mathrm{step}(u)` for each row of `start`.

    The next iterate is :math:`u + f - \sum_j \gamma_j (\Delta u_j + \Delta f_j)`, with
    :math:`f = \mathrm{step}(u) - u` and the :math:`\gamma` that make
    :math:`|f - \sum_j \gamma_j \Delta f_j|` least (Anderson 1965, J. ACM 12, 547; the form of
    Walker & Ni 2011, SIAM J. Numer. Anal. 49, 1715).

    Parameters
    ----------
    step : callable
        Maps the numbers of the rows (k,), and the rows (k, unknowns), to new rows.
    start : (b, unknowns) ndarray of complex128
        First iterates.
    tolerance : (b,) ndarray of float64
        A row is solved if no entry of f exceeds this times 1 + its largest entry.
    most : int
        Iterations.

    Returns
    -------
    u : (b, unknowns) ndarray of complex128
        Rows that are not solved are where they were given up.
    solved : (b,) ndarray of bool

    Examples
    --------
    >>> u, solved = anderson(lambda i, u: np.cos(u), np.ones((1, 1), complex), np.array([1e-14]), 9)
    >>> bool(solved[0]), round(float(u[0, 0].real), 12)
    (True, 0.739085133215)
    """
    out, solved = start.copy(), np.zeros(len(start), dtype=np.bool_)
    rows, u = np.arange(len(start)), start
    places: list[Complex] = []
    moves: list[Complex] = []
    for _ in range(most):
        f = step(rows, u) - u
        error = np.abs(f).max(axis=1) / (1 + np.abs(u).max(axis=1))
        out[rows] = u
        solved[rows] = error < tolerance[rows]
        open_ = np.isfinite(error) & ~solved[rows]
        if not open_.any():
            break
        if not open_.all():
            rows, u, f = rows[open_], u[open_], f[open_]
            places, moves = [a[open_] for a in places], [a[open_] for a in moves]
        places, moves = [*places[-_DEPTH:], u], [*moves[-_DEPTH:], f]
        u = u + f
        if len(moves) > 1:
            d_move = np.diff(np.stack(moves, axis=1), axis=1)  # (row, memory, unknown)
            d_place = np.diff(np.stack(places, axis=1), axis=1)
            adjoint = d_move.conj()
            normal = adjoint @ d_move.mT
            # The ridge only keeps the matrix invertible where a row has all but converged.
            ridge = 1e-13 * np.einsum("bkk->b", normal).real + 1e-300
            normal += ridge[:, None, None] * np.eye(d_move.shape[1])
            gamma = np.linalg.solve(normal, adjoint @ f[:, :, None])
            u = u - (gamma.mT @ (d_place + d_move))[:, 0]
    return out, solved
