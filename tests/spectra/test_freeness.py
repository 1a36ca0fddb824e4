"""Rotated and free sums, mixed moments and distances, against oracles that share no code."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hessrmt.laws import MarchenkoPastur, ProductWishart, Semicircle
from hessrmt.spectra import (
    MixedMoment,
    bootstrap_interval,
    first_violation,
    free_moment,
    free_sum_cdf,
    free_sum_density,
    freeness_test,
    haar_orthogonal,
    ks_distance,
    mixed_moments,
    mixed_words,
    rotated_sum_eigenvalues,
    wasserstein_distance,
    wigner,
    wishart,
)

MOMENTS = st.lists(st.floats(-2, 2), min_size=8, max_size=8)
WORDS = st.text("AB", min_size=1, max_size=8)
EIGENVALUES = st.lists(st.floats(-3, 3).map(lambda v: round(v, 3)), min_size=1, max_size=12)


def quantiles(law, n):
    return law.ppf((np.arange(n) + 0.5) / n)


def rotated_pairs(a, b, pairs, rng):
    """Diagonal A and B = Q diag(b) Q^T."""
    n = len(a)
    Q = np.stack([haar_orthogonal(n, rng=rng) for _ in range(pairs)])
    return np.broadcast_to(np.diag(a), (pairs, n, n)), (Q * b) @ Q.mT


# -- rotated sums --------------------------------------------------------------------------------


def test_rotated_sums_are_sums_with_rotated_matrices():
    a, b = np.array([-1.0, 0.5, 2.0, 7.0]), np.array([0.0, 0.0, 1.0, 4.0])
    Q = haar_orthogonal(4, rng=3)
    expected = np.linalg.eigvalsh(np.diag(a) + Q @ np.diag(b) @ Q.T)
    np.testing.assert_allclose(
        rotated_sum_eigenvalues(np.diag(a), np.diag(b), 1, rng=3)[0], expected, atol=1e-13
    )
    # Only the spectra matter, and the order of the eigenvalues does not.
    U, V = haar_orthogonal(4, rng=5), haar_orthogonal(4, rng=6)
    again = rotated_sum_eigenvalues(U * a @ U.T, V * b @ V.T, 1, rng=3)[0]
    np.testing.assert_allclose(again, expected, atol=1e-12)


def test_rotated_sums_have_the_exact_mean_square():
    # E tau((A + QBQ^T)^2) = tau(A^2) + 2 tau(A) tau(B) + tau(B^2); within 4 standard errors.
    A, B = wigner(12, rng=0), wishart(12, 0.5, rng=1)
    squares = (rotated_sum_eigenvalues(A, B, 400, rng=2) ** 2).mean(axis=1)
    a, b = np.linalg.eigvalsh(A), np.linalg.eigvalsh(B)
    exact = np.mean(a**2) + 2 * a.mean() * b.mean() + np.mean(b**2)
    assert abs(squares.mean() - exact) < 4 * squares.std() / 20


# -- distances -----------------------------------------------------------------------------------


@settings(max_examples=50)
@given(EIGENVALUES, EIGENVALUES)
def test_distances_of_two_samples(a, b):
    largest = max(abs(np.mean(np.array(a) <= x) - np.mean(np.array(b) <= x)) for x in a + b)
    assert ks_distance(a, b) == ks_distance(b, a) == pytest.approx(largest, abs=1e-12)
    assert wasserstein_distance(a, b) == pytest.approx(stats.wasserstein_distance(a, b))


LEVELS = (np.arange(27_720) + 0.5) / 27_720  # divisible by every number of eigenvalues up to 12
LAWS = [MarchenkoPastur(4.0), MarchenkoPastur(0.5), Semicircle(1.0)]


@pytest.mark.parametrize(
    "law, ppf", [(law, law.ppf(LEVELS)) for law in LAWS], ids=["atom", "one-sided", "symmetric"]
)
@settings(max_examples=25)
@given(sample=EIGENVALUES)
def test_distances_of_a_sample_to_a_law(law, ppf, sample):
    # Oracles: all one-sided limits, one by one; the mean distance of quantiles at equal levels.
    gaps = []
    for x in {*sample, 0.0}:  # the atom, if any, is at 0
        gaps.append(abs(float(law.cdf(x)) - np.mean(np.array(sample) <= x)))
        gaps.append(abs(float(law.cdf(np.nextafter(x, -9))) - np.mean(np.array(sample) < x)))
    assert ks_distance(sample, law) == pytest.approx(max(gaps), abs=1e-12)
    assert ks_distance(law, sample) == ks_distance(sample, law.cdf) == ks_distance(sample, law)
    quantiles_apart = np.abs(np.repeat(np.sort(sample), LEVELS.size // len(sample)) - ppf)
    assert wasserstein_distance(sample, law) == pytest.approx(quantiles_apart.mean(), abs=1e-5)


def test_distances_of_two_laws():
    moved = Semicircle(1.0).shift(0.3)  # the distributions are furthest apart in the middle
    assert ks_distance(Semicircle(1.0), moved) == pytest.approx(
        1 - 2 * float(Semicircle(1.0).cdf(-0.15)), abs=1e-7
    )
    assert wasserstein_distance(Semicircle(1.0), moved) == pytest.approx(0.3, rel=1e-8)
    assert ks_distance(MarchenkoPastur(4.0), MarchenkoPastur(2.0)) == pytest.approx(0.25)  # atoms
    # A point below a law is at the distance of the mean, here across an atom, a gap and an edge.
    assert wasserstein_distance([-1.0], MarchenkoPastur(4.0)) == pytest.approx(2.0, rel=1e-8)
    # E|X - Y| form: symmetric laws in ratio 2 have distance E|X| = 16/(3 pi) - 8/(3 pi).
    assert wasserstein_distance(Semicircle(1.0), Semicircle(2.0)) == pytest.approx(
        8 / (3 * np.pi), rel=1e-8
    )


def test_null_spaces_meet_atoms_whatever_the_rounding():
    X = np.random.default_rng(0).normal(size=(400, 100)) / 10
    eigenvalues = np.linalg.eigvalsh(X @ X.T)
    assert (eigenvalues < 0).any()
    assert ks_distance(eigenvalues, MarchenkoPastur(4.0)) < 0.01


# -- bootstrap -----------------------------------------------------------------------------------


def test_bootstrap_covers_the_truth_when_rows_are_dependent_inside():
    # Rows share an effect, as eigenvalues of one matrix do. 200 intervals at level 0.9 from 30
    # rows; the number that hold the truth is binomial, and 0.9 +- 4 sd is [0.815, 0.985].
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        rows = rng.normal(size=(30, 1)) + 0.1 * rng.normal(size=(30, 20))
        low, high = bootstrap_interval(np.mean, rows, level=0.9, resamples=200, rng=rng)
        held += low < 0 < high
    assert 0.815 < held / 200 < 0.985


def test_bootstrap_intervals_of_pairs_and_of_distances():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 8)) + 3 * rng.normal(size=(40, 1))
    y = x + 0.1 * rng.normal(size=(40, 8))

    def difference(x, y):
        return x.mean() - y.mean()

    loose, tight = (
        np.diff(bootstrap_interval(difference, x, y, paired=paired, resamples=300, rng=3))[0]
        for paired in (False, True)
    )
    assert tight < loose / 20
    again = bootstrap_interval(difference, x, y, paired=True, resamples=300, rng=3)
    assert np.diff(again)[0] == tight
    # A distance well above its noise: spectra of scale 1 and 2, exact value 0.1616 for the laws.
    a, b = (
        np.stack([np.linalg.eigvalsh(wigner(40, s, rng=rng)) for _ in range(20)]) for s in (1, 2)
    )
    low, high = bootstrap_interval(ks_distance, a, b, resamples=200, rng=4)
    assert low < ks_distance(Semicircle(1.0), Semicircle(2.0)) < high
    assert high - low < 0.06
    # Resamples never exceed the largest element; the basic interval mirrors them to above it.
    low, high = bootstrap_interval(np.max, x, resamples=100, rng=5)
    assert x.max() <= low < high


# -- words and moments ---------------------------------------------------------------------------


def test_words_are_one_for_each_trace():
    assert [mixed_words(k) for k in (2, 3)] == [("AB",), ("AAB", "ABB")]
    # Bracelets with two colours, less the two of one colour (OEIS A000029).
    assert [len(mixed_words(k)) for k in range(2, 11)] == [
        n - 2 for n in (3, 4, 6, 8, 13, 18, 30, 46, 78)
    ]


@settings(max_examples=30)
@given(words=st.lists(WORDS, min_size=1, max_size=4), shift=st.integers(0, 7), seed=st.integers(0))
def test_moments_are_cyclic_and_invariant_under_rotation_and_reversal(words, shift, seed):
    rng = np.random.default_rng(seed)
    A, B = (M + M.mT for M in rng.normal(size=(2, 3, 4, 4)))
    moments = mixed_moments(A, B, words)
    scale = 8.0 ** max(map(len, words))
    direct = [
        [np.trace(np.linalg.multi_dot([np.eye(4), *({"A": a, "B": b}[c] for c in w)])) / 4
         for w in words]
        for a, b in zip(A, B, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(moments, direct, atol=1e-13 * scale)
    turned = [(w[shift % len(w) :] + w[: shift % len(w)])[::-1] for w in words]
    np.testing.assert_allclose(mixed_moments(A, B, turned), moments, atol=1e-13 * scale)
    Q = haar_orthogonal(4, rng=rng)
    rotated = mixed_moments(*(S + S.mT for S in (Q @ A @ Q.T / 2, Q @ B @ Q.T / 2)), words)
    np.testing.assert_allclose(rotated, moments, atol=1e-12 * scale)


@given(MOMENTS, MOMENTS)
def test_free_moments_in_closed_form(a, b):
    (a1, a2, a3), (b1, b2) = a[:3], b[:2]
    closed = {
        "A": a1, "BB": b2, "AB": a1 * b1, "ABB": a1 * b2, "AABB": a2 * b2, "BABA": None,
        "ABAB": a2 * b1**2 + a1**2 * b2 - a1**2 * b1**2,
        "AABAB": a3 * b1**2 + a2 * a1 * b2 - a2 * a1 * b1**2,
        "ABBABB": a2 * b2**2 + a1**2 * b[3] - a1**2 * b2**2,
    }  # fmt: skip
    closed["BABA"] = closed["ABAB"]
    for word, value in closed.items():
        assert float(free_moment(word, a, b)) == pytest.approx(value, abs=1e-11)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=3),
    MOMENTS,
    MOMENTS,
)
def test_alternating_centred_moments_vanish(powers, a, b):
    # The definition of freeness, expanded: tau of prod (A^p - tau(A^p))(B^q - tau(B^q)) is 0.
    factors = [(c * p, m[p - 1]) for pq in powers for c, p, m in zip("AB", pq, (a, b), strict=True)]
    if max(sum(p for p, _ in powers), sum(q for _, q in powers)) > 8:
        return  # moments are given to order 8
    total, size = 0.0, 1.0
    for kept in product((True, False), repeat=len(factors)):
        word = "".join(w for (w, _), keep in zip(factors, kept, strict=True) if keep)
        sign = np.prod([-m for (_, m), keep in zip(factors, kept, strict=True) if not keep])
        term = sign * (float(free_moment(word, a, b)) if word else 1.0)
        total, size = total + term, size + abs(term)
    # Cumulants of arbitrary numbers can be large; 1e-9 of what cancels is still an identity.
    assert abs(total) < 1e-9 * max(size, 4.0 ** sum(p + q for p, q in powers))


def noncrossing_partitions(n):
    """Each as a list of block labels: all partitions, less those with i<j<k<l crossing."""
    labels = [[0]]
    for _ in range(n - 1):
        labels = [[*p, k] for p in labels for k in range(max(p) + 2)]
    for p in labels:
        if not any(p[i] == p[k] != p[j] == p[m] for i, j, k, m in combinations(range(n), 4)):
            yield p


def test_free_moments_against_all_noncrossing_partitions():
    laws = {"A": MarchenkoPastur(0.5, 1.3), "B": Semicircle(0.8).shift(0.4)}
    a, b = ([law.moment(k) for k in range(1, 9)] for law in laws.values())
    cumulant = {c: [law.free_cumulant(k) for k in range(1, 9)] for c, law in laws.items()}
    words = [w for order in (4, 5, 6, 7) for w in mixed_words(order)] + ["ABABABAB", "ABBAABAB"]
    for word in words:
        total = 0.0
        for labels in noncrossing_partitions(len(word)):
            term = 1.0
            for label in set(labels):
                block = {word[i] for i, k in enumerate(labels) if k == label}
                term *= cumulant[block.pop()][labels.count(label) - 1] if len(block) == 1 else 0.0
            total += term
        assert float(free_moment(word, a, b)) == pytest.approx(total, rel=1e-12), word


def test_free_moments_of_a_sum_are_those_of_the_free_sum():
    laws = MarchenkoPastur(0.7), ProductWishart(0.5, 2.0)
    a, b = ([law.moment(k) for k in range(1, 8)] for law in laws)
    total = sum(float(free_moment("".join(w), a, b)) for w in product("AB", repeat=7))
    assert total == pytest.approx(sum(laws[1:], laws[0]).moment(7), rel=1e-11)
    batch = free_moment("ABBA", np.tile(a, (2, 3, 1)), np.array(b))  # over leading dimensions
    assert batch.shape == (2, 3)
    assert batch[1, 2] == free_moment("ABBA", a, b)


# -- the test of freeness ------------------------------------------------------------------------


def test_rotated_pairs_pass_at_any_size():
    # Independent tests of true null hypotheses at level 0.9: of 40, the number that report an
    # order is at most binomial(40, 0.1); 11 or more has probability 0.0015.
    rng = np.random.default_rng(0)
    reported = 0
    for _ in range(40):
        a, b = rng.exponential(size=5), rng.normal(size=5) + 1
        rows = freeness_test(*rotated_pairs(a, b, 25, rng), max_order=5, rotations=2, rng=rng)
        assert len(rows) == 1 + 2 + 4 + 6
        reported += first_violation(rows, level=0.9) is not None
    assert reported <= 10


def test_finite_size_term_is_the_exact_mean_over_the_orthogonal_group():
    # For traceless A and B, E tau(A Q B Q^T A Q B Q^T) = (n-2)/((n-1)(n+2)) tau(A^2) tau(B^2).
    n, rng = 8, np.random.default_rng(1)
    a, b = (v - v.mean() for v in rng.normal(size=(2, n)))
    As, Bs = rotated_pairs(a, b, 400, rng)
    exact = (n - 2) / ((n - 1) * (n + 2)) * (a @ a) * (b @ b) / n**2
    row = next(r for r in freeness_test(As, Bs, rotations=4, rng=2) if r.word == "ABAB")
    # The noise of the term is about that of the difference, with as much data or more.
    assert abs(row.finite_size - exact) < 4 * row.error
    assert row.moment == pytest.approx(exact, abs=4 * row.error)
    assert abs(row.free) < 1e-14
    limit = freeness_test(As, Bs, rotations=0)
    assert first_violation(limit, 0.99) == 4  # the limit's value is wrong at n = 8, significantly
    assert {r.word for r in limit if abs(r.z) > 4} == {"ABAB"}


def diagonal(v):
    return v[..., None] * np.eye(v.shape[-1])


def test_commuting_matrices_fail_at_the_right_order():
    x, y = np.random.default_rng(3).normal(size=(2, 40, 30))
    # The same matrix: tau(A A) is not tau(A)^2. Independent diagonals: classical independence
    # agrees with freeness up to order 3, and gives ABAB the value tau(A^2) tau(B^2) = 1, not 0.
    assert first_violation(freeness_test(diagonal(x), diagonal(x), rng=0), 0.999) == 2
    rows = freeness_test(diagonal(x), diagonal(y), rng=0)
    assert first_violation(rows, 0.999) == 4
    assert first_violation([r for r in rows if len(r.word) < 4], 0.999) is None
    row = next(r for r in rows if r.word == "ABAB")
    assert row.difference == pytest.approx(1.0, abs=4 * row.error)


def test_pairs_without_any_noise():
    # Multiples of 1 are free from everything; what is left is rounding, the same in every pair.
    A, B = np.broadcast_to(0.3 * np.eye(30), (5, 30, 30)), np.tile(wigner(30, rng=0), (5, 1, 1))
    rows = freeness_test(A, B, rng=1)
    assert all(abs(row.z) < 1 for row in rows)
    assert first_violation(rows) is None


def test_first_violation_corrects_for_the_number_of_words():
    row = MixedMoment("ABB", 1.0, 0.5, 0.0, 0.5, 0.2, 2.5, p_value=0.03)
    later = MixedMoment("AABB", 1.0, 0.5, 0.0, 0.5, 0.1, 5.0, p_value=0.001)
    assert first_violation([row]) == 3
    assert first_violation([row, row]) is None
    assert first_violation([row, later]) == 4
    assert first_violation([row, later], level=0.999) is None


def relu_hessian_parts(n, m, rng):
    """H0 and H1 of a ReLU network at initialisation, residuals N(0, 1) independent of it."""
    W1, W2 = rng.normal(size=(2, n, n)) / np.sqrt(n)
    x, e = rng.normal(size=(2, n, m))
    on = (W1 @ x > 0).astype(float)
    J1 = np.einsum("ia,am,bm->abim", W2, on, x).reshape(n * n, n * m)
    J2 = np.einsum("ic,am,am->caim", np.eye(n), on, W1 @ x).reshape(n * n, n * m)
    J = np.concatenate([J1, J2])
    block = np.einsum("cm,am,bm,ad->abcd", e, on, x, np.eye(n)).reshape(n * n, n * n) / m
    zero = np.zeros_like(block)
    return J @ J.T / m, np.block([[zero, block], [block.T, zero]])


def test_hessian_parts_of_a_relu_network_are_not_free():
    # At order 3: tau(H0 H1^2) is 1 + phi/2 times its free value as n grows (own result), here
    # with phi = 2n/m = 1/2. At n = 8, 16, 32 the factor is 1.31, 1.28, 1.26: 1.25 + 0.45/n.
    rng = np.random.default_rng(4)
    parts = [relu_hessian_parts(8, 32, rng) for _ in range(30)]
    H0, H1 = (np.stack(p) for p in zip(*parts, strict=True))
    rows = freeness_test(H0, H1, max_order=3, rng=5)
    assert first_violation(rows, 0.999) == 3
    row = next(r for r in rows if r.word == "ABB")
    assert row.moment / row.free == pytest.approx(1.25 + 0.45 / 8, abs=4 * row.error / row.free)


# -- the free sum --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "laws, n, density_error, cdf_error",
    [
        ((MarchenkoPastur(0.5), Semicircle(1.0)), 2000, 6e-5, 7e-6),
        ((MarchenkoPastur(4.0), ProductWishart(2.0, 3.0)), 1000, 5e-3, 1e-3),  # atom of 1/4 at 0
        ((Semicircle(1.0), Semicircle(0.5).shift(2.0)), 500, 1e-3, 1e-4),
    ],
)
def test_free_sums_of_quantiles_follow_the_sum_of_laws(laws, n, density_error, cdf_error):
    exact = laws[0] + laws[1]
    a, b = (quantiles(law, n) for law in laws)
    low, high = exact.support()[0][0], exact.support()[-1][1]
    x = np.linspace(low - 1, high + 1, 201)
    cdf = free_sum_cdf(a, b, x)
    np.testing.assert_allclose(cdf, exact.cdf(x), atol=cdf_error)
    assert (np.diff(cdf) >= 0).all()
    assert cdf[0] < 1e-5
    assert cdf[-1] > 1 - 1e-5
    # The atom, if there is one, is at 0, and the density diverges next to it.
    ends = (
        np.ravel(exact.support()) if not exact.atoms() else [low, high, *np.linspace(-1, 1, 9) / 5]
    )
    away = np.abs(np.subtract.outer(x, ends)).min(axis=1) > 0.05
    np.testing.assert_allclose(
        free_sum_density(a, b, x[away]), exact.pdf(x[away]), atol=density_error
    )
    for at in (0.0, np.nextafter(0.0, -1.0)):
        assert float(free_sum_cdf(a, b, at)) == pytest.approx(float(exact.cdf(at)), abs=cdf_error)


def test_density_is_the_derivative_of_the_distribution_and_has_mass_one():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=40), rng.exponential(size=60)
    nodes, weights = np.polynomial.legendre.leggauss(1000)
    x = 4 + 10 * nodes
    density = free_sum_density(a, b, x, eta=0.1)
    inside = free_sum_cdf(a, b, [-6.0, 14.0], eta=0.1)
    assert 10 * weights @ density == pytest.approx(np.diff(inside)[0], abs=1e-9)
    assert np.diff(inside)[0] == pytest.approx(1.0, abs=0.01)  # the tails of the Cauchy kernel


def test_two_coins_give_the_arcsine_law():
    x = np.linspace(-1.99, 1.99, 200).reshape(4, 50)
    density = free_sum_density([-1.0, 1.0], [1.0, -1.0], x)
    assert density.shape == x.shape
    np.testing.assert_allclose(density, 1 / (np.pi * np.sqrt(4 - x**2)), rtol=1e-6)
    np.testing.assert_allclose(
        free_sum_cdf([-1.0, 1.0], [-1.0, 1.0], x), 0.5 + np.arcsin(x / 2) / np.pi, atol=1e-5
    )


def test_free_sum_at_the_centre_of_symmetry():
    """There every omega solves the equations as eta tends to 0."""
    x = np.array([0.0, 1e-12, -1e-9, 1e-6])
    coin = [-1.0, 1.0]
    expected = 0.5 + np.arcsin(x / 2) / np.pi
    np.testing.assert_allclose(free_sum_cdf(coin, coin, x), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(free_sum_density(coin, coin, x), 0.5 / np.pi, rtol=1e-9)
    small = [-2.0, 0.0, 2.0]
    assert free_sum_cdf(small, small, 0.0) == pytest.approx(0.5, abs=1e-9)


def test_a_constant_only_shifts():
    b = np.array([0.0, 1.0, 1.0, 5.0])
    x = np.array([1.9, 2.0, 2.9, 3.0, 6.9, 7.0])
    steps = [0, 0.25, 0.25, 0.75, 0.75, 1]
    np.testing.assert_allclose(free_sum_cdf([2.0, 2.0], b, x), steps, atol=1e-12)
    np.testing.assert_allclose(free_sum_density([2.0, 2.0], b, x[::2]), 0.0, atol=1e-9)


@pytest.mark.parametrize("null", [0.0, 0.3, 0.7])
def test_free_sums_follow_rotated_sums(null):
    # Two draws: their spectra are within 3/n of the free sum (2/n is typical at this size).
    n, rng = 300, np.random.default_rng(7)
    zeros = round(null * n)
    a, b = rng.normal(size=n) ** 3, rng.exponential(size=n)
    a[:zeros] = b[:zeros] = 0.0
    Q = haar_orthogonal(n, rng=rng)  # rounding scatters the null space
    sums = rotated_sum_eigenvalues(np.diag(a), Q * b @ Q.T, 2, rng=8)
    noisy = np.linalg.eigvalsh(Q * b @ Q.T)
    assert ks_distance(sums, lambda x: free_sum_cdf(a, noisy, x)) < 3 / n
    jump = np.diff(free_sum_cdf(a, noisy, [np.nextafter(0, -1), 0.0]))[0]
    assert jump == pytest.approx(max(2 * zeros / n - 1, 0.0), abs=1e-6)


SPECTRUM = st.lists(st.integers(-3, 3), min_size=1, max_size=6)


@settings(max_examples=40)
@given(SPECTRUM, SPECTRUM, st.floats(0.1, 10), st.floats(-5, 5))
def test_free_sums_commute_and_scale(a, b, factor, shift):
    # Atoms everywhere and x at sums of them: the hardest points of the iteration.
    a, b = np.array(a, dtype=float), np.array(b, dtype=float)
    x = np.linspace(-7, 7, 29)
    density = free_sum_density(a, b, x, eta=1e-3)
    np.testing.assert_allclose(free_sum_density(b, a, x, eta=1e-3), density, atol=1e-6)
    moved = free_sum_density(factor * a + shift, factor * b, factor * x + shift, eta=factor * 1e-3)
    np.testing.assert_allclose(factor * moved, density, atol=1e-6)
    cdf = free_sum_cdf(a, b, x + 0.01, eta=1e-3)
    assert (np.diff(cdf) > -1e-9).all()


# -- bad input -----------------------------------------------------------------------------------

EYE = np.eye(3)
PAIRS = np.stack([EYE, EYE])


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: rotated_sum_eigenvalues(np.triu(np.ones((3, 3))), EYE, 1), ValueError,
         "A must be symmetric"),
        (lambda: rotated_sum_eigenvalues(EYE, np.eye(4), 1), ValueError, "B must have the shape"),
        (lambda: rotated_sum_eigenvalues(EYE, EYE[0], 1), ValueError, "B must have shape"),
        (lambda: rotated_sum_eigenvalues(PAIRS, PAIRS, 1), ValueError, "A must have shape"),
        (lambda: rotated_sum_eigenvalues(EYE * np.nan, EYE, 1), ValueError, "A must be in"),
        (lambda: rotated_sum_eigenvalues(EYE, EYE, 0), ValueError, "draws must be in"),
        (lambda: mixed_moments(EYE, EYE[:2], ["AB"]), ValueError, "B must have shape"),
        (lambda: mixed_moments(EYE, EYE, "AB"), TypeError, "words must be a sequence"),
        (lambda: mixed_moments(EYE, EYE, ["AB", "AC"]), ValueError, r"words\[1\] must be a word"),
        (lambda: mixed_words(1), ValueError, "order must be in"),
        (lambda: free_moment("", [1.0], [1.0]), ValueError, "word must be a word"),
        (lambda: free_moment("AAB", [1.0], [1.0]), ValueError, "moments_a must hold 2 moments"),
        (lambda: free_moment("AB", [np.nan], [1.0]), ValueError, "moments_a must be in"),
        (lambda: freeness_test(PAIRS, EYE), ValueError, "Bs must have shape"),
        (lambda: freeness_test(PAIRS[:1], PAIRS[:1]), ValueError, "As must hold at least 2"),
        (lambda: freeness_test(PAIRS, PAIRS * np.inf), ValueError, "Bs must be in"),
        (lambda: freeness_test(PAIRS, PAIRS, max_order=1), ValueError, "max_order must be in"),
        (lambda: first_violation([], level=1.0), ValueError, "level must be in"),
        (lambda: ks_distance([], [1.0]), ValueError, "a must hold eigenvalues"),
        (lambda: ks_distance([1.0], [np.nan]), ValueError, "b must be in"),
        (lambda: ks_distance(np.sin, Semicircle()), TypeError, "a or b must be eigenvalues"),
        (lambda: wasserstein_distance([1.0], np.sin), TypeError, "b must be real numbers"),
        (lambda: bootstrap_interval(np.mean, [1.0, 2.0], level=95), ValueError, "level must be in"),
        (lambda: bootstrap_interval(np.mean, [[1.0, 2.0]]), ValueError, "sample 0 must have at"),
        (lambda: bootstrap_interval(np.mean, EYE, PAIRS, paired=True), ValueError,
         "sample 1 must have as many rows"),
        (lambda: free_sum_density([], [1.0], 0.0), ValueError, "eigs_a must hold eigenvalues"),
        (lambda: free_sum_density([1.0], [np.nan], 0.0), ValueError, "eigs_b must be in"),
        (lambda: free_sum_cdf([1.0], [1.0], 0.0, eta=0.0), ValueError, "eta must be in"),
        (lambda: free_sum_cdf([1.0], [1.0], np.inf), ValueError, "x must be in"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, error, message):
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        call()
