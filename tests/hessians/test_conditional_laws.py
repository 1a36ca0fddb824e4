"""The equations given X and W1, against each other, exact cases and simulation."""

import numpy as np
import pytest

from hessrmt import (
    conditional_gauss_newton_stieltjes,
    conditional_hessian_stieltjes,
    smoothed_density,
)


def draw(n, m, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, m)), rng.standard_normal((n, n)) / np.sqrt(n), rng


def hessian(x, W1, W2, residuals, activation="relu"):
    """H0 and H1, from the Jacobian and from the mixed derivatives."""
    (n, m), z = x.shape, W1 @ x
    f, d = (np.maximum(z, 0), (z > 0) * 1.0) if activation == "relu" else (
        np.tanh(z), 1 / np.cosh(z) ** 2)  # fmt: skip
    first = np.einsum("ik,km,lm->klim", W2, d, x).reshape(n * n, n * m)
    second = np.einsum("ij,km->ikjm", np.eye(n), f).reshape(n * n, n * m)
    J = np.vstack([first, second])
    cross = np.einsum("im,km,lm,kj->klij", residuals, d, x, np.eye(n)).reshape(n * n, n * n) / m
    zero = np.zeros((n * n, n * n))
    return J @ J.T / m, np.block([[zero, cross], [cross.T, zero]])


def test_without_residuals_both_equations_agree():
    """m by m equations for K = J^T J/m, and n^2 by n^2 ones for H0 itself."""
    x, W1, _ = draw(6, 24, 1)
    z = np.array([[0.2 + 0.3j, 0.8 + 0.1j]])
    np.testing.assert_allclose(
        conditional_hessian_stieltjes(z, x, W1, 0.0, 1.4),
        conditional_gauss_newton_stieltjes(z, x, W1, "relu", 1.4),
        rtol=1e-6,
    )


def test_linear_network_is_an_average_over_marchenko_pastur():
    """All B_k = C: g = <(z - lambda C - A^T A/m)^{-1}> exactly, lambda = 4 cos^2(angle)."""
    x, W1, _ = draw(5, 15, 2)
    (n, m), z, N = x.shape, 0.7 + 0.2j, 4000
    C, S = x.T @ x / m, x.T @ W1.T @ W1 @ x / m
    angle = (np.arange(N) + 0.5) * np.pi / (2 * N)
    lam, weight = 4 * np.cos(angle) ** 2, 2 / N * np.sin(angle) ** 2
    eigenvalues = np.linalg.eigvalsh(lam[:, None, None] * C + S)
    phi = 2 * n / m
    expected = (weight @ (1 / (z - eigenvalues)).mean(axis=1) - (1 - phi) / z) / phi
    found = conditional_gauss_newton_stieltjes(z, x, W1, "linear")
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_equation_for_h0_against_simulation(activation):
    """What crossing pairings add is of order 1/n: under 1% of G at n = 10."""
    n, m = 10, 40
    x, W1, rng = draw(n, m, 3)
    z = np.array([0.1 + 0.3j, 0.5 + 0.3j])
    sample = []
    for _ in range(60):
        W2 = rng.standard_normal((n, n)) / np.sqrt(n)
        eigenvalues = np.linalg.eigvalsh(hessian(x, W1, W2, np.zeros((n, m)), activation)[0])
        sample.append((1 / (z[:, None] - eigenvalues)).mean(axis=1))
    found = conditional_gauss_newton_stieltjes(z, x, W1, activation)
    errors = np.std(sample, axis=0) / np.sqrt(len(sample))
    assert (errors < 0.01 * np.abs(found)).all()
    assert (np.abs(np.mean(sample, axis=0) - found) < 4 * errors + 0.01 * np.abs(found)).all()
    other = conditional_gauss_newton_stieltjes(z, x, W1, "linear")
    assert (np.abs(other - found) > 0.05 * np.abs(found)).all()


def test_equation_for_h_against_simulation_where_the_free_sum_fails():
    n, m, epsilon = 10, 40, 0.5
    x, W1, rng = draw(n, m, 4)
    z = np.array([-0.3 + 0.2j, 0.2 + 0.2j, 0.8 + 0.2j])
    sample, rotated = [], []
    for _ in range(60):
        W2 = rng.standard_normal((n, n)) / np.sqrt(n)
        H0, H1 = hessian(x, W1, W2, np.sqrt(2 * epsilon) * rng.standard_normal((n, m)))
        Q = np.linalg.qr(rng.standard_normal(H0.shape))[0]
        for H, into in ((H0 + H1, sample), (H0 + Q @ H1 @ Q.T, rotated)):
            into.append((1 / (z[:, None] - np.linalg.eigvalsh(H))).mean(axis=1))
    found = conditional_hessian_stieltjes(z, x, W1, epsilon)
    wrong = np.abs(np.mean(sample, axis=0) - found)
    free = np.abs(np.mean(sample, axis=0) - np.mean(rotated, axis=0))
    assert wrong.max() < 0.4 * free.max()
    assert wrong.max() < 0.02 * np.abs(found).max()


def test_smoothed_density_is_the_transform_of_the_sample():
    eigenvalues, x = np.array([[0.0, 1.0], [2.0, 5.0]]), np.array([[0.3], [1.2]])
    G = (1 / (x[..., None] + 0.1j - eigenvalues.ravel())).mean(axis=-1)
    np.testing.assert_allclose(smoothed_density(eigenvalues, x, 0.1), -G.imag / np.pi, rtol=1e-12)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"z": [1.0]}, r"z must be finite with Im z > 0, got \(1\+0j\)"),
        ({"z": "i"}, "z must be complex numbers"),
        ({"x": np.ones(3)}, r"x must have shape \(n, m\)"),
        ({"W1": np.ones((3, 2))}, r"W1 must have shape \(2, 2\)"),
        ({"sigma2": 0.0}, r"sigma2 must be in \(0, inf\), got 0.0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"z": [1j], "x": np.ones((2, 4)), "W1": np.eye(2), "sigma2": 1.0} | change
    with pytest.raises((TypeError, ValueError), match=message):
        conditional_gauss_newton_stieltjes(**arguments)
    with pytest.raises((TypeError, ValueError), match=message):
        conditional_hessian_stieltjes(**arguments, epsilon=0.1)


def test_a_point_that_does_not_converge_is_named(monkeypatch):
    monkeypatch.setattr("hessrmt.hessians.conditional_laws._MOST_STEPS", 2)
    x, W1, _ = draw(3, 9, 0)
    with pytest.raises(RuntimeError, match="equation for H0 does not converge at z = "):
        conditional_gauss_newton_stieltjes(0.1 + 0.1j, x, W1)
    with pytest.raises(RuntimeError, match="equation for H does not converge at z = "):
        conditional_hessian_stieltjes(0.1 + 0.1j, x, W1, 0.5)


def test_bad_samples_and_energies_are_named():
    with pytest.raises(ValueError, match="eigenvalues must not be empty"):
        smoothed_density([], 0.0, 1.0)
    with pytest.raises(ValueError, match="width must be in"):
        smoothed_density([1.0], 0.0, 0.0)
    with pytest.raises(ValueError, match="epsilon must be in"):
        conditional_hessian_stieltjes(1j, [[1.0]], [[1.0]], -1.0)
