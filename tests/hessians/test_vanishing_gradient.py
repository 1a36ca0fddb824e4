"""Residuals on the kernel of J: against simulated networks and other limits."""

import numpy as np
import pytest
import torch
from scipy import integrate

from hessrmt import (
    SingleHiddenLayer,
    VanishingGradient,
    limiting_moments,
    moment_ratios,
    project_residuals,
    vanishing_gradient_limit,
)


def simulated(phi, activation, n, networks, seed):
    """Moments A, BB, ABB, ABAB over epsilon of dense Hessians at projected noise, one row each."""
    rng, m = np.random.default_rng(seed), round(2 * n / phi)
    net = SingleHiddenLayer(n=n, activation=activation)
    rows = []
    for _ in range(networks):
        theta = net.initialize(rng=rng)
        x, noise = torch.from_numpy(rng.standard_normal((2, n, m)))
        e = project_residuals(net, theta, x, noise)
        e = e * torch.sqrt(2 / (e * e).mean())  # energy 1
        A, B = net.hessian_parts(theta, x, net.predict(theta, x) - e)
        AB, size = A @ B, len(A)
        traces = (A.trace(), (B * B).sum(), (AB * B).sum(), (AB * AB.T).sum())
        rows.append([float(t) / size for t in traces])
    return np.array(rows)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_moments_of_simulated_networks(activation):
    """Extrapolated in 1/n from n = 12 and 24: within four standard errors, and 3 %."""
    phi, vg = 0.5, VanishingGradient(0.5, activation)
    small = simulated(phi, activation, 12, 60, 1)
    large = simulated(phi, activation, 24, 10, 2)

    def summary(rows):
        ratios = moment_ratios(rows)
        error = rows[:, 1].std(ddof=1) / np.sqrt(len(rows))
        return (
            np.array([rows[:, 1].mean(), *(r.ratio for r in ratios)]),
            np.array([error, *(r.error for r in ratios)]),
        )

    (a, da), (b, db) = summary(small), summary(large)
    limit, error = 2 * b - a, np.hypot(2 * db, da)
    theory = np.array([vg.h1_variance, *vg.moment_ratios])
    assert (np.abs(limit - theory) < 4 * error + 0.03 * theory).all()
    # The test can tell: independent residuals are far away.
    independent = limiting_moments(phi, 1.0)[1]
    assert abs(limit[0] - independent) > 5 * error[0]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_limit_of_small_phi(activation):
    limit, near = vanishing_gradient_limit(activation), VanishingGradient(1e-5, activation)
    assert near.h1_variance / 1e-5 == pytest.approx(limit.h1_variance_per_phi, rel=1e-4)
    if activation == "relu":
        assert near.psi == pytest.approx(limit.psi, rel=1e-2)  # linear in phi with a large slope
        assert near.moment_ratios == pytest.approx((1.0, 1.0), abs=1e-4)
    else:
        assert near.psi is limit.psi is None


def test_share_as_an_integral():
    """The closed form's average over lambda = 4 cos^2, by adaptive quadrature."""
    x = (0.25 - 0.5 / np.pi) / 0.25

    def integrand(a):
        lam = 4 * np.cos(a) ** 2
        return x / 2 * (np.sqrt(1 + 4 / (x * (1 + lam))) - 1) * 4 / np.pi * np.sin(a) ** 2

    expected = integrate.quad(integrand, 0, np.pi / 2, epsabs=1e-12)[0]
    limit = vanishing_gradient_limit()
    assert limit.share == pytest.approx(expected, rel=1e-9)
    assert limit.h1_variance_per_phi == pytest.approx((1 + expected) / 4, rel=1e-9)


def test_fourth_cumulant_of_simulated_networks():
    """kappa4/kappa2^2 of H1, extrapolated from n = 12 and 24, within four standard errors."""
    phi, values = 0.5, []
    for n, networks, seed in ((12, 60, 3), (24, 10, 4)):
        rng, m, rows = np.random.default_rng(seed), round(2 * n / phi), []
        net = SingleHiddenLayer(n=n)
        for _ in range(networks):
            theta = net.initialize(rng=rng)
            x, noise = torch.from_numpy(rng.standard_normal((2, n, m)))
            e = project_residuals(net, theta, x, noise)
            e = e * torch.sqrt(2 / (e * e).mean())
            B = net.hessian_parts(theta, x, net.predict(theta, x) - e)[1]
            square = B @ B
            rows.append([float(square.trace()) / len(B), float((square**2).sum()) / len(B)])
        two, four = np.array(rows).T
        psi = four.mean() / two.mean() ** 2 - 2
        linear = four / two.mean() ** 2 - 2 * four.mean() / two.mean() ** 3 * two
        values.append((psi, linear.std(ddof=1) / np.sqrt(networks)))
    (a, da), (b, db) = values
    error = np.hypot(2 * db, da)
    assert abs(2 * b - a - VanishingGradient(phi).psi) < 4 * error
    assert error < 0.14  # it tells .567 from 0, the semicircle's


@pytest.mark.parametrize("phi", [0.001, 0.37, 0.9])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_variance_lies_below_that_of_independent_residuals(phi, activation):
    vg = VanishingGradient(phi, activation)
    d = 1 - np.tanh(np.random.default_rng(0).standard_normal(200_000)) ** 2
    slope2 = 0.5 if activation == "relu" else np.mean(d**2)
    bend2 = 0.0 if activation == "relu" else np.mean(4 * d**2 * (1 - d))
    assert 0 < vg.h1_variance < phi * (slope2 + bend2 / 2)
    assert all(ratio >= 1 for ratio in vg.moment_ratios)


@pytest.mark.parametrize("phi", [0.0, 1.0, -0.1, float("nan")])
def test_phi_outside_its_domain(phi):
    with pytest.raises(ValueError, match=r"phi must be in \(0, 1\)"):
        VanishingGradient(phi)


def test_activation_outside_its_domain():
    with pytest.raises(ValueError, match=r"activation must be one of relu \| tanh"):
        VanishingGradient(0.5, "linear")
