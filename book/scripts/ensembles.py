"""Random networks whose residuals are independent, or such that the gradient vanishes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg

from hessrmt import SingleHiddenLayer, project_residuals

COLUMNS = ("a", "bb", "abb", "abab", "bbbb", "grad_norm_sq", "onset", "soft")
LOWEST = 0.05  # share of the directions of H0 that count as soft

Real = NDArray[np.float64]


def rows(relu: int, inverse_phi: int, n: int, number: int) -> Iterator[list[str]]:
    """One network, with the same noise as residuals and projected."""
    rng = np.random.default_rng([relu, inverse_phi, n, number])
    net = SingleHiddenLayer(n, "relu" if relu else "tanh")
    theta = net.initialize(rng=rng)
    x, noise = torch.from_numpy(rng.standard_normal((2, n, 2 * n * inverse_phi)))
    null = n if relu else 0  # one direction a unit: its scale
    for projected in (0, 1):
        e = project_residuals(net, theta, x, noise) if projected else noise
        e = e * torch.sqrt(2 / (e * e).mean())
        y = net.predict(theta, x) - e
        A, B = (part.numpy() for part in net.hessian_parts(theta, x, y))
        if not projected:
            values, vectors = linalg.eigh(A)
        size, AB, BB = len(A), A @ B, B @ B
        traces = np.trace(A), np.sum(B * B), np.sum(AB * B), np.sum(AB * AB.T), np.sum(BB * BB)
        gradient = float((net.gradient(theta, x, y) ** 2).sum())
        found = onset(values[null:], vectors[:, null:], B)
        soft = B @ vectors[:, null : null + max(1, round(LOWEST * size))]
        share = np.sum(soft**2) / soft.shape[1] / (traces[1] / size)
        numbers = (*(t / size for t in traces), gradient, found, share)
        yield [f"{projected}," + ",".join(f"{value:.6g}" for value in numbers)]


def onset(values: Real, vectors: Real, B: Real) -> float:
    """Energy from which H0 + sqrt(energy) B is not positive on these directions of H0."""
    root = vectors / np.sqrt(values)
    least = linalg.eigh(root.T @ B @ root, eigvals_only=True, subset_by_index=[0, 0])[0]
    return float(least**-2.0)


def blocks(relu: int, inverse_phi: int, n: int, number: int) -> Iterator[str]:
    """tau(H1^2) and tau(H1^4) of one wide network, per unit energy, without a matrix of H.

    H1 couples no two units: it has a block [[X diag(u_k) X^T, M_k], [M_k^T, 0]] for each of them,
    with M_k = X diag(f'_k) E^T/m and u_k = (W2^T E)_k f''_k/m.
    """
    rng = np.random.default_rng([relu, inverse_phi, n, number, 2])
    net = SingleHiddenLayer(n, "relu" if relu else "tanh")
    theta = net.initialize(rng=rng)
    x, noise = torch.from_numpy(rng.standard_normal((2, n, 2 * n * inverse_phi)))
    W1, W2 = net.weights(theta)
    h, slope = net.activations(W1 @ x)
    for projected in (0, 1):
        e = project_residuals(net, theta, x, noise) if projected else noise
        e = e * torch.sqrt(2 / (e * e).mean())
        pull = torch.zeros_like(h) if relu else -2 * h * slope * (W2.mT @ e)
        squares = np.zeros(2)
        for d, u in zip(slope, pull, strict=True):
            block = torch.zeros((2 * n, 2 * n), dtype=x.dtype)
            block[:n, n:] = (x * d) @ e.mT / x.shape[1]
            block[n:, :n] = block[:n, n:].mT
            if not relu:
                block[:n, :n] = (x * u) @ x.mT / x.shape[1]
            two = block @ block
            squares += [float(torch.trace(two)), float((two * two).sum())]
        yield f"{projected}," + ",".join(f"{v:.7g}" for v in squares / (2 * n * n))
