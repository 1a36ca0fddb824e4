"""Chains of searches: what they keep, and that near-linear starts lead to linear energies."""

import numpy as np
import pytest

from hessrmt import chain_shard, find_critical_points
from hessrmt.critical_points import draw_runs


def test_the_first_link_is_a_near_linear_search():
    found = chain_shard(0.5, 4, runs=6, seed=0, shard=0, links=1)
    net, x, y, theta, _ = draw_runs(0.5, 4, 6, seed=0, shard=0)
    theta[:, :16] *= 0.3
    first = find_critical_points(net, x, y, theta, radius=0.5)
    of_first = found["link"] == 0
    np.testing.assert_array_equal(found["energy"][of_first], first.energy)
    np.testing.assert_array_equal(found["kind"][of_first], first.kind)
    np.testing.assert_array_equal(found["run"], [*range(6), *range(6)])
    # Certified ones lie near the least-squares fit by a linear map, which tanh nearly is.
    linear = [
        np.linalg.lstsq(a.T, b.T)[1].sum() / b.size / 2
        for a, b in zip(x.numpy(), y.numpy(), strict=True)
    ]
    certified = first.kind == "certified"
    assert certified.sum() >= 2
    assert np.abs(first.energy - linear)[certified].max() < 0.05


def test_a_chain_follows_from_its_numbers_alone():
    one, again = (chain_shard(0.5, 3, 3, seed=4, shard=1, links=2, max_steps=60) for _ in "ab")
    for name, values in one.items():
        np.testing.assert_array_equal(values, again[name])
        assert len(values) == 9


@pytest.mark.parametrize("change", [{"links": -1}, {"drop": 1.0}, {"kick": -0.1}, {"phi": 0.7}])
def test_bad_arguments(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be"):
        chain_shard(**({"phi": 0.5, "n": 3, "runs": 1, "seed": 0, "shard": 0} | change))
