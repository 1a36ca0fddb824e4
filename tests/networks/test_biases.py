"""Biases as parameters, against automatic differentiation of the network that has them."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer
from hessrmt.networks import hessian_parts_with_biases


def drawn(net, m, batch, seed):
    rng = np.random.default_rng(seed)
    x, y = (torch.from_numpy(rng.standard_normal((*batch, rows, m))) for rows in (net.n0, net.n2))
    return net.initialize(batch, rng), x, y


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear"])
@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
def test_both_parts_are_those_of_the_network_with_biases(activation, batch):
    net = SingleHiddenLayer(n0=3, n1=4, n2=2, activation=activation)
    theta, x, y = drawn(net, 7, batch, 0)
    parts = hessian_parts_with_biases(net, theta, x, y)
    f = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda z: z}[activation]
    size = net.parameters + net.n1 + net.n2
    flat = (t.reshape(-1, *t.shape[len(batch) :]) for t in (theta, x, y, *parts))
    for t, xs, ys, H0, H1 in zip(*flat, strict=True):

        def predict(p, xs=xs):
            W1, W2, b1, b2 = p.split([12, 8, 4, 2])
            return W2.view(2, 4) @ f(W1.view(4, 3) @ xs + b1[:, None]) + b2[:, None]

        def loss(p, xs=xs, ys=ys):
            return ((predict(p, xs) - ys) ** 2).sum() / (2 * 7)

        at = torch.cat([t, torch.zeros(net.n1 + net.n2, dtype=t.dtype)])
        assert H0.shape == H1.shape == (size, size)
        J = torch.func.jacrev(predict)(at).reshape(-1, size)
        torch.testing.assert_close(H0, J.T @ J / 7, rtol=1e-12, atol=1e-12)
        H = torch.func.hessian(loss)(at)
        torch.testing.assert_close(H0 + H1, H, rtol=1e-12, atol=1e-12)


def test_weights_alone_are_the_corner():
    net = SingleHiddenLayer(n0=5, n1=4, n2=3)
    theta, x, y = drawn(net, 20, (2,), 1)
    for whole, part in zip(
        hessian_parts_with_biases(net, theta, x, y), net.hessian_parts(theta, x, y), strict=True
    ):
        torch.testing.assert_close(whole[..., :32, :32], part, rtol=1e-12, atol=1e-12)


def test_batches_broadcast():
    net = SingleHiddenLayer(n0=5, n1=4, n2=3)
    theta, x, y = drawn(net, 20, (2,), 2)
    apart = [hessian_parts_with_biases(net, theta[0], x[0], each) for each in y]
    together = hessian_parts_with_biases(net, theta[0], x[0], y)
    for part, both in zip(together, zip(*apart, strict=True), strict=True):
        torch.testing.assert_close(part, torch.stack(both))


def test_tensors_of_another_network_are_refused():
    net = SingleHiddenLayer(n0=5, n1=4, n2=3)
    theta, x, y = drawn(net, 20, (), 1)
    with pytest.raises(ValueError, match="theta must"):
        hessian_parts_with_biases(net, theta[1:], x, y)
    with pytest.raises(ValueError, match="x must"):
        hessian_parts_with_biases(net, theta, x[1:], y)
