"""The law of H0 against exact laws, moments by hand, simulated networks and the paper's setting."""

from functools import cache

import numpy as np
import pytest
from scipy import integrate, special

from hessrmt import FullHessianLaw, GaussNewtonLaw, MarchenkoPastur, ks_distance
from hessrmt.hessians._activations import gaussian_averages
from hessrmt.hessians._gauss_newton_equations import GaussNewtonEquations

SLOPES = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "linear": (lambda z: z, np.ones_like),
    "softplus": (lambda z: np.logaddexp(0, z), special.expit),
    "erf": (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))),
}


@pytest.fixture(scope="module")
def laws():
    return {"relu": relu(0.5), "tanh": GaussNewtonLaw(0.25, "tanh")}


@cache
def relu(phi):
    return GaussNewtonLaw(phi)


def simulated_h0(n, phi, activation, rng, sigma1=1.0, sigma2=1.0):
    """H0 = J J^T/m from the Jacobian itself, one row a parameter."""
    m = round(2 * n / phi)
    f, slope = SLOPES[activation]
    x = rng.standard_normal((n, m))
    W1, W2 = (s * rng.standard_normal((n, n)) / np.sqrt(n) for s in (sigma1, sigma2))
    z = W1 @ x
    first = np.einsum("ik,km,lm->klim", W2, slope(z), x).reshape(n * n, n * m)
    second = np.einsum("ij,km->ikjm", np.eye(n), f(z)).reshape(n * n, n * m)
    J = np.vstack([first, second])
    return J @ J.T / m


# -- exact laws and moments ----------------------------------------------------------------------


def linear_component(z, lam, c):
    """Stieltjes transform of X^T (lam + W) X/m, m by m, W Marchenko-Pastur of ratio 1.

    With u the transform: z = 1/u + (c/u)(h/u - 1), h = g(1/u - lam), and w g^2 - w g + 1 = 0 for
    the Marchenko-Pastur law; eliminating h leaves a cubic in u.
    """
    # h = u (1 + (z u - 1)/c); w = 1/u - lam; times u^2 throughout.
    h = np.array([(1 - 1 / c), z / c])  # h/u, lowest power first
    h = np.concatenate([[0], h])
    w_u = np.array([1.0, -lam])  # u w
    poly = np.polynomial.polynomial
    equation = poly.polyadd(
        poly.polysub(poly.polymul(w_u, poly.polymul(h, h)), poly.polymul(w_u, h)), [0, 1]
    )
    roots = poly.polyroots(equation[1:])  # u = 0 is no solution
    # On the negative half-line 1/z < u < 0, and h < 0 is the branch of g.
    real = roots[np.abs(roots.imag) < 1e-9].real
    return [u for u in real if 1 / z < u < 0 and 1 + (z * u - 1) / c > 0]


def linear_density(x, phi, points=40_000):
    """Density at x > 0 of the linear law, from the complex roots of the same cubic for each lambda.

    `linear_component` has the equation, (u w) h^2 - (u w) h + u = 0. The sum over lambda = 4 sin^2
    is about even in the logarithm of the angle, as lambda of the size of x count.
    """
    c = phi / 2
    v = (np.arange(points) + 0.5) / points
    reach = np.arcsinh(np.pi / 2 / np.sqrt(x))
    angle = np.sqrt(x) * np.sinh(reach * v)
    weight = reach / points * np.sqrt(x) * np.cosh(reach * v) * 4 / np.pi * np.cos(angle) ** 2
    lam = 4 * np.sin(angle) ** 2
    # w u (h/u)^2 u - w u (h/u) + 1 = 0 with w u = 1 - lam u, h/u = a + b u.
    a, b = 1 - 1 / c, x / c
    one = np.ones_like(lam)
    quadratic = [-a * one, (a * a - b) * one, 2 * a * b * one, b * b * one]  # u (h/u)^2 - h/u
    cubic = np.stack([*quadratic, 0 * lam])
    cubic[1:] -= lam * np.stack(quadratic)
    cubic[0] += 1
    companion = np.zeros((points, 4, 4))
    companion[:, 1:, :-1] = np.eye(3)
    companion[:, :, -1] = -(cubic[:4] / cubic[4]).T
    roots = np.linalg.eigvals(companion)
    h = roots * (a + b * roots)  # a Stieltjes transform, too: that excludes other pairs of roots
    found = np.where((roots.imag < 0) & (h.imag < 0), -roots.imag, 0).max(axis=1)
    return weight @ found / (np.pi * phi)


