"""Ends of searches, and what of their Hessian's index is left when ingredients become random.

The ladder of the chapter on vanishing gradient. All of n = 16 and tanh; residuals e, rows are
outputs; H = H0 + H1, H1 linear in e.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg, stats

from hessrmt import SingleHiddenLayer, find_critical_points
from hessrmt.critical_points import descend, draw_runs

N = 16
NET = SingleHiddenLayer(N, "tanh")
DRAWS = 2
ZERO = 1e-6  # eigenvalues above minus that are not counted, as in the campaign

END = ("energy", "index", "certified", "grad_norm_sq", "h1_square")
WEIGHTS = (
    *("w1_square", "w2_square", "saturated", "w1_top", "w2_top", "w1_spread", "w2_spread"),
    *("norms_together", "h1_outliers", "h1_square_model", "constraints"),
)
RUNGS = (
    *("kernel", "iid", "rotated", "iid_rotated", "kernel_fresh", "kernel_norms"),
    *("kernel_singular", "kernel_scale", "kernel_initial"),
    *("kernel_by_example", "kernel_shuffled", "kernel_constrained", "rotated_kernel"),
    *("kernel_outputs", "kernel_matched"),
)

Real = NDArray[np.float64]


class End(NamedTuple):
    """Where a search ended: data, weights, residuals."""

    x: torch.Tensor
    theta: torch.Tensor
    e: torch.Tensor
    found: tuple[float, float, bool, float]  # energy, index, certified, |grad|^2


def end_of_search(m: int, search: str, run: int, seed: int) -> End:
    """Make one run of the campaign again."""
    shard, place = divmod(run, 10)
    _, x, y, theta, share = draw_runs(2 * N / m, N, place + 1, seed, shard)
    x, y, theta, share = x[-1:], y[-1:], theta[-1:], share[-1:]
    level = share * NET.energy(theta, x, y).numpy()
    start = descend(NET, x, y, theta, level).theta
    end = find_critical_points(NET, x, y, start, search=search)
    e = NET.predict(end.theta, x) - y
    facts = end.energy, end.index, end.kind == "certified", end.grad_norm_sq
    return End(x[0], end.theta[0], e[0], tuple(value[0] for value in facts))


def parts(theta: torch.Tensor, x: torch.Tensor, e: torch.Tensor) -> tuple[Real, Real]:
    """H0 and H1 for any residuals."""
    H0, H1 = NET.hessian_parts(theta, x, NET.predict(theta, x) - e)
    return H0.numpy(), H1.numpy()


def index(H: Real) -> float:
    """Share of negative eigenvalues."""
    return float(np.mean(linalg.eigvalsh(H) < -ZERO))


def kernel(theta: torch.Tensor, x: torch.Tensor, e: torch.Tensor, keep: float) -> torch.Tensor:
    """Project residuals on the kernel of J: less J^T (J J^T)^+ J e.

    Directions of J whose square is below `keep` of the largest are not constrained.
    """
    values, vectors = linalg.eigh(parts(theta, x, e)[0])
    inverse = np.where(values > keep * values[-1], 1 / np.abs(values), 0.0)
    W1, W2 = NET.weights(theta)
    h, slope = NET.activations(W1 @ x)
    for _ in range(2):  # a second time for the rounding of the first
        gradient = NET.gradient(theta, x, NET.predict(theta, x) - e).numpy()
        step = torch.from_numpy(vectors @ (inverse * (vectors.T @ gradient)))
        V1, V2 = NET.weights(step)
        e = e - (W2 @ (slope * (V1 @ x)) + V2 @ h)
    return e


def scaled(e: torch.Tensor, energy: float) -> torch.Tensor:
    """Residuals of that energy."""
    return e * np.sqrt(2 * energy / float((e * e).mean()))


def haar(rng: np.random.Generator, size: int) -> Real:
    """A random orthogonal matrix."""
    return np.asarray(stats.ortho_group.rvs(size, random_state=rng))


def flat(W1: Real, W2: Real) -> torch.Tensor:
    """Weights as parameters."""
    return torch.from_numpy(np.concatenate([W1.ravel(), W2.ravel()]))


def weights_like(theta: torch.Tensor, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Random weights that share less and less with those given."""
    W1, W2 = (w.numpy() for w in NET.weights(theta))
    G1, G2 = rng.standard_normal((2, N, N))
    rows, columns = np.linalg.norm(W1, axis=1)[:, None], np.linalg.norm(W2, axis=0)
    units = G1 / np.linalg.norm(G1, axis=1)[:, None], G2 / np.linalg.norm(G2, axis=0)
    s1, s2 = (np.linalg.svd(w, compute_uv=False) for w in (W1, W2))
    turned = (haar(rng, N) * s @ haar(rng, N) for s in (s1, s2))
    same = (g * np.linalg.norm(w) / np.linalg.norm(g) for g, w in ((G1, W1), (G2, W2)))
    return {
        "kernel_norms": flat(units[0] * rows, units[1] * columns),
        "kernel_singular": flat(*turned),
        "kernel_scale": flat(*same),
        "kernel_initial": flat(G1 / np.sqrt(N), G2 / np.sqrt(N)),
    }


