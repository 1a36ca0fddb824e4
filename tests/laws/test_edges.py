"""Next to edges, at hard edges and at scales far from one: 60 digits and closed forms."""

import runpy
from pathlib import Path

import mpmath
import numpy as np
import pytest

from hessrmt import (
    MarchenkoPastur,
    ProductWishart,
    Semicircle,
    SpectralLaw,
    WishartPlusProductWishart,
    ks_distance,
)

mp = mpmath.mp.clone()
mp.dps = 60

fuzz = runpy.run_path(str(Path(__file__).with_name("fuzz_laws.py")))


def test_random_laws():
    """The larger run is a command, see there."""
    counts, first = fuzz["table"](84, seed=1)
    assert sum(counts[kind, "laws"] for kind in fuzz["KINDS"]) == 84
    assert not first


def marchenko_pastur(phi, x):
    """Density and distribution of the continuous part by closed forms, mean 1."""
    phi, x = mp.mpf(float(phi)), mp.mpf(float(x))
    a, b = (1 - mp.sqrt(phi)) ** 2, (1 + mp.sqrt(phi)) ** 2
    root = mp.sqrt((x - a) * (b - x))
    density = root / (2 * mp.pi * phi * x)
    # The integral of root/x from a to x.
    area = root + (a + b) / 2 * (mp.asin((2 * x - a - b) / (b - a)) + mp.pi / 2)
    inner = ((a + b) * x - 2 * a * b) / (x * (b - a))
    area -= mp.sqrt(a * b) * (mp.asin(inner) + mp.pi / 2)
    return density, area / (2 * mp.pi * phi)


def test_the_closed_form_is_the_integral_of_the_density():
    area = mp.quad(lambda t: marchenko_pastur(0.3, float(t))[0], [0.3, 0.5, 1, 1.5])
    assert abs(marchenko_pastur(0.3, 1.5)[1] - marchenko_pastur(0.3, 0.3)[1] - area) < 1e-12


NEAR_ONE = [1 + sign * 10.0**-k for k in range(1, 16) for sign in (-1, 1)]


@pytest.mark.parametrize("phi", [1.0, *NEAR_ONE])
def test_edges_next_to_zero_to_all_their_digits(phi):
    law = MarchenkoPastur(phi)
    ((low, high),) = law.support()
    exact = mp.mpf(phi)
    assert abs(low - (1 - mp.sqrt(exact)) ** 2) <= 1e-14 * (1 - mp.sqrt(exact)) ** 2
    assert abs(high - (1 + mp.sqrt(exact)) ** 2) <= 1e-14
    atom = max(mp.mpf(0), 1 - 1 / exact)
    assert [m for _, m in law.atoms()] == pytest.approx([float(atom)] * (phi > 1), rel=1e-15)
    # Between the edge and 1, over all decades.
    x = np.unique(
        np.concatenate([low + 10.0 ** -np.arange(0.0, 40.0, 1.3), low * np.geomspace(1.01, 9)])
    )
    x = x[(x > low * 1.005) & (x < high)]
    for point, density, mass in zip(x, law.pdf(x), law.cdf(x), strict=True):
        p, area = marchenko_pastur(phi, point)
        assert abs(density - p) < 1e-11 * p
        assert abs(mass - area - atom) < 1e-11 * (area + atom)
    points = np.array([-1e-15, -1e-300, 0.0, 1e-300, 1e-18, 1e-15, 1e-12, 1e-6])
    assert law.index() == 0.0
    assert (np.diff(law.cdf(points)) >= 0).all()
    np.testing.assert_array_equal(law.cdf(points[:2]), 0.0)
    assert law.pdf(0.0) == (np.inf if phi == 1 else 0.0)


def test_an_edge_next_to_zero_of_a_scaled_law():
    """Its F is a difference of two numbers that agree to 13 digits, in whatever unit."""
    c, phi = 2.3243911589981567e-08, 0.9999999999997851
    exact = mp.mpf(c) * (1 - mp.sqrt(mp.mpf(phi))) ** 2
    assert abs((c * MarchenkoPastur(phi)).support()[0][0] - exact) < 1e-14 * exact


def test_a_hard_edge_down_to_1e_minus_300():
    x = 10.0 ** -np.arange(2.0, 300.0, 7.0)
    law = MarchenkoPastur(1.0)
    exact = np.sqrt((4 - x) / x) / (2 * np.pi)
    np.testing.assert_allclose(law.pdf(x), exact, rtol=1e-12)
    many = np.concatenate([x, np.linspace(0.01, 3.9, 500)])  # the path with a table
    np.testing.assert_allclose(law.pdf(many)[: x.size], exact, rtol=1e-12)
    cdf = (np.sqrt(x * (4 - x)) / 2 + 2 * np.arcsin(np.sqrt(x) / 2)) / np.pi
    np.testing.assert_allclose(law.cdf(x), cdf, rtol=1e-12)
    np.testing.assert_allclose(law.ppf(cdf), x, rtol=1e-11)
    # Where a law has its hard edge inside, next to a gap.
    both = MarchenkoPastur(2.0) + ProductWishart(2.0, 1.0)
    np.testing.assert_allclose(both.pdf(x[3:]) / both.pdf(4 * x[3:]), 2.0, rtol=1e-6)


