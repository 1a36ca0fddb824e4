"""Models with which the operators are tried, and their dense Hessians by other means."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jacrev

F64 = torch.float64


class Tied(nn.Module):
    """An autoencoder whose two layers are one matrix."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 4, bias=False), nn.Linear(5, 4, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x):
        return torch.tanh(self.first(x)) @ self.second.weight


class Cube(torch.autograd.Function):
    """An activation of the old style: no forward mode, no vmap, but a differentiable backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class Custom(nn.Module):
    """A perceptron with any function as activation."""

    def __init__(self, function):
        super().__init__()
        self.a, self.b, self.function = nn.Linear(4, 6), nn.Linear(6, 2), function

    def forward(self, x):
        return self.b(self.function(self.a(x)))


def seeded(make, seed=0):
    """Made with the global generator of torch at that seed, which is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def perceptron(*sizes, bias=True, activation=nn.Tanh):
    layers = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o, bias=bias), activation()]
    return nn.Sequential(*layers[:-1])


def convolutional():
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(12, 4))
    model[1].running_mean.uniform_(-0.5, 0.5)
    model[1].running_var.uniform_(0.5, 2.0)
    return model.eval()


def frozen():
    model = perceptron(4, 6, 5, 3)
    model[2].requires_grad_(False)
    return model


def normal(*shape):
    return lambda n: torch.randn(n, *shape, dtype=F64)


def labels(classes):
    return lambda n: torch.randint(classes, (n,))


def tokens(n):
    return torch.randint(7, (n, 3))


class Shaped(nn.Module):
    """Embedded words, their mean, a layer."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(torch.sin(self.words(x).mean(dim=1)))


# name: (model, loss, x, y, sizes of batches)
CASES = {
    "bias": (lambda: perceptron(4, 6, 3), "mse", normal(4), normal(3), [9]),
    "convolution": (convolutional, "cross-entropy", normal(1, 6, 6), labels(4), [5, 6]),
    "tied weights": (Tied, "mse", normal(5), normal(5), [8]),
    "frozen layer": (frozen, "mse", normal(4), normal(3), [4, 4]),
    "cross-entropy": (
        lambda: perceptron(4, 6, 3, activation=nn.ReLU),
        *("cross-entropy", normal(4), labels(3), [10]),
    ),
    "sum": (
        lambda: perceptron(4, 5, 2, bias=False),
        *(nn.MSELoss(reduction="sum"), normal(4), normal(2), [3, 5]),
    ),
    "unequal batches": (
        lambda: perceptron(3, 6, 2, activation=nn.SiLU),
        *("cross-entropy", normal(3), labels(2), [1, 7, 4]),
    ),
    "embedding": (Shaped, "cross-entropy", tokens, labels(3), [6, 3]),
    "weighted classes": (
        lambda: perceptron(3, 5, 4),
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1.0, 5.0, 2.0], dtype=F64), ignore_index=2),
        *(normal(3), labels(4), [3, 8, 5]),
    ),
    "attention": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 6, 0.0, batch_first=True)).eval(),
        *("mse", normal(3, 4), normal(3, 4), [2, 3]),
    ),
}


def made(name, seed=0, dtype=F64):
    """Model, loss and batches of a case."""

    def make():
        model, loss, x, y, sizes = CASES[name]
        data = [(x(n), y(n)) for n in sizes]
        if dtype != F64:
            data = [tuple(t.to(dtype) if t.is_floating_point() else t for t in d) for d in data]
        return model().to(dtype), loss, data

    return seeded(make, seed)


def dense(model, loss, data):
    """H and H0 of the loss of all examples at once, by torch.func on the whole."""
    criterion = {"mse": nn.MSELoss(), "cross-entropy": nn.CrossEntropyLoss()}.get(loss, loss)
    x, y = (torch.cat(parts) for parts in zip(*data, strict=True))
    names = {n: p for n, p in model.named_parameters() if p.requires_grad}
    shapes = [p.shape for p in names.values()]
    theta = torch.cat([p.detach().reshape(-1) for p in names.values()])

    def output(t):
        parts = t.split([s.numel() for s in shapes])
        return functional_call(
            model, {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}, (x,)
        )

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        if any(isinstance(m, nn.LayerNorm) for m in model.modules()):
            H = torch.from_numpy(reverse_hessian(model, criterion, x, y))  # torch.func is wrong
        else:
            H = hessian(lambda t: criterion(output(t), y))(theta)
        z = output(theta).detach()
        J = jacrev(output)(theta).reshape(z.numel(), -1)
        curved = hessian(lambda o: criterion(o.view(z.shape), y))(z.reshape(-1))
    return H.detach().numpy(), (J.T @ curved @ J).detach().numpy()


def reverse_hessian(model, criterion, x, y):
    """H by two passes of plain autograd, for what torch.func cannot do."""
    params = list(model.parameters())
    grads = torch.autograd.grad(criterion(model(x), y), params, create_graph=True)
    flat = torch.cat([g.reshape(-1) for g in grads])
    rows = [torch.autograd.grad(g, params, retain_graph=True) for g in flat]
    return np.array([torch.cat([r.reshape(-1) for r in row]).numpy() for row in rows])


def wishart_like(size, count, rng):
    """A symmetric matrix with a bulk, a null space and outliers of either sign."""
    Q = np.linalg.qr(rng.standard_normal((size, size)))[0]
    bulk = np.concatenate([rng.gamma(2.0, 0.5, size - count - 4), np.zeros(count)])
    return (Q * np.concatenate([bulk - 0.5 * (bulk > 0), [20.0, 12.0, 9.0, -6.0]])) @ Q.T


@pytest.fixture(scope="session")
def zoo():
    """What the tests of this folder share."""
    names = (made, dense, reverse_hessian, seeded, perceptron, Custom, Cube, wishart_like)
    return SimpleNamespace(**{f.__name__.lower(): f for f in names}, cases=list(CASES))