def climb(end: End, rng: np.random.Generator) -> Iterator[str]:
    """One row: the end, its weights, and the index on each rung."""
    x, theta, e = end.x, end.theta, end.e
    energy, true, certified, gradient = end.found
    H0, H1 = parts(theta, x, e)
    found = {name: [] for name in RUNGS}
    squares = []

    def noise() -> torch.Tensor:
        return scaled(torch.from_numpy(rng.standard_normal(e.shape)), energy)

    for _ in range(DRAWS):
        white, x2 = noise(), torch.from_numpy(rng.standard_normal(x.shape))
        residuals = {"iid": white}
        residuals["kernel"] = kernel(theta, x, white, 1e-13)
        residuals["kernel_constrained"] = kernel(theta, x, noise(), 1e-3)
        sizes = (e * e).mean(dim=0).sqrt()
        residuals["kernel_by_example"] = kernel(theta, x, noise() * sizes, 1e-13)
        shuffled = e[:, torch.from_numpy(rng.permutation(x.shape[1]))]
        root = np.linalg.cholesky((e @ e.mT).numpy() / e.shape[1] + 1e-12 * np.eye(N))
        residuals["kernel_outputs"] = kernel(theta, x, torch.from_numpy(root) @ noise(), 1e-13)
        residuals["kernel_shuffled"] = kernel(theta, x, shuffled, 1e-13)
        made = {name: parts(theta, x, scaled(r, energy))[1] for name, r in residuals.items()}
        squares.append(np.sum(made["kernel"] ** 2) / len(H0))
        for name, B in made.items():
            found[name].append(index(H0 + B))
        match = np.sqrt(np.sum(H1**2) / np.sum(made["kernel"] ** 2))
        found["kernel_matched"].append(index(H0 + match * made["kernel"]))
        Q = haar(rng, len(H0))
        for name, B in (("rotated", H1), ("iid_rotated", made["iid"])):
            found[name].append(index(H0 + Q @ B @ Q.T))
        found["rotated_kernel"].append(index(H0 + Q @ made["kernel"] @ Q.T))
        others = {"kernel_fresh": (theta, x2)}
        others |= {name: (t, x) for name, t in weights_like(theta, rng).items()}
        for name, (t, data) in others.items():
            e2 = scaled(kernel(t, data, noise(), 1e-13), energy)
            found[name].append(index(sum(parts(t, data, e2))))
    ends = energy, true, int(certified), gradient, np.sum(H1**2) / len(H0)
    measured = measures(theta, x, H0, H1, float(np.mean(squares)))
    means = (float(np.mean(found[name])) for name in RUNGS)
    yield ",".join(f"{value:.6g}" for value in (*ends, *measured, *means))


def measures(
    theta: torch.Tensor, x: torch.Tensor, H0: Real, H1: Real, model: float
) -> tuple[float, ...]:
    """What is noted of the weights: mean squares, saturation, singular values, norms."""
    W1, W2 = (w.numpy() for w in NET.weights(theta))
    h = np.tanh(W1 @ x.numpy())
    rows, columns = np.linalg.norm(W1, axis=1), np.linalg.norm(W2, axis=0)
    tops = (np.linalg.svd(w, compute_uv=False)[0] for w in (W1, W2))
    shares = np.sort(linalg.eigvalsh(H1) ** 2)[::-1]
    values = linalg.eigvalsh(H0)
    return (
        *(N * np.mean(w**2) for w in (W1, W2)),
        float(np.mean(np.abs(h) > 0.9)),
        *tops,
        *(r.std() / r.mean() for r in (rows, columns)),
        float(np.corrcoef(np.log(rows), np.log(columns))[0, 1]),
        float(shares[:N].sum() / shares.sum()),
        model,
        float(np.mean(values > 1e-3 * values[-1])),
    )