def test_one_ulp_below_an_inner_edge():
    law = WishartPlusProductWishart(4.0).law(1.162340329771658)
    (_, left), (right, _) = law.support()
    ulps = np.arange(-40, 41)
    for edge in (left, right):  # up to the last digit
        assert (np.diff(law.cdf(edge + ulps * abs(np.spacing(edge)))) > -2.3e-16).all()
    below = law.cdf(np.nextafter(left, -np.inf))
    assert below == pytest.approx(0.125, abs=1e-12)
    assert law.cdf(left) == 0.125


def test_laws_next_to_each_other_have_a_small_distance():
    """The distance is at most the largest density times the shift."""
    law = MarchenkoPastur(4.0) + Semicircle(0.1)
    assert len(law.support()) == 2
    grid = np.concatenate([np.linspace(low, high, 400) for low, high in law.support()])
    assert ks_distance(law, law + 1e-10) < 1.1e-10 * law.pdf(grid).max() + 1e-14


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-6])
@pytest.mark.parametrize("q", [1e-6, 0.1, 0.37, 0.6, 0.9, 1 - 1e-6])
def test_quantiles_of_a_sum_over_twelve_decades(scale, q):
    """An atom of mass 3/4 at 0, made a semicircle of a tiny width by the second part.

    To first order in the scale it is that of standard deviation scale sqrt(3/4), and the quantile
    that of the semicircle: x = 2 s sin(t), P = 1/2 + (t + sin t cos t)/pi.
    """
    law = MarchenkoPastur(4.0) + Semicircle(scale)
    level = q * 0.75
    t = mp.findroot(lambda t: mp.mpf(1) / 2 + (t + mp.sin(t) * mp.cos(t)) / mp.pi - q, q - 0.5)
    exact = float(2 * scale * mp.sqrt(0.75) * mp.sin(t))
    assert law.ppf(level) == pytest.approx(exact, abs=2 * scale * (1e-9 + 3 * scale))
    assert law.cdf(law.ppf(level)) == pytest.approx(level, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-99, 1e-40, 1e-12, 1e12, 1e40, 1e98])
def test_scales_change_nothing(scale):
    """No warning either: warnings are errors here."""
    for law in (
        MarchenkoPastur(0.5) + Semicircle(0.7),
        MarchenkoPastur(3.0) + ProductWishart(3.0, 0.3),
        MarchenkoPastur(1.0),
        SpectralLaw([0.3, 1.0, 0.1]),
    ):
        moved = scale * law
        x = np.linspace(-3, 8, 43)
        np.testing.assert_allclose(moved.cdf(x * scale), law.cdf(x), atol=1e-12)
        np.testing.assert_allclose(moved.pdf(x * scale) * scale, law.pdf(x), rtol=1e-9, atol=1e-9)
        q = np.linspace(0, 1, 7)
        np.testing.assert_allclose(moved.ppf(q) / scale, law.ppf(q), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(np.divide(moved.support(), scale), law.support(), rtol=1e-12)
        assert moved.index() == pytest.approx(law.index(), abs=1e-12)
        z = 0.3 + 0.1j
        assert complex(moved.stieltjes(z * scale) * scale) == pytest.approx(
            complex(law.stieltjes(z))
        )
        assert moved.std() / scale == pytest.approx(law.std())


def test_what_is_out_of_the_domain_is_refused():
    for build in (lambda: Semicircle(1e-101), lambda: (1e90 * MarchenkoPastur(1.0, 1e20)).pdf(1.0)):
        with pytest.raises(ValueError, match=r"scale of a law must be in \[1e-100, 1e100\], got"):
            build()
    with pytest.raises(ValueError, match="must be within a factor of 1e60, got"):
        (Semicircle(1e-50) + MarchenkoPastur(0.5, 1e20)).cdf(0.0)
    for build in (MarchenkoPastur, lambda phi: ProductWishart(phi, 1.0)):
        for phi in (1e-16, 1e16):
            with pytest.raises(ValueError, match=r"phi must be in \[1e-15, 1e15\], got"):
                build(phi)


@pytest.mark.parametrize("scale", [1.0, 3.7e-9])
@pytest.mark.parametrize("third", [-0.14, 0.146])
@pytest.mark.parametrize("other", [None, MarchenkoPastur(1.2), ProductWishart(1.79, 1.66)])
def test_within_ulps_of_the_edges_of_laws_by_continuation(scale, third, other):
    """There rounding chooses between F and its conjugate; the mass to the left is known."""
    law = SpectralLaw([0.0, 1.0, third])
    law = scale * (law if other is None else law + other)
    ends = np.ravel(law.support())
    total = dict(law.atoms())
    assert (len(ends), total) == (2, {})
    for end, mass in zip(ends, (0.0, 1.0), strict=True):
        x = end + np.spacing(end) * np.arange(-40, 41)
        np.testing.assert_allclose(law.cdf(x), mass, rtol=0, atol=1e-12)
        np.testing.assert_allclose(law.sf(x), 1 - mass, rtol=0, atol=1e-12)
        density = law.pdf(x) * scale
        assert ((density >= 0) & (density < 1e-6)).all()
