"""Free sums by subordination against those in closed form, and against rotated matrices."""

import numpy as np
import pytest

from hessrmt import (
    FreeSum,
    GaussNewtonLaw,
    MarchenkoPastur,
    ProductWishart,
    Semicircle,
    free_sum_cdf,
)

PAIRS = [
    (MarchenkoPastur(0.5), Semicircle(0.7)),
    (MarchenkoPastur(0.5), ProductWishart(0.5, 0.1)),
    (MarchenkoPastur(0.25), ProductWishart(0.25, 0.001)),  # below the critical energy
    (MarchenkoPastur(2.0), Semicircle(0.3)),  # with an atom
    (ProductWishart(0.3, 0.5), ProductWishart(0.5, 0.1)),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_rational_laws_in_closed_form(pair):
    found, exact = FreeSum(*pair), pair[0] + pair[1]
    x = np.linspace(-2.0, 5.0, 301)
    z = np.concatenate([x, 1j * np.geomspace(1e-6, 1e3, 20), [0.3 - 0.2j]])
    np.testing.assert_allclose(found.stieltjes(z), exact.stieltjes(z), rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.pdf(x), exact.pdf(x), rtol=0, atol=1e-8)
    assert found.index() == pytest.approx(exact.index(), abs=1e-5)
    assert found.mean() == pytest.approx(exact.mean())
    assert found.var() == pytest.approx(exact.var())


def test_order_does_not_count():
    a, b = PAIRS[1]
    z = np.array([0.1, -0.2 + 0.1j, 3.0])
    np.testing.assert_allclose(FreeSum(a, b).stieltjes(z), FreeSum(b, a).stieltjes(z), atol=1e-9)


def test_law_that_is_not_rational():
    """H0 for ReLU against the sum of its quantiles with those of H1."""
    h0, h1 = GaussNewtonLaw(0.5), ProductWishart(0.5, 0.1)
    q = (np.arange(600) + 0.5) / 600
    x = np.array([0.0])
    expected = free_sum_cdf(h0.ppf(q), h1.ppf(q), x)
    np.testing.assert_allclose(FreeSum(h0, h1).cdf(x), expected, atol=2e-3)  # 1/600 each


def test_bad_arguments():
    with pytest.raises(TypeError, match="second must be a law"):
        FreeSum(Semicircle(), 2.0)
    with pytest.raises(ValueError, match="z must be finite"):
        FreeSum(Semicircle(), Semicircle()).stieltjes(np.nan)