@pytest.mark.parametrize("phi", [0.5, 1.5, 3.0])
def test_density_of_linear_network_down_to_zero(phi):
    """Where the sum over components on the real axis is rough: below a hundredth of the mean."""
    x = np.array([1e-7, 1e-4, 0.02, 0.5])
    expected = [linear_density(point, phi) for point in x]
    # The sum has the larger error: 4e-4 at the first x, where the law on 200 nodes moves by 1e-6.
    found = GaussNewtonLaw(phi, "linear").pdf(x)
    np.testing.assert_allclose(found, expected, rtol=5e-4, atol=1e-12)


@pytest.mark.parametrize("phi", [0.25, 1.0, 3.0])
def test_linear_network_is_an_average_of_sample_covariances(phi):
    """Not MP_{phi/2} boxtimes (MP_1 * MP_1): the average over W2 W2^T comes last."""
    c, z = phi / 2, -0.7

    def integrand(angle):  # lambda = 4 cos^2
        (u,) = linear_component(z, 4 * np.cos(angle) ** 2, c)
        return u * 4 / np.pi * np.sin(angle) ** 2

    g = integrate.quad(integrand, 0, np.pi / 2, epsabs=1e-11)[0]
    expected = (g - (1 - phi) / z) / phi
    assert GaussNewtonLaw(phi, "linear").stieltjes(z).real == pytest.approx(expected, rel=1e-8)


def test_linear_network_by_simulation_of_its_components():
    """Quantiles of W2 W2^T one by one: eigenvalues of X (lambda + W1^T W1) X^T/m, and as many 0."""
    rng, n, m = np.random.default_rng(2), 160, 640
    X, W1 = rng.standard_normal((n, m)), rng.standard_normal((n, n)) / np.sqrt(n)
    root = np.linalg.cholesky(X @ X.T / m)
    gram = root.T @ W1.T @ W1 @ root
    lam = MarchenkoPastur(1.0).ppf((np.arange(40) + 0.5) / 40)
    eigenvalues = np.linalg.eigvalsh(gram + lam[:, None, None] * (root.T @ root))
    law = GaussNewtonLaw(0.5, "linear")
    spectrum = np.concatenate([np.zeros(eigenvalues.size), eigenvalues.ravel()])
    assert law.atoms() == ((0.0, 0.5),)
    assert ks_distance(spectrum, law.cdf) < 2 / n
    assert law.gap == 0.0
    # 3 + 5c/2 - 1 against 3 + 2c - 1 for the free product with the law of the sum.
    assert law.var() == pytest.approx(2 + 2.5 * 0.25, rel=1e-12)


@pytest.mark.parametrize("phi", [0.5, 1.2])
def test_third_moment_of_linear_network_by_hand(phi):
    """MP_c boxtimes a has m3 = a3 + 3 c a1 a2 + c^2 a1^3, a = lambda + MP_1, then the average."""
    c = phi / 2
    assert GaussNewtonLaw(phi, "linear").moment(3) == pytest.approx(
        (22 + 51 * c + 15 * c**2) / 2, rel=1e-8
    )


def test_mean_of_relu_by_hand():
    assert GaussNewtonLaw(0.3).mean() == pytest.approx((1 - 1 / (2 * np.pi)) / 2, rel=1e-12)
    assert GaussNewtonLaw(0.3, sigma1=2.0, sigma2=3.0).mean() == pytest.approx(
        (4 * (0.5 - 1 / (2 * np.pi)) + 9 * 0.5) / 2, rel=1e-12
    )


