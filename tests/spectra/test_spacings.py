"""Local statistics against exact small matrices, symbolic integrals and simulation."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hessrmt import Semicircle, ks_distance, wigner
from hessrmt.spectra import (
    GOE_MEAN_RATIO,
    POISSON_MEAN_RATIO,
    ratio_cdf,
    ratio_density,
    ratio_statistics,
    spacing_ratios,
    unfold,
    wigner_surmise,
    wigner_surmise_cdf,
)


@pytest.fixture(scope="module")
def spectra():
    """200 GOE spectra."""
    rng = np.random.default_rng(0)
    return np.array([np.linalg.eigvalsh(wigner(300, rng=rng)) for _ in range(200)])


# -- reference distributions -----------------------------------------------------------------------


def test_surmises_are_normalised_with_the_known_means():
    s, r = sp.symbols("s r", positive=True)
    wigner_density = sp.pi / 2 * s * sp.exp(-sp.pi / 4 * s**2)
    assert sp.integrate(wigner_density, (s, 0, sp.oo)) == 1
    assert sp.integrate(s * wigner_density, (s, 0, sp.oo)) == 1
    at = np.linspace(0, 4, 9)
    np.testing.assert_allclose(wigner_surmise(at), sp.lambdify(s, wigner_density)(at), rtol=1e-14)
    primitive = sp.integrate(wigner_density, (s, 0, s))
    np.testing.assert_allclose(wigner_surmise_cdf(at), sp.lambdify(s, primitive)(at), atol=1e-14)
    density = sp.Rational(27, 4) * (r + r**2) / (1 + r + r**2) ** sp.Rational(5, 2)
    assert sp.Integral(density, (r, 0, 1)).evalf(20) == pytest.approx(1, abs=1e-18)
    mean = sp.Integral(r * density, (r, 0, 1)).evalf(20)
    assert abs(mean - (4 - 2 * sp.sqrt(3))) < 1e-18
    for x in (0.0, 0.1, 0.5, 0.9, 1.0):
        exact = sp.Integral(density, (r, 0, x)).evalf(20) if x else 0
        assert abs(ratio_cdf(x) - exact) < 1e-14
        assert abs(ratio_density(x) - density.subs(r, x)) < 1e-14


def test_surmises_are_exact_for_small_matrices():
    """GOE matrices of size 2 and 3; Kolmogorov-Smirnov tests at level 1%."""
    rng = np.random.default_rng(4)
    A = rng.standard_normal((20_000, 3, 3))
    A = A + A.mT
    spacing = np.ptp(np.linalg.eigvalsh(A[:, :2, :2]), axis=1)
    # The mean is known: sqrt(pi) times the standard deviation of the diagonal, 2.
    assert stats.kstest(spacing / (2 * np.sqrt(np.pi)), wigner_surmise_cdf).pvalue > 0.01
    assert stats.kstest(spacing_ratios(np.linalg.eigvalsh(A))[:, 0], ratio_cdf).pvalue > 0.01


# -- ratios ----------------------------------------------------------------------------------------


def test_goe_has_its_large_n_mean_ratio_and_not_the_surmise(spectra):
    result = ratio_statistics(spectra)
    assert result.ratios == 200 * 280
    assert abs(result.z_goe) < 3
    assert abs(result.mean - (4 - 2 * np.sqrt(3))) > 3 * result.standard_error
    assert result.z_poisson > 50
    assert ks_distance(np.ravel(spacing_ratios(spectra)), ratio_cdf) < 0.015


def test_independent_points_have_the_poisson_mean_ratio():
    points = np.random.default_rng(2).random((50, 1000))
    result = ratio_statistics(points)
    assert pytest.approx(0.386294, abs=1e-6) == POISSON_MEAN_RATIO
    assert abs(result.z_poisson) < 3
    assert result.z_goe < -50
    ratios = np.ravel(spacing_ratios(points))
    assert ks_distance(ratios, lambda r: 2 * r / (1 + r)) < 0.01


def test_two_spectra_superposed_are_between_the_two(spectra):
    """Two independent GOE spectra: 0.423 (Giraud et al. 2022), as for a hidden symmetry."""
    pairs = np.concatenate([spectra[::2], spectra[1::2]], axis=1)
    result = ratio_statistics(pairs)
    assert abs(result.mean - 0.423415) < 3 * result.standard_error + 5e-4
    assert GOE_MEAN_RATIO - result.mean > 20 * result.standard_error


def test_the_standard_error_is_the_spread_of_means():
    """Of 150 means of one matrix each, those within one error: binomial about 68%, 4 sd wide."""
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(150):
        result = ratio_statistics(np.linalg.eigvalsh(wigner(250, rng=rng)))
        inside += abs(result.z_goe) < 1
    assert 0.53 < inside / 150 < 0.83


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=8), st.floats(0.5, 3), st.floats(-9, 9))
def test_ratios_by_hand_and_invariant(points, factor, shift):
    s = np.diff(np.sort(points)).astype(float)
    by_hand = [min(a, b) / max(a, b) if max(a, b) else np.nan for a, b in pairwise(s)]
    np.testing.assert_allclose(spacing_ratios(points), by_hand, rtol=1e-15)
    moved = factor * np.array(points[::-1], dtype=float) + shift
    defined = ~np.isnan(by_hand)
    np.testing.assert_allclose(
        spacing_ratios(moved)[defined], np.array(by_hand)[defined], atol=1e-10
    )


def test_degenerate_eigenvalues_are_left_out():
    row = [0.0, 0.0, 0.0, 1.0, 3.0]  # ratios undefined, 0 and 1/2
    result = ratio_statistics([row, row, row], block=3)
    assert (result.mean, result.ratios) == (0.25, 6)
    with pytest.raises(ValueError, match="at least 2 blocks of 3 ratios, got 0"):
        ratio_statistics(np.zeros((4, 9)), block=3)


# -- unfolding -------------------------------------------------------------------------------------


def test_unfolded_goe_spacings_follow_the_surmise(spectra):
    """With the law and with pooled spectra alike; 0.0035 is the surmise's own error."""
    by_law = unfold(spectra[:50], Semicircle())
    pooled = unfold(spectra[:50], spectra[50:])
    for x in (by_law, pooled):
        s = np.diff(x[:, 20:-20], axis=1)
        assert s.mean() == pytest.approx(1, abs=0.005)
        # Neighbours repel, so that the distribution function is better known than from
        # independent draws: 1.36/sqrt(13000) is the 5% point of those.
        assert ks_distance(np.ravel(s), wigner_surmise_cdf) < 1.36 / np.sqrt(s.size) + 0.0035
        assert ks_distance(np.ravel(s), stats.expon.cdf) > 0.2
    assert np.abs(by_law - pooled).max() < 0.6


