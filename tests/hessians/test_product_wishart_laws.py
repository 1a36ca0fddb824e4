"""Laws of Wishart + product Wishart against the paper's quartic (30) in 40-digit arithmetic.

The physical root is found without the package's criterion: it is the one that is continued from
F = 1/G = z + O(1) far up in the upper half-plane, straight down to the real axis.
"""

import mpmath
import numpy as np
import pytest

from hessrmt import WishartPlusProductWishart, product_wishart, wishart

mp = mpmath.mp.clone()
mp.dps = 40


def quartic_30(phi, epsilon, sigma, z):
    """The coefficients of G^4 to 1 in equation 30, its left side brought to the right."""
    return [
        z * epsilon * sigma * phi**3,
        -epsilon * phi**2 * (z + sigma * (phi - 2)),
        -phi * (2 * sigma * z + epsilon * (1 - phi)),
        2 * (z - sigma * (1 - phi)),
        -2,
    ]


def continued_roots(phi, epsilon, sigma, x):
    """F = 1/G at x + i0 for arrays of laws and points, in double precision.

    In F the quartic is monic after division by -2, and F = z - sigma + O(1/z) at infinity. Each
    step takes the root next to the previous one, which must be the only one near.
    """
    scale = sigma + np.sqrt(epsilon * phi / 2) + np.abs(x)
    F = x - sigma + 100j * scale
    for height in [*np.geomspace(100, 1e-9, 120), 0.0]:
        coefficients = quartic_30(phi, epsilon, sigma, x + 1j * height * scale)
        companion = np.zeros((x.size, 4, 4), dtype=complex)
        companion[:, [1, 2, 3], [0, 1, 2]] = 1
        companion[:, :, 3] = np.stack(coefficients[:4], axis=1) / 2
        roots = np.linalg.eigvals(companion)
        distance = np.sort(np.abs(roots - F[:, None]), axis=1)
        if height > 0:
            assert (distance[:, 0] < 0.3 * distance[:, 1]).all()
        F = roots[np.arange(x.size), np.abs(roots - F[:, None]).argmin(axis=1)]
    return F


def exact(phi, epsilon, sigma, x):
    """Density and distribution function in 40 digits at points inside the support.

    The distribution is 1 - Im(z G - log G - integral of R)/pi.
    """
    values = []
    continued = continued_roots(phi, epsilon, sigma, x)
    for row, F in zip(np.stack([phi, epsilon, sigma, x], axis=1).tolist(), continued, strict=True):
        p, e, s, z = map(mp.mpf, row)
        coefficients = quartic_30(p, e, s, z)
        slope = [k * c for k, c in zip((4, 3, 2, 1), coefficients, strict=False)]
        G = 1 / mp.mpc(F.real, abs(F.imag))
        for _ in range(8):
            G -= mp.polyval(coefficients, G) / mp.polyval(slope, G)
        assert abs(mp.mpc(F.real, abs(F.imag)) * G - 1) < 1e-5  # still the same root
        q = p * mp.sqrt(e / 2)
        integral_of_r = -(mp.log(1 - s * p * G) + (mp.log(1 - q * G) + mp.log(1 + q * G)) / 2) / p
        primitive = z * G - mp.log(G) - integral_of_r
        values.append((-G.imag / mp.pi, 1 - primitive.imag / mp.pi))
    return values


def random_parameters():
    rng = np.random.default_rng(20170806)
    corners = [(phi, epsilon, 1.0) for phi in (0.01, 1.0, 4.0) for epsilon in (1e-4, 10.0)]
    phi, epsilon, sigma = rng.uniform((0.01, -4, -1), (4, 1, 1), (194, 3)).T
    return corners + list(zip(phi, 10**epsilon, 10**sigma, strict=True))


def errors(rows, found, exact_values):
    """Absolute errors, relative ones where the exact value exceeds 1."""
    assert len(rows) == len(found) == len(exact_values)
    pairs = zip(exact_values, found, strict=True)
    return np.array([float(abs(e - mp.mpf(float(f))) / max(1, abs(e))) for e, f in pairs])


