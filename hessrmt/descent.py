r"""Plain gradient descent of a batch of runs to given levels of the energy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hessrmt.backends import from_tensor, to_numpy
from hessrmt.elimination import Surface, check_runs
from hessrmt.networks import SingleHiddenLayer
from hessrmt.validation import integer, real, real_array

__all__ = ["Descent", "descend"]

# Runs a pass: their arrays stay in the cache of a core.
_PASS = {True: 16, False: 4096}


class Descent(NamedTuple):
    """Where descent ended, one entry a run."""

    theta: Tensor  # (runs, parameters)
    energy: NDArray[np.float64]
    steps: NDArray[np.intp]
    reached: NDArray[np.bool_]  # False: the level lies below what `max_steps` steps lead to


def descend(
    net: SingleHiddenLayer,
    x: Tensor,
    y: Tensor,
    theta: Tensor,
    level: ArrayLike,
    *,
    rate: float = 0.1,
    max_steps: int = 3000,
) -> Descent:
    r"""Follow :math:`\theta\leftarrow\theta-\eta\nabla L` until the energy is at or below a level.

    Parameters
    ----------
    net : SingleHiddenLayer
        With tanh or linear units.
    x, y : tensors (runs, n0, m), (runs, n2, m)
        Data of each run.
    theta : tensor (runs, parameters)
        Where to start.
    level : (runs,) array
        Energies to descend to, each in [0, inf).
    rate : float
        Learning rate :math:`\eta`. Pennington & Bahri (2017) do not state theirs; the largest
        eigenvalue of the Hessian is about 5 at n = 16, so that 0.1 is a quarter of what is stable.
    max_steps : int
        Runs that are still above their level then, stop there.

    Returns
    -------
    Descent

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains or of other shapes than the network's.

    Examples
    --------
    >>> net = SingleHiddenLayer(4, "tanh")
    >>> rng = np.random.default_rng(0)
    >>> x, y = torch.from_numpy(rng.standard_normal((2, 5, 4, 20)))
    >>> end = descend(net, x, y, net.initialize(5, rng), np.full(5, 0.45))
    >>> bool(end.reached.all()), bool((end.energy <= 0.45).all())
    (True, True)
    """
    rate = real("rate", rate, "(0, inf)")
    max_steps = integer("max_steps", max_steps, "[0, inf)")
    check_runs(net, theta, x, y)
    levels = np.broadcast_to(real_array("level", level, "[0, inf)"), len(theta))
    size, parts = _PASS[x.device.type == "cpu"], []
    for i in range(0, len(theta), size):
        part = slice(i, i + size)
        surface = Surface(net, x[part], y[part])
        parts.append(_descend(surface, theta[part], levels[part], rate, max_steps))
    return Descent(
        torch.cat([p.theta for p in parts]),
        np.concatenate([p.energy for p in parts]),
        np.concatenate([p.steps for p in parts]),
        np.concatenate([p.reached for p in parts]),
    )


def _descend(
    surface: Surface, theta: Tensor, level: NDArray[np.float64], rate: float, max_steps: int
) -> Descent:
    net = surface.net
    W1, W2 = (from_tensor(w.clone()) for w in net.weights(theta))
    count = len(level)
    energy, steps = np.empty(count), np.full(count, max_steps)
    end1, end2 = W1 * 1.0, W2 * 1.0
    active = np.arange(count)
    for step in range(max_steps + 1):
        if active.size == 0:
            break
        p = surface.point(active, W1, W2)
        now = to_numpy(surface.energy(p))
        g1, g2 = surface.gradient(p)
        done = (now <= level[active]) | (step == max_steps)
        if done.any():
            ended, left = active[done], ~done
            end1[ended], end2[ended] = W1[done], W2[done]
            energy[ended], steps[ended] = now[done], step
            active, W1, W2, g1, g2 = active[left], W1[left], W2[left], g1[left], g2[left]
        W1 -= rate * g1
        W2 -= rate * g2
    flat = [torch.as_tensor(w).flatten(1) for w in (end1, end2)]
    return Descent(torch.cat(flat, dim=1), energy, steps, energy <= level)
