"""The simulated spin glass against its definition, autograd, matrices and the mean counts."""

import math

import numpy as np
import pytest
import torch

from hessrmt import SphericalSpinGlass, minimize
from hessrmt.spin_glass import find_critical_points, log_critical_points


def loss(X, w):
    """L(w) as defined, with the couplings as drawn."""
    T, size = X, X.shape[0]
    for _ in range(X.ndim):
        T = T @ w
    return size ** (-(X.ndim - 1) / 2) * T


def couplings(size, H, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((size,) * H))


@pytest.mark.parametrize("H, size", [(2, 6), (3, 7), (4, 5), (5, 3)])
def test_energy_and_derivatives_against_autograd(H, size):
    X = couplings(size, H)
    glass = SphericalSpinGlass(X)
    points = glass.random_points(3, rng=1)
    for w in points:
        P = torch.eye(size).double() - torch.outer(w, w) / size
        value, slope = loss(X, w), torch.func.grad(lambda v: loss(X, v))(w)
        ambient = torch.func.hessian(lambda v: loss(X, v))(w)
        torch.testing.assert_close(glass.energy(w), value / size, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(glass.gradient(w), P @ slope, rtol=1e-11, atol=1e-12)
        curved = P @ ambient @ P - (w @ slope) / size * P
        torch.testing.assert_close(glass.hessian(w), curved, rtol=1e-10, atol=1e-11)
        expected = torch.linalg.eigvalsh(curved + 1e4 * torch.outer(w, w))[:-1]
        torch.testing.assert_close(glass.eigenvalues(w), expected, rtol=1e-7, atol=1e-7)
    batch = glass.hessian(points.reshape(3, 1, size))
    torch.testing.assert_close(batch[1, 0], glass.hessian(points[1]), rtol=1e-12, atol=1e-13)


def test_derivatives_along_great_circles_by_finite_differences():
    """L(w cos s + t sin s) has slope t . grad and curvature t . Hess . t."""
    glass = SphericalSpinGlass.draw(12, 3, rng=0)
    w, t = glass.random_points(2, rng=1)
    t = glass.retract(t - (t @ w) / 12 * w)
    s = 1e-3
    ahead, here, behind = (
        12 * glass.energy(math.cos(a) * w + math.sin(a) * t) for a in (s, 0.0, -s)
    )
    assert (ahead - behind) / (2 * s) == pytest.approx(float(t @ glass.gradient(w)), abs=1e-4)
    curvature = float(t @ glass.hessian(w) @ t)
    assert (ahead - 2 * here + behind) / s**2 == pytest.approx(curvature, abs=1e-3)


def test_variance_of_energy_gradient_and_hessian():
    """L has variance Lambda, tangent gradient components H, Hessian entries H(H-1)/Lambda."""
    size, H, draws = 6, 3, 2000
    rng = np.random.default_rng(5)
    w = torch.zeros(size, dtype=torch.float64)
    w[0] = math.sqrt(size)
    glasses = [SphericalSpinGlass.draw(size, H, rng) for _ in range(draws)]
    u = np.array([float(g.energy(w)) for g in glasses])
    gradients = torch.stack([g.gradient(w) for g in glasses]).numpy()[:, 1:]
    hessians = torch.stack([g.hessian(w) for g in glasses]).numpy()
    error = 5 * np.sqrt(2 / draws)  # five standard errors of a relative variance
    assert size * u.var() == pytest.approx(1, rel=error)
    assert gradients.var() == pytest.approx(H, rel=error)
    assert hessians[:, 1, 2].var() == pytest.approx(H * (H - 1) / size, rel=error)
    # On the diagonal twice the variance, and the shift -H u, independent of it.
    diagonal = hessians[:, 1, 1] + H * u
    assert diagonal.var() == pytest.approx(2 * H * (H - 1) / size, rel=error)
    assert abs(np.corrcoef(diagonal, u)[0, 1]) < 5 / np.sqrt(draws)


def test_a_matrix_is_minimised_by_its_lowest_eigenvector():
    glass = SphericalSpinGlass(X := couplings(15, 2, seed=2))
    spectrum = torch.linalg.eigvalsh((X + X.T) / 2) / math.sqrt(15)
    minima = minimize(glass, glass.random_points(8, rng=3))
    torch.testing.assert_close(minima.energy, spectrum[:1].expand(8), rtol=1e-10, atol=1e-12)
    assert minima.index.tolist() == [0] * 8
    found = find_critical_points(glass, glass.random_points(40, rng=4))
    ends = found.gradient_norm <= 1e-8
    assert ends.sum() > 10
    for energy, index in zip(found.energy[ends], found.index[ends], strict=True):
        k = int((spectrum - energy).abs().argmin())
        assert abs(spectrum[k] - energy) < 1e-9
        assert index == k  # as many negative curvatures as there are lower eigenvalues


@pytest.mark.parametrize("H", [3, 4])
def test_minima_are_minima(H):
    glass = SphericalSpinGlass.draw(20, H, rng=1)
    start = glass.random_points(30, rng=2)
    before = start.clone()
    minima = minimize(glass, start, gradient_norm=1e-10)
    assert torch.equal(start, before)
    assert (minima.gradient_norm <= 1e-10).all()
    assert (minima.index == 0).all()
    assert (minima.energy < glass.energy(start)).all()
    again = glass.gradient(minima.w).norm(dim=-1) / math.sqrt(20)
    torch.testing.assert_close(again, minima.gradient_norm, rtol=1e-6, atol=1e-14)
    torch.testing.assert_close(minima.smallest, glass.eigenvalues(minima.w)[:, 0])
    alone = minimize(glass, start[7:8], gradient_norm=1e-10)
    torch.testing.assert_close(alone.energy, minima.energy[7:8], rtol=1e-9, atol=0)


def test_single_precision_leads_to_the_same_minima():
    """The same descent in double precision, and Newton steps from there."""
    glass = SphericalSpinGlass.draw(30, 3, rng=3)
    start = w = glass.random_points(20, rng=4)
    for _ in range(500):
        gradient = glass.gradient(w)
        going = gradient.norm(dim=-1, keepdim=True) > 0.03 * math.sqrt(30)
        w = torch.where(going, glass.retract(w - gradient / (4 * math.sqrt(6))), w)
    assert not going.any()
    expected = minimize(glass, w, descend_to=0.1).energy
    torch.testing.assert_close(minimize(glass, start).energy, expected, rtol=0, atol=1e-9)


def test_number_of_critical_points_at_size_four():
    """All critical points of each draw, by many searches, against the mean of Kac and Rice."""
    rng = np.random.default_rng(7)
    counts, below = [], []
    for _ in range(40):
        glass = SphericalSpinGlass.draw(4, 3, rng)
        found = find_critical_points(glass, glass.random_points(80, rng), max_steps=30)
        energies = found.energy[found.gradient_norm <= 1e-8].numpy()
        # w and -w are both critical, with opposite energies; equal energies are equal points.
        energies = np.unique(np.concatenate([energies, -energies]).round(6))
        counts.append(len(energies))
        below.append((energies <= -0.8).sum())
    for values, u in ((counts, 9.0), (below, -0.8)):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        expected = np.exp(log_critical_points(u, 3, 4))
        assert np.mean(values) == pytest.approx(expected, abs=4 * error)


def test_the_draw_follows_from_the_seed():
    first, second = (SphericalSpinGlass.draw(5, 3, rng=9) for _ in range(2))
    w = first.random_points(2, rng=1)
    assert torch.equal(first.energy(w), second.energy(w))
    assert torch.allclose(w.norm(dim=-1), torch.tensor(math.sqrt(5)).double())


def test_bad_input_is_named():
    glass = SphericalSpinGlass.draw(5, 3, rng=0)
    w = glass.random_points(2, rng=0)
    with pytest.raises(TypeError, match="couplings must be a float64 tensor"):
        SphericalSpinGlass(torch.ones(3, 3))
    with pytest.raises(ValueError, match=r"couplings must have H >= 2 axes of one length"):
        SphericalSpinGlass(torch.ones(3, 4).double())
    with pytest.raises(ValueError, match=r"size must be in \[2, inf\), got 1"):
        SphericalSpinGlass.draw(1, 3)
    with pytest.raises(ValueError, match=r"w must have shape \(\.\.\., 5\), got \(2, 4\)"):
        glass.energy(w[:, :4])
    with pytest.raises(ValueError, match=r"w must have norm sqrt\(5\)"):
        minimize(glass, 2 * w)
    for call in (minimize, find_critical_points):
        with pytest.raises(ValueError, match=r"gradient_norm must be in \(0, inf\), got 0"):
            call(glass, w, gradient_norm=0)
        with pytest.raises(ValueError, match=r"max_steps must be in \[1, inf\), got 0"):
            call(glass, w, max_steps=0)
    with pytest.raises(ValueError, match=r"descend_to must be in \[1e-3, inf\), got -1"):
        minimize(glass, w, descend_to=-1)
