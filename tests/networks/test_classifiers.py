"""Classifiers and their training, against plain gradient descent written out."""

import numpy as np
import pytest
import torch
from torch import nn

from hessrmt.networks import image_classifier, train_in_batches

SIZES = {"softmax": 650, "perceptron": 870, "deep": 980, "convolutional": 610}


@pytest.mark.parametrize("kind", SIZES)
def test_sizes_and_scales(kind):
    model = image_classifier(kind, 8, rng=0)
    assert sum(p.numel() for p in model.parameters()) == SIZES[kind]
    weights = [p.detach() for p in model.parameters() if p.ndim > 1]
    for W in weights:
        scaled = W.flatten() * np.sqrt(W[0].numel() / 2)
        assert abs(scaled.std().item() - 1) < 4 / np.sqrt(2 * W.numel())  # four standard errors
    assert all((p == 0).all() for p in model.parameters() if p.ndim == 1)
    again = image_classifier(kind, 8, rng=0)
    assert all(
        torch.equal(*pair) for pair in zip(model.parameters(), again.parameters(), strict=True)
    )


def test_training_is_gradient_descent_with_momentum():
    rng = np.random.default_rng(1)
    x, y = (
        torch.from_numpy(rng.standard_normal((30, 9))),
        torch.from_numpy(rng.integers(10, size=30)),
    )
    start = image_classifier("softmax", 3, rng=2)
    end = train_in_batches(
        start, x, y, epochs=2, batch=20, learning_rate=0.1, momentum=0.5, weight_decay=0.01, rng=4
    )
    theta, speed = [p.detach().clone() for p in start.parameters()], [0.0, 0.0]
    orders = np.random.default_rng(4)
    for _ in range(2):  # ten are left over in each
        rows = orders.permutation(30)[:20]
        W, b = (t.requires_grad_() for t in theta)
        loss = nn.functional.cross_entropy(x[rows] @ W.T + b, y[rows])
        slopes = torch.autograd.grad(loss, theta)
        with torch.no_grad():
            speed = [0.5 * v + g + 0.01 * t for v, g, t in zip(speed, slopes, theta, strict=True)]
            theta = [t - 0.1 * v for t, v in zip(theta, speed, strict=True)]
    for got, expected in zip(end.parameters(), theta, strict=True):
        torch.testing.assert_close(got.detach(), expected, rtol=0, atol=1e-12)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="kind must be one of softmax"):
        image_classifier("linear", 8)
    with pytest.raises(ValueError, match=r"side must be in \[4, inf\), got 3"):
        image_classifier("convolutional", 3)
    x, y = torch.ones(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"batch must be in \[1, 5\], got 125"):
        train_in_batches(image_classifier("softmax", 2), x, y, epochs=1)
