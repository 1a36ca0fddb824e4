"""Lipschitz constant, rounding bound and Newton-Kantorovich test, where the answer is known."""

import mpmath
import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer
from hessrmt.critical_points.certificates import _exact_gradient, certify, hessian_lipschitz


def problem(activation="tanh", seed=0, m=12, **widths):
    net, rng = SingleHiddenLayer(activation=activation, **widths), np.random.default_rng(seed)
    x, y = (rng.standard_normal((k, m)) for k in (net.n0, net.n2))
    return net, net.initialize(rng=rng).numpy(), x, y, rng


def hessian(net, theta, x, y):
    return net.hessian(*(torch.from_numpy(a) for a in (theta, x, y))).numpy()


def mp_gradient(net, theta, x, y):
    """Gradient at 40 digits, written out from the definition."""
    tanh = mpmath.tanh if net.activation == "tanh" else (lambda z: z)
    slope = (lambda h: 1 - h * h) if net.activation == "tanh" else (lambda h: mpmath.mpf(1))
    split, m = net.n1 * net.n0, x.shape[1]
    W1 = [[theta[a * net.n0 + b] for b in range(net.n0)] for a in range(net.n1)]
    W2 = [[theta[split + i * net.n1 + c] for c in range(net.n1)] for i in range(net.n2)]
    g = [mpmath.mpf(0)] * net.parameters
    for s in range(m):
        xs = [mpmath.mpf(float(v)) for v in x[:, s]]
        h = [tanh(sum(w * v for w, v in zip(row, xs, strict=True))) for row in W1]
        e = [
            sum(w * v for w, v in zip(row, h, strict=True)) - mpmath.mpf(float(y[i, s]))
            for i, row in enumerate(W2)
        ]
        for a in range(net.n1):
            u = sum(W2[i][a] * e[i] for i in range(net.n2)) * slope(h[a])
            for b in range(net.n0):
                g[a * net.n0 + b] += u * xs[b] / m
            for i in range(net.n2):
                g[split + i * net.n1 + a] += e[i] * h[a] / m
    return g


@pytest.mark.parametrize("activation", ["tanh", "linear"])
@pytest.mark.parametrize("size", [0.1, 1.0, 5.0])
def test_lipschitz_constant_bounds_third_derivatives_in_every_direction_tried(activation, size):
    """Directions made worse by power iteration, at points anywhere in the ball."""
    net, theta, x, y, rng = problem(activation, n0=3, n1=4, n2=2)
    theta, radius = size * theta, 0.05
    K = hessian_lipschitz(net, theta, x, y, radius)
    worst, step = 0.0, 1e-5
    for _ in range(20):
        centre = rng.standard_normal(theta.size)
        centre = theta + (radius - step) * centre / np.linalg.norm(centre)
        u = rng.standard_normal(theta.size)
        for _ in range(6):
            u /= np.linalg.norm(u)
            up, down = (hessian(net, centre + s * step * u, x, y) for s in (1, -1))
            third = (up - down) / (2 * step)
            worst = max(worst, np.abs(np.linalg.eigvalsh(third)).max())
            u = third @ u
    assert worst < K
    assert worst > K / 200  # sound, and of some use


def test_rounding_of_the_gradient_stays_within_its_bound():
    for seed in range(5):
        net, theta, x, y, _ = problem(seed=seed, n0=3, n1=2, n2=2)
        g, bound = _exact_gradient(net, theta, x, y)
        with mpmath.workdps(40):
            exact = mp_gradient(net, [mpmath.mpf(float(t)) for t in theta], x, y)
            error = float(
                mpmath.norm([a - mpmath.mpf(float(b)) for a, b in zip(exact, g, strict=True)])
            )
        assert error <= bound
        assert bound < 1e-14


def newton(net, theta, x, y, steps=60, radius=0.5):
    for _ in range(steps):
        g = _exact_gradient(net, theta, x, y)[0]
        s = np.linalg.lstsq(hessian(net, theta, x, y), -g, rcond=1e-10)[0]
        theta = theta + s * min(1.0, radius / max(np.linalg.norm(s), 1e-300))
    return theta


def _mp_equations(net, x, y):
    return lambda *theta: mp_gradient(net, theta, x, y)


def test_certified_points_are_within_their_distance_of_a_zero_found_at_40_digits():
    certified = 0
    for seed in range(12):
        net, theta, x, y, _ = problem(seed=seed, n0=1, n1=2, n2=1, m=8)
        theta = newton(net, theta, x, y)
        theta = theta + 1e-9 * np.random.default_rng(seed).standard_normal(theta.size)
        certificate = certify(net, theta, x, y, hessian(net, theta, x, y))
        if not certificate.passed:
            continue
        certified += 1
        with mpmath.workdps(40):
            start = [mpmath.mpf(float(t)) for t in theta]
            zero = mpmath.findroot(_mp_equations(net, x, y), start, tol=1e-60)
            distance = mpmath.norm(zero - mpmath.matrix(start))
        assert 0 < distance <= certificate.distance
        assert certificate.distance < 1e-6
    assert certified >= 4


def test_a_perfect_fit_is_certified_with_the_teacher_inside_the_distance():
    """Targets made by a network: its weights are a critical point known exactly."""
    net, teacher, x, _, rng = problem(n=3, m=40)
    h = np.tanh(teacher[:9].reshape(3, 3) @ x)
    y = teacher[9:].reshape(3, 3) @ h
    near = teacher + 1e-7 * rng.standard_normal(18) / np.sqrt(18)
    certificate = certify(net, near, x, y, hessian(net, near, x, y))
    assert certificate.passed
    assert np.linalg.norm(near - teacher) <= certificate.distance < 1e-6
    assert certificate.symmetry == 0


def test_no_certificate_where_there_is_no_critical_point_near():
    net, theta, x, y, _ = problem(n=3)
    far = certify(net, theta, x, y, hessian(net, theta, x, y))
    assert not far.passed
    assert far.distance == np.inf
    # A minimum along a valley with no end: one hidden unit too many, nothing to fit.
    flat = certify(net, theta, x, 0 * y, np.diag([0.0] + [1.0] * 17))
    assert (flat.passed, flat.number) == (False, np.inf)
