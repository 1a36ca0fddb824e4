"""Networks to measure: a few of the book's, and whatever a function of the reader's makes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.datasets import load_sample_images
from torch import nn

from hessrmt.functions import call_function
from hessrmt.networks import SingleHiddenLayer

__all__ = [
    "Example",
    "digits_example",
    "hidden_layer_example",
    "load_function",
    "transformer_example",
]


class Example(NamedTuple):
    """What `hessrmt.Curvature` is made of."""

    model: nn.Module
    loss: Any
    data: Any


class HalfSquares(nn.Module):
    """The paper's loss: half the squared error of an example, its mean over examples."""

    reduction = "mean"

    def forward(self, prediction: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Value on a batch, an example a row."""
        return ((prediction - y) ** 2).sum(dim=1).mean() / 2


def load_function(reference: str) -> Example:
    """Call a function of the reader's that makes a model, its loss and its data.

    Parameters
    ----------
    reference : str
        ``FILE.py:NAME`` or ``MODULE:NAME``, as in `hessrmt.functions.find_function`.

    Returns
    -------
    Example

    Raises
    ------
    TypeError, ValueError
        In one sentence, if there is no such function or it returns something else.
    Exception
        What goes wrong in the function, in its own lines.
    """
    made = call_function(reference)
    if isinstance(made, (tuple, list)) and len(made) == 3:
        return Example(*made)
    kind = type(made).__name__
    got = f"a {kind} of {len(made)}" if isinstance(made, (tuple, list)) else kind
    raise TypeError(f"model must name a function that returns model, loss and data, got {got}")


def digits_example(weights: ArrayLike | None = None, images: int = 300) -> Example:
    """Make a small convolutional classifier of scikit-learn's digits, with 850 parameters.

    Parameters
    ----------
    weights : (850,) array_like, optional
        Its parameters; by default initial ones, normal with variance two over the inputs of a
        unit, the same in every call.
    images : int
        The first so many of the 1797 digits.

    Returns
    -------
    Example
        With cross-entropy, one batch, float64.
    """
    convolutions = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 12, 3), nn.ReLU()
    model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(12, 10)).double()
    _set(model, weights)
    digits = sklearn_digits()
    x = torch.from_numpy(digits.images[:images, None] / 16)
    return Example(model, "cross-entropy", [(x, torch.from_numpy(digits.target[:images]))])


def hidden_layer_example(seed: int = 0) -> Example:
    """Make the book's own network: 16 units in each layer, ReLU, 64 normal examples, φ = 1/2.

    Its 512 parameters, in their order, are those of `hessrmt.SingleHiddenLayer`, and so is the
    loss, n2 times the energy: dense matrices are there to compare with.
    """
    net, theta, x, y = hidden_layer_draw(seed)
    layers = (nn.Linear(net.n0, net.n1, bias=False), nn.Linear(net.n1, net.n2, bias=False))
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1]).double()
    _set(model, theta.numpy())
    return Example(model, HalfSquares(), [(x.T, y.T)])


def hidden_layer_draw(seed: int) -> tuple[SingleHiddenLayer, Any, Any, Any]:
    """Network, parameters, data and targets of `hidden_layer_example`, in columns."""
    rng, net = np.random.default_rng(seed), SingleHiddenLayer(n=16)
    x, y = torch.from_numpy(rng.standard_normal((2, 16, 64)))
    return net, net.initialize((), rng), x, y


class PatchTransformer(nn.Module):
    """One transformer block on the 16 patches of an image of 32 by 32 pixels in three colours."""

    def __init__(self, width: int = 288, classes: int = 10) -> None:
        super().__init__()
        self.embed = nn.Linear(192, width)
        self.places = nn.Parameter(torch.zeros(16, width))
        self.block = nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.out = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of the classes, from the mean over patches."""
        patches = x.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 16, 192)
        scores: torch.Tensor = self.out(self.block(self.embed(patches) + self.places).mean(dim=1))
        return scores


def transformer_example(weights: ArrayLike | None = None, images: int = 64) -> Example:
    """Make a transformer block with a million parameters that tells photographs' parts apart.

    Images are patches of 32 by 32 pixels, cut at random from scikit-learn's two photographs; the
    class says from which of ten upright strips.

    Parameters
    ----------
    weights : (P,) array_like, optional
        As in `digits_example`.
    images : int
        How many patches.

    Returns
    -------
    Example
        With cross-entropy, in batches of 32, float32.
    """
    model = PatchTransformer().eval()
    _set(model, weights)
    rng, photos = np.random.default_rng(0), np.stack(load_sample_images().images) / 255
    strip = photos.shape[2] // 5
    y = rng.integers(10, size=images)
    top, left = (
        rng.integers(photos.shape[1] - 32, size=images),
        rng.integers(strip - 32, size=images),
    )
    cut = [
        photos[c // 5, t : t + 32, k : k + 32]
        for c, t, k in zip(y, top, strip * (y % 5) + left, strict=True)
    ]
    x = torch.from_numpy(np.array(cut, np.float32).transpose(0, 3, 1, 2))
    x = (x - x.mean(dim=(0, 2, 3), keepdim=True)) / x.std(dim=(0, 2, 3), keepdim=True)
    return Example(
        model, "cross-entropy", list(zip(x.split(32), torch.from_numpy(y).split(32), strict=True))
    )


def _set(model: nn.Module, weights: ArrayLike | None) -> None:
    """Give a model these parameters, or initial ones that no generator of torch has a part in."""
    parameters = list(model.named_parameters())
    size = sum(p.numel() for _, p in parameters)
    if weights is None:
        rng = np.random.default_rng(0)
        flat = np.concatenate([_initial(name, p, rng).reshape(-1) for name, p in parameters])
    else:
        flat = np.asarray(weights, dtype=np.float64).reshape(-1)
    if flat.size != size:
        raise ValueError(f"weights must be {size} numbers, got {flat.size}")
    with torch.no_grad():
        nn.utils.vector_to_parameters(
            torch.from_numpy(flat).to(parameters[0][1].dtype), model.parameters()
        )


def _initial(name: str, p: torch.Tensor, rng: np.random.Generator) -> NDArray[np.float64]:
    """Normal with variance 2 over the incoming numbers; biases 0, scales of a norm 1."""
    if p.ndim > 1:
        return np.asarray(rng.normal(0.0, np.sqrt(2 / p[0].numel()), p.shape))
    return np.full(p.shape, float("norm" in name and name.endswith("weight")))
