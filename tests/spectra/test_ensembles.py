"""Finite matrices against their limiting laws, and the input checks."""

import numpy as np
import pytest
from scipy import stats

from hessrmt import (
    MarchenkoPastur,
    ProductWishart,
    Semicircle,
    haar_orthogonal,
    product_wishart,
    wigner,
    wishart,
)

SIGNS = stats.rv_discrete(values=([-1, 1], [0.5, 0.5]))
UNIFORM = stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))
STUDENT = stats.t(5, scale=np.sqrt(3 / 5))


def distance(matrix, law):
    """Kolmogorov-Smirnov distance of the spectrum to the law."""
    x = np.linalg.eigvalsh(matrix)
    steps = np.arange(1, x.size + 1) / x.size
    cdf = law.cdf(x)
    return max((steps - cdf).max(), (cdf - steps).max() + 1 / x.size)


@pytest.mark.parametrize("entries", [None, stats.norm(), SIGNS, UNIFORM, STUDENT])
def test_spectra_follow_their_laws(entries):
    # At n = 600 the distance is a few 1/n; twice the scale would give more than 0.1.
    rng = np.random.default_rng(5)
    bound = 0.012
    assert distance(wigner(600, 1.5, entries=entries, rng=rng), Semicircle(1.5)) < bound
    for phi in (0.3, 1.0):
        matrix = wishart(600, phi, 2.0, entries=entries, rng=rng)
        assert distance(matrix, MarchenkoPastur(phi, 2.0)) < bound
    matrix = product_wishart(300, 0.5, 3.0, entries=entries, rng=rng)
    assert distance(matrix, ProductWishart(0.5, 3.0)) < bound


def test_wishart_with_fewer_columns_than_rows_has_the_atom():
    spectrum = np.linalg.eigvalsh(wishart(200, 4.0, rng=0))
    assert np.sum(np.abs(spectrum) < 1e-10) == 150


def test_haar_matrices_are_orthogonal_and_uniform():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7):
        Q = haar_orthogonal(n, rng=rng)
        np.testing.assert_allclose(Q @ Q.T, np.eye(n), atol=1e-13)
    # The first entry squared is Beta(1/2, (n-1)/2); QR without sign correction fails this.
    draws = np.array([haar_orthogonal(4, rng=rng)[0, 0] for _ in range(2000)])
    assert stats.kstest(draws**2, stats.beta(0.5, 1.5).cdf).pvalue > 1e-3
    assert abs(draws.mean()) < 4 * 0.5 / np.sqrt(2000)


def test_draws_depend_on_the_generator_alone():
    np.testing.assert_array_equal(wigner(5, rng=3), wigner(5, rng=np.random.default_rng(3)))
    rng = np.random.default_rng(3)
    assert not np.array_equal(wigner(5, rng=rng), wigner(5, rng=rng))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: wigner(0), r"n must be in \[1, inf\), got 0"),
        (lambda: wigner(2.0), r"n must be an integer in \[1, inf\), got 2.0"),
        (lambda: wigner(3, -1.0), r"sigma must be in \(0, inf\), got -1.0"),
        (lambda: wishart(3, np.nan), r"phi must be in \(0, inf\), got nan"),
        (lambda: wishart(3, 100.0), r"phi must be in \(0, 6\) for n = 3, got 100.0"),
        (lambda: product_wishart(3, 0.5, 0.0), r"epsilon must be in \(0, inf\), got 0.0"),
        (lambda: haar_orthogonal(-1), r"n must be in \[1, inf\), got -1"),
        (lambda: wigner(3, entries=stats.norm(1)), "entries must have mean 0 and variance 1"),
        (lambda: wigner(3, entries=stats.t(2)), "entries must have mean 0 and variance 1"),
        (lambda: wigner(3, entries="normal"), "entries must be a scipy.stats"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
