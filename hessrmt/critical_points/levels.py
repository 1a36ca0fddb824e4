r"""Runs that descend to given levels of the loss and are searched from there, with whole spectra.

What counts as a negative eigenvalue is a choice that Pennington & Bahri (2017) do not state. The
spectra at the ends of runs let it be made afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.critical_points.descent import descend
from hessrmt.critical_points.find import find_critical_points
from hessrmt.critical_points.random_runs import draw_runs
from hessrmt.validation import real_array

__all__ = ["LevelEnds", "ends_at_levels"]


class LevelEnds(NamedTuple):
    """Ends of descent (0) and of the search from there (1)."""

    energy: NDArray[np.float64]  # (2, runs)
    eigenvalues: NDArray[np.float64]  # (2, runs, parameters), of the Hessian of L, ascending


def ends_at_levels(phi: float, n: int, levels: ArrayLike, seed: int, shard: int) -> LevelEnds:
    r"""Descend to levels of the energy, search for critical points from there, keep the spectra.

    Parameters
    ----------
    phi, n
        Ratio 2n/m and width of the layers.
    levels : (runs,) array
        Energies to descend to, each in [0, inf).
    seed, shard
        Which random numbers, as in `draw_runs`: a shorter list of levels gives the first runs.

    Returns
    -------
    LevelEnds
        The search is the projected one, with the defaults of `find_critical_points`.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> ends = ends_at_levels(0.5, 4, [0.3, 0.2], seed=0, shard=0)
    >>> ends.energy[0] <= [0.3, 0.2], ends.eigenvalues.shape
    (array([ True,  True]), (2, 2, 32))
    """
    wanted = real_array("levels", levels, "[0, inf)")
    if wanted.ndim != 1:
        raise ValueError(f"levels must be one row of numbers, got the shape {wanted.shape}")
    net, x, y, theta, _ = draw_runs(phi, n, wanted.size, seed, shard)
    descent = descend(net, x, y, theta, wanted)
    ends = descent.theta, find_critical_points(net, x, y, descent.theta).theta
    return LevelEnds(
        np.stack([net.energy(end, x, y).numpy() for end in ends]),
        np.stack([np.linalg.eigvalsh(net.hessian(end, x, y).numpy()) for end in ends]),
    )
