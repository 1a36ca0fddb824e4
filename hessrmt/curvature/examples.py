r"""Curvature of single examples, of which the Hessian of a batch is the mean.

With :math:`h_i` the Hessian of the loss on example i, the noise of a batch of b examples is
:math:`H_b - A = \frac1b\sum (h_i - A)`. Its strength between two directions,

.. math:: V_{kj} = \operatorname{var}_i(u_k^{\mathsf T} h_i u_j),

moves eigenvalues of the batch to second order by :math:`\frac1b\sum_j V_{kj}/(\theta_k-\theta_j)`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.func import functional_call, grad, vmap

from hessrmt.curvature._losses import criterion
from hessrmt.validation import integer, real_array

__all__ = ["NoiseProfile", "example_products", "noise_profile"]

Real: TypeAlias = NDArray[np.float64]

_TOGETHER = 1000  # examples


def example_products(
    model: torch.nn.Module, loss: Any, x: torch.Tensor, y: torch.Tensor, v: ArrayLike
) -> Real:
    """Multiply the Hessian of the loss on each example with one vector.

    Parameters
    ----------
    model : torch.nn.Module
        Its parameters in the order of ``model.parameters()``.
    loss : {"mse", "cross-entropy"} or torch.nn.Module
        As in `Curvature`.
    x, y : tensors (m, ...)
        Examples, one a row.
    v : (P,) array_like
        The vector.

    Returns
    -------
    (m, P) ndarray
        Their mean is the product with the Hessian of all, for a loss that is a mean.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> example_products(model, "mse", x, torch.ones(2, 1, dtype=torch.float64), [1.0, 1.0])
    array([[2., 0.],
           [0., 8.]])
    """
    measure = criterion(loss)
    weights = {k: p.detach() for k, p in model.named_parameters() if p.requires_grad}
    first = next(iter(weights.values()))
    size = sum(p.numel() for p in weights.values())
    vector = torch.from_numpy(real_array("v", v)).to(first)
    if vector.shape != (size,):
        raise ValueError(f"v must have shape ({size},), got {tuple(vector.shape)}")
    shares = vector.split([p.numel() for p in weights.values()])
    directions = {k: s.view_as(weights[k]) for k, s in zip(weights, shares, strict=True)}

    def one(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        def value(w: dict[str, torch.Tensor]) -> torch.Tensor:
            found: torch.Tensor = measure(functional_call(model, w, (x[None],)), y[None])
            return found

        def slope(w: dict[str, torch.Tensor]) -> torch.Tensor:
            gradient = grad(value)(w)
            return torch.stack([(gradient[k] * directions[k]).sum() for k in w]).sum()

        product = grad(slope)(weights)  # twice in reverse: forward mode lacks some derivatives
        return torch.cat([product[name].flatten() for name in weights])

    products: torch.Tensor = vmap(one, chunk_size=_TOGETHER)(x, y)
    return products.detach().numpy().astype(np.float64)


class NoiseProfile(NamedTuple):
    """How the Hessians of examples scatter about their mean."""

    strength: Real  # (count, P): V of the last `count` directions with all
    square: float  # mean of |h_i|_F^2
    blocks: Real  # (m, exact, exact): h_i in the last `exact` directions, the last one first


def noise_profile(
    model: torch.nn.Module,
    loss: Any,
    x: torch.Tensor,
    y: torch.Tensor,
    vectors: ArrayLike,
    *,
    count: int = 9,
    exact: int = 18,
    probes: int = 8,
    rng: Any = None,
) -> NoiseProfile:
    r"""Measure the strength of the noise of batches, from products alone.

    The mean of :math:`|h_i|_F^2` is exact on the last `exact` directions, and estimated with
    random signs on the others: on all of them its error would be large.

    Parameters
    ----------
    model, loss, x, y
        As in `example_products`.
    vectors : (P, P) array_like
        Orthonormal directions in columns, those with the largest eigenvalues last.
    count : int
        How many directions get their strengths, at most `exact`.
    exact : int
        How many directions are multiplied with.
    probes : int
        Random vectors for the others.
    rng : int, numpy.random.Generator or None
        Seed or generator of the signs.

    Returns
    -------
    NoiseProfile

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    >>> y = torch.ones(2, 1, dtype=torch.float64)
    >>> found = noise_profile(model, "mse", x, y, np.eye(2), count=1, exact=2, probes=1)
    >>> found.strength, found.square  # of 2 x x^T: variance of 0 and 8, mean of 4 and 64
    (array([[ 0., 16.]]), 34.0)
    """
    U = real_array("vectors", vectors)
    size = len(U)
    if U.shape != (size, size):
        raise ValueError(f"vectors must have shape (P, P), got {U.shape}")
    exact = integer("exact", exact, f"[1, {size}]")
    count = integer("count", count, f"[1, {exact}]")
    probes = integer("probes", probes, "[1, inf)")
    rng = np.random.default_rng(rng)
    last, rest = U[:, : -exact - 1 : -1], U[:, :-exact]
    products = [example_products(model, loss, x, y, u) for u in last.T]
    strength = np.array([(p @ U).var(axis=0) for p in products[:count]])
    square = sum(np.sum(p**2, axis=1).mean() for p in products)
    for signs in rng.choice([-1.0, 1.0], (probes, size)):
        other = example_products(model, loss, x, y, rest @ (rest.T @ signs))
        square += np.sum(other**2, axis=1).mean() / probes
    blocks = np.array([p @ last for p in products]).transpose(1, 0, 2)
    return NoiseProfile(strength, float(square), blocks)
