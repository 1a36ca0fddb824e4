"""The derivations against the paper's printed equations and against the numerical code."""

import numpy as np
import pytest
import sympy as sp

from hessrmt import MarchenkoPastur, Semicircle, WishartPlusWigner
from hessrmt import derivations as d


def test_r_transforms_are_the_paper_s():
    assert sp.simplify(d.semicircle_r() - d.sigma**2 * d.G) == 0
    printed = d.sigma / (1 - d.sigma * d.phi * d.G)
    assert sp.simplify(d.marchenko_pastur_r() - printed) == 0


def test_cubic_is_equation_18():
    G, z, phi, eps = d.G, d.z, d.phi, d.epsilon
    printed = 2 * eps * phi * G**3 - (2 * eps + z * phi) * G**2 + (z + phi - 1) * G - 1
    assert sp.expand(d.wishart_plus_wigner_cubic().as_expr() - printed) == 0


def test_laws_have_the_derived_polynomial():
    law = MarchenkoPastur(0.25) + Semicircle(1.0)
    derived = d.wishart_plus_wigner_cubic().as_expr().subs({d.phi: 0.25, d.epsilon: 0.5})
    assert sp.Poly(derived, d.G, d.z).as_dict() == pytest.approx(law.polynomial().as_dict())


def test_critical_energy_is_equation_21():
    phi = d.phi
    printed = (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** sp.Rational(3, 2)) / 16
    assert sp.expand(sp.expand(d.critical_energy() - printed)) == 0
    # The factored form that the numerical code uses.
    s = sp.Symbol("s", positive=True)
    factored = (3 - s) ** 3 * (1 + s) / 128
    assert sp.expand(printed.subs(phi, (s**2 - 1) / 8) - factored) == 0


def test_series_is_equation_22_and_goes_on():
    phi = d.phi
    assert sp.expand(d.critical_energy_series(4) - sp.Rational(2, 27) * (1 - phi) ** 3) == 0
    fifth = d.critical_energy_series(6) - d.critical_energy_series(5)
    value = float(d.critical_energy_series(6).subs(phi, 0.99))
    assert WishartPlusWigner(0.99).critical_energy == pytest.approx(value, rel=1e-6)
    assert fifth != 0


@pytest.mark.parametrize("phi, epsilon", [(0.5, 0.3), (0.25, 0.1), (2.0, 1.0)])
def test_index_from_the_antiderivative(phi, epsilon):
    values = {d.phi: phi, d.epsilon: epsilon}
    cubic = d.wishart_plus_wigner_cubic().as_expr().subs({**values, d.z: 0})
    root = min(sp.Poly(cubic, d.G).nroots(n=30), key=sp.im)
    alpha = 1 - sp.im(d.index_antiderivative().subs(values).subs(d.G, root).evalf(30)) / sp.pi
    assert WishartPlusWigner(phi).index(epsilon) == pytest.approx(float(alpha), abs=1e-13)
    # It is an antiderivative: its derivative along the curve z(G) is G.
    inverse = 1 / (1 - d.phi * d.G) + 2 * d.epsilon * d.G + 1 / d.G
    slope = sp.diff(d.index_antiderivative(), d.G) + sp.diff(d.G * inverse, d.G)
    assert sp.simplify(slope - d.G * sp.diff(inverse, d.G)) == 0


def test_prefactor_is_the_one_of_the_model():
    for phi in (0.01, 0.3, 0.5, 0.9, 0.999):
        exact = float(d.index_prefactor().subs(d.phi, sp.Float(phi, 40)).evalf(30))
        assert WishartPlusWigner(phi).index_prefactor == pytest.approx(exact, rel=1e-13)
    # Independent of the derivation: the ratio of exact index and power law, extrapolated.
    model = WishartPlusWigner(0.4)
    t = np.array([1e-4, 5e-5])
    ratio = model.index(model.critical_energy * (1 + t)) / t**1.5
    assert 2 * ratio[1] - ratio[0] == pytest.approx(model.index_prefactor, rel=1e-6)
