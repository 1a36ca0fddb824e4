r"""What a search ended in: a critical point, a gradient-flat point, an escape to infinity.

A small gradient is no proof of a critical point. Where :math:`|\nabla L|^2` is minimised, a run
can end *gradient-flat*: the gradient lies in the kernel of the Hessian, so that its norm is
stationary though it does not vanish (Frye et al. 2021). Or the weights run to infinity, where tanh
saturates. Each point is therefore examined with its whole Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessrmt.critical_points._backends import symmetric_eigenvalues
from hessrmt.critical_points.certificates import certify
from hessrmt.networks import SingleHiddenLayer

__all__ = ["KINDS", "Examination", "examine"]

Floats = NDArray[np.float64]

KINDS = ("certified", "gradient-flat", "escaping", "unconverged")

_FLAT = 1e-4  # |Hg| / (|H| |g|) below which a point counts as gradient-flat
# Rows of weights start with length 1. One longer than the first counts as escaping, unless the
# point is gradient-flat; beyond the second tanh is saturated and everything is flat.
_ESCAPING, _ESCAPED = 10.0, 100.0
_DEAD = 1e-6  # a unit with in- and outgoing weights shorter than this is dead
_DEPENDENT = 1e-4  # singular values of the hidden activations below this share count as zero
_NEAR = 1e-10  # below this |grad|^2 Newton's method takes over
_NEWTON_STEPS, _NEWTON_RADIUS = 6, 0.1
_CANDIDATE = 1e-20  # above this |grad|^2 the test for a critical point is not tried


@dataclass(frozen=True)
class Examination:
    """One point, examined; `hessrmt.CriticalPoints` says what the entries are."""

    theta: Floats
    kind: str
    energy: float
    index: float
    grad_norm_sq: float
    flatness: float
    smallest_eigenvalue: float
    near_zero: int
    largest_row: float
    dead_units: int
    dependent_units: int
    kantorovich: float
    distance: float


def examine(
    net: SingleHiddenLayer,
    theta: Floats,
    x: Floats,
    y: Floats,
    *,
    zero_tolerance: float = 1e-6,
    curvature: float = np.inf,
) -> Examination:
    r"""Classify one point, after at most six Newton steps if its gradient is small already.

    Parameters
    ----------
    net : SingleHiddenLayer
        With tanh or linear units.
    theta
        Parameters of the network, shape (parameters,).
    x, y
        Data and targets, shapes (n0, m) and (n2, m).
    zero_tolerance : float
        Eigenvalues of H within it count as zero.
    curvature : float
        :math:`|Jg|/|g|` of a search in fewer variables, if that is where the point comes from:
        it is gradient-flat too if that search was at a stationary point of its own.

    Returns
    -------
    Examination

    Examples
    --------
    The origin is a critical point of every network without biases, and all its units are dead:

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 3, 20))
    >>> origin = examine(SingleHiddenLayer(3, "tanh"), np.zeros(18), x, y)
    >>> origin.kind, origin.index, origin.dead_units
    ('certified', 0.5, 3)
    """
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    theta, g, H = _polish(net, theta, *tensors)
    (values,) = symmetric_eigenvalues(H[None])
    size, length = float(np.abs(values).max()), float(np.linalg.norm(g))
    flatness = float(np.linalg.norm(H @ g) / (size * length)) if size * length > 0 else 0.0
    if not np.isfinite(size * length):  # numbers overflow, and nothing is known of the point
        flatness = np.nan
    W1, W2 = (w.numpy() for w in net.weights(torch.from_numpy(theta)))
    into, out = np.linalg.norm(W1, axis=1), np.linalg.norm(W2, axis=0)
    row = float(max(into.max(), np.linalg.norm(W2, axis=1).max()))
    number = distance = np.inf
    kind = "unconverged"
    if length**2 <= _CANDIDATE:
        certificate = certify(net, theta, x, y, H)
        number = certificate.number
        if certificate.passed:
            kind, distance = "certified", certificate.distance
    if kind != "certified":
        flat = min(flatness, curvature / size if size else np.inf) < _FLAT
        if row > _ESCAPED or (row > _ESCAPING and not flat):
            kind = "escaping"
        elif flat:
            kind = "gradient-flat"
    return Examination(
        theta=theta,
        kind=kind,
        energy=float(net.energy(torch.from_numpy(theta), *tensors)),
        index=float((values < -zero_tolerance).mean()) if np.isfinite(size) else np.nan,
        grad_norm_sq=length**2,
        flatness=flatness,
        smallest_eigenvalue=float(np.abs(values).min()),
        near_zero=int((np.abs(values) <= zero_tolerance).sum()),
        largest_row=row,
        dead_units=int((np.maximum(into, out) < _DEAD).sum()),
        dependent_units=_dependent_units(net, W1, x),
        kantorovich=number,
        distance=distance,
    )


def _dependent_units(net: SingleHiddenLayer, W1: Floats, x: Floats) -> int:
    """Hidden units less the rank of their activations: dead ones, duplicates and the like."""
    h = np.tanh(W1 @ x) if net.activation == "tanh" else W1 @ x
    values = np.linalg.svd(h, compute_uv=False)
    return net.n1 - int((values > _DEPENDENT * values[0]).sum())


def _polish(
    net: SingleHiddenLayer, theta: Floats, x: Tensor, y: Tensor
) -> tuple[Floats, Floats, Floats]:
    """Newton's method while it makes the gradient smaller: parameters, gradient, Hessian."""
    point = torch.from_numpy(theta)
    g, H = net.gradient(point, x, y), net.hessian(point, x, y)
    for _ in range(_NEWTON_STEPS):
        if not 0 < float(g @ g) < _NEAR:
            break
        s = _newton_step(net, H, g)
        g_new = net.gradient(point + s, x, y)
        if float(s.norm()) > _NEWTON_RADIUS or not float(g_new @ g_new) < float(g @ g):
            break
        point, g = point + s, g_new
        H = net.hessian(point, x, y)
    return point.numpy(), g.numpy(), H.numpy()


def _newton_step(net: SingleHiddenLayer, H: Tensor, g: Tensor) -> Tensor:
    if net.activation == "linear":  # symmetries leave null directions
        step: Tensor = torch.linalg.lstsq(H, -g[:, None], rcond=1e-12, driver="gelsd").solution[
            :, 0
        ]
    else:
        step = torch.linalg.solve_ex(H, -g)[0]
    return step
