r"""The Hessian of a network with its output weights eliminated.

The loss is quadratic in W2, with the same small matrix :math:`C = hh^T/m` for every output, so
that the Hessian is

.. math:: H = \begin{pmatrix} A & B \\ B^T & I\otimes C\end{pmatrix}

and every system with it shrinks to the size of W1: for any shift s the Schur complement

.. math:: S(s) = A + s - B\,(I\otimes(C+s)^{-1})\,B^T

has (Haynsworth) as many negative eigenvalues as :math:`H+s` when :math:`C+s` is positive, and with
:math:`s = i\tau` it gives the Levenberg-Marquardt step of the whole gradient. It is assembled
from thin matrices: with P the matrix of rows :math:`f'(z_a)\odot x_b`, :math:`\Phi=Ph^T/m` and
:math:`E=Pe^T/m`,

.. math:: B_{ab,ic} = (W_2)_{ia}\,\Phi_{ab,c} + \delta_{ac}\,E_{ab,i} .
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessrmt.critical_points._backends import (
    Array,
    from_tensor,
    gather,
    inverse_root,
    solve_or_nan,
    symmetric_eigenvalues,
    tanh,
)
from hessrmt.networks import SingleHiddenLayer
from hessrmt.validation import choice

__all__ = ["Point", "Surface", "check_runs"]


def check_runs(net: SingleHiddenLayer, theta: Tensor, x: Tensor, y: Tensor) -> None:
    """Refuse tensors that do not describe at least one run each with its own data, in float64.

    Raises
    ------
    TypeError, ValueError
        As `SingleHiddenLayer.check`; for another dtype; if leading dimensions differ; or if the
        energy or the gradient of a run overflows.
    """
    net.check(theta, x, y)
    if theta.dtype != torch.float64:
        raise TypeError(f"theta, x and y must be float64, got {theta.dtype}")
    leading = theta.shape[:-1], x.shape[:-2], y.shape[:-2]
    if len(set(leading)) > 1 or len(leading[0]) != 1 or leading[0][0] == 0:
        shapes = ", ".join(str(tuple(t.shape)) for t in (theta, x, y))
        raise ValueError(
            "theta, x and y must have one leading dimension, the number of runs in [1, inf), "
            f"got shapes {shapes}"
        )
    size = net.energy(theta, x, y) + (net.gradient(theta, x, y) ** 2).sum(dim=-1)
    if not torch.isfinite(size).all():
        run = int((~torch.isfinite(size)).nonzero()[0])
        raise ValueError(f"theta, x and y must have a finite gradient, got none in run {run}")


class Point(NamedTuple):
    """What a forward pass leaves, for some runs."""

    W2: Array  # (runs, n2, n1)
    x: Array  # (runs, n0, m)
    h: Array  # (runs, n1, m)
    slope: Array
    bend: Array | None  # f''(z); None where it vanishes
    e: Array  # (runs, n2, m)
    u: Array  # W2^T e


class Surface:
    """The losses of a batch of runs, each with its own data.

    Parameters
    ----------
    net : SingleHiddenLayer
        With a smooth activation: tanh or linear.
    x, y : tensors (runs, n0, m), (runs, n2, m), float64

    Raises
    ------
    ValueError
        If the activation has kinks: critical points of ReLU networks lie on them, where there is
        no Hessian.
    """

    def __init__(self, net: SingleHiddenLayer, x: Tensor, y: Tensor) -> None:
        choice("activation", net.activation, "tanh | linear")
        self.net, self.x, self.y = net, from_tensor(x), from_tensor(y)
        self.m = x.shape[-1]
        low, high = np.triu_indices(net.n0)
        # Products of inputs over examples: the W1 block of every Hessian is linear in them.
        self._pairs = (self.x[:, low] * self.x[:, high]).mT / self.m
        self._low, self._high = np.triu_indices(net.n1)
        self._bent = self._low == self._high
        self._spread = self._spreading()

    def _spreading(self) -> NDArray[np.intp]:
        """Where entry (ab, a'b') of a block symmetric in a, a' and in b, b' is stored."""
        n0, n1 = self.net.n0, self.net.n1
        place = []
        for n in (n1, n0):
            table = np.empty((n, n), dtype=np.intp)
            rows, columns = np.triu_indices(n)
            table[rows, columns] = table[columns, rows] = np.arange(rows.size)
            place.append(table)
        hidden, inputs = place[0][:, None, :, None], place[1][None, :, None, :]
        return np.ravel(hidden * (n0 * (n0 + 1) // 2) + inputs)

    # -- points ------------------------------------------------------------------------------------

    def point(self, runs: NDArray[np.intp], W1: Array, W2: Array | None = None) -> Point:
        """Forward pass; without W2, with its least-squares optimum (NaN if not unique)."""
        x, y = self.x[runs], self.y[runs]
        h = W1 @ x
        if self.net.activation == "tanh":
            h = tanh(h)
            slope = 1 - h * h
            bend = -2 * h * slope
        else:
            slope, bend = h * 0 + 1, None
        if W2 is None:
            W2 = solve_or_nan(h @ h.mT / self.m, h @ y.mT / self.m).mT
        e = W2 @ h - y
        return Point(W2, x, h, slope, bend, e, W2.mT @ e)

    def gradient(self, p: Point) -> tuple[Array, Array]:
        """Gradients (runs, n1, n0) and (runs, n2, n1) of the loss in W1 and W2."""
        return (p.u * p.slope) @ p.x.mT / self.m, p.e @ p.h.mT / self.m

    def energy(self, p: Point) -> Array:
        """Energy (runs,)."""
        return (p.e * p.e).mean(axis=(-2, -1)) / 2

    # -- Hessian -----------------------------------------------------------------------------------

    def corner(self, p: Point) -> Array:
        """C (runs, n1, n1), the Hessian in W2 for one output."""
        return p.h @ p.h.mT / self.m

    def thin(self, p: Point) -> tuple[Array, Array]:
        """Phi (runs, n1 n0, n1) and E (runs, n1 n0, n2)."""
        P = (p.slope[:, :, None] * p.x[:, None]).reshape(len(p.x), -1, self.m)
        return P @ (p.h.mT / self.m), P @ (p.e.mT / self.m)

    def top(self, runs: NDArray[np.intp], p: Point) -> Array:
        """A (runs, n1 n0, n1 n0), the Hessian in W1."""
        gram = p.W2.mT @ p.W2
        rows = gram[:, self._low, self._high][..., None] * p.slope[:, self._low]
        rows *= p.slope[:, self._high]
        if p.bend is not None:
            rows[:, self._bent] += p.u * p.bend
        size = self.net.n1 * self.net.n0
        stored = (rows @ self._pairs[runs]).reshape(len(p.x), -1)
        return gather(stored, self._spread).reshape(-1, size, size)

    def coupling(self, p: Point, thin: tuple[Array, Array], root: Array) -> Array:
        """B (I x K) B^T (runs, n1 n0, n1 n0) for K = root root^T, root (runs, n1, n1)."""
        phi, E = thin
        n0, n1, n2 = self.net.n0, self.net.n1, self.net.n2
        left = _pair(p.W2.mT[:, :, None], E.reshape(-1, n1, n0, n2), (n1, n0, n2)).mT
        right = _pair((phi @ root).reshape(-1, n1, n0, n1), root[:, :, None], (n1, n0, n1))
        # Products of 2 columns and 2 rows, one a pair (a, b): B (I x root) in a single pass.
        square_root = (left @ right).reshape(-1, n1 * n0, n2 * n1)
        if isinstance(square_root, np.ndarray):
            # numpy recognises a symmetric product, of one matrix only, and does half the work.
            return np.stack([b @ b.T for b in square_root])
        return square_root @ square_root.mT

    def apply(self, p: Point, thin: tuple[Array, Array], V: Array) -> Array:
        """B V (runs, n1 n0) for V (runs, n2, n1) in the space of W2."""
        phi, E = thin
        n0, n1 = self.net.n0, self.net.n1
        a = phi.reshape(-1, n1, n0, n1) @ (p.W2.mT @ V)[..., None]
        b = E.reshape(-1, n1, n0, self.net.n2) @ V.mT[..., None]
        return (a + b).reshape(-1, n1 * n0)

    def apply_transposed(self, p: Point, thin: tuple[Array, Array], U: Array) -> Array:
        """B^T U (runs, n2, n1) for U (runs, n1, n0) in the space of W1."""
        dz = U @ p.x
        slope_dz = p.slope * dz
        return (p.W2 @ slope_dz @ p.h.mT + p.e @ slope_dz.mT) / self.m

    def schur(self, runs: NDArray[np.intp], p: Point) -> Array:
        """S (runs, n1 n0, n1 n0) without a shift."""
        S = self.top(runs, p)
        S -= self.coupling(p, self.thin(p), inverse_root(self.corner(p)))
        return S

    def shifted_schur(
        self, runs: NDArray[np.intp], p: Point, thin: tuple[Array, Array], shift: Array
    ) -> tuple[Array, Array]:
        """S and a root of (C + shift)^-1 for positive shifts (runs,)."""
        root = inverse_root(self.corner(p) + shift[:, None, None] * self.eye(p.h, self.net.n1))
        S = self.top(runs, p)
        S -= self.coupling(p, thin, root)
        return S + shift[:, None, None] * self.eye(S, S.shape[-1]), root

    def count_below(
        self, runs: NDArray[np.intp], p: Point, tolerance: float
    ) -> NDArray[np.float64]:
        """How many eigenvalues of H (runs,) lie below -tolerance, at the price of a smaller matrix.

        Exact by Haynsworth's inertia additivity for the positive corner C + tolerance; NaN where
        numbers overflow.
        """
        shift = p.h[:, 0, 0] * 0 + tolerance
        S, _ = self.shifted_schur(runs, p, self.thin(p), shift)
        values = symmetric_eigenvalues(S)
        return np.where(np.isnan(values[:, 0]), np.nan, (values < 0).sum(axis=-1))

    @staticmethod
    def eye(like: Array, size: int) -> Array:
        """Identity of the kind of array that `like` is."""
        if isinstance(like, np.ndarray):
            return np.eye(size)
        return torch.eye(size, dtype=like.dtype, device=like.device)


def _pair(first: Array, second: Array, shape: tuple[int, ...]) -> Array:
    """Both arrays, broadcast to (runs, *shape), as two rows: (runs, a, b, 2, c)."""
    shape = (len(second), *shape)
    if isinstance(second, np.ndarray):
        return np.stack([np.broadcast_to(first, shape), np.broadcast_to(second, shape)], axis=-2)
    return torch.stack([first.expand(shape), second.expand(shape)], dim=-2)
