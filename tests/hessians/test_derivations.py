"""The derivations against the paper's printed equations and against the numerical code."""

import numpy as np
import pytest
import sympy as sp

from hessrmt import (
    MarchenkoPastur,
    ProductWishart,
    Semicircle,
    WishartPlusProductWishart,
    WishartPlusWigner,
)
from hessrmt.hessians import derivations as d

MODELS = {
    d.wishart_plus_wigner_r: WishartPlusWigner,
    d.wishart_plus_product_wishart_r: WishartPlusProductWishart,
}
both = pytest.mark.parametrize("r, build", MODELS.items(), ids=["wigner", "product"])


def test_r_transforms_are_the_paper_s():
    assert sp.simplify(d.semicircle_r() - d.sigma**2 * d.G) == 0
    printed = d.sigma / (1 - d.sigma * d.phi * d.G)
    assert sp.simplify(d.marchenko_pastur_r() - printed) == 0
    printed = d.epsilon * d.phi * d.G / (2 - d.epsilon * d.phi**2 * d.G**2)  # equation 28
    assert sp.simplify(d.product_wishart_r() - printed) == 0


def test_cubic_is_equation_18():
    G, z, phi, eps = d.G, d.z, d.phi, d.epsilon
    printed = 2 * eps * phi * G**3 - (2 * eps + z * phi) * G**2 + (z + phi - 1) * G - 1
    assert sp.expand(d.wishart_plus_wigner_cubic().as_expr() - printed) == 0


def test_quartic_is_equation_30():
    G, z, phi, eps, sigma = d.G, d.z, d.phi, d.epsilon, d.sigma
    left = 2
    right = (
        2 * (z - sigma * (1 - phi)) * G
        - phi * (2 * sigma * z + eps * (1 - phi)) * G**2
        - eps * phi**2 * (z + sigma * (phi - 2)) * G**3
        + z * eps * sigma * phi**3 * G**4
    )
    derived = d.wishart_plus_product_wishart_quartic().as_expr()
    assert sp.expand(derived - (right - left)) == 0


def test_laws_have_the_derived_polynomial():
    law = MarchenkoPastur(0.25) + Semicircle(1.0)
    derived = d.wishart_plus_wigner_cubic().as_expr().subs({d.phi: 0.25, d.epsilon: 0.5})
    assert sp.Poly(derived, d.G, d.z).as_dict() == pytest.approx(law.polynomial().as_dict())
    law = MarchenkoPastur(0.25, 3.0) + ProductWishart(0.25, 0.5)
    values = {d.phi: 0.25, d.epsilon: 0.5, d.sigma: 3.0}
    derived = d.wishart_plus_product_wishart_quartic().as_expr().subs(values) / 2
    assert sp.Poly(derived, d.G, d.z).as_dict() == pytest.approx(law.polynomial().as_dict())


def test_critical_energy_is_equation_21():
    phi = d.phi
    printed = (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** sp.Rational(3, 2)) / 16
    assert sp.expand(sp.expand(d.critical_energy() - printed)) == 0
    # The factored form that the numerical code uses.
    s = sp.Symbol("s", positive=True)
    factored = (3 - s) ** 3 * (1 + s) / 128
    assert sp.expand(printed.subs(phi, (s**2 - 1) / 8) - factored) == 0


