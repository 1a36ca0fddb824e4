"""Free prediction from measured spectra, and fits of laws to them."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from hessrmt import (
    Curvature,
    MarchenkoPastur,
    Semicircle,
    fit_scale,
    free_sum_cdf,
    lanczos_spectrum,
    wishart,
)
from hessrmt.curvature import free_prediction_cdf


def quantiles(law, size=1500):
    return law.ppf((np.arange(size) + 0.5) / size)


def measured(e, rng=0):
    return lanczos_spectrum(aslinearoperator(np.diag(e)), steps=60, starts=4, rng=rng)


def test_free_prediction_against_the_law():
    a, b = MarchenkoPastur(0.5), Semicircle(0.7)
    x = np.array([-1.0, -0.3, 0.0, 0.5, 1.5, 3.0])
    value, error = free_prediction_cdf(measured(quantiles(a)), measured(quantiles(b), 1), x)
    assert np.all(np.abs(value - (a + b).cdf(x)) < 4 * error + 2e-3)
    assert error.max() < 0.01


def test_free_prediction_with_an_atom():
    """Mass 0.7 at 0 and 0.6 at 1 make an atom of mass 0.3."""
    rng = np.random.default_rng(0)
    a = np.concatenate([np.zeros(700), rng.uniform(1, 2, 300)])
    b = np.concatenate([np.ones(600), rng.uniform(2, 3, 400)])
    x = np.array([0.9, 1.1, 2.0, 3.0])
    value, error = free_prediction_cdf(measured(a), measured(b, 1), x)
    assert np.all(np.abs(value - free_sum_cdf(a, b, x)) < 4 * error + 2e-3)


def test_free_prediction_of_a_network(zoo):
    model, loss, data = zoo.made("bias")
    c = Curvature(model, loss, data)
    H, H0 = zoo.dense(model, loss, data)
    x = np.linspace(-1, 3, 7)
    wanted = free_sum_cdf(np.linalg.eigvalsh(H0), np.linalg.eigvalsh(H - H0), x)
    np.testing.assert_allclose(c.free_prediction(x), wanted, atol=1e-6)  # exact spectra
    few = c.free_prediction(x, steps=6, starts=4, rng=0)
    assert np.abs(few - wanted).max() < 0.2


@pytest.mark.parametrize("phi, sigma", [(0.3, 2.0), (0.8, 0.01), (2.5, 1.0)])
def test_fit_of_marchenko_pastur(phi, sigma):
    """Parameters of a sampled Wishart matrix, with an outlier added, within three errors."""
    e = np.linalg.eigvalsh(wishart(600, phi, rng=5)) * sigma
    e[-1] = 40 * sigma
    fit = fit_scale(MarchenkoPastur, measured(e))
    for name, truth in (("phi", phi), ("sigma", sigma)):
        assert abs(fit.parameters[name] - truth) < 3 * fit.errors[name]
        assert fit.errors[name] < 0.2 * truth
    assert fit.distance < 0.02


def test_a_law_that_does_not_fit_says_so():
    fit = fit_scale(Semicircle, measured(quantiles(MarchenkoPastur(0.5))))
    assert fit.distance > 0.1


def test_what_is_refused():
    s = measured(np.linspace(0, 1, 1500))
    with pytest.raises(TypeError, match="law_family must be a callable"):
        fit_scale(3, s)
    with pytest.raises(TypeError, match="spectrum must be a Spectrum"):
        fit_scale(Semicircle, [1.0])
    with pytest.raises(ValueError, match="parameters to fit"):
        fit_scale(lambda: Semicircle(), s)
    for masses in ([0.5, 0.4], [1.0]):
        with pytest.raises(ValueError, match="masses_a must be one for each of eigs_a"):
            free_sum_cdf([0.0, 1.0], [0.0, 1.0], 0.5, masses_a=masses)
