"""Mixed moments of H0 and H1 against dense Hessians, and against their limits."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, limiting_moments, moment_ratios, network_moments
from hessrmt.hessians import MOMENT_WORDS
from hessrmt.spectra import free_moment, mixed_moments


def draw(n, phi, rng):
    W1, W2 = rng.standard_normal((2, n, n)) / np.sqrt(n)
    return rng.standard_normal((n, round(2 * n / phi))), W1, W2


def test_average_over_residuals_is_that_of_dense_hessians():
    """Within 4 standard errors of 3000 draws of the residuals, through torch's closed forms."""
    n, m, epsilon, draws = 4, 12, 0.3, 3000
    rng = np.random.default_rng(0)
    x, W1, W2 = draw(n, 2 * n / m, rng)
    net = SingleHiddenLayer(n)
    theta = torch.from_numpy(np.concatenate([W1.ravel(), W2.ravel()])).expand(draws, -1)
    residuals = np.sqrt(2 * epsilon) * rng.standard_normal((draws, n, m))
    y = W2 @ np.maximum(W1 @ x, 0) - residuals
    H0, H1 = net.hessian_parts(theta, torch.from_numpy(x), torch.from_numpy(y))
    sample = mixed_moments(H0.numpy(), H1.numpy(), MOMENT_WORDS)
    expected = network_moments(x, W1, W2, epsilon)
    assert sample[0, 0] == pytest.approx(expected[0], rel=1e-12)
    errors = sample.std(axis=0)[1:] / np.sqrt(draws)
    assert (errors < 0.05 * expected[1:]).all()
    assert (np.abs(sample.mean(axis=0) - expected)[1:] < 4 * errors).all()


@pytest.mark.parametrize("phi", [0.5, 0.125])
def test_moments_tend_to_their_limits(phi):
    """The distance falls like 1/n: extrapolated from two sizes, within 4 standard errors."""
    rng, epsilon = np.random.default_rng(1), 0.7
    ratios, errors = [], []
    for n, draws in ((8, 400), (16, 100)):
        sample = [network_moments(*draw(n, phi, rng), epsilon) for _ in range(draws)]
        rows = moment_ratios(sample)
        ratios.append([row.ratio for row in rows])
        errors.append([row.error for row in rows])
        assert np.mean(sample, axis=0)[0] == pytest.approx(0.5, abs=0.1)
    limit = 2 * np.array(ratios[1]) - ratios[0]
    error = np.hypot(2 * np.array(errors[1]), errors[0])
    a, bb, abb, abab = limiting_moments(phi, epsilon)
    expected = np.array([abb / (a * bb), abab / (a**2 * bb)])
    np.testing.assert_allclose(expected, [1 + phi / 2, 1 + phi], rtol=1e-12)
    assert (error < 0.15 * (expected - 1) + 0.03).all()
    assert (np.abs(limit - expected) < 4 * error).all()


def test_free_values_are_those_of_free_variables():
    """The denominators are the moments of free A and B with tau(B) = tau(BBB) = 0."""
    a, bb, abb, _ = limiting_moments(0.5, 0.4)
    A, B = [a, 0.6], [0.0, bb]  # tau(AA) drops out, as tau(B) = 0
    assert free_moment("ABB", A, B) == pytest.approx(a * bb)
    assert free_moment("ABAB", A, B) == pytest.approx(a**2 * bb)
    assert 3 * (abb - a * bb) == pytest.approx(3 * 0.4 * 0.5**2 / 8)


def test_standard_errors_are_those_of_repetition():
    """The jackknife error against the spread over 300 repetitions, within a fifth."""
    rng = np.random.default_rng(3)
    samples = 1 + 0.2 * rng.standard_normal((300, 30, 4))
    rows = [moment_ratios(sample) for sample in samples]
    for word in (0, 1):
        spread = np.std([row[word].ratio for row in rows])
        assert np.mean([row[word].error for row in rows]) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: limiting_moments(0, 1), "phi must be in"),
        (lambda: limiting_moments(1, -1), "epsilon must be in"),
        (lambda: network_moments([1.0], [[1.0]], [[1.0]], 1), r"x must have shape \(n, m\)"),
        (lambda: network_moments([[1.0]], np.eye(2), [[1.0]], 1), r"W1 must have shape \(1, 1\)"),
        (lambda: network_moments([[1.0]], [[1.0]], np.eye(2), 1), r"W2 must have shape \(1, 1\)"),
        (lambda: moment_ratios([[1.0, 1, 1, 1]] * 2), "moments must have shape"),
        (lambda: moment_ratios([[0.0, 1, 1, 1]] * 3), "moments must be positive"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
