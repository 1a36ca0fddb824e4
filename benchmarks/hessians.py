"""The dense Hessian of a network against automatic differentiation, as ratios within one run.

    make bench

One network with 16 units in each layer, tanh, 64 examples, float64, one core: 512 parameters.
Against the closed form of `hessrmt.SingleHiddenLayer.hessian`, for a batch of networks and for one:

- ``torch.func.hessian`` of the loss,
- a loop of Hessian-vector products by double backward, one for each column, and
- ``curvlinops.HessianLinearOperator`` applied to the identity.

Errors are the largest difference to ``torch.func.hessian`` over the largest entry.
"""

from table import report, seconds  # isort: skip  (first: it sets the number of threads)

import numpy as np
import torch

from hessrmt import SingleHiddenLayer

N, M, BATCH = 16, 64, 8


class Network(torch.nn.Module):
    """The same network for curvlinops: rows are examples, weights W1 and W2."""

    def __init__(self, theta):
        super().__init__()
        self.first = torch.nn.Linear(N, N, bias=False, dtype=torch.float64)
        self.second = torch.nn.Linear(N, N, bias=False, dtype=torch.float64)
        torch.nn.utils.vector_to_parameters(theta, self.parameters())

    def forward(self, x):
        """Answers, a row for each example."""
        return self.second(torch.tanh(self.first(x)))


def rows():
    torch.set_num_threads(1)
    rng, net = np.random.default_rng(0), SingleHiddenLayer(n=N, activation="tanh")
    x, y = torch.from_numpy(rng.standard_normal((2, N, M)))
    theta = net.initialize(BATCH, rng)
    one, what = theta[0], f"Hessian, n = {N}, m = {M}"

    def loss(weights):
        W1, W2 = weights[: N * N].reshape(N, N), weights[N * N :].reshape(N, N)
        return ((W2 @ torch.tanh(W1 @ x) - y) ** 2).sum() / (2 * M)

    def by_autodiff():
        return torch.func.hessian(loss)(one)

    def by_products():
        at = one.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(at), at, create_graph=True)
        columns = [
            torch.autograd.grad(gradient, at, unit, retain_graph=True)[0]
            for unit in torch.eye(at.numel(), dtype=torch.float64)
        ]
        return torch.stack(columns)

    exact = by_autodiff()

    def error(found):
        return float((found - exact).abs().max() / exact.abs().max())

    own = seconds(lambda: net.hessian(theta, x, y)) / BATCH
    yield "hessrmt, batch of 8", f"{what}, each", own, 1.0, error(net.hessian(theta, x, y)[0])
    spent = seconds(lambda: net.hessian(one, x, y))
    yield "hessrmt, one network", what, spent, spent / own, error(net.hessian(one, x, y))
    for name, call in (
        ("torch.func.hessian", by_autodiff),
        ("Hessian-vector products", by_products),
    ):
        spent = seconds(call)
        yield name, what, spent, spent / own, error(call())
    try:
        from curvlinops import HessianLinearOperator
    except ImportError:
        print("curvlinops is not installed: its row is left out (pip install hessrmt[bench])")
        return
    model = Network(one)
    mean = torch.nn.MSELoss(reduction="mean")

    def by_curvlinops():  # the mean is over outputs, too: the loss is N / 2 times as large
        operator = HessianLinearOperator(
            model, mean, list(model.parameters()), [(x.T, y.T)], check_deterministic=False
        )
        return N / 2 * (operator @ torch.eye(one.numel(), dtype=torch.float64))

    spent = seconds(by_curvlinops)
    yield "curvlinops", what, spent, spent / own, error(by_curvlinops())


if __name__ == "__main__":
    report("Hessians", rows(), ("hessrmt", "numpy", "torch", "curvlinops-for-pytorch"))
