"""Searches and their classification, on problems whose critical points are known."""

import itertools

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, find_critical_points, search_shard
from hessrmt.critical_points import KINDS, STAGES, draw_runs, examine


def dense_index(net, theta, x, y, tolerance=1e-6):
    values = np.linalg.eigvalsh(net.hessian(theta, x, y).numpy())
    return (values < -tolerance).mean(axis=-1)


# -- classification --------------------------------------------------------------------------------


def test_the_origin_is_a_critical_point_of_dead_units():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 4, 30))
    found = examine(SingleHiddenLayer(4, "tanh"), np.zeros(32), x, y)
    assert (found.kind, found.dead_units, found.index) == ("certified", 4, 0.5)
    assert found.dependent_units == 4
    assert found.energy == pytest.approx((y**2).mean() / 2, rel=1e-14)
    assert (found.grad_norm_sq, found.largest_row) == (0, 0)


def test_a_critical_point_of_a_narrower_network_is_one_with_a_dead_unit():
    """Its Hessian gains the singular values of E x^T/m, with both signs."""
    rng = np.random.default_rng(3)
    narrow, wide = (SingleHiddenLayer(n0=3, n1=k, n2=3, activation="tanh") for k in (2, 3))
    teacher, x = narrow.initialize(rng=rng), torch.from_numpy(rng.standard_normal((3, 40)))
    y = narrow.predict(teacher, x) + 0.1 * torch.from_numpy(rng.standard_normal((3, 40)))
    found = find_critical_points(narrow, x[None], y[None], teacher[None], search="full")
    assert found.kind[0] == "certified"
    W1, W2 = (w[0].numpy() for w in narrow.weights(found.theta))
    padded = np.concatenate([np.vstack([W1, np.zeros(3)]).ravel(), np.c_[W2, np.zeros(3)].ravel()])
    embedded = examine(wide, padded, x.numpy(), y.numpy())
    assert (embedded.kind, embedded.dead_units, embedded.dependent_units) == ("certified", 1, 1)
    assert (found.dead_units[0], found.dependent_units[0]) == (0, 0)
    assert embedded.energy == pytest.approx(found.energy[0], rel=1e-12)
    assert embedded.index * 18 == found.index[0] * 12 + 3


def test_duplicate_units_are_counted_and_leave_no_isolated_critical_point():
    """A unit split in two equal ones: the share of each is free, a line of critical points."""
    rng = np.random.default_rng(3)
    narrow, wide = (SingleHiddenLayer(n0=3, n1=k, n2=3, activation="tanh") for k in (2, 3))
    teacher, x = narrow.initialize(rng=rng), torch.from_numpy(rng.standard_normal((3, 40)))
    y = narrow.predict(teacher, x)
    W1, W2 = (w.numpy() for w in narrow.weights(teacher))
    split = np.concatenate([W1[[0, 0, 1]].ravel(), (W2[:, [0, 0, 1]] * [0.3, 0.7, 1]).ravel()])
    found = examine(wide, split, x.numpy(), y.numpy())
    assert found.grad_norm_sq < 1e-28
    assert (found.kind, found.dead_units, found.dependent_units) == ("unconverged", 0, 1)
    assert found.near_zero >= 1


def test_a_gradient_in_the_kernel_of_the_hessian_is_told_from_a_critical_point():
    """At w1 = w2 = sqrt(a/3), |grad L|^2 of L = (w1 w2 - a)^2/2 is stationary and not 0."""
    net, x, y = SingleHiddenLayer(1, "linear"), np.ones((1, 1)), np.ones((1, 1))
    found = examine(net, np.full(2, np.sqrt(1 / 3)), x, y)
    assert found.kind == "gradient-flat"
    assert found.flatness < 1e-15
    assert found.grad_norm_sq == pytest.approx(2 / 3 * (2 / 3) ** 2)
    # Nearby, and at the two kinds of critical points.
    assert examine(net, np.array([0.6, 0.5]), x, y).kind == "unconverged"
    minimum = examine(net, np.array([2.0, 0.5]), x, y)
    assert (minimum.kind, minimum.index, minimum.near_zero) == ("certified", 0.0, 1)
    saddle = examine(net, np.zeros(2), x, y)
    assert (saddle.kind, saddle.index, saddle.dead_units) == ("certified", 0.5, 1)


