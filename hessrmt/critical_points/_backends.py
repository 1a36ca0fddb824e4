"""Dense linear algebra of many small problems: numpy and LAPACK on a processor, torch on a GPU.

The searches are written once, with what numpy arrays and torch tensors have in common (``@``,
``.mT``, broadcasting). Here is the rest. On a processor numpy is used because it is faster than
torch on these sizes: twice for tanh and for products of 16 by 16 matrices, and half as much again
for the Cholesky and LU factors of 256 by 256 matrices.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import lapack

__all__ = [
    "Array",
    "damped_solve",
    "from_tensor",
    "gather",
    "inverse_root",
    "shifted_solve",
    "solve_or_nan",
    "symmetric_eigenvalues",
    "tanh",
    "to_numpy",
]

# A numpy array or a torch tensor, float64.
Array: TypeAlias = Any


def from_tensor(value: torch.Tensor) -> Array:
    """Numpy array with the tensor's memory if it is on the CPU, else the tensor itself."""
    value = value.detach()
    return value.numpy() if value.device.type == "cpu" else value


def to_numpy(value: Array) -> NDArray[Any]:
    """Numpy array of either kind."""
    return value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()


def tanh(z: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(z) if isinstance(z, np.ndarray) else torch.tanh(z)


def gather(rows: Array, places: NDArray[np.intp]) -> Array:
    """Entries (..., places) of rows, in the order of rows that BLAS wants."""
    if isinstance(rows, np.ndarray):
        return rows.take(places, axis=-1, mode="clip")  # five times as fast as an index
    return rows[..., places]


def symmetric_eigenvalues(matrices: Array) -> NDArray[np.float64]:
    """Ascending eigenvalues (..., N) of symmetric matrices (..., N, N); NaN of one not finite."""
    finite: Any
    if isinstance(matrices, np.ndarray):
        finite = np.isfinite(matrices).all(axis=(-2, -1))
        if finite.all():
            return np.linalg.eigvalsh(matrices)
        values = np.linalg.eigvalsh(np.where(finite[..., None, None], matrices, 0.0))
        return np.asarray(np.where(finite[..., None], values, np.nan))
    finite = torch.isfinite(matrices).all(dim=-1).all(dim=-1)
    values = torch.linalg.eigvalsh(torch.where(finite[..., None, None], matrices, 0.0))
    return to_numpy(torch.where(finite[..., None], values, torch.nan))


def solve_or_nan(matrices: Array, right: Array) -> Array:
    """Solve A X = B for positive definite A (..., N, N); NaN where a matrix is not."""
    if not isinstance(matrices, np.ndarray):
        factor, info = torch.linalg.cholesky_ex(matrices)
        solution = torch.cholesky_solve(right, factor)
        return torch.where((info == 0)[..., None, None], solution, torch.nan)
    solution = np.empty_like(right)
    for i, (A, B) in enumerate(zip(matrices, right, strict=True)):
        _, solution[i], info = lapack.dposv(A, B)
        if info != 0:
            solution[i] = np.nan
    return solution


def inverse_root(matrices: Array) -> Array:
    """Square roots R of inverses, R R^T = A^-1, of positive definite A; NaN where A is not."""
    if not isinstance(matrices, np.ndarray):
        factor, info = torch.linalg.cholesky_ex(matrices)
        factor = torch.where((info == 0)[..., None, None], factor, torch.nan)
        eye = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
        return torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False).mT
    roots = np.full_like(matrices, np.nan)
    for i, A in enumerate(matrices):
        factor, info = lapack.dpotrf(A, lower=1)
        if info == 0:
            roots[i] = lapack.dtrtri(factor, lower=1)[0].T
    return roots


def damped_solve(matrices: Array, vectors: Array, damping: Array) -> Array:
    r"""Minimiser s of :math:`|As+b|^2+\mu|s|^2`, A symmetric; NaN where rounding forbids it."""
    if not isinstance(matrices, np.ndarray):
        normal = matrices @ matrices
        normal.diagonal(dim1=-2, dim2=-1).add_(damping[:, None])
        return -solve_or_nan(normal, matrices @ vectors[..., None])[..., 0]
    steps = np.empty_like(vectors)
    for i, (A, b) in enumerate(zip(matrices, vectors, strict=True)):
        normal = A @ A.T  # numpy recognises the symmetric product and does half the work
        normal.flat[:: len(A) + 1] += damping[i]
        # The transpose is the same matrix in the order of columns, which LAPACK takes uncopied.
        _, steps[i], info = lapack.dposv(normal.T, A @ b, overwrite_a=1)
        if info != 0:
            steps[i] = np.nan
    return -steps


def shifted_solve(real: Array, imaginary: Array, right: Array) -> Array:
    """Solve (R + iM) x = b for symmetric R and M (..., N, N), complex b (..., N)."""
    if not isinstance(real, np.ndarray):
        return torch.linalg.solve_ex(torch.complex(real, imaginary), right)[0]
    solution = np.empty_like(right)
    matrix = np.empty(real.shape[-2:], dtype=np.complex128)
    for i, b in enumerate(right):
        matrix.real, matrix.imag = real[i], imaginary[i]
        _, _, solution[i], info = lapack.zgesv(matrix.T, b, overwrite_a=1)
        if info != 0:
            solution[i] = np.nan
    return solution
