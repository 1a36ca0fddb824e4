"""Closed-form derivatives against torch.func, on random inputs of every kind and shape."""

import numpy as np
import pytest
import torch
from torch.func import grad, hessian

from hessrmt.networks import SingleHiddenLayer

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda z: z}
SHAPES = [{"n": 4}, {"n0": 3, "n1": 5, "n2": 2}, {"n0": 6, "n1": 2, "n2": 7}, {"n": 1}]


def reference_loss(net):
    """The loss as a function of one flat vector, written independently of the class."""
    f, split = ACTIVATIONS[net.activation], net.n1 * net.n0

    def loss(theta, x, y):
        W1, W2 = theta[:split].reshape(net.n1, net.n0), theta[split:].reshape(net.n2, net.n1)
        return ((W2 @ f(W1 @ x) - y) ** 2).sum() / (2 * x.shape[1])

    return loss


def problem(net, batch=3, m=11, seed=0):
    rng = np.random.default_rng(seed)
    x, y = (torch.from_numpy(rng.standard_normal((batch, k, m))) for k in (net.n0, net.n2))
    return net.initialize(batch, rng), x, y


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_agree_with_torch_func(activation, shape):
    net = SingleHiddenLayer(activation=activation, **shape)
    loss, (theta, x, y) = reference_loss(net), problem(net)
    v = net.initialize(3, rng=9)
    values = torch.stack([loss(*one) for one in zip(theta, x, y, strict=True)])
    gradients = torch.stack([grad(loss)(*one) for one in zip(theta, x, y, strict=True)])
    hessians = torch.stack([hessian(loss)(*one) for one in zip(theta, x, y, strict=True)])
    assert relative(net.n2 * net.energy(theta, x, y), values) < 1e-12
    assert relative(net.gradient(theta, x, y), gradients) < 1e-12
    assert relative(net.hessian(theta, x, y), hessians) < 1e-12
    assert relative(net.hvp(theta, v, x, y), (hessians @ v.unsqueeze(-1)).squeeze(-1)) < 1e-12
    H0, H1 = net.hessian_parts(theta, x, y)
    assert relative(H0 + H1, hessians) < 1e-12


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_h0_is_the_jacobian_squared(activation):
    """H0 = J J^T/m with J by torch.func; what is left is H1, linear in the residuals."""
    net = SingleHiddenLayer(n0=3, n1=4, n2=2, activation=activation)
    theta, x, y = problem(net)
    H0, H1 = net.hessian_parts(theta, x, y)
    outputs = torch.func.vmap(torch.func.jacrev(net.predict))(theta, x)  # (B, n2, m, parameters)
    J = outputs.flatten(1, 2)
    assert relative(H0, J.mT @ J / x.shape[-1]) < 1e-12
    # With residuals three times as large H1 triples and H0 stays.
    y3 = net.predict(theta, x) - 3 * (net.predict(theta, x) - y)
    again0, again1 = net.hessian_parts(theta, x, y3)
    assert relative(again0, H0) < 1e-14
    assert relative(again1, 3 * H1) < 1e-12


def test_leading_dimensions_broadcast():
    net = SingleHiddenLayer(n=3, activation="tanh")
    theta = net.initialize((2, 5), rng=0)
    _, x, y = problem(net, batch=5)
    H = net.hessian(theta, x, y)
    assert H.shape == (2, 5, 18, 18)
    torch.testing.assert_close(H[1, 3], net.hessian(theta[1, 3], x[3], y[3]), rtol=1e-12, atol=0)
    assert net.energy(theta, x, y).shape == (2, 5)
    assert net.gradient(theta[0, 0], x, y).shape == (5, 18)
    assert net.hessian(theta[:, :0], x[:0], y[:0]).shape == (2, 0, 18, 18)