def test_weights_that_run_to_infinity_are_told():
    """Signs cannot be fitted by tanh at finite weights: every search saturates."""
    rng = np.random.default_rng(0)
    net, x = SingleHiddenLayer(1, "tanh"), torch.from_numpy(rng.standard_normal((3, 1, 12)))
    start = torch.tensor([[4.0, 1.0]] * 3, dtype=torch.float64)
    found = find_critical_points(net, x, torch.sign(x), start, search="full")
    assert set(found.kind) == {"escaping"}
    assert (found.largest_row > 10).all()
    assert (found.grad_norm_sq < 1e-6).all()  # which does not make them critical points


def test_the_flatness_of_the_reduced_search_counts_too():
    rng = np.random.default_rng(1)
    net, (x, y) = SingleHiddenLayer(3, "tanh"), rng.standard_normal((2, 3, 20))
    theta = net.initialize(rng=rng).numpy()
    assert examine(net, theta, x, y).kind == "unconverged"
    assert examine(net, theta, x, y, curvature=1e-9).kind == "gradient-flat"


# -- the paper's experiment in small ---------------------------------------------------------------


@pytest.mark.parametrize("search", ["projected", "full"])
def test_snapshots_and_columns_are_consistent(search):
    runs = draw_runs(0.5, 4, 12, seed=1, shard=2)
    net, x, y, theta, _ = runs
    found = find_critical_points(net, x, y, theta, search=search)
    np.testing.assert_allclose(found.energy, net.energy(found.theta, x, y), rtol=1e-12)
    np.testing.assert_array_equal(found.index, dense_index(net, found.theta, x, y))
    norms = (net.gradient(found.theta, x, y) ** 2).sum(dim=-1).numpy()
    np.testing.assert_allclose(found.grad_norm_sq, norms, rtol=1e-6, atol=1e-28)
    np.testing.assert_allclose(found.snapshot_energy[:, 0], net.energy(theta, x, y), rtol=1e-13)
    np.testing.assert_array_equal(found.snapshot_index[:, 0], dense_index(net, theta, x, y))
    np.testing.assert_array_equal(found.snapshot_energy[:, -1], found.energy)
    for stage, name in enumerate(STAGES[1:-1], start=1):
        reached = ~np.isnan(found.snapshot_energy[:, stage])
        assert (found.snapshot_grad_norm_sq[reached, stage] < float(name)).all()
        assert (found.grad_norm_sq[~reached] >= float(name)).all()
    np.testing.assert_array_equal(
        found.steps_to_1e6 >= 0, ~np.isnan(found.snapshot_energy[:, STAGES.index("1e-6")])
    )
    assert set(found.kind) <= set(KINDS)
    certified = found.kind == "certified"
    assert certified.any() or search == "full"
    assert (found.kantorovich[certified] <= 0.5).all()
    assert (found.distance[certified] < 1e-3).all()
    assert (found.distance[~certified] == np.inf).all()
    if search == "projected":
        assert (found.energy <= 0.5 * (y**2).mean(dim=(1, 2)).numpy()).all()


def test_near_linear_starts_end_near_the_minimum_of_the_linear_network():
    """Its energy is that of the linear regression of y on x; from other starts it is not."""
    _, x, y, *_ = draw_runs(0.25, 6, 16, 0, 0)
    fit = torch.linalg.lstsq(x.mT, y.mT).solution.mT @ x
    regression = (((y - fit) ** 2).sum(dim=(-2, -1)) / (2 * 6 * x.shape[-1])).numpy()
    away = {}
    for search in ("near-linear", "projected"):
        found = search_shard(0.25, 6, runs=16, seed=0, shard=0, search=search)
        away[search] = np.median(np.abs(found["energy"] - regression))
        assert (found["descent_steps"] == 0).all() == (search == "near-linear")
        assert "certified" in found["kind"]
    assert away["near-linear"] < 0.005 < 0.01 < away["projected"]