@pytest.mark.parametrize(
    "law",
    [
        GaussNewtonLaw(0.5, "relu", 1.5, 0.7),
        GaussNewtonLaw(0.2, "tanh", 0.8, 1.3),
        GaussNewtonLaw(1.7, "tanh"),
        GaussNewtonLaw(3.0, "relu"),
        GaussNewtonLaw(0.8, "linear", 0.5, 1.0),
        GaussNewtonLaw(0.4, (lambda z: z + np.sin(z), lambda z: 1 + np.cos(z))),
    ],
    ids=["relu", "tanh", "tanh, 1.7", "relu, 3", "linear", "a pair of functions"],
)
def test_moments_counted_by_hand_come_out_of_the_equations(law):
    """G = 1/z + m1/z^2 + m2/z^3 + ..., by a contour around the spectrum."""
    radius, angle = 60 * law.mean(), (np.arange(32) + 0.5) * 2 * np.pi / 32
    z = radius * np.exp(1j * angle)
    G = law.stieltjes(z)
    moments = [np.mean(G * z ** (k + 1)).real for k in range(3)]
    assert moments[0] == pytest.approx(1, rel=1e-9)
    assert moments[1] == pytest.approx(law.mean(), rel=1e-8)
    assert moments[2] == pytest.approx(law.var() + law.mean() ** 2, rel=1e-6)


def test_variance_by_simulation():
    """Mean squares of tanh networks, extrapolated in 1/n, within 4 standard errors.

    tanh has no mean, so no eigenvalues of order n; the scales differ to tell the terms apart.
    """
    law = GaussNewtonLaw(0.5, "tanh", 1.5, 0.8)
    rng, squares, errors = np.random.default_rng(4), [], []
    for n, draws in ((8, 600), (16, 150)):
        sample = [
            np.sum(simulated_h0(n, 0.5, "tanh", rng, 1.5, 0.8) ** 2) / (2 * n * n)
            for _ in range(draws)
        ]
        squares.append(np.mean(sample))
        errors.append(np.std(sample) / np.sqrt(draws))
    limit = 2 * squares[1] - squares[0]
    error = np.hypot(2 * errors[1], errors[0])
    assert error < 0.08 * limit
    assert abs(limit - law.var() - law.mean() ** 2) < 4 * error


# -- density, distribution, support --------------------------------------------------------------


def test_density_integrates_to_one_with_the_mean(laws):
    for law in laws.values():
        ((low, high),) = law.support()
        angle = (np.arange(200) + 0.5) * np.pi / 200
        x = low * (high / low) ** np.sin(angle / 2) ** 2
        weight = law.pdf(x) * x * np.sin(angle) / 2 * np.log(high / low) * np.pi / 200
        assert weight.sum() == pytest.approx(1, abs=1e-4)
        assert weight @ x == pytest.approx(law.mean(), rel=1e-4)
        assert (law.pdf([-1.0, 0.0, 0.99 * low, 1.05 * high]) < 1e-9).all()
        # The distribution is its integral, and the transform its Cauchy transform.
        np.testing.assert_allclose(law.cdf(x[50]), weight[:51].sum() - weight[50] / 2, atol=1e-4)
        z = np.array([-0.3, 0.4 + 0.2j, 0.4 - 0.2j, 5.0])
        np.testing.assert_allclose(
            law.stieltjes(z), (weight / (z[:, None] - x)).sum(axis=1), rtol=1e-4
        )


