r"""The random problems of Pennington & Bahri (2017), section 7: memorising noise.

Data and targets are N(0, 1) and drawn afresh for each run. Everything drawn for a run follows
from (seed, shard, n, m, number of the run), whatever the other runs or workers are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessrmt.networks import SingleHiddenLayer
from hessrmt.validation import integer, real

__all__ = ["RandomRuns", "draw_runs", "number_of_examples"]


class RandomRuns(NamedTuple):
    """Problems and starting points, one a run."""

    net: SingleHiddenLayer  # square
    x: Tensor  # (runs, n, m)
    y: Tensor  # (runs, n, m)
    theta: Tensor  # (runs, parameters), weights N(0, 1/n)
    share: NDArray[np.float64]  # uniform in (0, 1): level to descend to, over the first energy


def number_of_examples(phi: float, n: int) -> int:
    r"""Number m of examples of the ratio :math:`\phi=2n/m`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain or m is not an integer.

    Examples
    --------
    >>> number_of_examples(2 / 3, 16)
    48
    """
    phi, n = real("phi", phi, "(0, inf)"), integer("n", n, "[1, inf)")
    if 2 * n / phi > 2**53:
        raise ValueError(f"phi must be 2n/m with m up to 2^53, got {phi!r} for n = {n}")
    m = round(2 * n / phi)
    if m < 1 or abs(2 * n / phi - m) > 1e-9 * m:
        raise ValueError(f"phi must be 2n/m with an integer m, got {phi!r} for n = {n}")
    return m


def draw_runs(
    phi: float,
    n: int,
    runs: int,
    seed: int,
    shard: int,
    device: str = "cpu",
    activation: str = "tanh",
) -> RandomRuns:
    """Draw the runs of one shard.

    Parameters
    ----------
    phi, n
        Ratio 2n/m and width of the layers.
    runs, seed, shard
        How many runs, and which random numbers.
    device
        One of torch's; the draw is the same on all.
    activation
        ``"tanh"``, as in the paper, ``"relu"`` or ``"linear"``; the draw is the same for all.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.
    """
    m = number_of_examples(phi, n)
    runs = integer("runs", runs, "[1, inf)")
    seed, shard = integer("seed", seed, "[0, inf)"), integer("shard", shard, "[0, inf)")
    net = SingleHiddenLayer(n, activation)
    drawn = []
    for run in range(runs):
        rng = np.random.default_rng([seed, shard, n, m, run])
        x = torch.from_numpy(rng.standard_normal((n, m)))
        y = torch.from_numpy(rng.standard_normal((n, m)))
        drawn.append((x, y, net.initialize(rng=rng), rng.uniform()))
    xs, ys, thetas, shares = zip(*drawn, strict=True)
    x, y, theta = (torch.stack(part).to(device) for part in (xs, ys, thetas))
    return RandomRuns(net, x, y, theta, np.array(shares))
