r"""Batched search for critical points of the loss, and what each run ended in.

The heuristic of Pennington & Bahri (2017, section 7): gradient descent to a random level of the
loss, then minimisation of :math:`J_g=|\nabla L|^2`; energy and index are recorded on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessrmt.critical_points._backends import Array, from_tensor, to_numpy
from hessrmt.critical_points._levenberg_marquardt import (
    FullSearch,
    LevenbergMarquardt,
    ProjectedSearch,
)
from hessrmt.critical_points.classification import Examination, examine
from hessrmt.critical_points.descent import descend
from hessrmt.critical_points.elimination import Surface, check_runs
from hessrmt.critical_points.random_runs import draw_runs
from hessrmt.networks import SingleHiddenLayer
from hessrmt.validation import choice, integer, real

__all__ = ["STAGES", "CriticalPoints", "find_critical_points", "search_shard"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

STAGES = ("descent", "1e-2", "1e-4", "1e-6", "final")
NEAR_LINEAR = 0.3  # W1 of a near-linear start, in units of N(0, 1/n)
# Radius of the steps from certified points and near-linear starts: longer ones leave the
# neighbourhood. At n = 16, phi = 1/2 it gives 2 certified of 12 searches from kicked certified
# points; radius 2 gives none of 12.
NEAR_RADIUS = 0.5


@dataclass(frozen=True)
class CriticalPoints:
    """Where the runs ended; arrays with one entry a run, energies and norms of the loss L."""

    theta: Tensor  # (runs, parameters)
    energy: Floats
    index: Floats  # share of eigenvalues of H below -zero_tolerance
    grad_norm_sq: Floats  # |grad L|^2
    kind: NDArray[np.str_]
    steps: Ints  # of the search, refused ones included
    steps_to_1e6: Ints  # until |grad L|^2 < 1e-6; -1 if never
    flatness: Floats  # |H g| / (|H| |g|)
    curvature: Floats  # |J g| / |g| for the search's own g and J, at its last step
    smallest_eigenvalue: Floats  # of H, in size
    near_zero: Ints  # eigenvalues of H within zero_tolerance
    largest_row: Floats  # longest row of W1 or W2
    dead_units: Ints  # units whose in- and outgoing weights vanish
    dependent_units: Ints  # units less the rank of their activations: dead ones and duplicates
    kantorovich: Floats  # Newton-Kantorovich number; inf where the test was not tried
    distance: Floats  # a true critical point lies within; inf where none is certified
    snapshot_energy: Floats  # (runs, stages), stages as in STAGES; nan if not reached
    snapshot_index: Floats
    snapshot_grad_norm_sq: Floats
    zero_tolerance: float


class _Snapshots:
    """Energy, index and |grad|^2 of each run when it first passes a threshold."""

    def __init__(self, search: ProjectedSearch | FullSearch, runs: int, tolerance: float) -> None:
        self.search, self.tolerance = search, tolerance
        self.energy, self.index, self.norm = (np.full((runs, len(STAGES)), np.nan) for _ in "123")

    def __call__(self, runs: Ints, variables: Array, norms: Floats) -> None:
        for stage, name in enumerate(STAGES[1:-1], start=1):
            new = np.isnan(self.norm[runs, stage]) & (norms < float(name))
            if new.any():
                point = self.search.point(runs[new], variables[new])
                self.record(stage, runs[new], point, norms[new])

    def record(self, stage: int, runs: Ints, point: Any, norms: Floats) -> None:
        surface = self.search.surface
        self.norm[runs, stage] = norms
        self.energy[runs, stage] = to_numpy(surface.energy(point))
        below = surface.count_below(runs, point, self.tolerance)
        self.index[runs, stage] = below / surface.net.parameters


def find_critical_points(
    net: SingleHiddenLayer,
    x: Tensor,
    y: Tensor,
    theta: Tensor,
    *,
    search: str = "projected",
    max_steps: int = 200,
    tolerance: float = 1e-24,
    radius: float = 2.0,
    zero_tolerance: float = 1e-6,
) -> CriticalPoints:
    r"""Minimise :math:`|\nabla L|^2` from given points and say what each run ended in.

    Parameters
    ----------
    net : SingleHiddenLayer
        With tanh or linear units.
    x, y : tensors (runs, n0, m), (runs, n2, m), float64
        Data of each run.
    theta : tensor (runs, parameters)
        Where to start, for example after `descend`.
    search : str
        ``"projected"`` eliminates W2 (fast; energies stay below 1/2), ``"full"`` moves all weights.
    max_steps : int
        Levenberg-Marquardt steps, refused ones included.
    tolerance : float
        Stop a run when :math:`|\nabla L|^2` is below. The paper accepts 1e-6, which does not
        make a critical point.
    radius : float
        Longest step.
    zero_tolerance : float
        Eigenvalues of H in [-zero_tolerance, zero_tolerance] count as zero.

    Returns
    -------
    CriticalPoints
        A run is ``certified`` if a true critical point is proven to lie within `distance`
        (`hessrmt.critical_points.certificates`). Else it is ``gradient-flat`` if
        :math:`|Hg|<10^{-4}\|H\||g|`, with H and g those of the loss or of the projected search;
        ``escaping`` if a row of weights is longer than 10 (beyond 100 in any case: there tanh is
        saturated and everything flat); and ``unconverged`` otherwise. Dead and duplicate units are
        counted for every kind; with duplicates critical points form lines, which are never
        certified.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, shapes other than the network's, or ReLU units.
    """
    choice("search", search, "projected | full")
    max_steps = integer("max_steps", max_steps, "[0, inf)")
    zero_tolerance = real("zero_tolerance", zero_tolerance, "(0, inf)")
    tolerance = real("tolerance", tolerance, "[0, inf)")
    method = LevenbergMarquardt(real("radius", radius, "(0, inf)"), max_steps, tolerance)
    check_runs(net, theta, x, y)
    surface = Surface(net, x, y)
    finder: ProjectedSearch | FullSearch
    finder = ProjectedSearch(surface) if search == "projected" else FullSearch(surface)
    everyone = np.arange(len(theta))
    snapshots = _Snapshots(finder, len(theta), zero_tolerance)
    start = surface.point(everyone, *(from_tensor(w) for w in net.weights(theta)))
    norms = to_numpy((net.gradient(theta, x, y) ** 2).sum(dim=-1))
    snapshots.record(0, everyone, start, norms)
    found = method(finder, finder.variables(from_tensor(theta)), snapshots)
    end = torch.as_tensor(finder.parameters(everyone, found.variables))
    lost = ~torch.isfinite(end).all(dim=-1)  # the start has no unique optimal W2
    end = torch.where(lost[:, None], theta, end)
    curvature = found.curvature if search == "projected" else np.full(len(theta), np.inf)
    ends = [
        examine(net, *(to_numpy(t) for t in one), zero_tolerance=zero_tolerance, curvature=float(k))
        for *one, k in zip(end, x, y, curvature, strict=True)
    ]
    columns = {
        name: np.array([getattr(e, name) for e in ends])
        for name in (f.name for f in fields(Examination))
    }
    stages = {"energy": snapshots.energy, "index": snapshots.index, "grad_norm_sq": snapshots.norm}
    for name, values in stages.items():
        values[:, -1] = columns[name]
    theta = torch.from_numpy(columns.pop("theta")).to(theta)
    return CriticalPoints(
        theta=theta,
        steps=found.steps,
        steps_to_1e6=found.passed,
        curvature=found.curvature,
        zero_tolerance=zero_tolerance,
        **columns,
        **{f"snapshot_{name}": values for name, values in stages.items()},
    )


def search_shard(
    phi: float,
    n: int,
    runs: int,
    seed: int,
    shard: int,
    search: str = "projected",
    *,
    rate: float = 0.1,
    descent_steps: int = 3000,
    max_steps: int = 200,
    tolerance: float = 1e-24,
    radius: float | None = None,
    zero_tolerance: float = 1e-6,
    device: str = "cpu",
    activation: str = "tanh",
) -> dict[str, NDArray[Any]]:
    r"""One shard of the paper's experiment: random data, descent to a random level, search.

    Everything drawn follows from (seed, shard, n, m, number of the run): data and targets N(0, 1),
    weights N(0, 1/n), a level of the energy uniform between 0 and that of the start. Pennington &
    Bahri (2017) state the data and the levels; the rest is a choice. A level may be lower than
    descent gets in `descent_steps`, in particular lower than every minimum: the search then
    starts where descent stopped.

    Parameters
    ----------
    phi : float
        :math:`\phi = 2n/m`, such that m is an integer.
    n : int
        Width of all layers.
    runs : int
        Number of runs.
    seed, shard : int
        Which random numbers.
    search : str
        ``"projected"`` or ``"full"``; or ``"near-linear"``, the projected search without a descent,
        from the drawn weights with W1 multiplied by 0.3: tanh is nearly the identity there, and a
        quarter of the searches end in a certified point near the minimum of the linear network.
    rate, descent_steps
        As in `descend`.
    max_steps, tolerance, radius, zero_tolerance
        As in `find_critical_points`; the radius is 0.5 for near-linear starts unless given, since
        longer steps leave their neighbourhood, and 2 for the others.
    device : str
        ``"cpu"`` or one of torch's.
    activation : str
        ``"tanh"``, as in the paper, or ``"linear"``: the critical points of linear networks are
        known (Baldi & Hornik 1989).

    Returns
    -------
    dict of arrays, one entry a run
        The columns of `CriticalPoints` but theta (snapshots of shape (runs, stages)), and
        ``level``, ``initial_energy``, ``descent_steps``, ``reached``.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> shard = search_shard(phi=0.5, n=3, runs=4, seed=0, shard=0, max_steps=50)
    >>> shard["energy"].shape, shard["snapshot_energy"].shape
    ((4,), (4, 5))
    """
    choice("search", search, "projected | full | near-linear")
    choice("activation", activation, "tanh | linear")
    net, x, y, theta, share = draw_runs(phi, n, runs, seed, shard, device, activation)
    near_linear = search == "near-linear"
    if near_linear:
        theta[:, : net.n1 * net.n0] *= NEAR_LINEAR
        share = np.full(runs, 2.0)  # a level above the start: no descent
    start = to_numpy(net.energy(theta, x, y))
    level = share * start
    descent = descend(net, x, y, theta, level, rate=rate, max_steps=descent_steps)
    found = find_critical_points(
        net,
        x,
        y,
        descent.theta,
        search="projected" if near_linear else search,
        max_steps=max_steps,
        tolerance=tolerance,
        radius=(NEAR_RADIUS if near_linear else 2.0) if radius is None else radius,
        zero_tolerance=zero_tolerance,
    )
    columns = {f.name: getattr(found, f.name) for f in fields(found)}
    del columns["theta"], columns["zero_tolerance"]
    return columns | {
        "level": level,
        "initial_energy": start,
        "descent_steps": descent.steps,
        "reached": descent.reached,
    }
