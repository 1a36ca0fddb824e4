"""The formulas in the scripts that make the stored tables of the chapters beyond the papers."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

SCRIPTS = Path(__file__).resolve().parents[2] / "book" / "scripts"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    yield
    for name in ("exact_limits", "gauss_newton_spectra", "products", "rungs", "tables"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_products_are_those_of_the_dense_parts(activation):
    from products import PARTS, Network

    net = Network(activation, 5, 2, np.random.default_rng(0), torch.float64)
    H0, H1 = (p.numpy() for p in net.net.hessian_parts(net.theta, net.x, net.target(0.3)))
    for part, expected in zip(PARTS, (H0, H1, H0 + H1), strict=True):
        found = net.operator(part, 0.3).matmat(np.eye(50))
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_projected_residuals_have_no_gradient_and_lose_as_much_as_they_must():
    import rungs

    rng = np.random.default_rng(1)
    theta = rungs.NET.initialize(rng=rng)
    x, e = torch.from_numpy(rng.standard_normal((2, 16, 64)))
    found = rungs.kernel(theta, x, e, 1e-13)
    gradient = rungs.NET.gradient(theta, x, rungs.NET.predict(theta, x) - found)
    assert gradient.norm() < 1e-10
    # J has full rank: 512 of 1,024 dimensions are left, and the square is chi-squared.
    assert float((found**2).sum()) == pytest.approx(512, abs=5 * np.sqrt(2 * 512))


def test_mean_over_infinitely_many_examples():
    """Against 200,000 of them: five standard errors of a product of unit variance."""
    from exact_limits import without_noise

    rng, n, m = np.random.default_rng(2), 3, 200_000
    W1, W2 = rng.standard_normal((2, n, n)) / np.sqrt(n)
    H0, square = without_noise(W1, W2)
    X = rng.standard_normal((n, m))
    Z = W1 @ X
    A = np.maximum(Z, 0) - np.linalg.norm(W1, axis=1)[:, None] / np.sqrt(2 * np.pi)
    P = ((Z > 0)[:, None] * X).reshape(n * n, m)
    tolerance = 5 * 2 / np.sqrt(m)
    np.testing.assert_allclose(P @ P.T / m, square, atol=tolerance)
    np.testing.assert_allclose(
        np.kron(np.eye(n), A @ A.T / m), H0[n * n :, n * n :], atol=tolerance
    )
    side = np.einsum("ik,kbl->kbil", W2, (P @ A.T / m).reshape(n, n, n)).reshape(n * n, n * n)
    np.testing.assert_allclose(side, H0[: n * n, n * n :], atol=tolerance * np.abs(W2).max())


def test_spectrum_of_a_pair_is_that_of_the_network():
    from gauss_newton_spectra import hermite_pair, spectrum_of_pair

    from hessrmt import SingleHiddenLayer

    found = spectrum_of_pair(5, 0.5, hermite_pair(2), np.random.default_rng(3))
    rng = np.random.default_rng(3)
    X, W = rng.standard_normal((5, 20)), rng.standard_normal((2, 5, 5)) / np.sqrt(5)
    net, theta, x = SingleHiddenLayer(5, "tanh"), torch.from_numpy(W.ravel()), torch.from_numpy(X)
    H0 = net.hessian_parts(theta, x, torch.zeros_like(x))[0].numpy()
    np.testing.assert_allclose(found, np.linalg.eigvalsh(H0), atol=1e-12)


def test_a_pair_without_the_second_hermite_term():
    from gauss_newton_spectra import hermite_pair

    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    for variant, expected in ((0, True), (1, False), (2, False), (3, True)):
        f, _ = hermite_pair(variant)
        second = weights @ (f(nodes) * (nodes**2 - 1)) / weights.sum() / np.sqrt(2)
        assert second == pytest.approx(0.5 / np.sqrt(np.pi) if expected else 0.0, abs=2e-3)
