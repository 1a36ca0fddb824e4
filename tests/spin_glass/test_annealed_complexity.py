"""Complexity, layers and the law of the Hessian against 40-digit arithmetic and simulation."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hessrmt import complexity, layer_energy, threshold_energy, wigner
from hessrmt.spin_glass import hessian_index, hessian_law, small_hessian_index


def printed(u, H, layers):
    """Theta as Choromanska et al. print it, for u <= -E_infinity, in 40 digits."""
    with mpmath.workdps(40):
        u, H = mpmath.mpf(u), mpmath.mpf(H)
        E = 2 * mpmath.sqrt((H - 1) / H)
        root = mpmath.sqrt(u**2 - E**2)
        rate = -u / E**2 * root - mpmath.log(-u + root) + mpmath.log(E)
        return mpmath.log(H - 1) / 2 - (H - 2) * u**2 / (4 * (H - 1)) - layers * rate


@pytest.mark.parametrize("H", [2, 3, 4, 10])
@pytest.mark.parametrize("k", [None, 0, 1, 5])
def test_complexity_is_the_printed_formula(H, k):
    u = -threshold_energy(H) * (1 + np.geomspace(1e-9, 3, 30))
    expected = [float(printed(float(v), H, 1 if k is None else k + 1)) for v in u]
    np.testing.assert_allclose(complexity(u, H, k), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("H", [2, 3, 4, 10])
def test_complexity_above_the_threshold(H):
    E = threshold_energy(H)
    u = np.linspace(-E, 0, 11)
    expected = np.log(H - 1) / 2 - (H - 2) * u**2 / (4 * (H - 1))
    np.testing.assert_allclose(complexity(u, H), expected, atol=1e-15)
    np.testing.assert_allclose(complexity([0.5, 7.0], H), np.log(H - 1) / 2, atol=1e-15)
    np.testing.assert_allclose(
        complexity([-E, -0.3, 2.0], H, 3), np.log(H - 1) / 2 - (H - 2) / H, atol=1e-15
    )


@settings(max_examples=50)
@given(st.integers(2, 30), st.one_of(st.none(), st.integers(0, 8)))
def test_complexity_is_continuous_and_does_not_fall(H, k):
    E = threshold_energy(H)
    for place in (-E, 0.0):
        below, above = complexity([place - 1e-9, place + 1e-9], H, k)
        assert abs(above - below) < 1e-7
    assert (np.diff(complexity(np.linspace(-3, 1, 400), H, k)) > -1e-14).all()


@pytest.mark.parametrize("H", [3, 4, 5, 10])
@pytest.mark.parametrize("k", [0, 1, 2, 10, 200])
def test_layer_energies_in_40_digits(H, k):
    with mpmath.workdps(40):
        E = 2 * mpmath.sqrt(mpmath.mpf(H - 1) / H)
        low, high = E * (1 + mpmath.mpf(10) ** -12), mpmath.mpf(10)
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if printed(-middle, H, k + 1) > 0 else (low, middle)
    assert layer_energy(H, k) == pytest.approx(float(low), abs=1e-12)


def test_layers_as_printed():
    """Known to six places for three layers: ground state and first saddles."""
    assert [round(layer_energy(3, k), 6) for k in (0, 1)] == [1.656998, 1.652873]
    layers = [layer_energy(3, k) for k in range(50)]
    assert (np.diff(layers) < 0).all()
    # I(u) starts like the distance to the threshold to the power 3/2: 8 layers for 1, 1/4 of it.
    distances = [layer_energy(3, k) - threshold_energy(3) for k in (999, 7999)]
    assert distances[0] / distances[1] == pytest.approx(4, rel=1e-2)


@pytest.mark.parametrize("H", [2, 3, 7])
def test_hessian_index_is_the_mass_of_the_law(H):
    E = threshold_energy(H)
    u = E * np.concatenate([[-1.5, -1], -1 + np.geomspace(1e-6, 1.9, 40), [1.0, 1.2]])
    masses = [hessian_law(each, H).index() for each in u]
    np.testing.assert_allclose(hessian_index(u, H), masses, atol=1e-12)
    low, high = hessian_law(-E, H).support()[0]
    assert low == pytest.approx(0, abs=1e-13)
    assert high == pytest.approx(4 * np.sqrt(H * (H - 1)), rel=1e-14)


def test_hessian_index_by_simulation():
    """Rigid eigenvalues: the fraction below zero fluctuates by O(1/n)."""
    n, H = 300, 3
    for u in (-1.4, -0.5, 0.8):
        matrix = wigner(n, np.sqrt(H * (H - 1)), rng=1) - H * u * np.eye(n)
        fraction = np.mean(np.linalg.eigvalsh(matrix) < 0)
        assert fraction == pytest.approx(hessian_index(u, H), abs=3 / n)


def test_hessian_index_next_to_the_threshold_keeps_its_digits():
    """alpha = (t - sin t cos t)/pi at u = -E cos t, in 40 digits; the last power is 3/2."""
    for excess in (1e-12, 1e-8, 1e-5, 2.4e-5, 2.6e-5, 1e-3):
        u = -threshold_energy(3) * (1 - excess)
        with mpmath.workdps(40):
            x = mpmath.mpf(u) / mpmath.mpf(threshold_energy(3))
            t = mpmath.acos(-x)
            exact = float((t - mpmath.sin(t) * mpmath.cos(t)) / mpmath.pi)
            actual = float(1 + x)
        # u itself carries a rounding error of 1e-16 that 1 + u/E magnifies.
        assert hessian_index(u, 3) == pytest.approx(exact, rel=1e-10 + 1e-15 / actual)


def test_small_index_law_is_the_limit():
    excess = np.array([1e-3, 5e-4])
    u = -threshold_energy(4) * (1 - excess)
    deviation = hessian_index(u, 4) / small_hessian_index(u, 4) - 1
    assert np.abs(deviation).max() < 2e-3
    assert deviation[0] / deviation[1] == pytest.approx(2, rel=0.05)
    assert small_hessian_index(-2.0, 4) == 0


def test_shapes_follow_the_argument():
    for shape in ((), (3,), (2, 0), (2, 3)):
        u = np.full(shape, -1.2)
        for value in (complexity(u, 3), complexity(u, 3, 1), hessian_index(u, 3)):
            assert np.shape(value) == shape


@pytest.mark.parametrize("H", [1, 0, -3, 2.5, "3", None, True])
def test_bad_H_is_named(H):
    for call in (threshold_energy, lambda h: complexity(-1.0, h), lambda h: hessian_index(0.0, h)):
        with pytest.raises((TypeError, ValueError), match=r"H must be .*\[2, inf\), got"):
            call(H)
    with pytest.raises((TypeError, ValueError), match=r"H must be .*\[3, inf\), got"):
        layer_energy(H)


def test_other_bad_input_is_named():
    with pytest.raises(ValueError, match=r"k must be in \[0, inf\), got -1"):
        complexity(-1.0, 3, -1)
    with pytest.raises(ValueError, match=r"u must be in \(-inf, inf\), got nan"):
        complexity([0.0, np.nan], 3)
    with pytest.raises(ValueError, match=r"H must be in \[3, inf\), got 2"):
        layer_energy(2)
    with pytest.raises(TypeError, match="u must be one real number"):
        hessian_law([1.0, 2.0], 3)
