"""Index against energy: laws, closed forms, Monte Carlo, the paper's printed formulas."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hessrmt import (
    MarchenkoPastur,
    WishartPlusProductWishart,
    WishartPlusWigner,
    product_wishart,
    wigner,
    wishart,
)

mp = mpmath.mp.clone()
mp.dps = 60

MODELS = {
    "wigner": WishartPlusWigner,
    "product": WishartPlusProductWishart,
    "product-scaled": lambda phi: WishartPlusProductWishart(phi, sigma=0.3),
}
both = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)


def limit(build, phi):
    """The index at infinite energy."""
    return 0.5 if build is WishartPlusWigner else min(0.5, 0.5 / phi)


@both
@pytest.mark.parametrize("phi", [0.01, 0.25, 0.5, 0.9, 1.0, 1.7, 4.0])
def test_index_is_the_mass_of_the_law_below_zero(build, phi):
    """The closed form at z = 0 and the cumulative distribution are independent code."""
    model = build(phi)
    energies = model.critical_energy + np.geomspace(1e-6, 1e3, 60)
    masses = [model.law(epsilon).index() for epsilon in energies]
    np.testing.assert_allclose(model.index(energies), masses, atol=1e-12)


def at_zero(phi, epsilon, sigma):
    """The coefficients of G^3 to 1 in equation 30 at z = 0."""
    cubic = -epsilon * phi**2 * sigma * (phi - 2)
    return [cubic, -phi * epsilon * (1 - phi), -2 * sigma * (1 - phi), mp.mpf(-2)]


def exact_index(model, epsilon):
    """The closed form with complex logarithms in 60 digits; the paper's polynomials at z = 0."""
    phi, e = mp.mpf(model.phi), mp.mpf(epsilon)
    if isinstance(model, WishartPlusWigner):
        cubic = [2 * e * phi, -2 * e, phi - 1, -1]  # equation 18
    else:
        s = mp.mpf(model.sigma)
        cubic = at_zero(phi, e, s)
    # Polyroots wants the coefficients of F = 1/G, monic and of order one.
    monic = [c / cubic[-1] for c in cubic[::-1]]
    scale = max(abs(c) ** (mp.mpf(1) / k) for k, c in enumerate(monic) if k > 0)
    monic = [c / scale**k for k, c in enumerate(monic)]
    F = scale * max(mp.polyroots(monic, maxsteps=500, extraprec=500), key=lambda f: f.imag)
    G = 1 / F
    if isinstance(model, WishartPlusWigner):
        value = mp.log(G) - mp.log(1 - phi * G) / phi + e * G**2
    else:
        value = mp.log(G) - mp.log(1 - s * phi * G) / phi
        value -= mp.log(2 - e * phi**2 * G**2) / (2 * phi)
    return 1 + value.imag / mp.pi


@both
@pytest.mark.parametrize("phi", [1e-6, 1e-3, 0.05, 0.5, 0.8, 0.999999, 1.0, 1.0001, 1.3, 1.9999])
def test_index_is_as_exact_as_the_energy_allows(build, phi):
    """In relative terms, however small the index is.

    Near the critical energy, at epsilon_c (1 + t), rounding epsilon alone moves the index by
    3/2 10^-16/t of itself.
    """
    model = build(phi)
    if phi < 1:
        t = 10.0 ** np.array([-12, -10, -8, -6, -4, -2, 0, 2, 4])
        energies, tolerance = model.critical_energy * (1 + t), 5e-15 * (1 + 1 / t)
    else:
        energies, tolerance = np.geomspace(1e-12, 1e3, 9), np.full(9, 2e-15)
        if isinstance(model, WishartPlusProductWishart):
            energies = energies[energies < model.saturation_energy]
    for epsilon, bound in zip(energies, tolerance, strict=False):
        expected = exact_index(model, float(epsilon))
        assert abs(mp.mpf(float(model.index(epsilon))) / expected - 1) < bound


