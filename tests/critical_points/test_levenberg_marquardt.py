"""Steps of both searches against dense least squares, and the searches on solvable problems."""

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from hessrmt import SingleHiddenLayer
from hessrmt.critical_points import Surface, elimination
from hessrmt.critical_points._levenberg_marquardt import (
    FullSearch,
    LevenbergMarquardt,
    ProjectedSearch,
)


def problem(shape, runs=3, m=19, seed=0, activation="tanh"):
    net, rng = SingleHiddenLayer(activation=activation, **shape), np.random.default_rng(seed)
    x, y = (torch.from_numpy(rng.standard_normal((runs, k, m))) for k in (net.n0, net.n2))
    return net, net.initialize(runs, rng), x, y


def damped_least_squares(J, g, mu):
    """Minimiser of |J s + g|^2 + mu |s|^2 without normal equations."""
    size = len(g)
    stacked = np.vstack([J, np.sqrt(mu) * np.eye(size)])
    return np.linalg.lstsq(stacked, -np.concatenate([g, np.zeros(size)]))[0]


@pytest.mark.parametrize("mu", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("shape", [{"n": 4}, {"n0": 3, "n1": 5, "n2": 2}])
def test_full_step_is_levenberg_marquardt_on_the_dense_hessian(shape, mu):
    net, theta, x, y = problem(shape)
    search, everyone = FullSearch(Surface(net, x, y)), np.arange(3)
    p = search.point(everyone, theta.numpy())
    g = search.gradient(p)
    H = net.hessian(theta, x, y).numpy()
    np.testing.assert_allclose(g, net.gradient(theta, x, y), atol=1e-13)
    s, predicted, product = search.step(everyone, p, g, np.full(3, mu))
    for i in range(3):
        np.testing.assert_allclose(s[i], damped_least_squares(H[i], g[i], mu), atol=1e-9)
        np.testing.assert_allclose(predicted[i], g[i] + H[i] @ s[i], atol=1e-11)
        np.testing.assert_allclose(product[i], H[i] @ g[i], atol=1e-12)


def test_projected_step_is_levenberg_marquardt_on_the_reduced_gradient():
    """The Jacobian is taken by automatic differentiation through the elimination itself."""
    net, theta, x, y = problem({"n0": 3, "n1": 4, "n2": 5})
    search, everyone = ProjectedSearch(Surface(net, x, y)), np.arange(3)

    def reduced_gradient(v, x, y):
        W1, m = v.reshape(net.n1, net.n0), x.shape[-1]
        h = torch.tanh(W1 @ x)
        W2 = torch.linalg.solve(h @ h.T, h @ y.T).T
        return ((W2.T @ (W2 @ h - y) * (1 - h * h)) @ x.T / m).flatten()

    v = search.variables(theta.numpy())
    p = search.point(everyone, v)
    g = search.gradient(p)
    J = vmap(jacrev(reduced_gradient))(torch.from_numpy(v), x, y).numpy()
    s, predicted, product = search.step(everyone, p, g, np.full(3, 0.01))
    for i in range(3):
        np.testing.assert_allclose(s[i], damped_least_squares(J[i], g[i], 0.01), atol=1e-9)
        np.testing.assert_allclose(predicted[i], g[i] + J[i] @ s[i], atol=1e-11)
        np.testing.assert_allclose(product[i], J[i] @ g[i], atol=1e-12)
    # All of the gradient is the reduced one.
    whole = net.gradient(torch.from_numpy(search.parameters(everyone, v)), x, y).numpy()
    np.testing.assert_allclose(whole[:, : v.shape[1]], g, atol=1e-13)
    np.testing.assert_allclose(whole[:, v.shape[1] :], 0, atol=1e-13)


@pytest.mark.parametrize("kind", [ProjectedSearch, FullSearch])
def test_the_gradient_falls_and_every_progress_is_seen(kind):
    net, theta, x, y = problem({"n": 4}, runs=6, m=16)
    search, seen = kind(Surface(net, x, y)), {run: [] for run in range(6)}

    def watch(runs, variables, norms):
        gradient = search.gradient(search.point(runs, variables))
        np.testing.assert_allclose((gradient**2).sum(axis=1), norms, rtol=1e-6, atol=1e-28)
        for run, norm in zip(runs, norms, strict=True):
            seen[run].append(norm)

    result = LevenbergMarquardt(max_steps=60)(search, search.variables(theta.numpy()), watch)
    for run, norms in seen.items():
        assert np.all(np.diff(norms) < 0)
        assert norms[-1] == result.grad_norm_sq[run]
        below = [n < 1e-6 for n in norms]
        assert (result.passed[run] >= 0) == any(below)
    assert (result.grad_norm_sq < 1e-6).sum() >= 2
    assert result.steps.max() <= 60


@pytest.mark.parametrize("kind", [ProjectedSearch, FullSearch])
def test_torch_takes_the_same_steps(kind, monkeypatch):
    net, theta, x, y = problem({"n0": 3, "n1": 4, "n2": 5})
    ends = []
    for tensors in (False, True):
        if tensors:
            monkeypatch.setattr(elimination, "from_tensor", lambda tensor: tensor)
        search = kind(Surface(net, x, y))
        start = search.variables(theta if tensors else theta.numpy())
        ends.append(LevenbergMarquardt(max_steps=8)(search, start, lambda *_: None))
    np.testing.assert_allclose(ends[0].variables, ends[1].variables.numpy(), atol=1e-8)
    np.testing.assert_array_equal(ends[0].steps, ends[1].steps)
