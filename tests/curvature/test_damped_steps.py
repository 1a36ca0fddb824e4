"""Gauss-Newton matrices, factors and steps, against the operators and against simulation."""

import numpy as np
import pytest
import torch
from torch import nn

from hessrmt.curvature import (
    Curvature,
    DenseLayers,
    damped_steps_of,
    predicted_change,
    whole_predicted_change,
)
from hessrmt.networks import image_classifier, train_in_batches


class HalfSquares(nn.Module):
    """Half the squared error, the mean over examples."""

    reduction = "mean"

    def forward(self, z, y):
        return ((z - y) ** 2).sum(dim=1).mean() / 2


def data(m=60, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((m, 9))), torch.from_numpy(rng.integers(10, size=m))


def classifier(seed=0):
    x, y = data()
    model = train_in_batches(
        image_classifier("perceptron", 3, hidden=4, rng=seed), x, y, epochs=2, batch=20
    )
    return DenseLayers(model, "cross-entropy", x, y), model, x, y


def autoencoder():
    x = data(40)[0]
    rng = np.random.default_rng(5)
    model = nn.Sequential(
        nn.Linear(9, 3, bias=False), nn.Tanh(), nn.Linear(3, 9, bias=False)
    ).double()
    for p in model.parameters():
        p.data = torch.from_numpy(rng.standard_normal(tuple(p.shape)) / 2)
    return DenseLayers(model, HalfSquares(), x, x), model, x, x


