"""Searches for critical points of any index, each from numbers that name it.

As in `runs`: what a search draws follows from its seed and its numbers alone, so that a chapter
can compute again any row of the stored tables.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hessrmt.spin_glass.simulation import (
    CriticalPoints,
    SphericalSpinGlass,
    find_critical_points,
    minimize,
)
from hessrmt.validation import integer

__all__ = ["count_critical_points", "minimum_and_saddles", "searches_of_draw"]

_NORM, _EIGENVALUE = 1e-8, 1e-6  # below: a critical point; above: not a degenerate one


def searches_of_draw(
    H: int, size: int, draw: int, starts: int, *, steps: int = 0, seed: int = 0
) -> CriticalPoints:
    """Searches from random points, or from where some steps of descent lead from them.

    Parameters
    ----------
    H, size : int
        Order of the interaction and Lambda.
    draw : int
        Number of the draw of the couplings, >= 0; the couplings are those of `minima_of_draw`.
    starts : int
        Searches; a smaller number gives the first of them.
    steps : int
        Steps of steepest descent before the search, >= 0. With more of them energies are lower.
    seed : int
        The generator of the points is ``numpy.random.default_rng([seed, H, size, draw, steps])``.

    Returns
    -------
    CriticalPoints
        As from `find_critical_points`, after 120 steps at most.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> few, more = (searches_of_draw(3, 12, 0, starts, steps=2) for starts in (2, 4))
    >>> few.w.shape, torch.allclose(few.energy, more.energy[:2])
    (torch.Size([2, 12]), True)
    """
    draw, seed = integer("draw", draw, "[0, inf)"), integer("seed", seed, "[0, inf)")
    steps, starts = integer("steps", steps, "[0, inf)"), integer("starts", starts, "[1, inf)")
    glass = SphericalSpinGlass.draw(size, H, np.random.default_rng([seed, H, size, draw]))
    w = glass.random_points(starts, np.random.default_rng([seed, H, size, draw, steps]))
    return find_critical_points(glass, _descended(glass, w, steps), max_steps=120)


def count_critical_points(H: int, size: int, draw: int, *, seed: int = 0) -> int:
    """Number of all critical points of one draw, by so many searches that few are missed.

    For a Lambda of four or so: the number grows exponentially with it, that of the searches,
    80 (H - 2), does not.

    Parameters
    ----------
    H, size, draw, seed : int
        As in `searches_of_draw`.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> count_critical_points(3, 2, 0) % 2  # pairs w, -w of opposite energies
    0
    """
    found = searches_of_draw(H, size, draw, 80 * (H - 2), seed=seed)
    u = found.energy[found.gradient_norm <= _NORM].numpy()
    # -w is a critical point, too, of energy (-1)^H u: the same energy if H is even.
    different = np.unique(np.concatenate([u, (-1) ** H * u]).round(6)).size
    return different * (2 if H % 2 == 0 else 1)


def minimum_and_saddles(H: int, size: int, draw: int, *, seed: int = 0) -> Tensor:
    """Three critical points of one draw: low, middle and high.

    A minimum at the end of descent, and what searches find after twelve steps of descent and
    from random points: of twelve searches the first that ends at a critical point, or, if none
    does, where the gradient is least.

    Parameters
    ----------
    H, size, draw, seed : int
        As in `searches_of_draw`.

    Returns
    -------
    tensor (3, Lambda)

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> minimum_and_saddles(3, 12, 0).shape
    torch.Size([3, 12])
    """
    rng = np.random.default_rng([seed, H, size, draw])
    glass = SphericalSpinGlass.draw(size, H, rng)
    points = [minimize(glass, glass.random_points(1, rng)).w[0]]
    for steps in (12, 0):
        found = searches_of_draw(H, size, draw, 12, steps=steps, seed=seed)
        certain = (found.gradient_norm <= _NORM) & (found.smallest.abs() > _EIGENVALUE)
        first = int(certain.nonzero()[0]) if certain.any() else int(found.gradient_norm.argmin())
        points.append(found.w[first])
    return torch.stack(points)


def _descended(glass: SphericalSpinGlass, w: Tensor, steps: int) -> Tensor:
    """Points after steps of steepest descent, as long as those of `minimize`."""
    for _ in range(steps):
        w = glass.retract(w - glass.gradient(w) / (4 * (glass.H * (glass.H - 1)) ** 0.5))
    return w
