"""Classifiers trained together against autograd, training alone, and enumeration."""

import itertools

import numpy as np
import pytest
import torch

from hessrmt.spin_glass._classifiers import Classifiers, anneal, train_classifiers


def problem(m=40, inputs=6, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((m, inputs))), torch.from_numpy(rng.integers(0, 10, m))


def ensemble(networks=3, hidden=4, inputs=6, seed=1):
    nets = Classifiers.draw(networks, hidden=hidden, inputs=inputs, rng=seed)
    return Classifiers(nets.W1.double(), nets.W2.double())


def unflatten(theta, nets):
    n1, n0 = nets.W1.shape[1:]
    return Classifiers(theta[: n1 * n0].view(1, n1, n0), theta[n1 * n0 :].view(1, 10, n1))


def test_loss_and_error_are_those_of_torch():
    x, labels = problem()
    nets = ensemble()
    for k in range(3):
        logits = torch.relu(x @ nets.W1[k].T) @ nets.W2[k].T
        expected = torch.nn.functional.cross_entropy(logits, labels)
        torch.testing.assert_close(nets.loss(x, labels)[k], expected)
        wrong = (logits.argmax(dim=1) != labels).double().mean()
        torch.testing.assert_close(nets.error(x, labels)[k], wrong)


def test_hessian_against_autograd():
    x, labels = problem()
    nets = ensemble()
    theta = torch.cat([nets.W1[2].flatten(), nets.W2[2].flatten()])
    expected = torch.func.hessian(lambda t: unflatten(t, nets).loss(x, labels)[0])(theta)
    torch.testing.assert_close(nets.hessian(2, x, labels), expected, rtol=1e-12, atol=1e-14)


def test_one_epoch_of_one_batch_is_a_gradient_step():
    x, labels = problem()
    nets = ensemble()
    end = train_classifiers(nets, x, labels, epochs=1, learning_rate=0.3, batch=40, rng=0)
    for k in range(3):
        theta = torch.cat([nets.W1[k].flatten(), nets.W2[k].flatten()])
        slope = torch.func.grad(lambda t: unflatten(t, nets).loss(x, labels)[0])(theta)
        moved = unflatten(theta - 0.3 * slope, nets)
        torch.testing.assert_close(end.W1[k], moved.W1[0], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(end.W2[k], moved.W2[0], rtol=1e-12, atol=1e-14)


def test_epochs_pass_over_all_images_with_a_falling_rate():
    """With a rate that is nearly zero the weights move by the sum of all gradients."""
    x, labels = problem()
    nets = ensemble(networks=1)
    rate = 1e-6
    end = train_classifiers(
        nets, x, labels, epochs=3, learning_rate=rate, decay=0.5, batch=10, rng=0
    )
    theta = torch.cat([nets.W1[0].flatten(), nets.W2[0].flatten()])
    slope = torch.func.grad(lambda t: unflatten(t, nets).loss(x, labels)[0])(theta)
    moved = torch.cat([end.W1[0].flatten(), end.W2[0].flatten()]) - theta
    torch.testing.assert_close(moved / rate, -4 * (1 + 0.5 + 0.25) * slope, rtol=1e-3, atol=1e-4)


def test_training_lowers_the_loss_and_follows_from_the_seed():
    x, labels = problem()
    nets = ensemble()
    first, second = (train_classifiers(nets, x, labels, epochs=30, batch=8, rng=4) for _ in "12")
    assert torch.equal(first.W1, second.W1)
    assert (first.loss(x, labels) < nets.loss(x, labels)).all()


def test_annealing_finds_the_best_network_of_a_tiny_problem():
    """One input, one hidden unit: 3^11 networks, but each class's weight has its own optimum."""
    x, labels = np.array([[1.0]] * 12), np.array([0] * 7 + [1] * 5)
    best = min(
        float(np.log(np.exp(np.array(w + (-1.0,) * 8)).sum()) - (7 * w[0] + 5 * w[1]) / 12)
        for w in itertools.product((-1.0, 0.0, 1.0), repeat=2)
    )
    loss, nets = anneal(x, labels, hidden=1, sweeps=300, scale=1.0, hot=0.1, cold=1e-4, rng=0)
    assert loss == pytest.approx(best, abs=1e-6)
    assert nets.W1.item() == 1


def test_annealed_weights_have_three_values():
    x, labels = problem()
    loss, nets = anneal(x.numpy(), labels.numpy(), hidden=4, sweeps=20, scale=0.5, rng=1)
    assert set(nets.W1.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert set(nets.W2.unique().tolist()) <= {-0.5, 0.0, 0.5}
    assert loss == pytest.approx(float(nets.loss(x, labels)), rel=1e-5)
    again = anneal(x.numpy(), labels.numpy(), hidden=4, sweeps=20, scale=0.5, rng=1)
    assert again[0] == loss


def test_bad_input_is_named():
    x, labels = problem()
    nets = ensemble()
    with pytest.raises(ValueError, match=r"networks must be in \[1, inf\), got 0"):
        Classifiers.draw(0, hidden=1, inputs=1)
    with pytest.raises(ValueError, match=r"batch must be in \[1, 40\], got 41"):
        train_classifiers(nets, x, labels, batch=41)
    with pytest.raises(ValueError, match=r"decay must be in \(0, 1\], got 2"):
        train_classifiers(nets, x, labels, decay=2.0)
    with pytest.raises(ValueError, match=r"scale must be in \(0, inf\), got 0"):
        anneal(x.numpy(), labels.numpy(), hidden=2, scale=0)