def test_many_networks_are_assembled_in_passes(monkeypatch):
    net = SingleHiddenLayer(n=4, activation="relu")
    theta, x, y = problem(net, batch=7)
    whole = net.hessian(theta, x, y)
    monkeypatch.setattr("hessrmt.networks.single_hidden_layer._PASS", 1)
    torch.testing.assert_close(net.hessian(theta, x, y), whole, rtol=1e-13, atol=1e-15)


def test_single_precision():
    net = SingleHiddenLayer(n=5, activation="tanh")
    theta, x, y = problem(net)
    H = net.hessian(theta.float(), x.float(), y.float())
    assert H.dtype == torch.float32
    assert relative(H.double(), net.hessian(theta, x, y)) < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same():
    net = SingleHiddenLayer(n=5, activation="tanh")
    theta, x, y = problem(net)
    H = net.hessian(theta.cuda(), x.cuda(), y.cuda())
    assert relative(H.cpu(), net.hessian(theta, x, y)) < 1e-11


def test_relu_rescaling_directions_are_null_directions_of_h0():
    """Scaling a unit's incoming weights by c and outgoing ones by 1/c changes no output."""
    net = SingleHiddenLayer(n=6, activation="relu")
    theta, x, y = problem(net, m=40)
    H0, _ = net.hessian_parts(theta, x, y)
    W1, W2 = net.weights(theta)
    for a in range(net.n1):
        v1, v2 = torch.zeros_like(W1), torch.zeros_like(W2)
        v1[:, a], v2[:, :, a] = W1[:, a], -W2[:, :, a]
        v = torch.cat([v1.flatten(1), v2.flatten(1)], dim=1)
        assert float((H0 @ v.unsqueeze(-1)).abs().max()) < 1e-13


def test_relu_at_zero_has_no_slope():
    net = SingleHiddenLayer(n=2, activation="relu")
    x = y = torch.ones(2, 3, dtype=torch.float64)
    assert torch.count_nonzero(net.hessian(torch.zeros(8, dtype=torch.float64), x, y)) == 0


def test_initial_weights_have_the_stated_variance():
    net = SingleHiddenLayer(n0=20, n1=50, n2=10)
    W1, W2 = net.weights(net.initialize(40, rng=0))
    assert float(W1.var()) == pytest.approx(1 / 20, rel=0.02)
    assert float(W2.var()) == pytest.approx(1 / 50, rel=0.03)
    torch.testing.assert_close(net.initialize(2, rng=3), net.initialize(2, rng=3))
    assert net.initialize((), rng=0, dtype=torch.float32).dtype == torch.float32


def bad_inputs():
    net = SingleHiddenLayer(n=3)
    theta, x, y = problem(net)
    yield lambda: SingleHiddenLayer(), r"n must be an integer in \[1, inf\), got None"
    yield lambda: SingleHiddenLayer(n=3, n1=0), r"n1 must be in \[1, inf\), got 0"
    yield lambda: SingleHiddenLayer(n=3, activation="gelu"), "activation must be one of relu"
    yield lambda: net.energy(theta[:, :5], x, y), r"theta must be .* \(\.\.\., 18\), got \(3, 5\)"
    yield lambda: net.energy(theta, x[:, :2], y), r"x must be .* \(\.\.\., 3, m\), got \(3, 2, 11\)"
    yield lambda: net.energy(theta, x[..., :0], y), r"x must be a float tensor of shape"
    yield (
        lambda: net.hessian(theta, x, y[..., :4]),
        r"y must be .* \(\.\.\., 3, 11\), got \(3, 3, 4\)",
    )
    yield lambda: net.hessian(theta[:2], x, y), "leading dimensions that broadcast"
    yield lambda: net.gradient(theta.float(), x, y), "must have one dtype"
    yield lambda: net.gradient(theta.numpy(), x, y), "theta must be a float tensor"
    yield lambda: net.gradient(theta.long(), x, y), "theta must be a float tensor"


@pytest.mark.parametrize("call, message", list(bad_inputs()))
def test_bad_input_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
