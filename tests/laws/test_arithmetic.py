"""Laws as operands: constants, differences, quotients, sums of many, equality, names."""

import numpy as np
import pytest

from hessrmt import MarchenkoPastur, ProductWishart, Semicircle, SpectralLaw

A, B, C = MarchenkoPastur(0.5), Semicircle(0.7), ProductWishart(0.3, 1.1)
CONTINUED = SpectralLaw([0.3, 1.0, 0.1])  # not freely infinitely divisible
X = np.linspace(-4, 6, 41)


@pytest.mark.parametrize("law", [A + B, C, CONTINUED])
def test_constants_move_and_quotients_shrink(law):
    np.testing.assert_allclose((law + 1).cdf(X + 1), law.cdf(X), atol=1e-12)
    np.testing.assert_allclose((1 + law).cdf(X + 1), law.cdf(X), atol=1e-12)
    np.testing.assert_allclose((law - 1.5).cdf(X - 1.5), law.cdf(X), atol=1e-12)
    np.testing.assert_allclose((law / 2).cdf(X / 2), law.cdf(X), atol=1e-9)
    np.testing.assert_allclose((1 - law).cdf(1 - X), 1 - law.cdf(X), atol=1e-9)
    np.testing.assert_allclose((np.float64(1) + law).cdf(X + 1), law.cdf(X), atol=1e-12)


@pytest.mark.parametrize("law", [A, A + B, CONTINUED])
def test_a_difference_is_a_free_sum_with_the_reflection(law):
    difference = law - law
    for k in range(1, 7):  # cumulants of odd order cancel, of even order double
        expected = 2 * law.free_cumulant(k) if k % 2 == 0 else 0.0
        assert difference.free_cumulant(k) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(difference.cdf(X) + difference.cdf(-X), 1.0, atol=1e-9)


def test_sum_of_a_list_and_of_none_else():
    total = sum([A, B, C])
    assert total == A + B + C
    assert sum([A]) == A


def test_equal_laws_are_equal_and_hash_alike():
    pairs = [
        (A + B, B + A),
        ((A + B) + C, C + (A + B)),
        (0.1 * A + (0.3 * B + 0.7 * C), (0.7 * C + 0.1 * A) + 0.3 * B),
        (Semicircle(3.0) + Semicircle(4.0), Semicircle(5.0)),
        (MarchenkoPastur(2) + MarchenkoPastur(2), MarchenkoPastur(1.0, 2.0)),
        (A / 3 * 3, A),
        (A / 2, 0.5 * A),
        (-1.0 * -A, A),
        (A + 0.1 - 0.1, A),
        (A + 1, A.shift(1.0)),
        (SpectralLaw([0.3, 1.0, 0.1]), CONTINUED),
    ]
    for left, right in pairs:
        assert left == right
        assert hash(left) == hash(right)
    for left, right in [
        (A, B),
        (A, 2 * A),
        (A, -A),
        (A, A + 1e-9),
        (A, CONTINUED),
        (A, 1),
        (A, "A"),
    ]:
        assert left != right
    assert len({A + B, B + A, A}) == 2


def test_a_sum_says_what_it_is_a_sum_of():
    """And what it says, Python reads."""
    names = {k: globals()[k] for k in ("MarchenkoPastur", "ProductWishart", "Semicircle")}
    names["SpectralLaw"] = SpectralLaw
    laws = [A + B, A - B, A - (B + C), -(A + B), 2 * (A - B) + 1, 1 - A, A / 3, A + (-B + C)]
    laws += [CONTINUED + A, A - 2.5, 3 * A / 2, (A + 1) / 2, A - (B - 1)]
    for law in laws:
        assert eval(repr(law), names) == law
    assert repr(A + B) == "MarchenkoPastur(phi=0.5, sigma=1.0) + Semicircle(sigma=0.7)"
    assert repr(2 * (A + B)).startswith("2.0 * (MarchenkoPastur")


def test_what_is_no_number_and_no_law_is_refused():
    for operation in (lambda: A + "x", lambda: A - None, lambda: A * B, lambda: A / B):
        with pytest.raises(TypeError):
            operation()
    for operation in (lambda: A + np.ones(2), lambda: np.ones(2) * A, lambda: A + True):
        with pytest.raises(TypeError):
            operation()
    with pytest.raises(ValueError, match=r"divisor must not be 0, got 0\.0"):
        A / 0
    for operation, name in ((lambda: A + np.nan, "c"), (lambda: np.inf * A, "factor")):
        with pytest.raises(ValueError, match=f"{name} must be"):
            operation()


def test_standard_deviation_and_survival_function():
    law = A + B
    assert law.std() == pytest.approx(np.sqrt(0.5 + 0.49), rel=1e-14)
    np.testing.assert_allclose(law.sf(X), 1 - law.cdf(X), atol=1e-14)
    atom = MarchenkoPastur(4.0)
    np.testing.assert_allclose(atom.sf([-1.0, 0.0, 1.0]), [1.0, 0.25, 0.25], rtol=1e-14)
    # The reflection of a hard edge: mass (2/pi) sqrt(d) beyond distance d, with d to first order.
    d = 10.0 ** -np.arange(12.0, 200.0, 30.0)
    np.testing.assert_allclose((-MarchenkoPastur(1.0)).sf(-d), 2 / np.pi * np.sqrt(d), rtol=1e-12)


@pytest.mark.parametrize("law", [A + B, MarchenkoPastur(4.0), CONTINUED, SpectralLaw([2.0])])
def test_infinity_is_a_place_and_not_a_number_is_none(law):
    ends = [-np.inf, np.inf]
    np.testing.assert_array_equal(law.cdf(ends), [0.0, 1.0])
    np.testing.assert_array_equal(law.sf(ends), [1.0, 0.0])
    np.testing.assert_array_equal(law.pdf(ends), [0.0, 0.0])
    for method in (law.cdf, law.sf, law.pdf):
        with pytest.raises(ValueError, match=r"x must be in \[-inf, inf\], got nan"):
            method([0.0, np.nan])
