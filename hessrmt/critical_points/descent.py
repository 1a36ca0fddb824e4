r"""Plain gradient descent of a batch of runs to given levels of the energy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hessrmt.critical_points._backends import from_tensor, to_numpy
from hessrmt.critical_points.elimination import Surface, check_runs
from hessrmt.networks import SingleHiddenLayer
from hessrmt.validation import integer, real, real_array

__all__ = ["Descent", "descend"]

# Runs at a time, by whether it is a processor: the arrays of these stay in the cache of a core.
_PLACES = {True: 16, False: 4096}


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
        Runs that are still above their level then, stop there. Where the rate is too large and a
        run leaves every bound, it ends where it began.

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
    return _descend(Surface(net, x, y), theta, levels, rate, max_steps)


@np.errstate(over="ignore", invalid="ignore")
def _descend(
    surface: Surface, theta: Tensor, level: NDArray[np.float64], rate: float, max_steps: int
) -> Descent:
    start1, start2 = (from_tensor(w) for w in surface.net.weights(theta))
    end1, end2 = start1 * 1.0, start2 * 1.0
    count = len(level)
    energy, steps = np.empty(count), np.zeros(count, dtype=np.intp)
    first = np.full(count, np.nan)
    # The places are kept full: where a run has ended, the next one that waits begins.
    active, waiting = np.split(np.arange(count), [_PLACES[theta.device.type == "cpu"]])
    W1, W2 = start1[active], start2[active]
    while active.size:
        p = surface.point(active, W1, W2)
        now = to_numpy(surface.energy(p))
        first[active] = np.where(steps[active] == 0, now, first[active])
        g1, g2 = surface.gradient(p)
        lost = ~np.isfinite(now)  # too large a rate: such a run ends where it began
        W1[lost], W2[lost], now[lost] = (
            start1[active[lost]],
            start2[active[lost]],
            first[active[lost]],
        )
        done = (now <= level[active]) | (steps[active] == max_steps) | lost
        steps[active[~done]] += 1
        next1, next2 = W1 - rate * g1, W2 - rate * g2
        if done.any():
            ended, places = active[done], np.flatnonzero(done)[: len(waiting)]
            end1[ended], end2[ended], energy[ended] = W1[done], W2[done], now[done]
            new, waiting = np.split(waiting, [len(places)])
            active[places], next1[places], next2[places] = new, start1[new], start2[new]
            done[places] = False
            active, next1, next2 = active[~done], next1[~done], next2[~done]
        W1, W2 = next1, next2
    flat = [torch.as_tensor(w).flatten(1) for w in (end1, end2)]
    return Descent(torch.cat(flat, dim=1), energy, steps, energy <= level)
