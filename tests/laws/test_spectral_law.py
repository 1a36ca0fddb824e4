"""Laws against 40-digit arithmetic, Monte Carlo, closed forms and the algebra they must obey."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from hessrmt import MarchenkoPastur, ProductWishart, Semicircle, SpectralLaw
from hessrmt.validation import Interval

mp = mpmath.mp.clone()
mp.dps = 40

# One of each kind: one interval, hard edge, atom, two intervals, surviving atom, negative side.
LAWS = {
    "semicircle": Semicircle(0.7),
    "mp": MarchenkoPastur(0.3, sigma=2.0),
    "mp-hard-edge": MarchenkoPastur(1.0),
    "mp-atom": MarchenkoPastur(4.0),
    "product": ProductWishart(0.5, 3.0),
    "product-atom": ProductWishart(2.5, 1.0),
    "paper": MarchenkoPastur(0.5) + Semicircle(np.sqrt(0.6)),
    "two-intervals": MarchenkoPastur(3.0) + Semicircle(0.05),
    "improved": MarchenkoPastur(0.25, 0.8) + ProductWishart(0.25, 0.4),
    "surviving-atom": (MarchenkoPastur(4.0) + 2.0 * MarchenkoPastur(3.0)).shift(0.5),
    # Not freely infinitely divisible: found by continuation.
    "third-cumulant": SpectralLaw([0.3, 1.0, 0.1]),
    "complex-poles": SpectralLaw([0.0, 1.0], [1.0, 0.0, 0.05]),
    "continued-sum": 0.7 * SpectralLaw([0.0, 1.0, 0.15]) + MarchenkoPastur(0.5),
    "negative": (-1.5 * MarchenkoPastur(0.6)).shift(1.0) + Semicircle(0.3),
}


def hessian_oracle(phi, variance, x):
    """Density and distribution of MP(phi) + semicircle at x, from the cubic (18) in 40 digits.

    The root is picked among numpy's roots by its imaginary part and refined by Newton's method;
    the distribution is the integral by parts written in G, with complex logarithms.
    """
    phi, variance, x = mp.mpf(phi), mp.mpf(variance), mp.mpf(x)
    cubic = [variance * phi, -(variance + x * phi), x + phi - 1, mp.mpf(-1)]
    G = mp.mpc(min(np.roots([float(c) for c in cubic]), key=lambda root: root.imag))
    for _ in range(6):
        G -= mp.polyval(cubic, G) / mp.polyval([3 * cubic[0], 2 * cubic[1], cubic[2]], G)
    primitive = x * G - mp.log(G) + mp.log(1 - phi * G) / phi - variance * G**2 / 2
    return -G.imag / mp.pi, 1 - primitive.imag / mp.pi


def worst_error(law, phi, variance, x):
    expected = [hessian_oracle(phi, variance, value) for value in x]
    pairs = zip(expected, law.pdf(x), law.cdf(x), strict=True)
    return max(
        max(abs(float(p - mp.mpf(pdf))), abs(float(c - mp.mpf(cdf)))) for (p, c), pdf, cdf in pairs
    )


def test_paper_law_to_1e12_on_2000_points():
    sigma = np.sqrt(0.6)
    law = MarchenkoPastur(0.5) + Semicircle(sigma)
    ((low, high),) = law.support()
    assert low == pytest.approx(-0.92380523501610072, abs=1e-12)
    assert high == pytest.approx(3.382571773124978, abs=1e-12)
    x = np.linspace(low, high, 2002)[1:-1]
    assert worst_error(law, 0.5, mp.mpf(sigma) ** 2, x) < 1e-12


def test_index_of_the_paper_law_against_quadrature():
    # High-precision quadrature of the density; t^2 removes the square root at the edge.
    low = mp.mpf("-0.92380523501610072")
    area = mp.quad(lambda t: hessian_oracle(0.5, 0.6, low * (1 - t * t))[0] * 2 * t, [0, 0.5, 1])
    law = MarchenkoPastur(0.5) + Semicircle(np.sqrt(0.6))
    assert law.index() == pytest.approx(float(-low * area), abs=1e-12)


def random_parameters():
    rng = np.random.default_rng(20170806)
    corners = [(1.0, 1e-4), (1.0, 10.0), (0.01, 1e-4), (0.01, 10.0), (4.0, 1e-4), (4.0, 10.0)]
    drawn = zip(rng.uniform(0.01, 4, 194), 10 ** rng.uniform(-4, 1, 194), strict=True)
    return corners + list(drawn)


@pytest.mark.parametrize("block", range(4))
def test_200_random_laws_to_1e12(block):
    rng = np.random.default_rng(block)
    for phi, epsilon in random_parameters()[block::4]:
        sigma = np.sqrt(2 * epsilon)
        law = MarchenkoPastur(phi) + Semicircle(sigma)
        for low, high in law.support():
            x = low + (high - low) * rng.uniform(0.005, 0.995, 6)
            assert worst_error(law, phi, mp.mpf(sigma) ** 2, x) < 1e-12, (phi, epsilon)
            # The same points among many others take the path with tabulated starting values.
            law.pdf(np.linspace(low, high, 600))
            assert worst_error(law, phi, mp.mpf(sigma) ** 2, x) < 1e-12, (phi, epsilon)


@pytest.mark.parametrize("phi, epsilon", random_parameters()[:40])
def test_edges_are_where_the_discriminant_vanishes(phi, epsilon):
    """Edges are zeros in z of the cubic's discriminant, found here in 40 digits."""
    sigma = np.sqrt(2 * epsilon)
    v, p = mp.mpf(sigma) ** 2, mp.mpf(phi)

    def discriminant(z):
        a, b, c, d = v * p, -(v + z * p), z + p - 1, -1
        return 18 * a * b * c * d - 4 * b**3 * d + (b * c) ** 2 - 4 * a * c**3 - 27 * (a * d) ** 2

    law = MarchenkoPastur(phi) + Semicircle(sigma)
    for low, high in law.support():
        for edge in (low, high):
            step = mp.mpf(high - low) * mp.mpf("1e-9")
            root = mp.findroot(discriminant, (edge - step, edge + step), tol=1e-70, verify=False)
            assert abs(float(root - mp.mpf(edge))) < 1e-12
        # Close to an edge the density follows the square root there to 1e-7.
        near = np.array([low + 1e-7 * (high - low), high - 1e-7 * (high - low)])
        assert worst_error(law, phi, v, near) < 1e-7


