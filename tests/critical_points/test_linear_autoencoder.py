"""The linear autoencoder of Frye et al. (2019), whose critical points are known in closed form.

16 inputs, 4 hidden units, covariance diag(1..16): W2 W1 projects on at most 4 eigenvectors. Every
choice of them is one class, a manifold, since W1 -> A W1, W2 -> W2 A^-1 changes nothing.
"""

from itertools import combinations

import numpy as np
import pytest
import torch

from hessrmt import SingleHiddenLayer, find_critical_points
from hessrmt.critical_points.certificates import _exact_gradient, certify

VALUES = np.arange(1.0, 17.0)
AUTOENCODER = SingleHiddenLayer(n0=16, n1=4, n2=16, activation="linear")
X = 4 * np.diag(np.sqrt(VALUES))  # 16 examples, x x^T / 16 = diag(1..16)


def hessian(theta):
    return AUTOENCODER.hessian(*(torch.from_numpy(a) for a in (theta, X, X))).numpy()


def newton(theta):
    for _ in range(2):
        g = _exact_gradient(AUTOENCODER, theta, X, X)[0]
        theta = theta - np.linalg.lstsq(hessian(theta), g, rcond=1e-10)[0]
    return theta


def linear_critical_point(subset, rng):
    """W2 W1 projects on the eigenvectors of the subset, in a random basis of the hidden layer."""
    W1 = np.zeros((4, 16))
    W1[range(len(subset)), list(subset)] = 1
    A = np.linalg.qr(rng.standard_normal((4, 4)))[0] * rng.uniform(0.5, 2.0, 4)
    return np.concatenate([(A @ W1).ravel(), (W1.T @ np.linalg.inv(A)).ravel()])


def linear_index(subset):
    """Descending directions: each kept value against each larger one left; each unit not used."""
    left = [v for v in range(16) if v not in subset]
    swaps = sum(VALUES[j] > VALUES[i] for i in subset for j in left)
    return swaps + (4 - len(subset)) * len(left)


def test_there_are_2517_classes_of_critical_points():
    assert sum(1 for k in range(5) for _ in combinations(range(16), k)) == 2517


@pytest.mark.parametrize("kept", range(5))
def test_linear_autoencoder_is_certified_on_the_slice_across_its_symmetry(kept):
    rng = np.random.default_rng(kept)
    for _ in range(3):
        subset = tuple(sorted(rng.choice(16, kept, replace=False)))
        exact = linear_critical_point(subset, rng)
        assert np.abs(_exact_gradient(AUTOENCODER, exact, X, X)[0]).max() < 1e-13
        theta = exact + 1e-9 * rng.standard_normal(128)
        theta = newton(theta)
        H = hessian(theta)
        certificate = certify(AUTOENCODER, theta, X, X, H)
        assert certificate.passed
        # The orbit has the dimension of GL(4) less that of what leaves the point where it is.
        assert certificate.symmetry == 16 - (4 - kept) ** 2
        assert certificate.distance < 1e-8
        values = np.linalg.eigvalsh(H)
        assert (np.abs(values) < 1e-6).sum() == certificate.symmetry
        assert (values < -1e-6).sum() == linear_index(subset)


def test_linear_autoencoder_off_its_critical_manifolds_is_not_certified():
    rng = np.random.default_rng(0)
    theta = linear_critical_point((3, 7, 9, 15), rng) + 0.01 * rng.standard_normal(128)
    certificate = certify(AUTOENCODER, theta, X, X, hessian(theta))
    assert not certificate.passed


def test_full_search_on_the_linear_autoencoder_ends_in_its_classes():
    """From random starts: each certified point is a projection on at most 4 eigenvectors."""
    rng, runs = np.random.default_rng(0), 12
    x = torch.from_numpy(X).expand(runs, 16, 16)
    theta = AUTOENCODER.initialize(runs, rng)
    # tolerances in the scale of this loss, whose Hessian is about 16 times as large
    found = find_critical_points(AUTOENCODER, x, x, theta, search="full", zero_tolerance=1e-5)
    certified = np.flatnonzero(found.kind == "certified")
    assert len(certified) >= 4
    for run in certified:
        W1, W2 = (w.numpy() for w in AUTOENCODER.weights(found.theta[run]))
        kept = np.flatnonzero(np.diag(W2 @ W1) > 0.5)
        np.testing.assert_allclose(W2 @ W1, np.diag(np.isin(range(16), kept)), atol=1e-7)
        lost = np.delete(VALUES, kept).sum()
        assert found.energy[run] == pytest.approx(lost / 32, abs=1e-10)
        assert round(found.index[run] * 128) == linear_index(kept)
        assert found.near_zero[run] == 16 - (4 - len(kept)) ** 2


def test_a_search_from_nearby_finds_the_class_again():
    rng = np.random.default_rng(5)
    subsets = [(12, 13, 14, 15), (0, 5, 9, 14), (2, 3), ()]
    starts = np.array([linear_critical_point(s, rng) for s in subsets])
    starts += 0.01 * rng.standard_normal(starts.shape)
    x = torch.from_numpy(X).expand(4, 16, 16)
    found = find_critical_points(AUTOENCODER, x, x, torch.from_numpy(starts), search="full")
    assert list(found.kind) == ["certified"] * 4
    for subset, energy, index in zip(subsets, found.energy, found.index, strict=True):
        assert energy == pytest.approx(np.delete(VALUES, subset).sum() / 32, abs=1e-10)
        assert round(index * 128) == linear_index(subset)
    assert found.index[0] == 0  # the principal components: the global minimum
