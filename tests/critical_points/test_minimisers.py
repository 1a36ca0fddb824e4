"""Minimisers against plain loops and problems with a known minimum."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, minimise_shard
from hessrmt.critical_points import RandomRuns, draw_runs, minimisers


def test_gradient_descent_is_plain():
    net, x, y, theta, _ = draw_runs(0.5, 3, 4, seed=1, shard=0)
    for _ in range(50):
        theta = theta - 0.1 * net.gradient(theta, x, y)
    found = minimise_shard(0.5, 3, 4, seed=1, shard=0, steps=50)
    np.testing.assert_allclose(found["energy"], net.energy(theta, x, y), rtol=1e-10)


def test_adam_is_that_of_kingma_and_ba():
    """Algorithm 1 of their paper, with rate 0.01 and its default averages."""
    net, x, y, theta, _ = draw_runs(0.5, 3, 4, seed=1, shard=0)
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)
    for step in range(1, 51):
        g = net.gradient(theta, x, y)
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        ahead = first / (1 - 0.9**step), second / (1 - 0.999**step)
        theta = theta - 0.01 * ahead[0] / (ahead[1].sqrt() + 1e-8)
    found = minimise_shard(0.5, 3, 4, seed=1, shard=0, method="adam", steps=50)
    np.testing.assert_allclose(found["energy"], net.energy(theta, x, y), rtol=1e-10)


def test_newton_step_solves_the_damped_dense_system():
    net, x, y, theta, _ = draw_runs(0.5, 3, 4, seed=2, shard=0)
    surface, runs, mu = minimisers.Surface(net, x, y), np.arange(4), np.array([3.0, 4.0, 5.0, 6.0])
    p = surface.point(runs, *(w.numpy() for w in net.weights(theta)))
    step = np.concatenate(
        [s.reshape(4, -1) for s in minimisers._newton_step(surface, runs, p, mu)], 1
    )
    H, g = net.hessian(theta, x, y).numpy(), net.gradient(theta, x, y).numpy()
    for i in range(4):
        np.testing.assert_allclose(
            step[i], np.linalg.solve(H[i] + mu[i] * np.eye(18), -g[i]), atol=1e-12
        )
    # Where H + mu is not positive there is no step.
    negative = np.full(4, -0.5 * np.linalg.eigvalsh(H)[:, 0].min())
    assert np.isnan(minimisers._newton_step(surface, runs, p, negative)[0]).any()


def test_newton_reaches_the_minimum_of_the_linear_network(monkeypatch):
    """Reduced-rank regression: the residual of the best linear map, hidden layer wide enough."""
    rng = np.random.default_rng(0)
    net = SingleHiddenLayer(3, "linear")
    x, y = (torch.from_numpy(rng.standard_normal((5, 3, 20))) for _ in "xy")
    runs = RandomRuns(net, x, y, net.initialize(5, rng), np.ones(5))
    monkeypatch.setattr(minimisers, "draw_runs", lambda *_: runs)
    found = minimise_shard(0.3, 3, 5, 0, 0, method="newton", steps=100)
    for i in range(5):
        residual = np.linalg.lstsq(x[i].numpy().T, y[i].numpy().T)[1].sum()
        assert found["energy"][i] == pytest.approx(residual / 120, rel=1e-9)
    assert (found["grad_norm_sq"] < 1e-16).all()
    assert (found["index"] == 0).all()


def test_saturation_is_measured():
    found = minimise_shard(1.0, 3, 6, seed=0, shard=0, method="newton", steps=300)
    assert found["largest_row"].max() > 10
    assert (found["saturated"] > 0.05).any()
    start = minimise_shard(1.0, 3, 6, seed=0, shard=0, steps=1)
    assert (found["energy"] < start["energy"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"method": "sgd"}, "method must be one of"), ({"steps": 0}, "steps must be in")],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        minimise_shard(**({"phi": 0.5, "n": 3, "runs": 1, "seed": 0, "shard": 0} | change))