@pytest.mark.parametrize("name", LAWS)
def test_mass_and_moments_by_quadrature(name):
    """Integrals of the density, atoms added, are the moments that the cumulants give."""
    law = LAWS[name]
    angles, weights = np.polynomial.legendre.leggauss(400)
    angles, weights = (angles + 1) * np.pi / 2, weights * np.pi / 2
    moments = np.array([sum((m * a**k for a, m in law.atoms()), 0.0) for k in range(7)])
    for low, high in law.support():
        x = (low + high) / 2 - (high - low) / 2 * np.cos(angles)
        mass = weights * (high - low) / 2 * np.sin(angles) * law.pdf(x)
        moments += [np.sum(mass * x**k) for k in range(7)]
    expected = [law.moment(k) for k in range(7)]
    np.testing.assert_allclose(moments, expected, rtol=1e-10, atol=1e-12)
    assert law.mean() == pytest.approx(expected[1], abs=1e-14)
    assert law.var() == pytest.approx(expected[2] - expected[1] ** 2)


@pytest.mark.parametrize("name", LAWS)
def test_cdf_is_the_integral_of_the_density(name):
    law = LAWS[name]
    for low, high in law.support():
        points = low + (high - low) * np.array([0.1, 0.35, 0.8])
        for a, b in pairwise(points):
            area, _ = integrate.quad(law.pdf, a, b, epsabs=1e-12, epsrel=1e-12)
            assert law.cdf(b) - law.cdf(a) == pytest.approx(area, abs=1e-10)


@pytest.mark.parametrize("name", LAWS)
def test_stieltjes_is_the_integral_of_the_density(name):
    law = LAWS[name]
    angles, weights = np.polynomial.legendre.leggauss(2000)
    angles, weights = (angles + 1) * np.pi / 2, weights * np.pi / 2
    right = max([high for _, high in law.support()] + [a for a, _ in law.atoms()])
    for z in (1j, 0.3 - 0.5j, -2 + 0.1j, right + 0.5, -30.0, 1e6, 1e6j):
        value = sum(mass / (z - location) for location, mass in law.atoms())
        for low, high in law.support():
            x = (low + high) / 2 - (high - low) / 2 * np.cos(angles)
            mass = weights * (high - low) / 2 * np.sin(angles) * law.pdf(x)
            value += np.sum(mass / (z - x))
        assert complex(law.stieltjes(z)) == pytest.approx(complex(value), rel=1e-9)


