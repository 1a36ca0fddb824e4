"""Exact limits for the chapter beyond freeness: moments by pairings, and phi = 0 at finite n."""

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from tables import DATA, Group

from hessrmt import SingleHiddenLayer

Real = NDArray[np.float64]

ORACLE = DATA.parents[1] / "tests" / "hessians" / "test_full_hessian_law.py"  # counts them


def plan_pairings() -> list[Group]:
    """Coefficients: for ReLU and linear networks, power k of H, j factors H1."""
    terms = ((2, 0), (2, 2), (3, 2), (4, 2), (4, 4), (5, 4), (6, 4), (6, 6))
    return [(linear, k, j) for linear in (0, 1) for k, j in terms]


def pairings(linear: int, k: int, j: int) -> Iterator[str]:
    """One coefficient, by the count that the tests hold the law against."""
    spec = importlib.util.spec_from_file_location("oracle", ORACLE)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{ORACLE.name} is not there")
    oracle: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    value = oracle.exact_coefficient(k, j, 0.5, "linear" if linear else "relu")
    yield f"{value:.9g}"


def eighth(n: int, number: int) -> Iterator[str]:
    """Coefficients (6, 4), (7, 4), (8, 4) of linear networks at phi = 1/2, a mean of several.

    They are traces of words: the terms of (H0 + s H1)^k of order s^4, from those of its halves.
    """
    rng, net = np.random.default_rng([n, number, 84]), SingleHiddenLayer(n, "linear")
    found = []
    for _ in range({8: 60, 12: 25, 16: 10, 24: 2}[n]):
        theta = net.initialize(rng=rng)
        x, noise = torch.from_numpy(rng.standard_normal((2, n, 4 * n)))
        parts = net.hessian_parts(theta, x, net.predict(theta, x) - 2**0.5 * noise)
        A, B = (part.numpy() for part in parts)
        powers = [[np.eye(len(A))]]
        for k in range(4):  # terms of power k + 1 by order
            last = powers[k]
            ends = [A @ last[0]], [B @ last[-1]]
            powers.append(
                [*ends[0], *(A @ last[j] + B @ last[j - 1] for j in range(1, k + 1)), *ends[1]]
            )
        pairs = ((powers[3], powers[3]), (powers[3], powers[4]), (powers[4], powers[4]))
        found.append(
            [
                sum(np.sum(a * b.T) for i, a in enumerate(one) for b in other[4 - i : 5 - i])
                / len(A)
                for one, other in pairs
            ]
        )
    yield ",".join(f"{v:.7g}" for v in np.mean(found, axis=0))


def mean_blocks(W1: Real, k: int) -> Real:
    """E d_k d_l x x^T for all l, over Gaussian x (l, input, input).

    With the angle t between the rows: (pi - t)/(2 pi) I + sin(t)/(2 pi) (b b^T - p p^T), b the
    bisector and p the normal to it in their plane.
    """
    n = len(W1)
    units = W1 / np.linalg.norm(W1, axis=1)[:, None]
    angle = np.arccos(np.clip(units @ units[k], -1, 1))
    sums, differences = units + units[k], units - units[k]
    found = ((np.pi - angle) / (2 * np.pi))[:, None, None] * np.eye(n)
    for vectors, sign in ((sums, 1), (differences, -1)):
        norms = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
        side = vectors / norms
        size = sign * np.sin(angle) / (2 * np.pi)
        found += size[:, None, None] * side[:, :, None] * side[:, None]
    return np.asarray(found)


def without_noise(W1: Real, W2: Real) -> tuple[Real, Real]:
    """H0 of infinitely many examples, without the mean of f, and E P P^T of its slopes."""
    n = len(W1)
    C = np.stack([mean_blocks(W1, k) for k in range(n)])  # (k, l, input, input)
    norms = np.linalg.norm(W1, axis=1)
    means = norms / np.sqrt(2 * np.pi)
    seen = np.einsum("klab,lb->kal", C, W1)  # E d_k x f_l
    seen -= (W1 / norms[:, None] / np.sqrt(2 * np.pi))[:, :, None] * means
    outputs = np.einsum("ka,klab,lb->kl", W1, C, W1) - np.outer(means, means)
    square = C.transpose(0, 2, 1, 3).reshape(n * n, n * n)
    top = square * np.kron(W2.T @ W2, np.ones((n, n)))
    side = np.einsum("ik,kbl->kbil", W2, seen).reshape(n * n, n * n)
    return np.block([[top, side], [side.T, np.kron(np.eye(n), outputs)]]), square


def fourth(n: int, number: int) -> Iterator[str]:
    """tau(abab) / tau(a^2) tau(b^2) of one network."""
    rng = np.random.default_rng([n, number, 8])
    W1, W2 = rng.standard_normal((2, n, n)) / np.sqrt(n)
    a, square = without_noise(W1, W2)
    root = linalg.cholesky(square + 1e-12 * np.eye(n * n), lower=True)
    M = (root @ rng.standard_normal((n * n, n))).reshape(n, n, n)  # H1 of unit k, over its scale
    b = np.concatenate([M @ M.transpose(0, 2, 1), M.transpose(0, 2, 1) @ M])
    size = len(a)
    # Outgoing weights are ordered (output, unit) in H0: to (unit, output), as the blocks are.
    order = np.append(np.arange(n * n), n * n + np.arange(n * n).reshape(n, n).T.ravel())
    a = a[np.ix_(order, order)] - np.trace(a) / size * np.eye(size)
    b = b - np.trace(b, axis1=1, axis2=2).sum() / size * np.eye(n)
    ab = (a.reshape(size, 2 * n, n).swapaxes(0, 1) @ b).swapaxes(0, 1).reshape(size, size)
    yield f"{size * np.sum(ab * ab.T) / np.sum(a**2) / np.sum(b**2):.6f}"
