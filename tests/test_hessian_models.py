"""Index against energy: laws, closed forms, Monte Carlo, the paper's printed formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hessrmt import MarchenkoPastur, WishartPlusWigner, wigner, wishart


@pytest.mark.parametrize("phi", [0.01, 0.25, 0.5, 0.9, 1.0, 1.7, 4.0])
def test_index_is_the_mass_of_the_law_below_zero(phi):
    """The closed form at z = 0 and the cumulative distribution are independent code."""
    model = WishartPlusWigner(phi)
    energies = model.critical_energy + np.geomspace(1e-6, 1e3, 60)
    masses = [model.law(epsilon).index() for epsilon in energies]
    np.testing.assert_allclose(model.index(energies), masses, atol=1e-12)


def test_index_by_simulation():
    """Two matrices each; eigenvalues are rigid, so their fraction below 0 fluctuates by O(1/n)."""
    rng = np.random.default_rng(1)
    n = 800
    for phi, epsilon in ((0.5, 0.3), (0.25, 0.1), (1.5, 0.2)):
        negative = [
            np.mean(
                np.linalg.eigvalsh(
                    wishart(n, phi, rng=rng) + wigner(n, np.sqrt(2 * epsilon), rng=rng)
                )
                < 0
            )
            for _ in range(2)
        ]
        assert np.mean(negative) == pytest.approx(WishartPlusWigner(phi).index(epsilon), abs=3 / n)


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


@pytest.mark.parametrize("phi", [0.05, 0.3, 0.5, 0.8, 0.97])
def test_small_index_law_is_the_limit(phi):
    """The ratio to the exact index tends to 1 linearly in (epsilon - epsilon_c)/epsilon_c."""
    model = WishartPlusWigner(phi)
    excess = np.array([1e-3, 5e-4])
    energies = model.critical_energy * (1 + excess)
    deviation = model.index(energies) / model.small_index(energies) - 1
    assert np.abs(deviation).max() < 2e-3
    assert deviation[0] / deviation[1] == pytest.approx(2, rel=0.05)
    assert model.small_index(model.critical_energy / 2) == 0.0


@settings(max_examples=50, deadline=None)
@given(st.floats(0.02, 3.0), st.floats(1e-3, 20.0))
def test_energy_at_index_inverts_the_index(phi, excess):
    model = WishartPlusWigner(phi)
    epsilon = model.critical_energy + excess
    assert model.energy_at_index(model.index(epsilon)) == pytest.approx(epsilon, rel=1e-8)


def test_energy_at_index_zero_is_the_critical_energy():
    model = WishartPlusWigner(0.5)
    np.testing.assert_array_equal(model.energy_at_index([[0.0]]), [[model.critical_energy]])


@settings(max_examples=40, deadline=None)
@given(st.floats(0.02, 4.0))
def test_index_rises_from_zero_to_one_half(phi):
    model = WishartPlusWigner(phi)
    energies = np.concatenate([[0.0, model.critical_energy], np.geomspace(1e-12, 1e12, 300)])
    alpha = model.index(np.sort(energies))
    assert alpha[0] == 0
    assert (np.diff(alpha) > -1e-14).all()
    assert alpha[-1] == pytest.approx(0.5, abs=1e-5)


def test_energy_zero_is_marchenko_pastur_itself():
    law = WishartPlusWigner(2.0).law(0.0)
    assert isinstance(law, MarchenkoPastur)
    assert law.atoms() == ((0.0, 0.5),)


def test_shapes_follow_the_argument():
    model = WishartPlusWigner(0.5)
    for shape in ((), (3,), (2, 0), (2, 3)):
        energies = np.full(shape, 0.2)
        assert np.shape(model.index(energies)) == shape
        assert np.shape(model.small_index(energies)) == shape
        assert np.shape(model.energy_at_index(energies)) == shape


@pytest.mark.parametrize("phi", [0, -1.0, np.nan, np.inf, 1j, "0.5", None, [0.5]])
def test_bad_phi_is_named(phi):
    with pytest.raises((TypeError, ValueError), match=r"phi must be .*\(0, inf\), got"):
        WishartPlusWigner(phi)


@pytest.mark.parametrize("epsilon", [-1e-9, np.nan, np.inf, 1j, "0.5", None])
def test_bad_energies_are_named(epsilon):
    model = WishartPlusWigner(0.5)
    for method in (model.law, model.index, model.small_index):
        with pytest.raises((TypeError, ValueError), match=r"epsilon must be .*\[0, inf\), got"):
            method(epsilon)


def test_indices_out_of_reach_are_named():
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 0.5\), got 0.5"):
        WishartPlusWigner(0.5).energy_at_index(0.5)
    with pytest.raises(ValueError, match=r"alpha must be in \(0.25, 0.5\), got 0.2"):
        WishartPlusWigner(2.0).energy_at_index(0.2)
    for attribute in (lambda m: m.index_prefactor, lambda m: m.small_index(1.0)):
        with pytest.raises(ValueError, match=r"phi must be in \(0, 1\)"):
            attribute(WishartPlusWigner(1.5))