@pytest.mark.parametrize("name", LAWS)
def test_stieltjes_solves_the_polynomial_and_continues_the_density(name):
    law = LAWS[name]
    polynomial = law.polynomial()
    assert [str(g) for g in polynomial.gens] == ["G", "z"]
    for low, high in law.support():
        x = np.linspace(low, high, 9)[1:-1]
        G = law.stieltjes(x)
        np.testing.assert_allclose(-G.imag / np.pi, law.pdf(x), rtol=1e-12)
        np.testing.assert_allclose(law.stieltjes(x + 1e-9j), G, rtol=1e-5)  # limit from above
        for g, value in zip(G, x, strict=True):
            scale = sum(
                abs(complex(c)) * abs(g) ** i * abs(value) ** j for (i, j), c in polynomial.terms()
            )
            assert abs(complex(polynomial.eval((complex(g), value)))) < 1e-13 * scale
        np.testing.assert_allclose(law.r_transform(G) + 1 / G, x, atol=1e-11 * max(1, high))


def test_stieltjes_between_intervals_and_at_an_atom():
    law = MarchenkoPastur(4.0)
    assert law.stieltjes(0.0).real == np.inf
    for x in (-0.5, 0.5, 10.0):
        # Closed form; the sign of the root follows the side of the bulk.
        root = np.sqrt((x - 1) * (x - 9)) * (1 if x > 9 else -1)
        assert law.stieltjes(x) == pytest.approx((x + 3 - root) / (8 * x), rel=1e-13)
        assert law.stieltjes(x).imag == 0


def test_closed_forms():
    x = np.linspace(-1.39, 1.39, 57)
    np.testing.assert_allclose(
        LAWS["semicircle"].pdf(x), np.sqrt(4 * 0.49 - x**2) / (2 * np.pi * 0.49), rtol=1e-12
    )
    phi, sigma = 0.3, 2.0
    low, high = sigma * (1 - np.sqrt(phi)) ** 2, sigma * (1 + np.sqrt(phi)) ** 2
    np.testing.assert_allclose(LAWS["mp"].support(), [(low, high)], rtol=1e-14)
    x = np.linspace(low, high, 50)[1:-1]
    expected = np.sqrt((x - low) * (high - x)) / (2 * np.pi * x * sigma * phi)
    np.testing.assert_allclose(LAWS["mp"].pdf(x), expected, rtol=1e-12)
    assert MarchenkoPastur(1.0).pdf(0.0) == np.inf


def test_product_wishart_is_the_cubic_28():
    phi, epsilon = 0.4, 1.7
    law = ProductWishart(phi, epsilon)
    for x in np.linspace(0.05, 1.0, 7):
        cubic = [epsilon * phi**2 * x, epsilon * phi * (1 - phi), -2 * x, 2]
        G = min(np.roots(cubic), key=lambda g: g.imag)
        assert law.stieltjes(x) == pytest.approx(G, rel=1e-10)
    # Figure 3 of the paper: peak and edge read off the plot, phi = 1/8 and 1/2 at epsilon = 50.
    for phi, peak, edge in ((1 / 8, 0.1925, 3.73), (1 / 2, 0.1273, 8.33)):
        law = ProductWishart(phi, 50.0)
        assert law.pdf(1e-9) == pytest.approx(peak, abs=1e-4)
        assert law.support()[0][1] == pytest.approx(edge, abs=5e-3)


def test_densities_that_diverge_at_zero():
    """Where all jump rates sum to one: at an edge, or inside the support."""
    at_edge = MarchenkoPastur(2.0) + ProductWishart(2.0, 1.0)
    assert at_edge.support()[1][0] == 0.0
    for law, below in ((at_edge, 0.25), (ProductWishart(1.0, 4.0), 0.5)):
        assert law.atoms() == ()
        assert law.pdf(0.0) == np.inf
        assert law.cdf(0.0) == pytest.approx(below, abs=1e-15)
        np.testing.assert_allclose(law.cdf([-1e-12, 1e-12]), below, atol=1e-3)
        assert law.stieltjes(0.0).real == np.inf


