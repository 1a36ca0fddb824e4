"""Mixed moments by random vectors against those of dense matrices."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from hessrmt import Curvature, first_violation, free_moment, mixed_moments
from hessrmt.curvature import hutchinson_moments
from hessrmt.spectra import haar_orthogonal

WORDS = ["AB", "AAB", "ABB", "AAAB", "AABB", "ABAB", "ABBB"]


@pytest.fixture(scope="module")
def pair():
    """Two free matrices of size 300, the first with outliers and a null space."""
    rng = np.random.default_rng(1)
    a = np.concatenate([[15.0, 9.0, 7.0], rng.gamma(2, 0.5, 200), np.zeros(97)])
    Q = haar_orthogonal(300, rng=rng)
    return np.diag(a), (Q * rng.normal(0.1, 1, 300)) @ Q.T


def dense(A, B, word):
    a, b = (np.array([np.mean(np.linalg.eigvalsh(M) ** k) for k in range(1, 7)]) for M in (A, B))
    return mixed_moments(A, B, [word])[0], free_moment(word, a, b)


def test_moments_and_errors(pair):
    """30 seeds of 7 words: 95% intervals of the moment and of the difference hold."""
    A, B = pair
    truth = {word: dense(A, B, word) for word in WORDS}
    inside, ratios = [], []
    for seed in range(30):
        for row in hutchinson_moments(A, A + B, starts=32, rng=seed):
            moment, free = truth[row.word]
            off = row.difference + row.finite_size - (moment - free)
            inside += [abs(row.moment - moment) < 2.04 * row.moment_error]
            inside += [abs(off) < 2.04 * row.error]
            ratios.append(row.moment_error / (abs(row.moment) + 0.3))
    assert np.mean(inside) > 0.9
    assert np.median(ratios) < 0.25


def test_free_matrices_pass_and_others_fail(pair):
    """At level 0.95, of 30 rotations at most 5 rejections (99.6% of the time)."""
    A, B = pair
    rng, found = np.random.default_rng(0), []
    for _ in range(30):
        Q = haar_orthogonal(300, rng=rng)
        found.append(first_violation(hutchinson_moments(A, A + Q @ B @ Q.T, rng=rng)))
    assert sum(order is not None for order in found) <= 5
    C = B @ B / 10 + A
    assert first_violation(hutchinson_moments(A, A + C, starts=32, rng=0)) == 2


def test_mean_and_fluctuation_of_rotated_pairs():
    """Differences of 1500 rotations at size 30 have mean 0 and the standard deviation stated.

    The latter within 15%: exact for two blocks, to leading order in 1/30 for ABAB.
    """
    rng, count = np.random.default_rng(2), 1500
    a, b = rng.gamma(2, 1, 30), rng.normal(0.5, 1, 30)
    rows = []
    for _ in range(count):
        Q = haar_orthogonal(30, rng=rng)
        B = (Q * b) @ Q.T
        rows.append(mixed_moments(np.diag(a), B, WORDS))
    for word, values, row in zip(
        WORDS, np.transpose(rows), hutchinson_moments(np.diag(a), np.diag(a) + B), strict=True
    ):
        assert row.word == word
        expected = row.free + row.finite_size
        assert abs(values.mean() - expected) < 3.5 * values.std() / np.sqrt(count)
        assert row.error == pytest.approx(values.std(), rel=0.15)


def test_exact_where_all_unit_vectors_are_taken():
    rng = np.random.default_rng(3)
    A, B = (M + M.T for M in rng.standard_normal((2, 20, 20)))
    for row in hutchinson_moments(A, A + B, starts=32):
        moment, free = dense(A, B, row.word)
        assert row.moment == pytest.approx(moment, rel=1e-10)
        assert row.free == pytest.approx(free, rel=1e-10)
    assert {len(r.word) for r in hutchinson_moments(A, A + B, max_order=3)} == {2, 3}


def test_of_a_network(zoo):
    model, loss, data = zoo.made("bias")
    H, H0 = zoo.dense(model, loss, data)
    rows = Curvature(model, loss, data).mixed_moments(starts=32, rng=0)
    for row in rows:
        moment, _ = dense(H0, H - H0, row.word)
        assert abs(row.moment - moment) < 4 * row.moment_error + 1e-12
    assert [row.word for row in rows] == WORDS


def test_what_is_refused(pair):
    A, B = (aslinearoperator(M) for M in pair)
    for match, call in (
        ("starts must be in", lambda: hutchinson_moments(A, B, starts=1)),
        ("max_order must be in", lambda: hutchinson_moments(A, B, max_order=5)),
        ("h0 must have the shape", lambda: hutchinson_moments(np.eye(3), B)),
    ):
        with pytest.raises(ValueError, match=match):
            call()