@pytest.mark.parametrize("kind", ["wigner", "product"])
def test_index_by_simulation(kind):
    """Two matrices each; eigenvalues are rigid, so their fraction below 0 fluctuates by O(1/n)."""
    rng = np.random.default_rng(1)
    n = 800
    for phi, epsilon in ((0.5, 0.3), (0.25, 0.1 if kind == "wigner" else 1.2), (1.5, 0.2)):
        negative = []
        for _ in range(2):
            H = wishart(n, phi, rng=rng)
            if kind == "wigner":
                H += wigner(n, np.sqrt(2 * epsilon), rng=rng)
            else:
                H += product_wishart(n // 2, phi, epsilon, rng=rng)
            negative.append(np.mean(np.linalg.eigvalsh(H) < 0))
        expected = MODELS[kind](phi).index(epsilon)
        assert expected > 0.01
        assert np.mean(negative) == pytest.approx(expected, abs=3 / n)


@pytest.mark.parametrize("phi", np.linspace(0.02, 0.98, 13))
def test_critical_energy_is_equation_21(phi):
    model = WishartPlusWigner(phi)
    printed = (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** 1.5) / 16
    assert model.critical_energy == pytest.approx(printed, abs=1e-15)
    # The left edge of the support is at 0 there.
    assert model.law(model.critical_energy).support()[0][0] == pytest.approx(0, abs=1e-12)


def test_critical_energy_near_one_is_equation_22():
    for delta in (1e-3, 1e-6, 1e-9):
        printed = 2 / 27 * delta**3
        assert WishartPlusWigner(1 - delta).critical_energy == pytest.approx(printed, rel=delta)
    assert WishartPlusWigner(1.0).critical_energy == 0.0
    assert WishartPlusWigner(3.0).critical_energy == 0.0


@pytest.mark.parametrize("phi", [1e-6, 0.01, 0.3, 0.5, 0.8, 0.999999])
@pytest.mark.parametrize("sigma", [1.0, 0.3])
def test_critical_energy_is_equation_32(phi, sigma):
    """In 120 digits, because the printed form cancels for phi near 0 and 1."""
    model = WishartPlusProductWishart(phi, sigma)
    with mp.workdps(120):
        p, s = mp.mpf(phi), mp.mpf(sigma)
        chi = 1 + 16 * p - 8 * p**2
        printed = s**2 * (27 - 18 * chi - chi**2 + 8 * chi ** mp.mpf(1.5))
        printed /= 32 * p * (1 - p) ** 3
        assert abs(mp.mpf(model.critical_energy) / printed - 1) < 1e-15
        # The quartic (30) has a double root at z = 0 there.
        a, b, c, d = at_zero(p, printed, s)
        terms = [18 * a * b * c * d, -4 * b**3 * d, (b * c) ** 2, -4 * a * c**3, -27 * (a * d) ** 2]
        assert abs(sum(terms)) < mp.mpf("1e-60") * max(abs(term) for term in terms)
    low = model.law(model.critical_energy).support()[0][0]
    assert low == pytest.approx(0, abs=1e-12 * sigma)


def test_critical_energy_near_one_is_equation_33():
    for delta in (1e-3, 1e-6, 1e-9):
        for sigma in (1.0, 0.2):
            model = WishartPlusProductWishart(1 - delta, sigma)
            printed = 8 / 27 * sigma**2 * delta**3
            assert model.critical_energy == pytest.approx(printed, rel=2 * delta)
        # With sigma = 1/2 it is equation 22, that of the other model.
        half = WishartPlusProductWishart(1 - delta, 0.5).critical_energy
        assert half == pytest.approx(WishartPlusWigner(1 - delta).critical_energy, rel=2 * delta)
    assert WishartPlusProductWishart(1.0).critical_energy == 0.0
    assert WishartPlusProductWishart(3.0).critical_energy == 0.0


def test_energies_scale_with_the_square_of_sigma():
    energies = np.geomspace(0.01, 10, 7)
    for phi in (0.4, 1.0, 1.6):
        one, other = WishartPlusProductWishart(phi), WishartPlusProductWishart(phi, 3.0)
        np.testing.assert_allclose(other.index(9 * energies), one.index(energies), rtol=1e-12)
        assert other.critical_energy == pytest.approx(9 * one.critical_energy)
        assert other.saturation_energy == pytest.approx(9 * one.saturation_energy)
        alpha = np.linspace(0.26, 0.3, 3)
        np.testing.assert_allclose(other.energy_at_index(alpha), 9 * one.energy_at_index(alpha))


@pytest.mark.parametrize("phi", [1.05, 1.3, 1.7, 1.95])
def test_index_of_the_product_model_saturates(phi):
    """Where an edge passes 0 from above: all negative eigenvalues of H1 are then below 0."""
    model = WishartPlusProductWishart(phi)
    saturation = model.saturation_energy
    below, above = (model.law(saturation * (1 + t)) for t in (-1e-4, 1e-4))
    assert any(low < 0 < high for low, high in below.support())
    assert not any(low < 0 < high for low, high in above.support())
    assert above.atoms() == ()
    assert above.index() == pytest.approx(1 / (2 * phi), abs=1e-15)
    alpha = model.index(saturation * np.array([1e-20, 0.99, 0.9999, 1.0, 1.1, 1e6]))
    assert alpha[0] == pytest.approx((1 - 1 / phi) / 2, abs=1e-7)
    assert (np.diff(alpha[:4]) > 0).all()
    assert (alpha[3:] == 1 / (2 * phi)).all()
    # A square-root edge passes 0, as at a critical energy: power 3/2 again.
    t = np.array([1e-4, 5e-5])
    missing = 1 / (2 * phi) - model.index(saturation * (1 - t))
    assert missing[0] / missing[1] == pytest.approx(2**1.5, rel=1e-3)


def test_saturation_by_simulation():
    """Above the saturation energy the number of negative eigenvalues is exactly that of H1."""
    rng = np.random.default_rng(5)
    n, phi = 300, 1.5
    model = WishartPlusProductWishart(phi)
    for factor in (0.5, 1.3):
        epsilon = factor * model.saturation_energy
        H = wishart(2 * n, phi, rng=rng) + product_wishart(n, phi, epsilon, rng=rng)
        negative = int((np.linalg.eigvalsh(H) < 0).sum())
        assert negative == pytest.approx(2 * n * model.index(epsilon), abs=3)
        assert (negative == n / phi) == (factor > 1)


@pytest.mark.parametrize("phi", [2.0, 2.5, 4.0])
def test_index_of_the_product_model_is_constant_from_phi_2_on(phi):
    """H0 and H1 have ranges of 1/phi each, which do not meet; an atom of 1 - 2/phi remains."""
    model = WishartPlusProductWishart(phi)
    assert model.saturation_energy == 0.0
    alpha = 1 / (2 * phi)
    np.testing.assert_array_equal(model.index([0.0, 1e-9, 1.0, 1e9]), [0.0, alpha, alpha, alpha])
    law = model.law(0.7)
    assert law.index() == pytest.approx(alpha, abs=1e-15)
    assert sum(mass for _, mass in law.atoms()) == pytest.approx(1 - 2 / phi, abs=1e-15)
    with pytest.raises(ValueError, match=r"phi must be in \(0, 2\)"):
        model.energy_at_index(0.2)
    rng = np.random.default_rng(2)
    n = 100
    H = wishart(2 * n, phi, rng=rng) + product_wishart(n, phi, 0.7, rng=rng)
    levels = np.linalg.eigvalsh(H)
    assert (levels < -1e-10).sum() == round(n / phi)
    assert (np.abs(levels) < 1e-10).sum() == 2 * n - round(2 * n / phi) - 2 * round(n / phi)


@both
@pytest.mark.parametrize("phi", [0.05, 0.3, 0.5, 0.8, 0.97])
def test_small_index_law_is_the_limit(build, phi):
    """The ratio to the exact index tends to 1 linearly in (epsilon - epsilon_c)/epsilon_c."""
    model = build(phi)
    excess = np.array([1e-3, 5e-4])
    energies = model.critical_energy * (1 + excess)
    deviation = model.index(energies) / model.small_index(energies) - 1
    assert np.abs(deviation).max() < 2e-3
    assert deviation[0] / deviation[1] == pytest.approx(2, rel=0.05)
    assert model.small_index(model.critical_energy / 2) == 0.0


@both
@settings(max_examples=50)
@given(phi=st.floats(0.02, 3.0), excess=st.floats(1e-3, 20.0))
def test_energy_at_index_inverts_the_index(build, phi, excess):
    model = build(phi)
    epsilon = model.critical_energy + excess
    if isinstance(model, WishartPlusProductWishart) and epsilon > 0.99 * model.saturation_energy:
        return
    assert model.energy_at_index(model.index(epsilon)) == pytest.approx(epsilon, rel=1e-8)


@both
@pytest.mark.parametrize("phi", [1e-8, 1e-3, 0.5, 0.999999, 1 - 1e-9, 1.0])
def test_energies_at_tiny_indices(build, phi):
    model = build(phi)
    alpha = 10.0 ** np.array([-100, -60, -12, -6, -2])
    energies = model.energy_at_index(alpha)
    assert (energies >= model.critical_energy).all()
    assert (np.diff(energies) >= 0).all()
    # Where the excess energy is far above the rounding of the energy, it is found.
    found = energies > model.critical_energy * (1 + 1e-9)
    assert found.sum() >= 2
    np.testing.assert_allclose(model.index(energies[found]), alpha[found], rtol=1e-5)


@both
def test_energies_from_1e_minus_300_to_1e300(build):
    """No overflow on the way: warnings are errors here."""
    energies = 10.0 ** np.arange(-300, 301, 50)
    for phi in (1e-3, 0.5, 1.0, 1.5, 3.0):
        alpha = build(phi).index(energies)
        assert (np.diff(alpha) > -1e-15).all()
        assert alpha[-1] == pytest.approx(limit(build, phi), abs=1e-15)


@both
def test_energy_at_index_zero_is_the_critical_energy(build):
    model = build(0.5)
    np.testing.assert_array_equal(model.energy_at_index([[0.0]]), [[model.critical_energy]])


@both
@settings(max_examples=40)
@given(phi=st.floats(0.02, 4.0))
def test_index_rises_from_zero_to_its_limit(build, phi):
    """One half, or all that the second matrix has on its negative side."""
    model = build(phi)
    energies = np.concatenate([[0.0, model.critical_energy], np.geomspace(1e-12, 1e12, 300)])
    alpha = model.index(np.sort(energies))
    assert alpha[0] == 0
    assert (np.diff(alpha) > -1e-14).all()
    assert alpha[-1] == pytest.approx(limit(build, phi), abs=2e-4)


@both
def test_energy_zero_is_marchenko_pastur_itself(build):
    model = build(2.0)
    law = model.law(0.0)
    assert isinstance(law, MarchenkoPastur)
    assert law.sigma == getattr(model, "sigma", 1.0)
    assert law.atoms() == ((0.0, 0.5),)


@both
def test_shapes_follow_the_argument(build):
    model = build(0.5)
    for shape in ((), (3,), (2, 0), (2, 3)):
        energies = np.full(shape, 0.2)
        assert np.shape(model.index(energies)) == shape
        assert np.shape(model.small_index(energies)) == shape
        assert np.shape(model.energy_at_index(energies)) == shape


@both
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, 1j, "0.5", None, [0.5]])
def test_bad_phi_and_sigma_are_named(build, value):
    with pytest.raises((TypeError, ValueError), match=r"phi must be .*\(0, inf\), got"):
        build(value)
    with pytest.raises((TypeError, ValueError), match=r"sigma must be .*\(0, inf\), got"):
        WishartPlusProductWishart(0.5, value)


@both
@pytest.mark.parametrize("epsilon", [-1e-9, np.nan, np.inf, 1j, "0.5", None])
def test_bad_energies_are_named(build, epsilon):
    model = build(0.5)
    for method in (model.law, model.index, model.small_index):
        with pytest.raises((TypeError, ValueError), match=r"epsilon must be .*\[0, inf\), got"):
            method(epsilon)


def test_indices_out_of_reach_are_named():
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 0.5\), got 0.5"):
        WishartPlusWigner(0.5).energy_at_index(0.5)
    with pytest.raises(ValueError, match=r"alpha must be in \(0.25, 0.5\), got 0.2"):
        WishartPlusWigner(2.0).energy_at_index(0.2)
    with pytest.raises(ValueError, match=r"alpha must be in \(0.1\d*, 0.3\d*\), got 0.4"):
        WishartPlusProductWishart(1.5).energy_at_index(0.4)
    for model in (WishartPlusWigner(1.5), WishartPlusProductWishart(1.5)):
        for attribute in (lambda m: m.index_prefactor, lambda m: m.small_index(1.0)):
            with pytest.raises(ValueError, match=r"phi must be in \(0, 1\)"):
                attribute(model)
