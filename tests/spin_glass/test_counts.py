"""Mean numbers of critical points against counting, and the leading order against the exact one."""

import mpmath
import numpy as np
import pytest

from hessrmt.spin_glass import complexity, threshold_energy
from hessrmt.spin_glass.counts import _log_density, log_critical_points, log_leading_order


@pytest.mark.parametrize("H", [2, 3, 4, 7])
def test_critical_points_on_a_circle(H):
    """2 sqrt(3H - 2): twice the mean number of real eigenvectors of a 2 x ... x 2 tensor."""
    assert np.exp(log_critical_points(9.0, H, 2)) == pytest.approx(
        2 * np.sqrt(3 * H - 2), rel=1e-12
    )


def test_critical_points_on_a_circle_counted():
    """The derivative of L along the circle is a trigonometric polynomial: count its zeros."""
    rng, draws = np.random.default_rng(0), 20_000
    t = np.linspace(0, 2 * np.pi, 512, endpoint=False)
    c, s = np.sqrt(2) * np.cos(t), np.sqrt(2) * np.sin(t)
    X = rng.standard_normal((draws, 8))
    powers = np.stack([c ** (3 - k) * s**k for k in (0, 1, 1, 1, 2, 2, 2, 3)])
    slopes = np.stack(
        [
            -(3 - k) * c ** max(2 - k, 0) * s ** (k + 1) + k * c ** (4 - k) * s ** max(k - 1, 0)
            for k in (0, 1, 1, 1, 2, 2, 2, 3)
        ]
    )
    energies = X @ powers / 4  # Lambda^(-(H-1)/2) L/Lambda
    derivative = X @ slopes
    zero = np.signbit(derivative) != np.signbit(np.roll(derivative, -1, axis=1))
    for u in (-1.0, -0.4, 0.3, 9.0):
        counts = (zero & (energies <= u)).sum(axis=1)
        error = counts.std() / np.sqrt(draws)
        expected = np.exp(log_critical_points(u, 3, 2))
        assert counts.mean() == pytest.approx(expected, abs=4 * error + 0.004)


def test_a_matrix_has_its_eigenvectors():
    """For H = 2 critical points are eigenvectors: the count is the ensemble's own."""
    rng, n = np.random.default_rng(1), 6
    X = rng.standard_normal((20_000, n, n))
    eigenvalues = np.linalg.eigvalsh((X + X.swapaxes(1, 2)) / 2) / np.sqrt(n)
    for u in (-1.3, -0.6, 0.2):
        counts = 2 * (eigenvalues <= u).sum(axis=1)
        error = counts.std() / np.sqrt(len(counts))
        assert counts.mean() == pytest.approx(np.exp(log_critical_points(u, 2, n)), abs=4 * error)
    for size in (2, 7, 50, 301):
        assert np.exp(log_critical_points(9.0, 2, size)) == pytest.approx(2 * size, rel=1e-11)


@pytest.mark.parametrize("size", [2, 3, 8, 9, 31])
def test_density_in_30_digits(size):
    """Mehta's formula with Hermite polynomials and quadrature, nothing shared but the formula."""
    N = size

    def phi(j, x):
        norm = mpmath.sqrt(2**j * mpmath.factorial(j) * mpmath.sqrt(mpmath.pi))
        return mpmath.hermite(j, x) * mpmath.exp(-(x**2) / 2) / norm

    def integral(j, low, high):
        edges = mpmath.linspace(low, high, int(high - low) + 2)
        return mpmath.quad(lambda t: phi(j, t), edges, method="gauss-legendre", maxdegree=6)

    with mpmath.workdps(30):
        edge = mpmath.sqrt(2 * N)
        line = integral(N if N % 2 == 0 else N - 1, -edge - 10, edge + 10)
        for x in (0, -0.7 * edge, -1.3 * edge, -3 * edge):
            density = sum(phi(j, x) ** 2 for j in range(N))
            below = integral(N, min(x, -edge) - 10, x)
            whole, extra = (line, 0) if N % 2 == 0 else (0, phi(N - 1, x) / line)
            density += mpmath.sqrt(mpmath.mpf(N) / 2) * phi(N - 1, x) * (below - whole / 2) + extra
            expected = float(mpmath.log(density))
            assert _log_density(np.array([float(x)]), N)[0] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("H", [3, 4, 6])
@pytest.mark.parametrize("place", [1.4, 1.1, 0.8, 0.4])
def test_leading_order_is_the_limit(H, place):
    """The exact number over the leading order tends to 1 like 1/Lambda."""
    u = -place * threshold_energy(H)
    deviations = [log_critical_points(u, H, n) - log_leading_order(u, H, n) for n in (300, 600)]
    assert abs(deviations[0]) < 0.04
    assert deviations[0] / deviations[1] == pytest.approx(2, rel=0.1)


def test_growth_rate_is_the_complexity():
    u = np.array([-1.9, -1.0, 0.0, 1.0])
    rates = log_critical_points(u, 3, 800) / 800
    np.testing.assert_allclose(rates, complexity(u, 3), atol=0.012)


def test_shapes_and_monotony():
    u = np.linspace(-2, 2, 12).reshape(3, 4)
    counts = log_critical_points(u, 3, 30)
    assert counts.shape == (3, 4)
    assert (np.diff(counts.ravel()) > 0).all()
    assert np.shape(log_critical_points(-1.0, 3, 30)) == ()
    np.testing.assert_allclose(
        log_critical_points(u, 3, 30)[1, 2], log_critical_points(u[1, 2], 3, 30), rtol=1e-12
    )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"size must be in \[2, inf\), got 1"):
        log_critical_points(-1.0, 3, 1)
    with pytest.raises(ValueError, match=r"H must be in \[3, inf\), got 2"):
        log_leading_order(-1.0, 2, 10)
    with pytest.raises(ValueError, match=r"u must be in \(-inf, 0\), got 0"):
        log_leading_order(0.0, 3, 10)
    with pytest.raises(ValueError, match="u must not be the threshold"):
        log_leading_order(-threshold_energy(3), 3, 10)
