"""Products of the operators against dense Hessians by torch.func, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from hessrmt import Curvature

F64 = torch.float64
CASES = [
    *("bias", "convolution", "tied weights", "frozen layer", "cross-entropy", "sum"),
    *("unequal batches", "embedding", "weighted classes", "attention"),
]
each_case = pytest.mark.parametrize("name", CASES)


def test_all_cases_are_tried(zoo):
    assert zoo.cases == CASES


@each_case
@pytest.mark.parametrize("seed", range(3))
def test_products_against_dense_hessians(zoo, name, seed):
    model, loss, data = zoo.made(name, seed)
    H, H0 = zoo.dense(model, loss, data)
    c = Curvature(model, loss, data)
    assert c.hessian.shape == c.h0.shape == c.h1.shape == H.shape
    assert c.size == sum(p.numel() for p in model.parameters() if p.requires_grad)
    V = np.random.default_rng(seed).standard_normal((c.size, 3))
    scale = np.abs(H).max() + np.abs(H0).max()
    for operator, matrix in ((c.hessian, H), (c.h0, H0), (c.h1, H - H0)):
        assert np.abs(operator @ V - matrix @ V).max() < 1e-10 * scale
        assert np.abs(operator.rmatvec(V[:, 0]) - matrix @ V[:, 0]).max() < 1e-10 * scale
    assert np.abs(c.h1 @ V - (c.hessian @ V - c.h0 @ V)).max() == 0


@each_case
def test_single_precision(zoo, name):
    model, loss, data = zoo.made(name)
    H, H0 = zoo.dense(model, loss, data)
    single = [tuple(t.float() if t.is_floating_point() else t for t in batch) for batch in data]
    loss = nn.CrossEntropyLoss(loss.weight.float(), ignore_index=2) if "weighted" in name else loss
    c = Curvature(model.float(), loss, single)
    v = np.random.default_rng(0).standard_normal(c.size).astype(np.float32)
    scale = (np.abs(H).max() + np.abs(H0).max()) * np.linalg.norm(v)
    assert c.hessian.dtype == np.float32
    for operator, matrix in ((c.hessian, H), (c.h0, H0)):
        assert (product := operator @ v).dtype == np.float32
        assert np.abs(product - matrix @ v).max() < 1e-5 * scale


def test_activation_without_forward_mode(zoo):
    """An old-style function has neither forward mode nor vmap: two reverse passes."""
    model = zoo.seeded(lambda: zoo.custom(zoo.cube.apply).double())
    x, y = zoo.seeded(lambda: (torch.randn(7, 4, dtype=F64), torch.randn(7, 2, dtype=F64)))
    H = zoo.reverse_hessian(model, nn.MSELoss(), x, y)
    c = Curvature(model, "mse", [(x[:3], y[:3]), (x[3:], y[3:])])
    assert np.abs(c.hessian @ np.eye(c.size) - H).max() < 1e-12
    model.function = lambda t: t**3  # the same, of operations that torch.func knows
    _, H0 = zoo.dense(model, "mse", [(x, y)])
    model.function = zoo.cube.apply
    assert np.abs(c.h0 @ np.eye(c.size) - H0).max() < 1e-12


@pytest.mark.parametrize("activation", [nn.Mish, nn.SiLU, nn.Hardswish, nn.GELU, nn.PReLU])
def test_activations(zoo, activation):
    model = zoo.seeded(lambda: zoo.perceptron(4, 6, 2, activation=activation).double())
    x, y = zoo.seeded(lambda: (torch.randn(7, 4, dtype=F64), torch.randint(2, (7,))))
    H = zoo.reverse_hessian(model, nn.CrossEntropyLoss(), x, y)
    c = Curvature(model, "cross-entropy", [(x, y)])
    assert np.abs(c.hessian @ np.eye(c.size) - H).max() < 1e-12


def plain(zoo, n=6):
    model = zoo.seeded(lambda: zoo.perceptron(4, 5, 2).double())
    x, y = zoo.seeded(lambda: (torch.randn(n, 4, dtype=F64), torch.randn(n, 2, dtype=F64)))
    return model, x, y


def test_any_iterable_of_batches(zoo):
    model, x, y = plain(zoo)
    v = np.arange(37.0)
    wanted = Curvature(model, "mse", [(x, y)]).hessian @ v
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=4)
    pairs = [(x[:4], y[:4]), (x[4:], y[4:])]
    arrays = [(a.numpy(), b.numpy()) for a, b in pairs]
    for data in (loader, tuple(pairs), iter(pairs), (p for p in pairs), arrays):
        c = Curvature(model, "mse", data)
        for _ in range(2):
            np.testing.assert_allclose(c.hessian @ v, wanted, rtol=1e-12, atol=1e-12)
    assert c.loss == pytest.approx(nn.MSELoss()(model(x), y).item(), rel=1e-12)


def test_mappings_go_to_the_model(zoo):
    class Named(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, batch):
            return self.inner(batch["x"]) * batch["scale"]

    model, x, y = plain(zoo)
    scale = torch.full((6, 1), 2.0, dtype=F64)
    c = Curvature(Named(model), "mse", [({"x": x, "scale": scale}, y)])
    H, _ = zoo.dense(nn.Sequential(model, Twice()), "mse", [(x, y)])
    assert np.abs(c.hessian @ np.eye(c.size) - H).max() < 1e-12


class Twice(nn.Module):
    def forward(self, x):
        return 2.0 * x


def test_layer_normalisation_against_differences(zoo):
    """torch.func.hessian is wrong by its own size here, for vmap; two reverse passes are right."""
    model = zoo.seeded(lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).double())
    x, y = zoo.seeded(lambda: (torch.randn(5, 4, dtype=F64), torch.randn(5, 4, dtype=F64)))
    H = Curvature(model, "mse", [(x, y)])
    H = H.hessian @ np.eye(H.size)
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()

    def gradient(at):
        nn.utils.vector_to_parameters(at, model.parameters())
        parts = torch.autograd.grad(nn.functional.mse_loss(model(x), y), model.parameters())
        return torch.cat([part.reshape(-1) for part in parts])

    steps = 1e-5 * torch.eye(len(theta), dtype=F64)
    rows = torch.stack([(gradient(theta + s) - gradient(theta - s)) / 2e-5 for s in steps])
    assert np.abs(H - rows.numpy()).max() < 1e-7 * np.abs(H).max()


def test_the_model_is_left_as_it_was(zoo):
    model, x, y = plain(zoo)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.random.get_rng_state()
    c = Curvature(model.train(), "mse", [(x, y)])
    c.hessian @ np.ones(c.size), c.h0 @ np.ones(c.size)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert model.training


def test_a_model_that_has_changed_is_refused(zoo):
    model, x, y = plain(zoo)
    c = Curvature(model, "mse", [(x, y)])
    with torch.no_grad():
        model[0].weight.add_(1.0)
    with pytest.raises(ValueError, match="model has changed since"):
        c.hessian @ np.ones(c.size)


class Wrong(torch.autograd.Function):
    """The cube with a right backward and a wrong forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g

    @staticmethod
    def jvp(ctx, t):
        (x,) = ctx.saved_tensors
        return x * t


