r"""Certified critical points at will: near-linear starts, and chains from there downwards.

From the starts of Pennington & Bahri (2017) some searches end in a proven critical point, hardly
any of them at low energy. Two devices give more:

- *near-linear starts*: with :math:`W_1` small, tanh is nearly the identity, and near the optimum of
  the linear network the projected search converges to a point of almost its energy;
- *chains*: a certified point is kicked, descends a little, and is searched from again. What is
  certified at a lower energy takes its place.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hessrmt.critical_points._backends import to_numpy
from hessrmt.critical_points.descent import descend
from hessrmt.critical_points.find import (
    NEAR_LINEAR,
    NEAR_RADIUS,
    CriticalPoints,
    find_critical_points,
)
from hessrmt.critical_points.random_runs import draw_runs
from hessrmt.validation import integer, real

__all__ = ["chain_shard"]


def chain_shard(
    phi: float,
    n: int,
    runs: int,
    seed: int,
    shard: int,
    links: int = 4,
    *,
    kick: float = 0.05,
    drop: float = 0.03,
    max_steps: int = 200,
    device: str = "cpu",
) -> dict[str, NDArray[Any]]:
    r"""Chains of searches on the random problems of one shard, those of `search_shard`.

    Parameters
    ----------
    phi : float
        :math:`\phi = 2n/m`, such that m is an integer.
    n : int
        Width of all layers (tanh units).
    runs, seed, shard : int
        How many chains, and which random numbers.
    links : int
        Searches of each chain after the first, which is projected and starts near-linear; the
        others are full.
    kick : float
        Standard deviation of what is added to each weight, times :math:`\sqrt n`.
    drop : float
        Share of the energy that descent takes off before the next search.
    max_steps : int
        Of each search.
    device : str
        ``"cpu"`` or one of torch's.

    Returns
    -------
    dict of arrays, one entry a search
        The columns of `CriticalPoints` but theta and the snapshots, and ``run`` and ``link``.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> found = chain_shard(0.5, 3, runs=2, seed=0, shard=0, links=2, max_steps=50)
    >>> found["link"].tolist(), found["kind"].shape
    ([0, 0, 1, 1, 2, 2], (6,))
    """
    links = integer("links", links, "[0, inf)")
    kick, drop = real("kick", kick, "[0, inf)"), real("drop", drop, "(0, 1)")
    net, x, y, theta, _ = draw_runs(phi, n, runs, seed, shard, device)
    split = net.n1 * net.n0
    start = theta.clone()
    start[:, :split] *= NEAR_LINEAR
    found = find_critical_points(net, x, y, start, max_steps=max_steps, radius=NEAR_RADIUS)
    table = [_columns(found, 0)]
    best, energy = found.theta.clone(), found.energy.copy()
    sure = found.kind == "certified"
    rng = np.random.default_rng([seed, shard, n, x.shape[-1], runs, links])
    for link in range(1, links + 1):
        noise = torch.from_numpy(rng.standard_normal(tuple(best.shape))).to(best)
        kicked = best + kick / np.sqrt(n) * noise
        level = (1 - drop) * np.minimum(energy, to_numpy(net.energy(kicked, x, y)))
        lower = descend(net, x, y, kicked, level).theta
        found = find_critical_points(
            net, x, y, lower, search="full", max_steps=max_steps, radius=NEAR_RADIUS
        )
        table.append(_columns(found, link))
        now = found.kind == "certified"
        # A certified point replaces one that is not, or one that is higher.
        better = now & (~sure | (found.energy < energy))
        mask = torch.from_numpy(better).to(best.device)[:, None]
        best = torch.where(mask, found.theta, best)
        energy, sure = np.where(better, found.energy, energy), sure | now
    return {name: np.concatenate([part[name] for part in table]) for name in table[0]}


def _columns(found: CriticalPoints, link: int) -> dict[str, NDArray[Any]]:
    names = [f.name for f in fields(found) if not f.name.startswith(("theta", "snapshot", "zero"))]
    runs = len(found.energy)
    place = {"run": np.arange(runs), "link": np.full(runs, link)}
    return place | {name: getattr(found, name) for name in names}