def test_distribution_runs_from_the_atom_to_one():
    law = relu(3.0)
    ((location, mass),) = law.atoms()
    assert (location, mass) == (0.0, pytest.approx(2 / 3))
    ((low, high),) = law.support()
    values = law.cdf([-1e-9, 0.0, low, (low + high) / 2, high, 100.0])
    np.testing.assert_allclose(values[[0, 1, 2, 4, 5]], [0, 2 / 3, 2 / 3, 1, 1], atol=1e-12)
    assert values[2] < values[3] < 1
    # -i y G(iy) tends to the mass at 0.
    assert (1e-4j * law.stieltjes(1e-4j)).real == pytest.approx(2 / 3, abs=1e-4)


@pytest.mark.parametrize(
    "phi, activation, mass",
    [(0.5, "relu", 0), (1.5, "relu", 1 / 3), (1.5, "tanh", 1 / 3), (0.5, "linear", 1 / 2),
     (1.5, "linear", 1 / 2), (3.0, "linear", 2 / 3)],
)  # fmt: skip
def test_atoms_are_ranks_of_jacobians(phi, activation, mass):
    n = 12
    rank = np.linalg.matrix_rank(simulated_h0(n, phi, activation, np.random.default_rng(1)))
    atom = sum(mass for _, mass in GaussNewtonLaw(phi, activation).atoms())
    assert atom == pytest.approx(mass)
    null = n if (activation, phi) == ("relu", 0.5) else 0  # one a unit, of vanishing fraction
    assert 1 - rank / (2 * n * n) == pytest.approx(mass + null / (2 * n * n), abs=1e-12)


@pytest.mark.parametrize("phi, gap", [(0.8, 0.000416), (0.1, 0.0498)])
def test_gap_is_that_of_an_independent_solution(phi, gap):
    """Fixed-point iteration of the same equations, with other quadratures.

    At phi = 0.8 it has density 9.9 at 0.00043, and at 0.0004 one that falls with the height.
    """
    assert relu(phi).gap == pytest.approx(gap, rel=0.01)


def test_gap_closes_where_targets_outnumber_parameters_no_more():
    assert GaussNewtonLaw(1.2).gap == 0.0
    assert relu(3.0).gap > 0.01
    ratios = [relu(phi).gap / (1 - np.sqrt(phi)) ** 2 for phi in (0.1, 0.8)]
    assert ratios[0] > 2.5 * ratios[1]  # no Marchenko-Pastur law, whatever its scale


def test_scales_of_relu_factorise():
    """W1 enters H0's second block by its scale, W2 the first: together they are one factor."""
    plain, scaled = GaussNewtonLaw(0.5), GaussNewtonLaw(0.5, sigma1=2.0, sigma2=2.0)
    x = np.array([0.01, 0.1, 1.0])
    np.testing.assert_allclose(4 * scaled.pdf(4 * x), plain.pdf(x), rtol=1e-9)


def test_solution_does_not_depend_on_company_or_quadrature(monkeypatch):
    law = GaussNewtonLaw(0.125)
    x = np.linspace(0.05, 2.5, 7)
    together = law.pdf(x)
    np.testing.assert_allclose([law.pdf(point) for point in x], together, rtol=1e-9)
    monkeypatch.setattr("hessrmt.hessians._gauss_newton_equations._LAMBDA_NODES", 240)
    monkeypatch.setattr("hessrmt.hessians._gauss_newton_equations._T_NODES", 96)
    np.testing.assert_allclose(GaussNewtonLaw(0.125).pdf(x), together, atol=2e-5)