def test_noise_of_pooled_spectra_widens_the_spacings(spectra):
    """By about 0.5/K for K spectra, as documented: compare with the law's own variance."""
    variance = np.diff(unfold(spectra[:50], Semicircle())[:, 20:-20]).var()
    for K in (5, 20):
        wider = np.diff(unfold(spectra[:50], spectra[50 : 50 + K])[:, 20:-20]).var()
        assert wider - variance == pytest.approx(0.5 / K, rel=0.5)


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=30).filter(lambda v: len(set(v)) > 1))
def test_pooled_reference_is_the_middle_of_the_empirical_steps(points):
    unfolded = unfold(points, points)
    v = np.sort(points)
    by_hand = [(np.mean(v < x) + np.mean(v <= x)) / 2 * v.size for x in v]
    np.testing.assert_allclose(unfolded, by_hand, atol=1e-12)


def test_reference_as_function_and_shapes():
    x = unfold([[0.25, 0.75], [1.0, 0.5]], np.sqrt)
    np.testing.assert_allclose(x, 2 * np.sqrt([[0.25, 0.75], [0.5, 1.0]]))
    assert unfold(np.zeros((3, 4, 5)), Semicircle()).shape == (3, 4, 5)


@pytest.mark.parametrize(
    "density, cdf, low, high",
    [(wigner_surmise, wigner_surmise_cdf, 0.0, np.inf), (ratio_density, ratio_cdf, 0.0, 1.0)],
)
def test_distributions_are_defined_on_the_whole_line(density, cdf, low, high):
    """A Kolmogorov-Smirnov distance asks just below the least point, here 0."""
    outside = np.array([-np.inf, -1.0, np.nextafter(low, -1.0), np.nextafter(high, 9.0), 1e300])
    outside = outside[(outside < low) | (outside > high) | (outside > 100)]
    np.testing.assert_array_equal(density(outside), 0.0)
    np.testing.assert_array_equal(cdf(outside), outside > low)
    assert ks_distance([0.0, 1.0], cdf) == pytest.approx(max(0.5, 1 - float(cdf(1.0)), 0.0))


# -- errors ----------------------------------------------------------------------------------------


def test_arguments_outside_their_domains():
    for f in (wigner_surmise, wigner_surmise_cdf):
        with pytest.raises(ValueError, match=r"s must be in \[-inf, inf\], got nan"):
            f(np.nan)
    for f in (ratio_density, ratio_cdf):
        with pytest.raises(ValueError, match=r"r must be in \[-inf, inf\], got nan"):
            f(np.nan)
    with pytest.raises(ValueError, match=r"eigenvalues must be rows of at least 3 numbers"):
        spacing_ratios([1.0, 2.0])
    with pytest.raises(ValueError, match=r"eigenvalues must be rows of at least 1 numbers"):
        unfold([], Semicircle())
    with pytest.raises(ValueError, match=r"reference must have at least 2 distinct"):
        unfold([1.0, 2.0], [3.0, 3.0])
    with pytest.raises(ValueError, match=r"block must be in \[1, inf\), got 0"):
        ratio_statistics(np.arange(9.0), block=0)
    with pytest.raises(TypeError, match=r"eigenvalues must be real numbers"):
        ratio_statistics("abc")
