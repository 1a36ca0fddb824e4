"""Training against problems whose minimum is known."""

import numpy as np
import pytest
import torch

from hessrmt.networks import SingleHiddenLayer, train


def random_problem(n, m, seed=0):
    rng = np.random.default_rng(seed)
    return (torch.from_numpy(rng.standard_normal((n, m))) for _ in range(2))


def test_a_linear_network_reaches_the_least_squares_minimum():
    n, m = 6, 40
    x, y = random_problem(n, m)
    net = SingleHiddenLayer(n=n, activation="linear")
    result = train(net, x, y, net.initialize(3, rng=1), gradient_norm=1e-6)
    best = torch.linalg.lstsq(x.T, y.T).solution.T
    minimum = ((best @ x - y) ** 2).sum() / (2 * n * m)
    assert (result.gradient_norm <= 1e-6).all()
    torch.testing.assert_close(result.energy, minimum.expand(3), rtol=1e-9, atol=0)


def test_a_minimum_has_no_negative_curvature():
    # Targets of another network of the kind, with noise: the minimum is at finite weights.
    x, noise = random_problem(3, 200, seed=2)
    net = SingleHiddenLayer(n=3, activation="tanh")
    y = net.predict(net.initialize((), rng=5), x) + 0.1 * noise
    result = train(net, x, y, net.initialize(3, rng=1))
    assert (result.gradient_norm <= 1e-6).all()
    eigenvalues = torch.linalg.eigvalsh(net.hessian(result.theta, x, y))
    assert float(eigenvalues.min()) > -1e-7


def test_relu_minima_lie_on_kinks():
    x, _ = random_problem(5, 50, seed=3)
    net = SingleHiddenLayer(n0=5, n1=6, n2=5, activation="relu")
    start = net.initialize(3, rng=1)
    result = train(net, x, x, start, gradient_norm=1e-8)
    assert (result.energy < net.energy(start, x, x)).all()
    stuck = result.gradient_norm > 1e-8
    assert stuck.any()
    assert (result.at_kinks[stuck] > 0).all()


def test_the_result_follows_from_the_start():
    x, y = random_problem(3, 20)
    net = SingleHiddenLayer(n=3, activation="tanh")
    theta = net.initialize(2, rng=4)
    before = theta.clone()
    first, second = (train(net, x, y, theta, max_steps=50) for _ in range(2))
    assert torch.equal(first.theta, second.theta)
    assert torch.equal(theta, before)
    assert (first.steps <= 50).all()


def test_bad_input_is_named():
    x, y = random_problem(3, 20)
    net = SingleHiddenLayer(n=3)
    theta = net.initialize(1, rng=0)
    with pytest.raises(ValueError, match=r"gradient_norm must be in \(0, inf\), got 0"):
        train(net, x, y, theta, gradient_norm=0)
    with pytest.raises(ValueError, match=r"max_steps must be in \[1, inf\), got 0"):
        train(net, x, y, theta, max_steps=0)
    with pytest.raises(ValueError, match="theta must be"):
        train(net, x, y, theta[:, :3])