# -- simulated networks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "activation, phi, limit",
    [("relu", 0.5, 0.02), ("tanh", 0.25, 0.02), ("softplus", 0.5, 0.03), ("erf", 0.5, 0.015)],
)
def test_networks_approach_the_law(laws, activation, phi, limit):
    """The distance falls by a quarter or more from n = 12 to 24; Marchenko-Pastur stays away.

    Mostly like 1/n; softplus, with about 0.09 and 0.057, more slowly, as ReLU at small phi.
    """
    law = laws.get(activation) or GaussNewtonLaw(phi, SLOPES[activation])
    rng = np.random.default_rng(5)
    distances, spectra = [], {}
    for n, draws in ((12, 30), (24, 8)):
        spectra[n] = np.linalg.eigvalsh(
            np.stack([simulated_h0(n, phi, activation, rng) for _ in range(draws)])
        )
        distances.append(ks_distance(spectra[n], law.cdf))
    assert distances[1] < 0.75 * distances[0]
    assert abs(2 * distances[1] - distances[0]) < limit
    scales = np.linspace(0.1, 0.6, 26)
    best = min(ks_distance(spectra[24], MarchenkoPastur(phi, s)) for s in scales)
    assert best > 2 * distances[1]


# -- next to 0 -----------------------------------------------------------------------------------


def fixed_point(z, phi, variance, c1, slopes, steps=4000):
    """The equations of the module iterated as they stand, lambda on the real axis, evenly in log.

    Slopes have equal probabilities. Returns the Stieltjes transform of K.
    """
    c = phi / 2
    log = np.linspace(-34, 0, 700)  # of sin^2 of the angle
    sine2 = np.exp(log[:-1] + np.diff(log) / 2)
    lam, weight = 4 * sine2, 2 / np.pi * np.sqrt(sine2 * (1 - sine2)) * np.diff(log)
    weight /= weight.sum()
    k = np.arange(1, 41)  # Gauss-Chebyshev rule for the part of Marchenko-Pastur that is not 0
    angle = k * np.pi / 41
    t = 1 + c + 2 * np.sqrt(c) * np.cos(angle)
    t_weight = 4 * c * np.sin(angle) ** 2 / (2 * 41 * t)
    t, t_weight = np.append(0.0, t), np.append(1 - c, c * t_weight / t_weight.sum())
    sigma = c1**2 * t / c + variance - c1**2
    omega, s = np.array([0, -np.mean(slopes), 0.1], dtype=complex), np.full(lam.size, c + 0j)
    flip = np.array([[0, 1], [1, 0]])
    for _ in range(steps):
        ct = t / (1 - omega[0] * t)
        r = 1 / (z - np.outer(lam, omega[2] + omega[1] ** 2 * ct) - np.outer(s, sigma))
        s = (s + c / (1 - r @ (t_weight * sigma))) / 2
        pi = (weight * lam) @ r
        g12, g22 = omega[1] * (t_weight @ (ct * pi)), t_weight @ pi
        g11 = t_weight @ ct + omega[1] ** 2 * (t_weight @ (ct**2 * pi))
        inside = np.linalg.inv([[g11, g12], [g12, g22]]) + omega[[[0, 1], [1, 2]]]
        average = np.mean([np.linalg.inv(d * flip + inside) for d in slopes], axis=0)
        new = inside - np.linalg.inv(average)
        step = np.array([new[0, 0], new[0, 1], new[1, 1]]) - omega
        omega = omega + step / 2
    assert np.abs(step).max() < 1e-9
    return weight @ r @ t_weight


@pytest.mark.parametrize("height", [1e-2, 1e-4])
def test_transform_next_to_zero_is_a_fixed_point_on_the_real_axis(height):
    z = height * 1j
    g = fixed_point(z, 1.5, 0.5 - 0.5 / np.pi, 0.5, [0.0, 1.0])
    expected = (g - (1 - 1.5) / z) / 1.5
    assert relu(1.5).stieltjes(z) == pytest.approx(expected, rel=2e-4)


def test_density_diverges_like_an_inverse_square_root():
    """The law C/sqrt(x) has the transform -pi C/sqrt(-z), far above the real axis, too."""
    for phi in (1.25, 1.5, 1.9):
        law = relu(phi)
        x = np.array([1e-6, 1e-8, 1e-10]) * law.mean()
        constants = law.pdf(x) * np.sqrt(x)
        np.testing.assert_allclose(constants, constants[-1], rtol=3e-3)
        z = 1j * x[2]
        smooth = law.stieltjes(z) - (1 - 1 / phi) / z
        assert smooth == pytest.approx(-np.pi * constants[-1] / np.sqrt(-z), rel=2e-3)
        assert law.pdf(0.0) == np.inf
    for finite in (relu(2.0), GaussNewtonLaw(0.5, "linear")):
        density = finite.pdf([1e-6, 1e-8])
        assert density[0] == pytest.approx(density[1], rel=1e-2)
        assert finite.pdf(0.0) == 0