def test_masses_on_both_sides_of_a_gap_are_exact():
    law = MarchenkoPastur(4.0) + Semicircle(1e-3)
    (_, first), (second, _) = law.support()
    assert law.cdf((first + second) / 2) == 0.75
    assert law.index() == pytest.approx(0.375, abs=1e-3)
    assert MarchenkoPastur(4.0).index() == 0.0
    assert (-1.0 * MarchenkoPastur(4.0)).index() == 0.25


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_invert_the_distribution(name):
    law = LAWS[name]
    q = np.linspace(0, 1, 401)
    x = law.ppf(q)
    assert (np.diff(x) >= 0).all()
    at_atom = np.isin(x, [location for location, _ in law.atoms()])
    np.testing.assert_allclose(law.cdf(x[~at_atom]), q[~at_atom], atol=1e-13)
    assert (law.cdf(x[at_atom]) >= q[at_atom]).all()
    below = np.array(x[at_atom]) - 1e-9
    assert (law.cdf(below) < q[at_atom] + 1e-12).all()


def test_random_draws_have_the_law():
    # Kolmogorov-Smirnov statistic below its 99.9% point, 1.95/sqrt(n).
    law = LAWS["two-intervals"]
    x = np.sort(law.rvs(20_000, rng=3))
    steps = np.arange(1, x.size + 1) / x.size
    cdf = law.cdf(x)
    assert max((steps - cdf).max(), (cdf - steps + 1 / x.size).max()) < 1.95 / np.sqrt(x.size)
    assert law.rvs((2, 3), rng=3).shape == (2, 3)
    np.testing.assert_array_equal(law.rvs(5, rng=7), law.rvs(5, rng=np.random.default_rng(7)))


positive = st.floats(0.05, 5.0)


@settings(max_examples=60)
@given(positive, positive, positive, st.floats(-3, 3), st.integers(1, 6))
def test_free_cumulants_add_scale_and_shift(phi, sigma, epsilon, c, k):
    a, b = MarchenkoPastur(phi, sigma), ProductWishart(phi, epsilon)
    total = a + b
    assert total.free_cumulant(k) == pytest.approx(a.free_cumulant(k) + b.free_cumulant(k))
    assert (c * a).free_cumulant(k) == pytest.approx(c**k * a.free_cumulant(k))
    shift = c if k == 1 else 0.0
    assert a.shift(c).free_cumulant(k) == pytest.approx(a.free_cumulant(k) + shift)
    x = np.linspace(-4, 6, 11)
    np.testing.assert_allclose((a + b).cdf(x), (b + a).cdf(x), atol=1e-12)


@settings(max_examples=60)
@given(positive, positive, st.floats(0.2, 3.0), st.floats(-2, 2))
def test_scaling_and_shifting_move_the_distribution(phi, sigma, c, d):
    law = MarchenkoPastur(phi) + Semicircle(sigma)
    x = np.linspace(-3, 5, 17)
    np.testing.assert_allclose((c * law).shift(d).cdf(c * x + d), law.cdf(x), atol=1e-10)
    np.testing.assert_allclose((-law).cdf(-x), 1 - law.cdf(x), atol=1e-10)