@pytest.mark.parametrize("block", range(4))
def test_200_random_laws_to_1e12(block):
    """Density and distribution inside the support, and at 0 where that is inside: the index."""
    rng = np.random.default_rng(block)
    rows, density, mass, index, at_zero = [], [], [], [], []
    for phi, epsilon, sigma in random_parameters()[block::4]:
        model = WishartPlusProductWishart(phi, sigma)
        law = model.law(epsilon)
        for low, high in law.support():
            x = low + (high - low) * rng.uniform(0.005, 0.995, 3)
            if low < 0 < high:
                at_zero.append(len(rows))
                index.append(model.index(epsilon))
                x = np.append(0.0, x)
            # Few points are solved for one by one, many from a table: both paths.
            density.extend(law.pdf(x))
            mass.extend(law.cdf(x))
            law.pdf(np.linspace(low, high, 600))
            np.testing.assert_allclose(law.pdf(x), density[-x.size :], rtol=1e-12, atol=1e-12)
            rows += [(phi, epsilon, sigma, value) for value in x]
    expected = exact(*np.array(rows).T)
    assert errors(rows, density, [d for d, _ in expected]).max() < 1e-12
    assert errors(rows, mass, [m for _, m in expected]).max() < 1e-14
    assert len(index) > 10
    assert errors(index, index, [expected[i][1] for i in at_zero]).max() < 1e-14


def discriminant(quartic):
    """By its two invariants, the quadratic and the cubic one."""
    a, b, c, d, e = quartic
    first = 12 * a * e - 3 * b * d + c**2
    second = 72 * a * c * e + 9 * b * c * d - 27 * a * d**2 - 27 * e * b**2 - 2 * c**3
    return (4 * first**3 - second**2) / 27


@pytest.mark.parametrize("block", range(4))
def test_edges_are_where_the_discriminant_vanishes(block):
    """To 1e-12; close to an edge the density follows the square root there to 1e-7."""
    near, density = [], []
    for phi, epsilon, sigma in random_parameters()[block:100:4]:
        law = WishartPlusProductWishart(phi, sigma).law(epsilon)
        parameters = [mp.mpf(float(v)) for v in (phi, epsilon, sigma)]
        for low, high in law.support():
            for edge in (low, high):
                step = mp.mpf(high - low) * mp.mpf("1e-9")
                root = mp.findroot(
                    lambda z, p=parameters: discriminant(quartic_30(*p, z)),
                    (edge - step, edge + step),
                    tol=1e-70,
                    verify=False,
                )
                assert abs(float(root - mp.mpf(edge))) < 1e-12
            x = np.array([low + 1e-7 * (high - low), high - 1e-7 * (high - low)])
            near += [(phi, epsilon, sigma, value) for value in x]
            density.extend(law.pdf(x))
    expected = exact(*np.array(near).T)
    assert errors(near, density, [d for d, _ in expected]).max() < 1e-7


def test_index_against_quadrature_of_the_density():
    """The integration by parts itself: 40-digit quadrature of the density below 0."""
    phi, epsilon, sigma = 0.5, 0.8, 0.9
    model = WishartPlusProductWishart(phi, sigma)
    low, high = model.law(epsilon).support()[0]
    assert low < 0 < high
    t, weights = np.polynomial.legendre.leggauss(60)  # x = low (1 - t^2), a smooth integrand
    t, weights = (t + 1) / 2, weights / 2
    x = low * (1 - t * t)
    same = np.full_like(x, 1.0)
    density = [float(d) for d, _ in exact(phi * same, epsilon * same, sigma * same, x)]
    area = np.sum(weights * density * 2 * t) * -low
    assert model.index(epsilon) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize(
    "phi, epsilon, sigma", [(0.5, 0.4, 0.8), (0.25, 1.5, 1.0), (1.5, 0.5, 1.0)]
)
def test_law_by_simulation(phi, epsilon, sigma):
    """Kolmogorov distance below 2/n: eigenvalues are rigid, to O(log n/n) with certainty."""
    rng = np.random.default_rng(7)
    n = 500
    H = wishart(2 * n, phi, sigma, rng=rng) + product_wishart(n, phi, epsilon, rng=rng)
    levels = np.linalg.eigvalsh(H)
    cdf = WishartPlusProductWishart(phi, sigma).law(epsilon).cdf(levels)
    steps = np.arange(2 * n + 1) / (2 * n)
    assert max((steps[1:] - cdf).max(), (cdf - steps[:-1]).max()) < 2 / n


def test_the_sum_has_the_quartic_of_the_paper():
    """And, through the sum of R-transforms, equation 29 with it."""
    phi, epsilon, sigma = 0.25, 0.7, 1.5
    model = WishartPlusProductWishart(phi, sigma)
    polynomial = model.law(epsilon).polynomial()
    for z in (0.3, -1.1):
        mine = np.array([float(c) for c in polynomial.eval("z", z).all_coeffs()])
        np.testing.assert_allclose(mine * 2, quartic_30(phi, epsilon, sigma, z), rtol=1e-13)
    g = np.array([0.3 + 0.2j, -0.7j])
    printed = sigma / (1 - sigma * phi * g) + epsilon * phi * g / (2 - epsilon * phi**2 * g**2)
    np.testing.assert_allclose(model.law(epsilon).r_transform(g), printed, rtol=1e-14)
