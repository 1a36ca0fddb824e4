"""Products with the Hessians of single examples, against torch's own dense ones."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian

from hessrmt.curvature import Curvature, example_products, noise_profile
from hessrmt.networks import image_classifier


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(3)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 10)).double()
    for p in model.parameters():
        p.data = torch.from_numpy(rng.standard_normal(tuple(p.shape)))
    x, y = (
        torch.from_numpy(rng.standard_normal((12, 4))),
        torch.from_numpy(rng.integers(10, size=12)),
    )
    return model, x, y


def dense(model, x, y):
    """Hessian of the cross-entropy on one example, by torch.func."""
    shapes = {k: p.shape for k, p in model.named_parameters()}
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])

    def loss(theta):
        parts = theta.split([s.numel() for s in shapes.values()])
        weights = {k: part.view(s) for (k, s), part in zip(shapes.items(), parts, strict=True)}
        return nn.functional.cross_entropy(functional_call(model, weights, (x[None],)), y[None])

    return hessian(loss)(flat).numpy()


def test_products_are_those_of_the_dense_hessians(case):
    model, x, y = case
    h = np.array([dense(model, *pair) for pair in zip(x, y, strict=True)])
    v = np.random.default_rng(0).standard_normal(h.shape[1])
    np.testing.assert_allclose(example_products(model, "cross-entropy", x, y, v), h @ v, atol=1e-12)


def test_profile_is_that_of_the_dense_hessians(case):
    model, x, y = case
    h = np.array([dense(model, *pair) for pair in zip(x, y, strict=True)])
    U = np.linalg.eigh(h.mean(axis=0))[1]
    turned = U.T @ h @ U
    exact = len(U)
    found = noise_profile(model, "cross-entropy", x, y, U, count=5, exact=exact, probes=1)
    strength = np.array([turned[:, -1 - k].var(axis=0) for k in range(5)])
    np.testing.assert_allclose(found.strength, strength, atol=1e-12)
    assert found.square == pytest.approx(np.sum(h**2) / len(h), rel=1e-12)
    np.testing.assert_allclose(found.blocks, turned[:, ::-1, ::-1], atol=1e-12)


def test_the_estimated_part_is_right_in_the_mean(case):
    model, x, y = case
    U = np.eye(sum(p.numel() for p in model.parameters()))
    h = np.array([dense(model, *pair) for pair in zip(x, y, strict=True)])
    found = noise_profile(model, "cross-entropy", x, y, U, exact=10, probes=4000, rng=1)
    # 4000 draws: the standard error of the mean is 0.4% here, and five of them are allowed.
    assert found.square == pytest.approx(np.sum(h**2) / len(h), rel=0.02)


def test_the_mean_is_the_product_of_all():
    model = image_classifier("convolutional", 6, rng=2)
    rng = np.random.default_rng(1)
    x, y = (
        torch.from_numpy(rng.standard_normal((9, 36))),
        torch.from_numpy(rng.integers(10, size=9)),
    )
    c = Curvature(model, "cross-entropy", [(x, y)])
    v = rng.standard_normal(c.size)
    mean = example_products(model, "cross-entropy", x, y, v).mean(axis=0)
    np.testing.assert_allclose(mean, c.hessian @ v, atol=1e-12)


def test_bad_arguments_are_named(case):
    model, x, y = case
    with pytest.raises(ValueError, match=r"v must have shape \(55,\), got \(3,\)"):
        example_products(model, "cross-entropy", x, y, np.ones(3))
    with pytest.raises(ValueError, match=r"vectors must have shape \(P, P\)"):
        noise_profile(model, "cross-entropy", x, y, np.ones((55, 3)))
    with pytest.raises(ValueError, match=r"count must be in \[1, 18\], got 19"):
        noise_profile(model, "cross-entropy", x, y, np.eye(55), count=19)
    with pytest.raises(ValueError, match="loss must be one of mse"):
        example_products(model, "hinge", x, y, np.ones(55))


def test_columns_may_be_in_any_order_in_memory(case):
    model, x, y = case
    H = Curvature(model, "cross-entropy", [(x, y)]).hessian
    eye = np.eye(H.shape[0])
    np.testing.assert_allclose(H @ eye[:, ::-1], (H @ eye)[:, ::-1], atol=1e-12)