def test_a_wrong_forward_mode_is_not_used(zoo):
    model = zoo.seeded(lambda: zoo.custom(Wrong.apply).double())
    x, y = zoo.seeded(lambda: (torch.randn(7, 4, dtype=F64), torch.randn(7, 2, dtype=F64)))
    c = Curvature(model, "mse", [(x, y)])
    H = zoo.reverse_hessian(model, nn.MSELoss(), x, y)
    assert np.abs(c.hessian @ np.eye(c.size) - H).max() < 1e-12


def test_what_is_refused(zoo):
    model, x, y = plain(zoo)
    good = [(x, y)]

    def refused(error, match, model=model, loss="mse", data=good):
        with pytest.raises(error, match=match) as caught:
            Curvature(model, loss, data)
        assert "\n" not in str(caught.value)

    nan = x.clone()
    nan[2, 1] = torch.nan
    refused(ValueError, "data must be finite, x of batch 1", data=[(x, y), (nan, y)])
    refused(ValueError, "data must be finite, y of batch 0", data=[(x, y * torch.inf)])
    refused(ValueError, "at least one batch", data=[])
    refused(ValueError, "hold examples, x of batch 0", data=[(x[:0], y[:0])])
    refused(TypeError, "batch 0 is Tensor", data=[x])
    refused(TypeError, "iterable of batches", data=x)
    refused(TypeError, "iterable of batches", data=7)
    refused(ValueError, "one shape, got", data=[(x, y[:, :1])])
    refused(ValueError, "loss must accept", loss="cross-entropy", data=[(x, y[:, 0].long() + 9)])
    refused(ValueError, "loss must be one of mse | cross-entropy", loss="hinge")
    refused(ValueError, "reduction 'mean' or 'sum', got 'none'", loss=nn.MSELoss(reduction="none"))
    refused(TypeError, "torch.nn.Module", loss=nn.functional.mse_loss)
    refused(TypeError, "model must be a torch.nn.Module", model=lambda x: x)
    refused(ValueError, "that require gradients", model=nn.Tanh())
    refused(ValueError, "float32 or torch.float64", model=nn.Linear(4, 2).half())
    mixed = nn.Sequential(nn.Linear(4, 4).double(), nn.Linear(4, 2))
    refused(ValueError, "parameters of one dtype", model=mixed)
    dropping = nn.Sequential(model, nn.Dropout(0.5)).train()
    refused(ValueError, "same outputs twice", model=dropping)
    Curvature(dropping.eval(), "mse", good)
    normed = nn.Sequential(model, nn.BatchNorm1d(2).double()).train()
    refused(ValueError, "normalise by its batch, '1' does", model=normed)
    Curvature(normed.eval(), "mse", good)
    huge = zoo.seeded(lambda: zoo.perceptron(4, 5, 2).double())
    with torch.no_grad():
        huge[2].weight.mul_(1e200)
    refused(ValueError, "loss must be finite, got inf on batch 0", model=huge)
    with torch.no_grad():
        huge[0].weight[0, 0] = torch.nan
    refused(ValueError, "finite parameters, '0.weight'", model=huge)
    ignored = nn.CrossEntropyLoss(ignore_index=0)
    refused(ValueError, "count at least one", loss=ignored, data=[(x, torch.zeros(6).long())])


def test_a_loader_that_shuffles_is_refused(zoo):
    model, x, y = plain(zoo, 40)
    data = torch.utils.data.TensorDataset(x, y)
    for size in (10, 40):
        loader = torch.utils.data.DataLoader(data, batch_size=size, shuffle=True)
        with pytest.raises(ValueError, match="same in every pass, got other batches"):
            Curvature(model, "mse", loader)


def test_no_second_derivative(zoo):
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return 2 * g

    _, x, y = plain(zoo)
    with pytest.raises(ValueError, match=r"twice differentiable|right derivatives"):
        Curvature(zoo.custom(Once.apply).double(), "mse", [(x, y)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_case
def test_on_a_gpu(zoo, name):
    model, loss, data = zoo.made(name)
    H, _ = zoo.dense(model, loss, data)
    loss = loss if isinstance(loss, str) else loss.cuda()
    c = Curvature(model.cuda(), loss, data)
    v = np.ones(c.size)
    assert isinstance(c.hessian @ v, np.ndarray)
    np.testing.assert_allclose(c.hessian @ v, H @ v, atol=1e-9 * np.abs(H).max())
