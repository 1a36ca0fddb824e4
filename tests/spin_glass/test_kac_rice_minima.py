"""Mean numbers and energies of minima against topology, matrices and searches."""

import numpy as np
import pytest

from hessrmt.spin_glass import (
    log_critical_points,
    log_minima,
    mean_minimum_energy,
    searches_of_draw,
    threshold_energy,
)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 25, 100])
def test_a_matrix_has_two_minima(size):
    assert np.exp(log_minima(np.inf, 2, size)) == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize("H", [3, 4, 7])
def test_topology_of_circle_and_sphere(H):
    """On a circle as many minima as maxima; on a sphere these less the saddles are two."""
    circle, sphere = (np.exp(log_critical_points(99.0, H, size)) for size in (2, 3))
    assert np.exp(log_minima(np.inf, H, 2)) == pytest.approx(circle / 2, rel=1e-6)
    assert np.exp(log_minima(np.inf, H, 3)) == pytest.approx((sphere + 2) / 4, rel=1e-6)


@pytest.mark.parametrize(("H", "size"), [(3, 12), (3, 25), (4, 9)])
def test_lowest_eigenvalues_of_random_matrices(H, size):
    rng = np.random.default_rng([3, H, size])
    X = rng.standard_normal((40_000, size, size))
    lowest = np.linalg.eigvalsh((X + X.swapaxes(1, 2)) / np.sqrt(4 * size))[:, 0]
    weight = 2 * np.sqrt(2 / H) * (H - 1) ** (size / 2)
    weight = weight * np.exp(-(H - 2) / (2 * H) * size * lowest**2)
    u = lowest * np.sqrt(2 * (H - 1) / H)
    for level in (-threshold_energy(H), -1.3, np.inf):
        counts = weight * (u <= level)
        error = counts.std() / np.sqrt(counts.size)  # 4 of them: one failure in 10^4 seeds
        assert np.exp(log_minima(level, H, size)) == pytest.approx(counts.mean(), abs=4 * error)
    mean = np.sum(weight * u) / np.sum(weight)
    error = np.sqrt(np.sum((weight * (u - mean)) ** 2)) / np.sum(weight)
    assert mean_minimum_energy(H, size) == pytest.approx(mean, abs=4 * error)


def test_minima_of_simulated_spin_glasses():
    """All minima of many small draws, from many searches each."""
    counts, low = [], []
    for draw in range(100):
        found = searches_of_draw(3, 4, draw, 80, seed=5)
        sure = (found.gradient_norm <= 1e-8).numpy()
        u, index = found.energy.numpy()[sure], found.index.numpy()[sure]
        # w is a minimum where -w is a maximum
        minima = np.unique(np.append(u[index == 0], -u[index == 3]).round(6))
        counts.append(minima.size)
        low.append(np.sum(minima <= -1.2))
    for level, seen in ((np.inf, counts), (-1.2, low)):
        error = np.std(seen) / np.sqrt(len(seen))
        assert np.exp(log_minima(level, 3, 4)) == pytest.approx(np.mean(seen), abs=4 * error)


def test_number_below_falls_to_nothing():
    u = np.linspace(-3, 1, 50)
    numbers = log_minima(u, 3, 30)
    assert (np.diff(numbers[np.isfinite(numbers)]) >= 0).all()
    assert log_minima(-9.0, 3, 30) == -np.inf
    assert log_minima([[-1.5]], 3, 30).shape == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.nan, 3, 10), r"u must be in \[-inf, inf\], got nan"),
        ((0.0, 1, 10), r"H must be in \[2, inf\), got 1"),
        ((0.0, 3, 1), r"size must be in \[2, 1000\], got 1"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        log_minima(*arguments)
