r"""How low the loss gets: minimisers of the random problems by three methods.

Pennington & Bahri (2017, section 7) report energies of minimisers near :math:`\frac12(1-\phi)^2`.
What one finds depends on the method and its number of steps, because tanh saturates on the way
and many infima lie at infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessrmt.critical_points._backends import Array, from_tensor, solve_or_nan, to_numpy
from hessrmt.critical_points.descent import descend
from hessrmt.critical_points.elimination import Point, Surface
from hessrmt.critical_points.random_runs import draw_runs
from hessrmt.networks import SingleHiddenLayer
from hessrmt.validation import choice, integer

__all__ = ["METHODS", "minimise_shard"]

METHODS = ("gradient-descent", "adam", "newton")

_SATURATED = 0.99  # |tanh| beyond this counts as saturated
_PASS = 2  # runs whose Hessians are formed at a time: they stay in the cache of a core


def minimise_shard(
    phi: float,
    n: int,
    runs: int,
    seed: int,
    shard: int,
    method: str = "gradient-descent",
    steps: int = 3000,
    *,
    device: str = "cpu",
) -> dict[str, NDArray[Any]]:
    r"""Minimise the losses of one shard of random problems, those of `search_shard`.

    Parameters
    ----------
    phi : float
        :math:`\phi = 2n/m`, such that m is an integer.
    n : int
        Width of all layers (tanh units).
    runs, seed, shard : int
        How many runs, and which random numbers.
    method : str
        ``"gradient-descent"`` with rate 0.1; ``"adam"`` with rate 0.01 and its usual averages
        (Kingma & Ba 2015); ``"newton"``, Newton's method with damping. (With W2 eliminated
        Newton's method is led astray: hidden activations become nearly dependent, W2 grows.)
    steps : int
        Number of steps.
    device : str
        ``"cpu"`` or one of torch's.

    Returns
    -------
    dict of arrays, one entry a run
        ``energy``; ``grad_norm_sq`` of the loss; ``index``, the share of eigenvalues of the
        Hessian below -1e-6; ``largest_row``, the longest row of weights; ``saturated``, the share
        of activations beyond 0.99.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> found = minimise_shard(0.5, 3, runs=4, seed=0, shard=0, steps=200)
    >>> better = minimise_shard(0.5, 3, runs=4, seed=0, shard=0, method="newton", steps=200)
    >>> bool(better["energy"].mean() < found["energy"].mean())
    True
    """
    choice("method", method, " | ".join(METHODS))
    steps = integer("steps", steps, "[1, inf)")
    net, x, y, theta, _ = draw_runs(phi, n, runs, seed, shard, device)
    if method == "gradient-descent":
        theta = descend(net, x, y, theta, 0.0, max_steps=steps).theta
    elif method == "adam":
        theta = _adam(net, x, y, theta, steps)
    else:
        theta = _newton(net, x, y, theta, steps)
    surface, everyone = Surface(net, x, y), np.arange(runs)
    W1, W2 = (from_tensor(w) for w in net.weights(theta))
    point = surface.point(everyone, W1, W2)
    rows = torch.maximum(*(w.norm(dim=-1).amax(dim=-1) for w in net.weights(theta)))
    return {
        "energy": to_numpy(net.energy(theta, x, y)),
        "grad_norm_sq": to_numpy((net.gradient(theta, x, y) ** 2).sum(dim=-1)),
        "index": surface.count_below(everyone, point, 1e-6) / net.parameters,
        "largest_row": to_numpy(rows),
        "saturated": (abs(to_numpy(point.h)) > _SATURATED).mean(axis=(-2, -1)),
    }


def _adam(net: SingleHiddenLayer, x: Tensor, y: Tensor, theta: Tensor, steps: int) -> Tensor:
    # Adam acts on each entry by itself, so that one optimiser serves all runs.
    theta = torch.nn.Parameter(theta.clone())
    optimiser = torch.optim.Adam([theta], lr=0.01)
    for _ in range(steps):
        theta.grad = net.gradient(theta.detach(), x, y)
        optimiser.step()
    return theta.detach()


def _newton(net: SingleHiddenLayer, x: Tensor, y: Tensor, theta: Tensor, steps: int) -> Tensor:
    surface = Surface(net, x, y)
    W1, W2 = (from_tensor(w.clone()) for w in net.weights(theta))
    for i in range(0, len(theta), _PASS):
        runs = np.arange(i, min(i + _PASS, len(theta)))
        W1[runs], W2[runs] = _newton_pass(surface, runs, W1[runs], W2[runs], steps)
    return torch.cat([torch.as_tensor(w).flatten(1) for w in (W1, W2)], dim=1)


def _newton_pass(
    surface: Surface, runs: NDArray[np.intp], W1: Array, W2: Array, steps: int
) -> tuple[Array, Array]:
    """Steps with H + mu, where mu grows until that is positive and the energy falls."""
    mu = np.full(len(runs), 1.0)
    p = surface.point(runs, W1, W2)
    energy = to_numpy(surface.energy(p))
    for _ in range(steps):
        s1, s2 = _newton_step(surface, runs, p, mu)
        now = to_numpy(surface.energy(surface.point(runs, W1 + s1, W2 + s2)))
        good = now < energy  # also False where H + mu is not positive: the step is NaN
        W1[good] += s1[good]
        W2[good] += s2[good]
        energy[good] = now[good]
        mu = np.where(good, np.maximum(mu / 3, 1e-12), np.minimum(mu * 4, 1e8))
        p = surface.point(runs, W1, W2)
    return W1, W2


def _newton_step(
    surface: Surface, runs: NDArray[np.intp], p: Point, mu: NDArray[np.float64]
) -> tuple[Array, Array]:
    """-(H + mu)^-1 g, the part of W2 eliminated; NaN where H + mu is not positive."""
    thin = surface.thin(p)
    shift = mu if isinstance(p.h, np.ndarray) else torch.as_tensor(mu, device=p.h.device)
    S, root = surface.shifted_schur(runs, p, thin, shift)
    K = root @ root.mT
    g1, g2 = surface.gradient(p)
    right = surface.apply(p, thin, g2 @ K) - g1.reshape(len(runs), -1)
    s1 = solve_or_nan(S, right[..., None]).reshape(g1.shape)
    return s1, -(g2 + surface.apply_transposed(p, thin, s1)) @ K