def test_distribution_where_the_support_reaches_zero():
    """Against networks: the fraction below x, within 4 standard errors and a term 0.3/n."""
    law, n, rng = relu(1.5), 20, np.random.default_rng(8)
    x = np.array([0.002, 0.02, 0.2])
    spectra = (np.linalg.eigvalsh(simulated_h0(n, 1.5, "relu", rng)) for _ in range(12))
    below = [(spectrum[:, None] <= x).mean(axis=0) for spectrum in spectra]
    error = np.std(below, axis=0, ddof=1) / np.sqrt(12)
    assert (error < 0.01).all()
    assert (np.abs(np.mean(below, axis=0) - law.cdf(x)) < 4 * error + 0.3 / n).all()


@pytest.mark.parametrize("parameters", [(1.5, "relu", 0.1, 10.0), (1.5, "tanh", 0.1, 10.0)])
def test_scales_far_apart(parameters):
    """Mass and mean by a sum over decades, with neither the law's nodes nor its factor."""
    law = GaussNewtonLaw(*parameters)
    (low, _), high = law.support()[0], law.support()[-1][1]
    x = np.geomspace(max(low, 1e-13 * high), high, 601)
    share = law.pdf(x) * x  # of mass, in the logarithm of x
    below = integrate.cumulative_trapezoid(share, np.log(x), initial=0)
    atom = sum(mass for _, mass in law.atoms())
    # Of this sum; of the law 1e-3 are promised.
    assert below[-1] + atom == pytest.approx(1, abs=5e-4)
    assert integrate.trapezoid(share * x, np.log(x)) == pytest.approx(law.mean(), rel=5e-4)
    distribution = law.cdf(x)
    assert (np.diff(distribution) >= 0).all()
    np.testing.assert_allclose(distribution, atom + below, atol=5e-4)
    assert (law.pdf(high * np.array([1.1, 3.0, 100.0])) * law.mean() < 1e-5).all()
    places = law.ppf([0.0, 0.1, 0.5, 0.9, 1.0])
    assert (np.diff(places) >= 0).all()
    assert places[-1] == high


def test_slopes_of_saturated_units_are_resolved():
    """E f'^2 by adaptive quadrature; between neighbouring slopes that count, less than a decade."""
    for sigma in (0.1, 1.0, 10.0):
        averages = gaussian_averages("tanh", sigma)
        exact, _ = integrate.quad(
            lambda t, s: np.exp(-t * t / 2) / np.cosh(s * t) ** 4, 0, 9, args=(sigma,), limit=200
        )
        # Slopes below 1e-4 count as 0, and their squares are at most 1e-8.
        assert averages.slope_moment(2) == pytest.approx(exact * np.sqrt(2 / np.pi), rel=1e-8)
        counted = averages.slopes[averages.slopes > 0]
        assert (np.diff(np.log10(counted)) < 1).all()


def test_equal_laws_are_equal():
    assert GaussNewtonLaw(0.5) == GaussNewtonLaw(0.5, "relu", 1, 1)
    assert GaussNewtonLaw(0.5) != GaussNewtonLaw(0.5, "tanh")
    assert len({GaussNewtonLaw(0.5), GaussNewtonLaw(0.5)}) == 1
    assert FullHessianLaw(0.5, 0.1) == FullHessianLaw(0.5, 0.1, "relu")
    assert FullHessianLaw(0.5, 0.1) != FullHessianLaw(0.5, 0.2)
    assert FullHessianLaw(0.5, 0.1) != GaussNewtonLaw(0.5)


