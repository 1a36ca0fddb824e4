"""Four small classifiers of images, as torch modules, and their training with batches.

Softmax regression, perceptrons with two and three hidden layers, and a network with one
convolution: the 784-10-100-10 perceptron of Baskerville, Granziol & Keating (2022) and others,
scaled down to 8 by 8 pixels.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from hessrmt.validation import choice, integer, real

__all__ = ["image_classifier", "train_in_batches"]

CLASSES, UNITS, CHANNELS = 10, 10, 6
_KINDS = "softmax | perceptron | deep | convolutional"


def image_classifier(kind: str, side: int, *, hidden: int = 10, rng: Any = None) -> nn.Sequential:
    r"""Draw a classifier of images into ten classes, with ReLU units, in float64.

    Weights are normal with variance 2 / (inputs of a unit), biases zero.

    Parameters
    ----------
    kind : {"softmax", "perceptron", "deep", "convolutional"}
        One layer; layers of 10 and `hidden` units; three of `hidden` units; six 3 by 3 filters,
        averages of 2 by 2, one layer.
    side : int
        Pixels on a side; an image is one row of :math:`\text{side}^2` numbers. At least 4 for
        filters.
    hidden : int
        Units of the hidden layers, where there are any.
    rng : int, numpy.random.Generator or None
        Seed or generator.

    Returns
    -------
    torch.nn.Sequential
        It returns logits.

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> image_classifier("perceptron", 8, rng=0)(torch.zeros(3, 64, dtype=torch.float64)).shape
    torch.Size([3, 10])
    """
    kind = choice("kind", kind, _KINDS)
    side = integer("side", side, "[4, inf)" if kind == "convolutional" else "[1, inf)")
    hidden = integer("hidden", hidden, "[1, inf)")
    rng = np.random.default_rng(rng)
    if kind == "convolutional":
        pooled = CHANNELS * ((side - 2) // 2) ** 2
        shaped = nn.Unflatten(1, (1, side, side))
        filters = (nn.Conv2d(1, CHANNELS, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
        model = nn.Sequential(shaped, *filters, nn.Linear(pooled, CLASSES))
    else:
        inner = {"softmax": (), "perceptron": (UNITS, hidden), "deep": 3 * (hidden,)}[kind]
        sizes = pairwise((side**2, *inner, CLASSES))
        layers = [layer for p, q in sizes for layer in (nn.Linear(p, q), nn.ReLU())]
        model = nn.Sequential(*layers[:-1])
    model = model.to(torch.float64)
    for parameter in model.parameters():
        shape = tuple(parameter.shape)
        # Biases are drawn, too: the numbers that a layer gets do not depend on what they are.
        scale = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.0
        parameter.data = torch.from_numpy(scale * rng.standard_normal(shape))
    return model


def train_in_batches(
    model: nn.Module,
    x: torch.Tensor,
    labels: torch.Tensor,
    *,
    epochs: int,
    batch: int = 125,
    learning_rate: float = 0.03,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    rng: Any = None,
) -> nn.Module:
    """Train a copy of a classifier by stochastic gradient descent with momentum.

    Parameters
    ----------
    model : torch.nn.Module
        Where to start; left as it is.
    x, labels : tensors (m, inputs) and (m,)
        Images and their classes.
    epochs : int
        Passes over the images, each in another order.
    batch : int
        Images a step; those left over at the end of an epoch are not used in it.
    learning_rate, momentum, weight_decay : float
        Of `torch.optim.SGD`; by default those of Baskerville, Granziol & Keating (2022) but for
        ten times their learning rate.
    rng : int, numpy.random.Generator or None
        Seed or generator of the orders.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains.

    Examples
    --------
    >>> x, labels = torch.eye(4, dtype=torch.float64).repeat(5, 1), torch.arange(4).repeat(5)
    >>> start = image_classifier("softmax", 2, rng=0)
    >>> end = train_in_batches(start, x, labels, epochs=30, batch=10, rng=1)
    >>> losses = [nn.functional.cross_entropy(net(x), labels) for net in (start, end)]
    >>> bool(losses[1] < losses[0] / 2)
    True
    """
    epochs = integer("epochs", epochs, "[1, inf)")
    batch = integer("batch", batch, f"[1, {len(x)}]")
    rate = real("learning_rate", learning_rate, "(0, inf)")
    momentum = real("momentum", momentum, "[0, 1)")
    decay = real("weight_decay", weight_decay, "[0, inf)")
    rng = np.random.default_rng(rng)
    model = copy.deepcopy(model)
    sgd = torch.optim.SGD(model.parameters(), rate, momentum=momentum, weight_decay=decay)
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(len(x)))
        for rows in order[: len(x) - len(x) % batch].split(batch):
            sgd.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            sgd.step()
    return model
