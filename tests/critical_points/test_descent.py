"""Descent against a plain loop, and what the levels mean."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, descend
from hessrmt.critical_points import descent as module
from hessrmt.critical_points import draw_runs


def plain(net, x, y, theta, level, rate, max_steps):
    for step in range(max_steps + 1):
        energy = float(net.energy(theta, x, y))
        if energy <= level or step == max_steps:
            return theta, energy, step
        theta = theta - rate * net.gradient(theta, x, y)


@pytest.mark.parametrize("size", [2, 100])
def test_each_run_is_followed_as_if_alone(size, monkeypatch):
    monkeypatch.setattr(module, "_PLACES", {True: size, False: size})
    net, x, y, theta, share = draw_runs(0.5, 3, 7, seed=0, shard=0)
    level = share * net.energy(theta, x, y).numpy()
    level[:2] = 0.0, 10.0  # never reached, reached at once
    before = theta.clone()
    end = descend(net, x, y, theta, level, rate=0.2, max_steps=80)
    torch.testing.assert_close(theta, before, rtol=0, atol=0)
    for i in range(7):
        point, energy, steps = plain(net, x[i], y[i], theta[i], level[i], 0.2, 80)
        torch.testing.assert_close(end.theta[i], point, rtol=1e-10, atol=1e-12)
        assert end.energy[i] == pytest.approx(energy, rel=1e-10)
        assert (end.steps[i], end.reached[i]) == (steps, energy <= level[i])
    assert (end.steps[:2] == [80, 0]).all()


def test_bad_arguments():
    net, empty = SingleHiddenLayer(2, "tanh"), torch.zeros(0, 2, 5).double()
    with pytest.raises(ValueError, match=r"the number of runs in \[1, inf\), got shapes \(0, 8\)"):
        descend(net, empty, empty, net.initialize(0), 0.1)
    x = torch.ones(1, 2, 5).double()
    with pytest.raises(ValueError, match=r"one leading dimension.* got shapes \(8,\)"):
        descend(net, x, x, net.initialize(rng=0), 0.1)
    with pytest.raises(TypeError, match=r"must be float64, got torch\.float32"):
        descend(net, x.float(), x.float(), net.initialize(1, 0).float(), 0.1)
    with pytest.raises(ValueError, match=r"level must be in \[0, inf\), got -1"):
        descend(net, x, x, net.initialize(1, 0), -1.0)
    with pytest.raises(ValueError, match="rate must be in"):
        descend(net, x, x, net.initialize(1, 0), 0.1, rate=np.inf)
