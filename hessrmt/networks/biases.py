r"""The Hessian of a network without biases in which biases are counted as parameters.

:math:`\hat y = W_2 f(W_1 x + b_1) + b_2` at :math:`b_1 = b_2 = 0` is the same function, but its
Hessian has a row more for each unit. In Figure 2 of Pennington & Bahri (2017) one of the two
spectra counts them: 676 = 2·16·20 + 20 + 16 eigenvalues beside 640 of the weights alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hessrmt.networks.single_hidden_layer import SingleHiddenLayer

__all__ = ["hessian_parts_with_biases"]


def hessian_parts_with_biases(
    net: SingleHiddenLayer, theta: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    r"""H0 and H1 over weights and biases, at biases of zero.

    Biases of hidden units are weights from a constant input. The output is linear in its own
    biases, so they add nothing to H1, and to H0 the rows
    :math:`\frac1m\sum_\mu\partial\hat y_{i\mu}/\partial\theta`, which are gradients of the loss at
    residuals that are 1 for output i and 0 for all others.

    Parameters
    ----------
    net : SingleHiddenLayer
        Of any widths and activation, P weights.
    theta : tensor (..., P)
        Weights.
    x : tensor (..., n0, m)
        Examples, one a column.
    y : tensor (..., n2, m)
        Targets.

    Returns
    -------
    H0, H1 : tensors (..., P + n1 + n2, P + n1 + n2)
        Rows and columns are the weights as in theta, then the biases of the hidden units, then
        those of the outputs.

    Raises
    ------
    TypeError, ValueError
        If a tensor is not the network's.

    Examples
    --------
    >>> net = SingleHiddenLayer(n0=16, n1=20, n2=16)
    >>> theta, x = net.initialize(rng=0), torch.ones(16, 30).double()
    >>> net.parameters, hessian_parts_with_biases(net, theta, x, x)[0].shape
    (640, torch.Size([676, 676]))
    """
    net.check(theta, x, y)
    W1, W2 = net.weights(theta)
    wide = SingleHiddenLayer(n0=net.n0 + 1, n1=net.n1, n2=net.n2, activation=net.activation)
    zeros, ones = torch.zeros_like(W1[..., :1]), torch.ones_like(x[..., :1, :])
    inputs = torch.cat([x, ones], dim=-2)
    weights = torch.cat([torch.cat([W1, zeros], dim=-1).flatten(-2), W2.flatten(-2)], dim=-1)
    H0, H1 = wide.hessian_parts(weights, inputs, y)

    outputs = wide.predict(weights, inputs)
    own = torch.eye(net.n2, dtype=x.dtype, device=x.device)  # a bias moves its output by 1
    rows = torch.stack([wide.gradient(weights, inputs, outputs - e[:, None]) for e in own], -2)
    rows = rows.expand(*H0.shape[:-2], *rows.shape[-2:])
    border = torch.cat([rows, own.expand(*rows.shape[:-1], net.n2)], -1)
    H0 = torch.cat([torch.cat([H0, rows.mT], -1), border], -2)
    H1 = torch.nn.functional.pad(H1, (0, net.n2, 0, net.n2))
    place = torch.arange(wide.parameters + net.n2, device=x.device)
    from_input = place[: wide.n1 * wide.n0].reshape(wide.n1, wide.n0)
    rest = place[wide.n1 * wide.n0 :]
    second, last = rest[: net.n2 * net.n1], rest[net.n2 * net.n1 :]
    order = torch.cat([from_input[:, :-1].flatten(), second, from_input[:, -1], last])
    return H0[..., order, :][..., order], H1[..., order, :][..., order]