@settings(max_examples=60)
@given(positive, positive)
def test_semicircles_and_poissons_form_semigroups(a, b):
    both = Semicircle(a) + Semicircle(b)
    assert both.support()[0][1] == pytest.approx(2 * np.hypot(a, b))
    # Free Poisson: equal jump sizes, rates add.
    law = MarchenkoPastur(2 * a, b) + MarchenkoPastur(2 * a, b)
    one = MarchenkoPastur(a, 2 * b)
    np.testing.assert_allclose(law.support(), one.support(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([m for _, m in law.atoms()], [m for _, m in one.atoms()], atol=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_coefficients_give_the_same_law(name):
    law = LAWS[name]
    num, den = law._transform.coefficients()
    same = SpectralLaw(num, den)
    x = np.linspace(-3, 8, 23)
    np.testing.assert_allclose(same.cdf(x), law.cdf(x), atol=1e-9)
    # A common factor of numerator and denominator drops out.
    reducible = SpectralLaw(np.convolve(num, [1, 0.3]), np.convolve(den, [1, 0.3]))
    np.testing.assert_allclose(reducible.cdf(x), law.cdf(x), atol=1e-6)


def test_point_mass():
    law = SpectralLaw([2.0])
    assert law.support() == ()
    assert law.atoms() == ((2.0, 1.0),)
    np.testing.assert_array_equal(law.cdf([1.9, 2.0]), [0.0, 1.0])
    np.testing.assert_array_equal(law.ppf([0.0, 0.5, 1.0]), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(law.pdf([2.0]), [0.0])
    assert law.stieltjes(3.0) == 1.0
    moved = (law + Semicircle(1.0)).support()
    assert moved == ((0.0, 4.0),)


def test_shapes_follow_the_argument():
    law = LAWS["paper"]
    for shape in ((), (3,), (2, 0), (2, 3, 4)):
        x = np.zeros(shape)
        for method in (law.pdf, law.cdf, law.stieltjes, law.ppf):
            assert np.shape(method(x)) == shape


BAD = [np.nan, np.inf, -np.inf, 1j, "1", None, True, [0.5, 0.6]]


@pytest.mark.parametrize("value", [*BAD, 0, -0.5])
@pytest.mark.parametrize(
    "build, name",
    [
        (lambda v: MarchenkoPastur(v), "phi"),
        (lambda v: MarchenkoPastur(0.5, v), "sigma"),
        (lambda v: Semicircle(v), "sigma"),
        (lambda v: ProductWishart(v, 1.0), "phi"),
        (lambda v: ProductWishart(0.5, v), "epsilon"),
    ],
)
def test_bad_parameters_are_named_with_their_domain(build, name, value):
    with pytest.raises((TypeError, ValueError), match=rf"{name} must be .*\(0, inf\), got"):
        build(value)


@pytest.mark.parametrize("value", [np.nan, 1j, "a", None])
def test_bad_points_are_refused(value):
    law = LAWS["paper"]
    for method, name in ((law.pdf, "x"), (law.cdf, "x"), (law.ppf, "q")):
        with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
            method([0.5, value])
    with pytest.raises(ValueError, match=r"q must be in \[0, 1\], got 1.5"):
        law.ppf(1.5)
    if value != 1j:
        with pytest.raises((TypeError, ValueError), match="z must be"):
            law.stieltjes([1j, value])


@pytest.mark.parametrize(
    "numerator, denominator, why",
    [
        ([0.0, -1.0], [1.0], "variance, is not positive"),
        ([0.0, 1.0, 0.0, 1.0], [1.0], "must be the R-transform of a law"),
        ([1.0], [1.0, 0.0, 1.0], "variance, is not positive"),
        ([1.0], [1.0, -2.0, 1.0], "must be the R-transform of a law"),
        ([-1.0], [1.0, -0.5], "variance, is not positive"),
        ([1.0], [0.0, 1.0], "must not vanish at 0"),
    ],
)
def test_functions_that_are_not_r_transforms_are_refused(numerator, denominator, why):
    with pytest.raises(ValueError, match=why):
        SpectralLaw(numerator, denominator)


def test_a_third_cumulant_is_allowed_up_to_its_known_bound():
    """R(z) = z + c z^2 belongs to a law up to |c| = 3^(-3/2), where z(G) loses its critical point.

    For larger c, z'(G) = 1 + 2 c G - 1/G^2 has one real zero only, so there is no second edge.
    """
    bound = 3**-1.5
    for c in (0.999 * bound, -0.999 * bound):
        law = SpectralLaw([0.0, 1.0, c])
        assert [law.free_cumulant(k) for k in range(1, 6)] == [0.0, 1.0, c, 0.0, 0.0]
    for c in (1.001 * bound, -1.001 * bound):
        with pytest.raises(ValueError, match="must be the R-transform of a law"):
            SpectralLaw([0.0, 1.0, c])


def test_only_laws_and_numbers_add_and_only_numbers_scale():
    with pytest.raises(TypeError):
        Semicircle(1.0) + "1"
    with pytest.raises(TypeError):
        Semicircle(1.0) * Semicircle(1.0)
    for k in (-1, 1.5, True):
        with pytest.raises((TypeError, ValueError), match="k must be"):
            Semicircle(1.0).moment(k)


def test_intervals_are_written_as_readers_write_them():
    assert 0.0 not in Interval.parse("(0, 1]")
    assert 1.0 in Interval.parse("(0, 1]")
    assert np.inf not in Interval.parse("[0, inf)")
    with pytest.raises(ValueError, match="domain must be an interval"):
        Interval.parse("0 to 1")


def test_a_constant_may_be_added_to_a_law_that_is_not_infinitely_divisible():
    other = SpectralLaw([0.0, 1.0, 0.1])  # z + z^2/10
    for constant in (0.0, 2.5):
        law = SpectralLaw([constant]) + other
        np.testing.assert_allclose(
            law.pdf(np.array([0.3, -1.0]) + constant), other.pdf([0.3, -1.0]), rtol=1e-10
        )