def test_critical_energy_is_equation_32():
    phi, sigma = d.phi, d.sigma
    chi = 1 + 16 * phi - 8 * phi**2
    printed = sigma**2 * (27 - 18 * chi - chi**2 + 8 * chi ** sp.Rational(3, 2))
    printed /= 32 * phi * (1 - phi) ** 3
    derived = d.critical_energy(d.wishart_plus_product_wishart_r)
    assert sp.simplify(derived - printed) == 0
    # The forms that the numerical code uses, where phi solves s^2 = chi.
    s = sp.Symbol("s", positive=True)
    u = sp.Symbol("u")  # 1 - phi
    in_s = {chi: s**2, sp.sqrt(chi): s, chi ** sp.Rational(3, 2): s**3}
    critical = 16 * u**3 * (1 + s) / ((1 - u) * (3 + s) ** 3)
    saturated = -(1 + u) * (3 + s) ** 3 / (4 * u**3 * (1 + s))
    pairs = ((derived, critical), (d.saturation_energy(), saturated))
    for expression, factored in pairs:
        gap = (expression.subs(in_s) / sigma**2).subs(phi, 1 - u) - factored
        numerator = sp.Poly(sp.numer(sp.together(gap)), s)
        assert sp.rem(numerator, sp.Poly(s**2 - 9 + 8 * u**2, s)).is_zero


def test_saturation_energy_is_the_one_of_the_model():
    for phi in (1.01, 1.4, 1.99):
        exact = d.saturation_energy().subs({d.phi: sp.Float(phi, 40), d.sigma: 3}).evalf(30)
        model = WishartPlusProductWishart(phi, 3.0)
        assert model.saturation_energy == pytest.approx(float(exact), rel=1e-14)


def test_series_is_equation_33():
    phi, sigma = d.phi, d.sigma
    model = d.wishart_plus_product_wishart_r
    printed = sp.Rational(8, 27) * sigma**2 * (1 - phi) ** 3
    assert sp.expand(d.critical_energy_series(4, model) - printed) == 0
    value = float(d.critical_energy_series(7, model).subs({phi: 0.99, sigma: 2}))
    expected = WishartPlusProductWishart(0.99, 2.0).critical_energy
    assert expected == pytest.approx(value, rel=1e-6)


def test_series_is_equation_22_and_goes_on():
    phi = d.phi
    assert sp.expand(d.critical_energy_series(4) - sp.Rational(2, 27) * (1 - phi) ** 3) == 0
    fifth = d.critical_energy_series(6) - d.critical_energy_series(5)
    value = float(d.critical_energy_series(6).subs(phi, 0.99))
    assert WishartPlusWigner(0.99).critical_energy == pytest.approx(value, rel=1e-6)
    assert fifth != 0


@both
@pytest.mark.parametrize("phi, epsilon", [(0.5, 0.3), (0.25, 1.1), (1.6, 1.0)])
def test_index_from_the_antiderivative(r, build, phi, epsilon):
    values = {d.phi: phi, d.epsilon: epsilon, d.sigma: 1}
    inverse = r() + 1 / d.G
    at_zero = sp.Poly(sp.numer(sp.together(inverse.subs(values))), d.G)
    root = min(at_zero.nroots(n=30), key=sp.im)
    antiderivative = d.index_antiderivative(r)
    alpha = 1 - sp.im(antiderivative.subs(values).subs(d.G, root).evalf(30)) / sp.pi
    assert float(alpha) > 0.01
    assert build(phi).index(epsilon) == pytest.approx(float(alpha), abs=1e-13)
    # It is an antiderivative: its derivative along the curve z(G) is G.
    slope = sp.diff(antiderivative, d.G) + sp.diff(d.G * inverse, d.G)
    assert sp.simplify(slope - d.G * sp.diff(inverse, d.G)) == 0


@both
def test_prefactor_is_the_one_of_the_model(r, build):
    for phi in (0.01, 0.3, 0.5, 0.9, 0.999):
        exact = float(d.index_prefactor(r).subs(d.phi, sp.Float(phi, 40)).evalf(30))
        assert build(phi).index_prefactor == pytest.approx(exact, rel=1e-13)
    # Independent of the derivation: the ratio of exact index and power law, extrapolated.
    model = build(0.4)
    t = np.array([1e-4, 5e-5])
    ratio = model.index(model.critical_energy * (1 + t)) / t**1.5
    assert 2 * ratio[1] - ratio[0] == pytest.approx(model.index_prefactor, rel=1e-6)
