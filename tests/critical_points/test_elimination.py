"""The eliminated Hessian against the whole one, and numpy against torch."""

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer
from hessrmt.critical_points import Surface, elimination
from hessrmt.critical_points._backends import to_numpy

SHAPES = [{"n": 4}, {"n0": 3, "n1": 5, "n2": 2}, {"n0": 6, "n1": 2, "n2": 7}, {"n": 1}]


def problem(activation, shape, runs=3, m=17, seed=0):
    net, rng = SingleHiddenLayer(activation=activation, **shape), np.random.default_rng(seed)
    x, y = (torch.from_numpy(rng.standard_normal((runs, k, m))) for k in (net.n0, net.n2))
    return net, net.initialize(runs, rng), x, y, rng


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_schur_complement_and_coupling_agree_with_the_dense_hessian(activation, shape):
    net, theta, x, y, rng = problem(activation, shape)
    everyone, surface = np.arange(3), Surface(net, x, y)
    p = surface.point(everyone, *(w.numpy() for w in net.weights(theta)))
    H, split = net.hessian(theta, x, y).numpy(), net.n1 * net.n0
    A, B, D = H[:, :split, :split], H[:, :split, split:], H[:, split:, split:]
    g = np.concatenate([part.reshape(3, -1) for part in surface.gradient(p)], axis=1)
    np.testing.assert_allclose(surface.top(everyone, p), A, atol=1e-13)
    np.testing.assert_allclose(g, net.gradient(theta, x, y), atol=1e-13)
    np.testing.assert_allclose(surface.energy(p), net.energy(theta, x, y), rtol=1e-13)
    thin = surface.thin(p)
    shift = rng.uniform(0.1, 1.0, 3)
    eye = np.eye(H.shape[-1])
    inner = np.linalg.solve(D + shift[:, None, None] * eye[split:, split:], B.mT)
    dense = A + shift[:, None, None] * eye[:split, :split] - B @ inner
    np.testing.assert_allclose(
        surface.shifted_schur(everyone, p, thin, shift)[0], dense, atol=1e-12
    )
    V, U = rng.standard_normal(p.W2.shape), rng.standard_normal((3, net.n1, net.n0))
    np.testing.assert_allclose(
        surface.apply(p, thin, V), (B @ V.reshape(3, -1, 1))[..., 0], atol=1e-13
    )
    np.testing.assert_allclose(
        surface.apply_transposed(p, thin, U).reshape(3, -1),
        (B.mT @ U.reshape(3, -1, 1))[..., 0],
        atol=1e-13,
    )


@pytest.mark.parametrize("tolerance", [1e-6, 0.05])
def test_counts_below_a_tolerance_are_those_of_the_whole_hessian(tolerance):
    net, theta, x, y, _ = problem("tanh", {"n": 4}, runs=12)
    everyone, surface = np.arange(12), Surface(net, x, y)
    p = surface.point(everyone, *(w.numpy() for w in net.weights(theta)))
    values = np.linalg.eigvalsh(net.hessian(theta, x, y).numpy())
    dense = (values < -tolerance).sum(axis=1)
    assert len(set(dense)) > 2
    np.testing.assert_array_equal(surface.count_below(everyone, p, tolerance), dense)


def test_eliminated_output_weights_are_the_least_squares_optimum():
    net, theta, x, y, _ = problem("tanh", {"n0": 3, "n1": 4, "n2": 5})
    surface = Surface(net, x, y)
    p = surface.point(np.arange(3), net.weights(theta)[0].numpy())
    for h, target, W2 in zip(p.h, y.numpy(), p.W2, strict=True):
        np.testing.assert_allclose(W2, np.linalg.lstsq(h.T, target.T)[0].T, atol=1e-12)


def test_dependent_hidden_units_leave_no_unique_optimum():
    net, theta, x, y, _ = problem("tanh", {"n": 4})
    W1 = net.weights(theta)[0].numpy().copy()
    W1[1, 2] = 0
    p = Surface(net, x, y).point(np.arange(3), W1)
    assert np.isnan(p.W2[1]).all()
    assert np.isfinite(p.W2[[0, 2]]).all()


def test_torch_does_what_numpy_does(monkeypatch):
    """What runs on a GPU, here on the CPU."""
    net, theta, x, y, _ = problem("tanh", {"n0": 3, "n1": 4, "n2": 5})
    everyone, points = np.arange(3), []
    for kind in ("numpy", "torch"):
        if kind == "torch":
            monkeypatch.setattr(elimination, "from_tensor", lambda tensor: tensor)
        surface = Surface(net, x, y)
        W1 = net.weights(theta)[0]
        W1 = W1.numpy() if kind == "numpy" else W1
        p = surface.point(everyone, W1)
        assert isinstance(p.e, torch.Tensor) == (kind == "torch")
        points.append((*p, surface.schur(everyone, p), surface.count_below(everyone, p, 1e-6)))
    for a, b in zip(*points, strict=True):
        np.testing.assert_allclose(a, to_numpy(b) if isinstance(b, torch.Tensor) else b, atol=1e-11)


def test_networks_with_kinks_are_refused():
    net = SingleHiddenLayer(3, "relu")
    with pytest.raises(ValueError, match=r"activation must be one of tanh . linear, got 'relu'"):
        Surface(net, torch.zeros(1, 3, 5).double(), torch.zeros(1, 3, 5).double())
