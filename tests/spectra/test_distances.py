"""Spectra in single precision, masked, or of whole numbers: what the caller knew is kept."""

import numpy as np
import pytest

from hessrmt import MarchenkoPastur, ks_distance, wasserstein_distance
from hessrmt.spectra import (
    bootstrap_interval,
    free_sum_cdf,
    freeness_test,
    precision,
    rotated_sum_eigenvalues,
)


@pytest.fixture(scope="module")
def wishart_400():
    """A Wishart matrix of rank 200."""
    X = np.random.default_rng(0).standard_normal((400, 200))
    return X @ X.T / 200


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_null_space_in_single_precision(wishart_400, scale):
    W = scale * wishart_400
    double, single = np.linalg.eigvalsh(W), np.linalg.eigvalsh(W.astype(np.float32))
    assert single.dtype == np.float32
    assert (single[:200] < 0).any()  # the null space is scattered
    law = scale * MarchenkoPastur(2.0)
    assert ks_distance(single, law) == pytest.approx(ks_distance(double, law), abs=1e-4)
    assert ks_distance(single, double) < 0.01
    moved = law + 3.0 * scale  # an atom that is not at 0
    shifted = single + np.float32(3.0 * scale)
    assert ks_distance(shifted, moved) == pytest.approx(ks_distance(double, law), abs=1e-4)
    below = free_sum_cdf(single, np.zeros(400, dtype=np.float32), -1e-3 * scale)
    assert float(below) == pytest.approx(0.0, abs=1e-6)
    low, high = bootstrap_interval(
        lambda a: ks_distance(a, law), np.stack([single, single]), resamples=10, rng=0
    )
    assert low == high == pytest.approx(ks_distance(single, law))


def test_matrices_in_single_precision(wishart_400):
    """Symmetric up to their own rounding, with null spaces up to it."""
    W = wishart_400[:40, :40].astype(np.float32)
    uneven = W * (1 + np.triu(np.full((40, 40), 2e-7, dtype=np.float32), 1))
    assert (uneven != uneven.T).any()
    rotated_sum_eigenvalues(uneven, uneven, 1, rng=0)
    freeness_test(np.stack([uneven, W]), np.stack([W, uneven]), max_order=2)
    with pytest.raises(ValueError, match="A must be symmetric"):
        rotated_sum_eigenvalues(uneven.astype(np.float64), W, 1, rng=0)
    rank_one = np.outer(W[0], W[0])
    sums = rotated_sum_eigenvalues(rank_one, np.zeros_like(W), 1, rng=0)
    assert np.sum(np.abs(sums) < 1e-12 * sums.max()) == 39


def test_masked_eigenvalues_are_left_out_and_masked_places_refused():
    eigs = np.ma.masked_array([0.0, 0.5, 2.0, 1e6], [False, False, False, True])
    law = MarchenkoPastur(1.0)
    assert ks_distance(eigs, law) == ks_distance([0.0, 0.5, 2.0], law)
    assert wasserstein_distance(eigs, law) == wasserstein_distance([0.0, 0.5, 2.0], law)
    with pytest.raises(ValueError, match="x must have no masked elements, got 1"):
        law.pdf(eigs)
    with pytest.raises(ValueError, match="z must have no masked elements, got 1"):
        law.stieltjes(eigs)
    np.testing.assert_array_equal(law.cdf(np.ma.masked_array([0.5])), law.cdf([0.5]))


def test_precision_is_that_of_the_type():
    assert precision([1, 2]) == precision(np.ones(2, dtype=np.longdouble)) == pytest.approx(1e-10)
    assert 1e-6 < precision(np.ones(2, dtype=np.float32)) < 1e-4
    assert ks_distance(np.array([0, 0, 0, 9], dtype=np.uint8), MarchenkoPastur(4.0)) == 0.25
