"""One run of a batch that is wrong or leaves every bound, and what becomes of the others."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, find_critical_points
from hessrmt.critical_points import descend, search_shard

NET = SingleHiddenLayer(4, "tanh")


def problem(runs=3):
    rng = np.random.default_rng(0)
    x, y = torch.from_numpy(rng.standard_normal((2, runs, 4, 20)))
    return x, y, NET.initialize(runs, rng)


@pytest.mark.parametrize("name", ["x", "y", "theta"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_before_any_work(name, bad, monkeypatch):
    tensors = dict(zip(("x", "y", "theta"), problem(), strict=True))
    tensors[name][1, 0] = bad
    monkeypatch.setattr("hessrmt.critical_points.find.Surface", None)
    with pytest.raises(ValueError, match=f"^{name} must be finite, got {bad} in run 1$"):
        find_critical_points(NET, **tensors)
    with pytest.raises(ValueError, match=f"^{name} must be finite, got {bad} in run 1$"):
        descend(NET, **tensors, level=np.full(3, 0.1))


def test_a_run_whose_gradient_overflows_is_named():
    x, y, theta = problem()
    x[2] *= 1e200
    y[2] *= 1e200
    with pytest.raises(ValueError, match=r"must have a finite gradient, got none in run 2$"):
        find_critical_points(NET, x, y, theta)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("search", ["projected", "full"])
@pytest.mark.parametrize("scale", [1e30, 1e60, 1e75, 1e-100, 1e-160])
def test_other_runs_are_not_lost_to_one_of_another_scale(search, scale):
    x, y, theta = problem()
    alone = find_critical_points(NET, x[:2], y[:2], theta[:2], search=search, max_steps=30)
    y[2] *= scale
    theta[2, 16:] *= scale
    found = find_critical_points(NET, x, y, theta, search=search, max_steps=30)
    np.testing.assert_array_equal(found.kind[:2], alone.kind)
    np.testing.assert_allclose(found.energy[:2], alone.energy, rtol=1e-9)


def test_a_descent_that_diverges_ends_where_it_began():
    x, y, theta = problem()
    y[1] *= 1e6
    rate = 5.0
    end = descend(NET, x, y, theta, np.full(3, 1e-3), rate=rate, max_steps=2000)
    assert torch.isfinite(end.theta).all()
    assert np.isfinite(end.energy).all()
    np.testing.assert_allclose(end.energy, NET.energy(end.theta, x, y).numpy(), rtol=1e-12)
    gone = (end.theta == theta).all(dim=-1).numpy()
    assert gone[1]
    assert not end.reached[gone].any()
    shard = search_shard(0.5, 3, runs=4, seed=0, shard=0, rate=1e3, max_steps=5)
    assert np.isfinite(shard["energy"]).all()


def test_weights_of_a_model_can_be_searched_from():
    x, y, theta = problem()
    want = find_critical_points(NET, x, y, theta, max_steps=5)
    trainable = [torch.nn.Parameter(t.clone()) for t in (x, y, theta)]
    found = find_critical_points(NET, *trainable, max_steps=5)
    np.testing.assert_array_equal(found.energy, want.energy)
    end = descend(NET, *trainable, level=np.full(3, 0.1), max_steps=5)
    np.testing.assert_array_equal(end.energy, descend(NET, x, y, theta, 0.1, max_steps=5).energy)
