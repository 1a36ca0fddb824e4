"""Training a network to a minimum, with the full batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize
from torch import Tensor
from tqdm import tqdm

from hessrmt.networks.single_hidden_layer import SingleHiddenLayer
from hessrmt.validation import integer, real

__all__ = ["Training", "train"]


class Training(NamedTuple):
    """What training ended with, one entry a network, all of shape (networks,) but theta."""

    theta: Tensor  # (networks, parameters)
    energy: Tensor
    gradient_norm: Tensor
    steps: Tensor
    at_kinks: Tensor  # pre-activations within 1e-6 of the kink of ReLU; 0 for other activations


def train(
    net: SingleHiddenLayer,
    x: Tensor,
    y: Tensor,
    theta: Tensor,
    *,
    gradient_norm: float = 1e-6,
    max_steps: int = 5000,
    progress: bool = False,
) -> Training:
    r"""Minimise the loss by L-BFGS with the full batch, one network after the other.

    Parameters
    ----------
    net : SingleHiddenLayer
        The network.
    x, y : tensors (n0, m), (n2, m) or with a leading (networks,)
        Data and targets, float64.
    theta : (networks, parameters) or (parameters,) tensor
        Where to start; the result follows from it alone.
    gradient_norm : float
        Stop at this :math:`|\nabla L|`.
    max_steps : int
        Stop after so many steps in any case.
    progress : bool
        Whether to show networks done and the time left, on standard error.

    Returns
    -------
    Training
        Compare its `gradient_norm` with the one asked for: minima of ReLU networks lie on kinks
        as a rule, where some pre-activations are exactly zero and the gradient jumps, so that
        its norm at points nearby does not go to zero. `at_kinks` counts those pre-activations.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains or of other shapes than the network's.

    Examples
    --------
    >>> net = SingleHiddenLayer(n=3, activation="linear")
    >>> x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 50)))
    >>> result = train(net, x, x, net.initialize(2, rng=1))
    >>> bool((result.gradient_norm <= 1e-6).all()), bool((result.energy < 1e-9).all())
    (True, True)
    """
    tolerance = real("gradient_norm", gradient_norm, "(0, inf)")
    max_steps = integer("max_steps", max_steps, "[1, inf)")
    net.check(theta, x, y)
    theta, x, y = theta.detach(), x.detach(), y.detach()
    start = theta.reshape(-1, net.parameters)
    count = start.shape[0]
    xs, ys = x.expand(count, *x.shape[-2:]), y.expand(count, *y.shape[-2:])
    ends, steps = [], []
    for one in tqdm(range(count), unit="network", disable=not progress):
        end, taken = _descend(net, xs[one], ys[one], start[one], tolerance, max_steps)
        ends.append(end)
        steps.append(taken)
    end = torch.stack(ends)
    kinks = torch.zeros(count, dtype=torch.int64)
    if net.activation == "relu":
        kinks = ((net.weights(end)[0] @ xs).abs() < 1e-6).sum(dim=(-2, -1))
    norms = net.gradient(end, xs, ys).norm(dim=-1)
    return Training(end, net.energy(end, xs, ys), norms, torch.tensor(steps), kinks)


def _descend(
    net: SingleHiddenLayer, x: Tensor, y: Tensor, theta: Tensor, tolerance: float, max_steps: int
) -> tuple[Tensor, int]:
    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        t = torch.from_numpy(point)
        return net.n2 * float(net.energy(t, x, y)), net.gradient(t, x, y).numpy()

    # The largest component of the gradient is what L-BFGS-B compares: the norm is at most
    # sqrt(parameters) times as large.
    options = {
        "maxiter": max_steps,
        "maxfun": 20 * max_steps,
        "maxcor": 30,
        "ftol": 0.0,
        "gtol": tolerance / np.sqrt(net.parameters),
    }
    found = optimize.minimize(loss, theta.numpy(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x), int(found.nit)