# -- quantiles -----------------------------------------------------------------------------------


def test_quantiles_invert_the_distribution():
    law = relu(1.5)  # an atom of mass 1/3, then a density that diverges
    q = np.array([[0.0, 0.2, 1 / 3], [0.3334, 0.5, 1.0]])
    x = law.ppf(q)
    assert (x[0] == 0).all()
    np.testing.assert_allclose(law.cdf(x[1]), q[1], atol=1e-9)
    assert x[1, 2] == pytest.approx(law.support()[-1][1], rel=1e-3)
    ((low, _),) = relu(0.5).support()
    assert relu(0.5).ppf(0.0) == low
    assert np.shape(law.ppf(0.5)) == ()
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"q must be in \[0, 1\]"):
            law.ppf(wrong)


def test_draws_follow_the_law():
    """Moments exact, distance below the Kolmogorov quantile of 1e-4."""
    law = relu(0.5)
    draws = law.rvs((50, 80), rng=3)
    assert draws.shape == (50, 80)
    assert abs(draws.mean() - law.mean()) < 4 * np.sqrt(law.var() / draws.size)
    assert ks_distance(draws, law.cdf) < 2.23 / np.sqrt(draws.size)
    np.testing.assert_array_equal(draws, law.rvs((50, 80), rng=np.random.default_rng(3)))


# -- arguments -----------------------------------------------------------------------------------


def test_shapes_follow_the_argument(laws):
    law = laws["relu"]
    for shape in ((), (3,), (2, 0), (2, 2)):
        x = np.full(shape, 0.3)
        for method in (law.pdf, law.cdf, law.stieltjes):
            assert np.shape(method(x)) == shape


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"phi": 0.0}, r"phi must be in \[0.02, 4\], got 0.0"),
        ({"phi": 5.0}, r"phi must be in \[0.02, 4\], got 5.0"),
        ({"phi": "1"}, "phi must be real numbers"),
        ({"phi": 0.5, "sigma1": 0.0}, "sigma1 must be in"),
        ({"phi": 0.5, "sigma2": np.nan}, "sigma2 must be in"),
        ({"phi": 0.5, "activation": "sigmoid"}, "activation must be one of relu | tanh | linear"),
        ({"phi": 0.5, "activation": np.tanh}, r"or a pair \(f, f'\)"),
        ({"phi": 0.5, "activation": (np.tanh, np.ones_like)}, "f' the derivative of f"),
        ({"phi": 0.5, "activation": (np.sign, np.zeros_like)}, "must not be constant"),
        ({"phi": 0.5, "activation": (np.sum, np.cos)}, "must map arrays"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        GaussNewtonLaw(**arguments)


def test_bad_points_are_named(laws):
    law = laws["relu"]
    for method in (law.pdf, law.cdf):
        with pytest.raises(ValueError, match="x must be in"):
            method([0.1, np.nan])
    with pytest.raises(ValueError, match="z must be finite and not 0, got 0j"):
        law.stieltjes([1.0, 0.0])
    with pytest.raises(TypeError, match="z must be complex numbers"):
        law.stieltjes("1")


def test_a_point_that_does_not_converge_is_named(monkeypatch):
    """With one Newton step a level and no patience the error names the first such point."""
    equations = GaussNewtonEquations(0.5, gaussian_averages("relu", 1.0), 1.0)
    exact = GaussNewtonEquations._step

    def halted(self, z, rule, omega, s):
        d_omega, d_s = exact(self, z, rule, omega, s)
        return np.where((z.real > 1)[:, None], 1.0, d_omega), d_s

    monkeypatch.setattr(GaussNewtonEquations, "_step", halted)
    with pytest.raises(RuntimeError, match=r"do not converge at z = \(2\+0j\)"):
        equations.solve(np.array([0.5 + 0j, 2.0]))
