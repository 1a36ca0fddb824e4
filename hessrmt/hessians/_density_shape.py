"""Where a density known point by point is positive, and what it integrates to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hessrmt.hessians._intervals import SupportInterval, edges_on

__all__ = ["DensityShape"]

Real: TypeAlias = NDArray[np.float64]

_GRID = np.geomspace(1e-4, 100.0, 80)  # where the support is looked for, over the scale
_SILENT = 1e-5  # density times scale that counts as none
_NODES, _MOST_NODES = 160, 400  # on an interval


class DensityShape:
    """Support, intervals and total of a density; each is found when it is asked for.

    Parameters
    ----------
    density : callable
        Density at points (k,).
    scale : float
        Of the points.

    Raises
    ------
    RuntimeError
        From any property: if there is density at 100 times the scale.

    Examples
    --------
    >>> shape = DensityShape(lambda x: np.where(np.abs(x - 1.0) < 0.5, 1.0, 0.0), 1.0)
    >>> [[round(float(edge), 4) for edge in part] for part in shape.support]
    [[0.5, 1.5]]
    >>> round(shape.total, 4)
    1.0
    """

    def __init__(self, density: Callable[[Real], Real], scale: float) -> None:
        self._density, self._scale = density, scale

    @cached_property
    def support(self) -> tuple[tuple[float, float], ...]:
        """Ends of the intervals, ascending."""
        grid = self._scale * np.concatenate([-_GRID[::-1], _GRID])
        positive = self._is_positive(grid)
        if positive[0] or positive[-1]:
            raise RuntimeError(f"the law of H has no edge within {grid[-1]:.6g} of 0")
        edges = edges_on(grid, positive, self._is_positive)
        return tuple(zip(edges[::2], edges[1::2], strict=True))

    @cached_property
    def intervals(self) -> tuple[SupportInterval, ...]:
        """The support, cut at 0 where the density may be rough."""
        pieces: list[tuple[float, float]] = []
        for low, high in self.support:
            pieces += [(low, 0.0), (0.0, high)] if low < 0 < high else [(low, high)]
        return tuple(
            SupportInterval.of(low, high, self._density, _NODES, _MOST_NODES)
            for low, high in pieces
        )

    @cached_property
    def total(self) -> float:
        """Integral of the density."""
        return float(sum(interval.total for interval in self.intervals))

    def _is_positive(self, x: Real) -> NDArray[np.bool_]:
        return np.asarray(self._density(x) * self._scale > _SILENT)
