"""Damped inverses of noisy curvature against simulated batches, closed forms and limits."""

import numpy as np
import pytest
from scipy.linalg import block_diag

from hessrmt import MarchenkoPastur
from hessrmt.batch_noise import damped_inverse, expected_change, kronecker_damped_inverse

EXAMPLES = 4000


def squared_lengths(a, rng):
    """Eigenvalues of x x^T for Gaussian vectors x of covariance diag(a)."""
    return (rng.standard_normal((EXAMPLES, a.size)) ** 2 @ a)[:, None]


def sample_covariance(a, batch, rng):
    x = rng.standard_normal((a.size, batch)) * np.sqrt(a)[:, None]
    return x @ x.T / batch


@pytest.mark.parametrize("ratio", [0.3, 2.0])
def test_white_examples_have_the_resolvent_of_marchenko_pastur(ratio):
    """Vectors of one length: m is exact, and M is minus the Stieltjes transform at -d."""
    N, d = 1000, 0.1
    found = damped_inverse(np.ones(N), np.full((1, 1), N), N / ratio, d)
    expected = -MarchenkoPastur(ratio).stieltjes(-d).real
    np.testing.assert_allclose(found.mean, expected, rtol=1e-9)


@pytest.mark.parametrize("batch", [20, 100])
@pytest.mark.parametrize("d", [0.02, 0.2])
def test_gaussian_examples(batch, d):
    rng = np.random.default_rng(0)
    a = np.geomspace(0.01, 2, 60)
    B = rng.standard_normal((60, 60))
    B, g = B @ B.T / 60, rng.standard_normal(60)
    inverses, changes = [], []
    for _ in range(1500):
        R = np.linalg.inv(sample_covariance(a, batch, rng) + d * np.eye(60))
        inverses.append(np.diag(R))
        changes.append(-g @ R @ g + (R @ g) @ B @ (R @ g) / 2)
    found = damped_inverse(a, squared_lengths(a, rng), batch, d, np.diag(B))
    noiseless = np.abs((a + d) * np.mean(inverses, axis=0) - 1).max()
    assert noiseless > 0.2  # what the theory has to explain
    np.testing.assert_allclose(found.mean, np.mean(inverses, axis=0), rtol=0.05)
    assert expected_change(found, g, B) == pytest.approx(np.mean(changes), rel=0.05)


@pytest.mark.parametrize("batch, mean_within, change_within", [(20, 0.35, 0.2), (300, 0.04, 0.05)])
def test_kronecker_product_of_gaussian_factors(batch, mean_within, change_within):
    rng = np.random.default_rng(1)
    g, a, d = np.geomspace(0.05, 2, 15), np.linspace(0.2, 2, 20), 0.05
    G = rng.standard_normal(300) * np.sqrt(np.kron(g, a))
    B = rng.standard_normal((300, 300))
    B = B @ B.T / 300
    inverses, changes = [], []
    for _ in range(150):
        (eg, U), (ea, V) = (np.linalg.eigh(sample_covariance(x, batch, rng)) for x in (g, a))
        D = 1 / (np.outer(eg, ea) + d)
        inverses.append(U**2 @ D @ (V**2).T)
        s = -U @ ((U.T @ G.reshape(15, 20) @ V) * D) @ V.T
        changes.append(G @ s.ravel() + s.ravel() @ B @ s.ravel() / 2)
    sides = ((g, squared_lengths(g, rng)), (a, squared_lengths(a, rng)))
    found = kronecker_damped_inverse(*sides, batch, d, np.diag(B).reshape(15, 20))
    mean = np.mean(inverses, axis=0)
    off, noiseless = (np.abs(x / mean - 1).max() for x in (found.mean, 1 / (np.outer(g, a) + d)))
    assert off < mean_within
    assert noiseless > 2.5 * mean_within  # what the theory has to explain
    assert expected_change(found, G, B) == pytest.approx(np.mean(changes), rel=change_within)


def test_a_factor_without_noise_leaves_the_plain_formula():
    rng = np.random.default_rng(2)
    a, g = np.linspace(0.1, 2, 12), 0.7
    own, added = squared_lengths(a, rng), rng.random(12)
    plain = damped_inverse(g * a, g * own, 30, 0.05, added)
    both = kronecker_damped_inverse(([g], np.zeros((1, 0))), (a, own), 30, 0.05, added[None])
    np.testing.assert_allclose(both.mean[0], plain.mean, rtol=1e-8)
    np.testing.assert_allclose(both.response[0], plain.response, rtol=2e-5)


def test_response_is_the_derivative():
    """Of the mean inverse when the curvature gains t: B = 1, a shift of the damping."""
    a, own, t = np.linspace(0.1, 2, 12), np.full((1, 1), 12.6), 1e-5
    shifted = [damped_inverse(a, own, 20, 0.1 + s).mean for s in (-t, t)]
    ones = damped_inverse(a, own, 20, 0.1, 1.0)
    slope = -(shifted[1] - shifted[0]) / (2 * t)
    np.testing.assert_allclose(slope, ones.mean**2 * (1 + ones.response), rtol=1e-6)


def test_response_of_a_kronecker_product_is_the_derivative():
    a, g, t = np.linspace(0.1, 2, 12), np.geomspace(0.05, 2, 5), 1e-4
    sides = (g, np.full((1, 1), g.sum())), (a, np.full((1, 1), a.sum()))
    shifted = [kronecker_damped_inverse(*sides, 20, 0.1 + s).mean for s in (-t, t)]
    ones = kronecker_damped_inverse(*sides, 20, 0.1, 1.0)
    slope = -(shifted[1] - shifted[0]) / (2 * t)
    np.testing.assert_allclose(slope, ones.mean**2 * (1 + ones.response), rtol=1e-4)


def test_examples_without_curvature_are_no_noise():
    a = np.array([0.5, 2.0])
    for none in ([[0.0]], np.zeros((4, 0))):
        np.testing.assert_allclose(damped_inverse(a, none, 4, 0.3).mean, 1 / (a + 0.3), rtol=1e-12)


def test_without_noise():
    """Batches without end: the damped step of the true curvature, on two blocks."""
    a, g = np.array([0.5, 2.0, 0.0]), np.array([1.0, -2.0, 0.5])
    found = damped_inverse(a, np.ones((10, 2)), 1e14, 0.3)
    np.testing.assert_allclose(found.mean, 1 / (a + 0.3), rtol=1e-9)
    H = block_diag([[1.0, 0.2], [0.2, 3.0]], 1.0)
    s = -g / (a + 0.3)
    assert expected_change(found, g, H) == pytest.approx(g @ s + s @ H @ s / 2)
    assert expected_change(found, g, np.diag(H)) == pytest.approx(g @ s + np.diag(H) @ s**2 / 2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"values": [-1.0, 2.0]}, "values"),
        ({"values": [0.0, 0.0]}, "values must be one row of eigenvalues with a positive sum"),
        ({"examples": [[-1.0]]}, "examples"),
        ({"batch": 0}, r"batch must be in \(0, inf\), got 0"),
        ({"damping": 0.0}, r"damping must be in \(0, inf\), got 0"),
        ({"added": np.ones(3)}, r"added must be one number or have shape \(2,\), got \(3,\)"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"values": [1.0, 2.0], "examples": [[3.0]], "batch": 4, "damping": 0.1}
    with pytest.raises(ValueError, match=message):
        damped_inverse(**(arguments | change))