def test_a_shard_follows_from_its_numbers_alone():
    one = search_shard(0.5, 3, 4, seed=7, shard=1, max_steps=40)
    again = search_shard(0.5, 3, 4, seed=7, shard=1, max_steps=40)
    for name, values in one.items():
        np.testing.assert_array_equal(values, again[name])
        assert len(values) == 4
    # The draw of a run does not depend on how many there are, nor its result but for rounding.
    fewer = search_shard(0.5, 3, 2, seed=7, shard=1, max_steps=10)
    ten = search_shard(0.5, 3, 4, seed=7, shard=1, max_steps=10)
    np.testing.assert_array_equal(fewer["level"], one["level"][:2])
    np.testing.assert_allclose(fewer["energy"], ten["energy"][:2], rtol=1e-9)
    other = search_shard(0.5, 3, 4, seed=7, shard=2, max_steps=10)
    assert not np.isin(other["level"], one["level"]).any()
    assert ((one["level"] > 0) & (one["level"] < one["initial_energy"])).all()
    np.testing.assert_array_equal(
        one["reached"], one["snapshot_energy"][:, 0] <= one["level"] * (1 + 1e-12)
    )


@pytest.mark.parametrize("search", ["full", "projected"])
def test_linear_networks_end_at_the_critical_points_that_are_known(search):
    """Baldi & Hornik: the least-squares fit, projected on some of its singular directions."""
    net, x, y, *_ = draw_runs(0.5, 3, 8, seed=1, shard=0, activation="linear")
    found = search_shard(0.5, 3, 8, seed=1, shard=0, search=search, activation="linear")
    assert net.activation == "linear"
    assert (found["kind"] == "certified").all()
    for energy, X, Y in zip(found["energy"], x.numpy(), y.numpy(), strict=True):
        squares = np.linalg.svd(Y @ np.linalg.pinv(X) @ X, compute_uv=False)[:3] ** 2
        kept = np.array(list(itertools.product((0, 1), repeat=3))) @ squares
        known = (np.sum(Y**2) - kept) / (2 * Y.size)
        assert np.abs(known - energy).min() < 1e-12
    assert (found["index"] > 0).any() == (search == "full")


def test_a_start_without_optimal_output_weights_is_reported_not_lost():
    net, x, y, theta, _ = draw_runs(0.5, 3, 2, seed=0, shard=0)
    theta[0] = 0
    found = find_critical_points(net, x, y, theta)
    assert (found.kind[0], found.dead_units[0], found.steps[0]) == ("certified", 3, 0)
    assert found.steps[1] > 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"phi": 0.7}, ValueError, "phi must be 2n/m with an integer m, got 0.7 for n = 3"),
        ({"phi": -1}, ValueError, r"phi must be in \(0, inf\), got -1"),
        ({"runs": 0}, ValueError, r"runs must be in \[1, inf\), got 0"),
        ({"seed": 0.5}, TypeError, "seed must be an integer"),
        (
            {"search": "fast"},
            ValueError,
            "search must be one of projected . full . near-linear, got 'fast'",
        ),
        ({"zero_tolerance": 0}, ValueError, r"zero_tolerance must be in \(0, inf\), got 0"),
        ({"radius": np.nan}, ValueError, "radius must be in"),
        ({"max_steps": -1}, ValueError, "max_steps must be in"),
        ({"rate": 0.0}, ValueError, "rate must be in"),
        ({"activation": "relu"}, ValueError, "activation must be one of tanh . linear, got 'relu'"),
    ],
)
def test_bad_arguments(change, error, message):
    arguments = {"phi": 0.5, "n": 3, "runs": 1, "seed": 0, "shard": 0} | change
    with pytest.raises(error, match=message):
        search_shard(**arguments)
