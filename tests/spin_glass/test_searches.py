"""Searches named by numbers: counted against a scan of the circle, checked on the sphere."""

import numpy as np
import pytest
import torch

from hessrmt.spin_glass import (
    SphericalSpinGlass,
    count_critical_points,
    minimum_and_saddles,
    searches_of_draw,
)


def glass_of(H, size, draw):
    return SphericalSpinGlass.draw(size, H, np.random.default_rng([0, H, size, draw]))


@pytest.mark.parametrize("H", [3, 4])
def test_counts_on_the_circle_are_those_of_a_scan(H):
    """Two weights: a trigonometric polynomial, whose turns can be seen on a fine grid."""
    angle = 2 * np.pi * np.arange(20_000) / 20_000 + 1e-4
    w = torch.from_numpy(np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    for draw in range(5):
        u = glass_of(H, 2, draw).energy(w).numpy()
        rises = np.diff(u, append=u[0]) > 0
        assert count_critical_points(H, 2, draw) == np.sum(rises != np.roll(rises, 1))


def test_points_are_critical_and_in_order():
    glass, points = glass_of(3, 20, 1), minimum_and_saddles(3, 20, 1)
    assert points.shape == (3, 20)
    assert (torch.linalg.norm(glass.gradient(points), dim=1) / 20**0.5 <= 1e-8).all()
    np.testing.assert_allclose(torch.sum(points**2, dim=1), 20)
    energies = glass.energy(points).tolist()
    assert energies == sorted(energies)
    # the tangent space has one dimension less
    indices = [int((glass.eigenvalues(w) < 0).sum()) for w in points]
    assert indices[0] == 0 < indices[1] < indices[2]


def test_each_number_names_another_search_and_descent_lowers_the_energy():
    changes = ({}, {"draw": 1}, {"steps": 5}, {"seed": 1})
    found = [searches_of_draw(3, 10, **({"draw": 0, "starts": 6} | c)) for c in changes]
    assert len({float(f.w[0, 0]) for f in found}) == len(changes)
    few = searches_of_draw(3, 10, 0, 3)
    np.testing.assert_allclose(few.energy, found[0].energy[:3], atol=1e-9)
    low, high = (searches_of_draw(3, 30, 0, 20, steps=k).energy.mean() for k in (20, 0))
    assert low < high - 0.5


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"steps must be in \[0, inf\), got -1"):
        searches_of_draw(3, 10, 0, 2, steps=-1)
    with pytest.raises(ValueError, match=r"draw must be in \[0, inf\), got -1"):
        count_critical_points(3, 4, -1)
    with pytest.raises(TypeError, match="seed must be integer"):
        minimum_and_saddles(3, 10, 0, seed=0.5)
