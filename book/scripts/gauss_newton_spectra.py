"""Spectra of H0 of random networks, for the tables of the chapter on its law."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from hessrmt import SingleHiddenLayer

ACTIVATIONS = ("relu", "tanh", "linear")
Real = NDArray[np.float64]
Pair = tuple[Callable[[Real], Real], Callable[[Real], Real]]


def draw(
    n: int, phi: float, activation: str, rng: np.random.Generator
) -> tuple[SingleHiddenLayer, torch.Tensor, torch.Tensor]:
    """Network, weights, examples; wide ones in single precision."""
    net, dtype = SingleHiddenLayer(n, activation), torch.float32 if n > 32 else torch.float64
    x = torch.from_numpy(rng.standard_normal((n, round(2 * n / phi)))).to(dtype)
    return net, net.initialize(rng=rng, dtype=dtype), x


def spectrum(n: int, phi: float, activation: str, rng: np.random.Generator) -> tuple[Real, int]:
    """Eigenvalues of H0, the exact null directions as exact zeros, and how many these are."""
    net, theta, x = draw(n, phi, activation, rng)
    if activation == "linear":  # n x n problems, one for each eigenvalue of W2 W2^T
        W1, W2 = (w.numpy().astype(float) for w in net.weights(theta))
        L = np.linalg.cholesky((x @ x.T).numpy().astype(float) / x.shape[1])
        lam = np.linalg.eigvalsh(W2 @ W2.T)[:, None, None]
        rest = np.linalg.eigvalsh(L.T @ (lam * np.eye(n) + W1.T @ W1) @ L)
        return np.sort(np.append(np.zeros(n * n), rest)), n * n
    H0 = net.hessian_parts(theta, x, torch.zeros_like(x))[0]
    found = torch.linalg.eigvalsh(H0).numpy().astype(float)  # four times as fast as scipy's
    null = max(n if activation == "relu" else 0, 2 * n * n - n * round(2 * n / phi))
    found[:null] = 0
    return found, null


def scale_directions(W1: Real, W2: Real) -> Real:
    """Null vectors of H0, one a unit: more incoming weight, as much less outgoing weight."""
    n = len(W1)
    null = np.zeros((2, n, n, n), W1.dtype)  # layer, row, column, unit
    null[0, np.arange(n), :, np.arange(n)] = W1
    null[1, :, np.arange(n), np.arange(n)] = -W2.T
    null = null.reshape(2 * n * n, n)
    return null / np.linalg.norm(null, axis=0)


def weakest(
    n: int, phi: float, rng: np.random.Generator, alike: bool
) -> tuple[float, Real, tuple[Real, Real]]:
    """Smallest eigenvalue of a ReLU network's H0 that is not null, its vector, both norms."""
    net, theta, x = draw(n, phi, "relu", rng)
    W1, W2 = (w.numpy() for w in net.weights(theta))
    norms = np.linalg.norm(W1, axis=1), np.linalg.norm(W2, axis=0)
    if alike:
        W1, W2 = W1 / norms[0][:, None], W2 / norms[1]
    theta = torch.from_numpy(np.append(W1, W2))
    H0 = net.hessian_parts(theta, x, torch.zeros_like(x))[0].numpy()
    null = scale_directions(W1, W2)
    factor = linalg.cho_factor(H0 + null @ null.T, overwrite_a=True)
    inverse = LinearOperator(H0.shape, lambda b: linalg.cho_solve(factor, b), dtype=H0.dtype)
    value, vector = eigsh(inverse, k=1, v0=rng.standard_normal(len(H0)).astype(H0.dtype))
    return float(1 / value[0]), vector[:, 0], norms


def weakest_units(phi: float, n: int, seed: list[int]) -> list[float]:
    """Smallest eigenvalue, with all norms 1, units taking part, their squared norms."""
    least, vector, norms = weakest(n, phi, np.random.default_rng(seed), False)
    same = weakest(n, phi, np.random.default_rng(seed), True)[0]
    first, second = np.square(vector, dtype=float).reshape(2, n, n)
    part = first.sum(axis=1) + second.sum(axis=0)
    return [least, same, float(1 / np.sum(part**2)), *(float(part @ norm**2) for norm in norms)]


def hermite_pair(variant: int) -> Pair:
    """Functions f and f' of ReLU or tanh, without or with ReLU's second Hermite term in f.

    The slopes stay those of ReLU or tanh: only the layer's output is another.
    """
    share = (0, -1, 0, 1)[variant] / np.sqrt(8 * np.pi)

    def f(z: Real) -> Real:
        base = np.maximum(z, 0) if variant < 2 else np.tanh(z)
        return np.asarray(base + share * (z * z - 1))

    def slope(z: Real) -> Real:
        return np.asarray(z > 0, float) if variant < 2 else 1 - np.tanh(z) ** 2

    return f, slope


def spectrum_of_pair(n: int, phi: float, pair: Pair, rng: np.random.Generator) -> Real:
    """Eigenvalues of H0 of a network with such outputs and slopes, the mean of f taken out.

    Its blocks are those of `SingleHiddenLayer.hessian_parts`.
    """
    X = rng.standard_normal((n, round(2 * n / phi)))
    W1, W2 = rng.standard_normal((2, n, n)) / np.sqrt(n)
    m, z = X.shape[1], W1 @ X
    f, slope = pair
    norms = np.linalg.norm(W1, axis=1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    means = np.array([weights @ f(s * nodes) / weights.sum() for s in norms])
    A, D = f(z) - means[:, None], slope(z)
    P = (D[:, None] * X).reshape(n * n, m)
    top = (P @ (P.T / m)) * np.kron(W2.T @ W2, np.ones((n, n)))
    side = np.einsum("ik,kbl->kbil", W2, (P @ A.T / m).reshape(n, n, n)).reshape(n * n, n * n)
    corner = np.kron(np.eye(n), A @ A.T / m)
    return linalg.eigvalsh(np.block([[top, side], [side.T, corner]]), overwrite_a=True)
