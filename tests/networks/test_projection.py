"""Residuals at which the gradient vanishes, against the singular values of J."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, project_residuals


def drawn(net, m, batch, seed):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((net.n0, m)))
    e = torch.from_numpy(rng.standard_normal((*batch, net.n2, m)))
    return net.initialize(batch, rng), x, e


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear"])
def test_projection_is_that_by_singular_vectors(activation):
    net = SingleHiddenLayer(n0=5, n1=4, n2=6, activation=activation)
    theta, x, e = drawn(net, 30, (3,), 0)
    found = project_residuals(net, theta, x, e)
    for i in range(3):
        J = torch.func.jacrev(lambda t: net.predict(t, x).flatten())(theta[i])
        left, values, _ = torch.linalg.svd(J, full_matrices=False)
        left = left[:, values > 1e-10 * values[0]]
        flat = e[i].flatten()
        expected = flat - left @ (left.T @ flat)
        torch.testing.assert_close(found[i].flatten(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("phi", [0.125, 0.5])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradient_vanishes(phi, activation):
    net = SingleHiddenLayer(n=16, activation=activation)
    theta, x, e = drawn(net, round(32 / phi), (2, 2), 1)
    found = project_residuals(net, theta, x, e)
    before, after = (
        net.gradient(theta, x, net.predict(theta, x) - r).norm(dim=-1) for r in (e, found)
    )
    assert (after < 1e-10 * before).all()
    # What is left of the noise has the dimension of the kernel: within five standard errors.
    left = (found**2).sum() / (e**2).sum()
    assert abs(float(left) - (1 - phi)) < 5 * np.sqrt(2 / e.numel()) + 17 / e[0, 0].numel()


def test_residuals_on_the_kernel_stay():
    net = SingleHiddenLayer(n=6)
    theta, x, e = drawn(net, 40, (), 2)
    once = project_residuals(net, theta, x, e)
    torch.testing.assert_close(project_residuals(net, theta, x, once, tolerance=0.5), once)
    assert not project_residuals(net, theta, x, torch.zeros_like(e)).any()


def test_too_few_steps():
    net = SingleHiddenLayer(n=6)
    with pytest.raises(RuntimeError, match="of its start after 2 steps"):
        project_residuals(net, *drawn(net, 40, (), 3), most=2)


def test_bad_arguments():
    net = SingleHiddenLayer(n=6)
    theta, x, e = drawn(net, 40, (), 4)
    with pytest.raises(ValueError, match=r"tolerance must be in \(0, 1\)"):
        project_residuals(net, theta, x, e, tolerance=1.0)
    with pytest.raises(TypeError, match="must be float64"):
        project_residuals(net, theta.float(), x.float(), e.float())
    with pytest.raises(ValueError, match="shape"):
        project_residuals(net, theta, x, e[:, :-1])