CASES = {"classifier": (classifier, "cross-entropy"), "autoencoder": (autoencoder, HalfSquares())}


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_is_that_of_the_operators(name):
    make, loss = CASES[name]
    layers, model, x, y = make()
    for batch in (np.arange(len(x)), np.array([3, 3, 5])):
        c = Curvature(model, loss, [(x[batch], y[batch])])
        np.testing.assert_allclose(layers.matrix(batch), c.h0 @ np.eye(c.size), atol=1e-10)
    assert layers.gradient.shape == (layers.size,)
    each = [np.linalg.eigvalsh(layers.matrix([i]))[-layers.examples.shape[1] :] for i in range(4)]
    np.testing.assert_allclose(layers.examples[:4], np.clip(each, 0, None), atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_factors_of_one_example_are_its_diagonal_blocks(name):
    layers = CASES[name][0]()[0]
    H = layers.matrix([7])
    for part in layers.factors([7]):
        place = part.place.ravel()
        np.testing.assert_allclose(
            np.kron(part.left, part.right), H[np.ix_(place, place)], atol=1e-10
        )
    places = np.concatenate([part.place.ravel() for part in layers.factors()])
    assert sorted(places) == list(range(layers.size))


def test_a_layer_whose_examples_are_alike_makes_no_noise():
    parts = autoencoder()[0].factors()
    assert parts[1].own_left.shape == (1, 0)  # the outputs' own, a unit matrix
    assert parts[0].own_left.shape == (40, 9)


@pytest.mark.parametrize("name", CASES)
def test_steps_solve_their_equations(name):
    layers = CASES[name][0]()[0]
    batch, d = np.array([0, 4, 4, 9]), [0.3, 2.0]
    steps = damped_steps_of(layers, batch, d)
    for step, x in zip(steps, d, strict=True):
        H = layers.matrix(batch) + x * np.eye(layers.size)
        np.testing.assert_allclose(H @ step, -layers.gradient, atol=1e-9)
    steps = damped_steps_of(layers, batch, d, "kronecker")
    for step, x in zip(steps, d, strict=True):
        for part in layers.factors(batch):
            place = part.place.ravel()
            H = np.kron(part.left, part.right) + x * np.eye(place.size)
            np.testing.assert_allclose(H @ step[place], -layers.gradient[place], atol=1e-9)


def test_changes_are_those_of_the_loss_and_of_its_model():
    layers, model, x, y = classifier()
    steps = 0.1 * np.random.default_rng(1).standard_normal((3, layers.size))
    before = nn.functional.cross_entropy(model(x), y).item()
    quadratic, true = layers.change(steps)
    start = nn.utils.parameters_to_vector(model.parameters())
    for step, q, t in zip(steps, quadratic, true, strict=True):
        nn.utils.vector_to_parameters(start + torch.from_numpy(step), model.parameters())
        assert t == pytest.approx(
            nn.functional.cross_entropy(model(x), y).item() - before, abs=1e-12
        )
        assert q == pytest.approx(
            step @ layers.gradient + step @ layers.matrix() @ step / 2, rel=1e-9
        )
        nn.utils.vector_to_parameters(start, model.parameters())


def regression():
    """Gaussian examples of rank one, for which the theory is exact in many dimensions."""
    rng = np.random.default_rng(8)
    x, w = torch.from_numpy(rng.standard_normal((2000, 60))), rng.standard_normal(60)
    y = x @ torch.from_numpy(w)[:, None]
    model = nn.Sequential(nn.Linear(60, 1, bias=False)).double()
    nn.init.zeros_(model[0].weight)
    return DenseLayers(model, HalfSquares(), x, y)


@pytest.mark.parametrize(
    "make, curvature, b, d",
    [(regression, "gauss-newton", 40, 0.1), (lambda: classifier()[0], "kronecker", 6, 0.3)],
)
def test_the_prediction_is_the_mean_over_batches(make, curvature, b, d):
    layers, rng = make(), np.random.default_rng(4)
    m = len(layers.rows)
    runs = [
        layers.change(damped_steps_of(layers, rng.integers(m, size=b), [d], curvature))[0, 0]
        for _ in range(200)
    ]
    mean, error = np.mean(runs), np.std(runs, ddof=1) / np.sqrt(len(runs))
    exact = layers.change(damped_steps_of(layers, np.arange(m), [d], curvature))[0, 0]
    assert abs(exact - mean) > 8 * error  # noise matters here ...
    predicted = predicted_change(layers, b, [d], curvature)[0]
    assert abs(predicted - mean) < max(4 * error, 0.03 * abs(exact - mean))  # ... and is known


def test_without_noise_all_is_known():
    layers = classifier()[0]
    exact = layers.change(damped_steps_of(layers, np.arange(60), [0.5]))[0, 0]
    assert predicted_change(layers, 1e9, [0.5])[0] == pytest.approx(exact, rel=1e-6)
    assert whole_predicted_change(layers, 1e9, 0.5) == pytest.approx(exact, rel=1e-6)
    exact = layers.change(damped_steps_of(layers, np.arange(60), [0.5], "kronecker"))[0, 0]
    assert predicted_change(layers, 1e9, [0.5], "kronecker")[0] == pytest.approx(exact, rel=1e-6)


def test_other_models_and_losses_are_refused():
    x, y = data()
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Sequential with weights in"):
        DenseLayers(image_classifier("convolutional", 4, rng=0), "cross-entropy", x, y)
    model = nn.Sequential(nn.Linear(9, 2)).float()
    with pytest.raises(ValueError, match=r"model must be in torch\.float64"):
        DenseLayers(model, "mse", x, y)
    with pytest.raises(ValueError, match=r"curvature must be one of gauss-newton \| kronecker"):
        damped_steps_of(classifier()[0], [0], [1.0], "fisher")
    with pytest.raises(ValueError, match=r"dampings must be in \(0, inf\)"):
        predicted_change(classifier()[0], 4, [0.0])

    class Concave(nn.Module):
        reduction = "mean"

        def forward(self, z, y):
            return -((z - y) ** 2).sum(dim=1).mean()

    model = nn.Sequential(nn.Linear(9, 9)).double()
    with pytest.raises(ValueError, match="loss must be convex in the outputs of model"):
        DenseLayers(model, Concave(), x, x)
