r"""Residuals at which the gradient of a given network vanishes.

The gradient is :math:`J e/m`, with J the Jacobian, a row for each parameter. Residuals with
:math:`Je = 0` make the point critical, whatever the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hessrmt.networks.single_hidden_layer import SingleHiddenLayer
from hessrmt.validation import integer, real

__all__ = ["project_residuals"]


def project_residuals(
    net: SingleHiddenLayer,
    theta: Tensor,
    x: Tensor,
    e: Tensor,
    *,
    tolerance: float = 1e-11,
    most: int = 20_000,
) -> Tensor:
    r"""Residuals less their part in the row space of J, so that the gradient vanishes.

    By conjugate gradients on :math:`\min_v|e - J^Tv|` (CGLS; Björck 1996, section 7.4), with
    products alone: a step costs two gradients, no matrix with a row for each parameter is formed.

    Parameters
    ----------
    net : SingleHiddenLayer
        Of any widths.
    theta : tensor (..., parameters)
        Weights, float64.
    x : tensor (..., n0, m)
        Examples, one a column.
    e : tensor (..., n2, m)
        Residuals. Leading dimensions broadcast, each network is projected by itself.
    tolerance : float
        Norm of J e over its norm at the start, in (0, 1); rounding ends near 1e-14.
    most : int
        Steps.

    Returns
    -------
    tensor (..., n2, m)
        The energy falls to 1 - phi of what it was, if e is independent noise; rescaling is left to
        the caller.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not the network's or not float64, or a number is outside its domain.
    RuntimeError
        If a network's gradient has not fallen so far after so many steps: J is too ill-conditioned,
        as near phi = 1.

    Examples
    --------
    >>> net = SingleHiddenLayer(n=4, activation="tanh")
    >>> theta, noise = net.initialize(rng=0), torch.Generator().manual_seed(0)
    >>> x, e = torch.randn(2, 4, 32, generator=noise, dtype=torch.float64)
    >>> residuals = project_residuals(net, theta, x, e)
    >>> gradient = net.gradient(theta, x, net.predict(theta, x) - residuals)
    >>> bool(gradient.norm() < 1e-10 * net.gradient(theta, x, net.predict(theta, x) - e).norm())
    True
    """
    tolerance, most = real("tolerance", tolerance, "(0, 1)"), integer("most", most, "[1, inf)")
    net.check(theta, x, e)
    if theta.dtype != torch.float64:
        raise TypeError(f"theta, x and e must be float64, got {theta.dtype}")
    W1, W2 = net.weights(theta)
    h, slope = net.activations(W1 @ x)

    def gradient(e: Tensor) -> tuple[Tensor, Tensor]:  # J e
        return (W2.mT @ e * slope) @ x.mT, e @ h.mT

    def square(g: tuple[Tensor, Tensor]) -> Tensor:
        return sum((a * a).sum(dim=(-2, -1), keepdim=True) for a in g)  # type: ignore[return-value]

    rest = e.expand(*torch.broadcast_shapes((W2 @ h).shape, e.shape)).clone()
    g = gradient(rest)
    direction, size = g, square(g)
    goal = tolerance**2 * size
    for _ in range(most):
        active = size > goal  # a network that has arrived stays where it is
        if not active.any():
            return rest
        q = W2 @ (direction[0] @ x * slope) + direction[1] @ h
        step = torch.where(active, size / (q * q).sum(dim=(-2, -1), keepdim=True), 0.0)
        rest = rest - step * q
        g = gradient(rest)
        size, before = torch.where(active, square(g), size), size
        turn = torch.where(active, size / before, 0.0)
        direction = (g[0] + turn * direction[0], g[1] + turn * direction[1])
    left = float((size / goal).max() ** 0.5 * tolerance)
    raise RuntimeError(
        f"the gradient has fallen to {left:.3g} of its start after {most} steps, not {tolerance}"
    )
