"""Outliers under free noise against closed forms, 40-digit arithmetic and finite matrices."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hessrmt import MarchenkoPastur, ProductWishart, Semicircle, SpectralLaw
from hessrmt.batch_noise import outlier_overlap, outlier_position, outlier_threshold, subordination
from hessrmt.spectra import haar_orthogonal, product_wishart, wigner, wishart

NOISES = {
    "semicircle": Semicircle(0.7),
    "shifted": Semicircle(0.4).shift(-1.5),
    "wishart": MarchenkoPastur(0.5),
    "singular wishart": MarchenkoPastur(4.0),
    "negative wishart": -1.0 * MarchenkoPastur(0.5),
    "product": ProductWishart(0.5, 2.0),
    "sum": MarchenkoPastur(2.0) + Semicircle(0.3),
    "not infinitely divisible": SpectralLaw([0.0, 1.0, 0.1]),
}
BULKS = {"zero": None, "semicircle": Semicircle(0.5), "wishart": MarchenkoPastur(0.3, 0.5)}
each_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
# The law that is not infinitely divisible is slow; without a bulk it takes the same path.
PAIRS = {
    f"{n} on {b}": (NOISES[n], BULKS[b])
    for n in NOISES
    for b in BULKS
    if n != "not infinitely divisible" or b == "zero"
}
each_pair = pytest.mark.parametrize("noise, bulk", PAIRS.values(), ids=PAIRS)


# -- closed forms ----------------------------------------------------------------------------------


@given(st.floats(1.001, 50), st.floats(0.01, 10), st.sampled_from([-1, 1]))
def test_semicircle(ratio, s, sign):
    theta = sign * ratio * s
    assert outlier_position(theta, Semicircle(), s) == pytest.approx(theta + s**2 / theta)
    assert outlier_overlap(theta, Semicircle(), s) == pytest.approx(1 - 1 / ratio**2, abs=1e-12)
    assert outlier_threshold(Semicircle(), s) == pytest.approx(s)
    assert outlier_threshold(Semicircle(), s, side="left") == pytest.approx(-s)
    assert np.isnan(outlier_position(sign * s / ratio, Semicircle(), s))
    assert outlier_overlap(sign * s / ratio, Semicircle(), s) == 0


@given(st.floats(0.05, 5), st.floats(1.001, 30))
def test_spiked_covariance(gamma, beyond):
    """Baik & Silverstein 2006: a sample covariance with one population eigenvalue theta.

    Its nonzero spectrum is that of the Gram matrix of the samples, a Wishart matrix (p by p, n
    variables, gamma = n/p) plus the outlier theta along a random direction.
    """
    theta = 1 + np.sqrt(gamma) * beyond
    gram = MarchenkoPastur(1 / gamma, gamma)
    assert outlier_threshold(gram) == pytest.approx(1 + np.sqrt(gamma))
    printed = theta * (1 + gamma / (theta - 1))
    assert outlier_position(theta, gram) == pytest.approx(printed)
    overlap = 1 - gamma / (theta - 1) ** 2
    assert outlier_overlap(theta, gram) == pytest.approx(overlap, abs=1e-11)


@given(st.floats(0.05, 2), st.floats(0.05, 2), st.floats(1.01, 5))
def test_semicircle_on_a_semicircle(a, s, ratio):
    """G_A and the law of the sum are known; the threshold is where 1 + s^2 G_A' vanishes."""
    bulk = Semicircle(a)
    threshold = (2 * a**2 + s**2) / np.sqrt(a**2 + s**2)
    assert outlier_threshold(Semicircle(), s, bulk=bulk) == pytest.approx(threshold)
    theta = threshold * ratio
    root = np.sqrt(theta**2 - 4 * a**2)
    moved = theta + s**2 * (theta - root) / (2 * a**2)
    overlap = 1 + s**2 * (1 - theta / root) / (2 * a**2)
    for sign in (1, -1):
        position = outlier_position(sign * theta, Semicircle(), s, bulk=bulk)
        assert position == pytest.approx(sign * moved)
        found = outlier_overlap(sign * theta, Semicircle(), s, bulk=bulk)
        assert found == pytest.approx(overlap, abs=1e-9)


@each_noise
def test_far_outliers_follow_the_free_cumulants(noise):
    theta, s = 300.0, 0.8
    series = theta + sum(s**k * noise.free_cumulant(k) / theta ** (k - 1) for k in range(1, 9))
    assert outlier_position(theta, noise, s) == pytest.approx(series, rel=1e-13)


# -- 40 digits -------------------------------------------------------------------------------------


def semicircle_density(t):
    s = mp.mpf("0.7")
    return mp.sqrt(4 * s**2 - t**2) / (2 * mp.pi * s**2)


def wishart_density(t):
    low, high = (1 - mp.sqrt(0.5)) ** 2, (1 + mp.sqrt(0.5)) ** 2
    return mp.sqrt((t - low) * (high - t)) / (mp.pi * t)


@pytest.mark.parametrize(
    "name, density, edges",
    [
        ("semicircle", semicircle_density, lambda: (-mp.mpf("1.4"), mp.mpf("1.4"))),
        ("wishart", wishart_density, lambda: ((1 - mp.sqrt(0.5)) ** 2, (1 + mp.sqrt(0.5)) ** 2)),
    ],
)
@pytest.mark.parametrize("theta", [-3.0, -0.8, 1.3, 4.0])
def test_the_outlier_solves_the_determinant_equation(name, density, edges, theta):
    """1/theta = G(lambda) by quadrature of the density; the overlap is -1/(theta^2 G')."""
    noise = NOISES[name]
    position, overlap = outlier_position(theta, noise), outlier_overlap(theta, noise)
    with mp.workdps(40):
        low, high = edges()
        G = mp.quad(lambda t: density(t) / (position - t), [low, (low + high) / 2, high])
        slope = -mp.quad(lambda t: density(t) / (position - t) ** 2, [low, (low + high) / 2, high])
        assert abs(G * theta - 1) < 1e-12
        assert abs(-1 / (theta**2 * slope) - overlap) < 1e-12


@pytest.mark.parametrize("theta", [1.2, -2.0, 5.0])
def test_product_law_with_the_printed_cubic(theta):
    """Equation 28 at G = 1/theta; which of its roots is right, the finite matrices tell."""
    phi, epsilon, z, G = 0.5, 2.0, outlier_position(theta, NOISES["product"]), 1 / theta
    terms = (epsilon * phi**2 * z * G**3, epsilon * phi * (1 - phi) * G**2, -2 * z * G, 2)
    assert sum(terms) == pytest.approx(0, abs=1e-14)


# -- relations between the functions ---------------------------------------------------------------


@each_pair
def test_thresholds_are_where_outliers_meet_the_bulk(noise, bulk):
    total = noise * 0.6 if bulk is None else noise * 0.6 + bulk
    for side, edge, outward in (
        ("left", total.support()[0][0], -1),
        ("right", total.support()[-1][1], 1),
    ):
        threshold = outlier_threshold(noise, 0.6, bulk=bulk, side=side)
        if threshold == 0 and bulk is None:
            continue
        beyond = threshold + outward * 1e-5
        assert outlier_position(beyond, noise, 0.6, bulk=bulk) == pytest.approx(edge, abs=1e-6)
        assert 0 < outlier_overlap(beyond, noise, 0.6, bulk=bulk) < 2e-3
        inside = threshold - outward * 1e-5
        if bulk is None or not bulk.support()[0][0] <= inside <= bulk.support()[0][1]:
            assert np.isnan(outlier_position(inside, noise, 0.6, bulk=bulk))
            assert outlier_overlap(inside, noise, 0.6, bulk=bulk) == 0


@each_pair
def test_the_overlap_is_the_rate_of_the_position(noise, bulk):
    left, right = (outlier_threshold(noise, 0.6, bulk=bulk, side=s) for s in ("left", "right"))
    theta = np.concatenate([right + np.geomspace(0.05, 20, 9), left - np.geomspace(0.05, 20, 9)])
    theta = theta[np.abs(theta) > 1e-2]
    h = 1e-5
    ends = [outlier_position(theta + d, noise, 0.6, bulk=bulk) for d in (h, -h)]
    overlap = outlier_overlap(theta, noise, 0.6, bulk=bulk)
    np.testing.assert_allclose(overlap, (ends[0] - ends[1]) / (2 * h), atol=1e-7)
    assert ((overlap > 0) & (overlap <= 1)).all()


@each_pair
def test_subordination_inverts_the_position_and_the_sum(noise, bulk):
    theta = outlier_threshold(noise, 0.6, bulk=bulk) + np.array([0.03, 0.4, 7.0])
    position = outlier_position(theta, noise, 0.6, bulk=bulk)
    np.testing.assert_allclose(subordination(position, noise, 0.6, bulk=bulk), theta, atol=1e-6)
    z = np.array([[0.3 + 0.2j, -2 + 0.01j], [5 - 1j, 0.1j]])
    omega = subordination(z, noise, 0.6, bulk=bulk)
    total = noise * 0.6 if bulk is None else noise * 0.6 + bulk
    before = 1 / omega if bulk is None else bulk.stieltjes(omega)
    np.testing.assert_allclose(before, total.stieltjes(z), rtol=1e-9)
    assert (np.abs(omega.imag) >= np.abs(z.imag) - 1e-12).all()  # noise smooths


@settings(max_examples=30)
@given(st.floats(0.1, 3), st.floats(2.5, 9), st.sampled_from(["wishart", "product", "sum"]))
def test_scale_and_sign_go_with_the_law(s, theta, name):
    noise, far = NOISES[name], theta * (1 + 2 * s)
    position = outlier_position(far, noise, s)
    assert outlier_position(far, s * noise) == pytest.approx(position)
    assert outlier_position(-far, -1.0 * noise, s) == pytest.approx(-position)
    assert outlier_overlap(-far, -1.0 * noise, s) == pytest.approx(outlier_overlap(far, noise, s))


def test_no_noise_and_shapes():
    theta = np.array([[-1.0, 2.0], [3.0, 1e-3]])
    assert np.array_equal(outlier_position(theta, MarchenkoPastur(0.5), 0), theta)
    assert np.array_equal(outlier_overlap(theta, MarchenkoPastur(0.5), 0), np.ones((2, 2)))
    assert outlier_threshold(Semicircle(), 0.0) == 0
    assert outlier_threshold(Semicircle(), 0.0, bulk=Semicircle(2.0)) == pytest.approx(4)
    assert outlier_position([3], Semicircle()).shape == (1,)
    assert np.ndim(outlier_position(3, Semicircle())) == 0


# -- finite matrices -------------------------------------------------------------------------------


def simulate(draw, theta, bulk, n, runs):
    """Position and squared overlap of the eigenvalue with most of the outlier's direction."""
    found = []
    for _ in range(runs):
        A = np.append(theta, bulk[: n - 1])
        values, vectors = np.linalg.eigh(np.diag(A) + draw(n))
        k = int(np.argmax(vectors[0] ** 2))
        found.append((values[k], vectors[0, k] ** 2))
    return np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(runs)


CASES = {
    "semicircle": (2.0, Semicircle(), wigner, None),
    "semicircle, below": (-1.6, Semicircle(), wigner, None),
    "wishart": (2.5, MarchenkoPastur(0.5), lambda n, rng: wishart(n, 0.5, rng=rng), None),
    "wishart, next to its null space": (
        1.0,
        MarchenkoPastur(4.0),
        lambda n, rng: wishart(n, 4.0, rng=rng),
        None,
    ),
    "product": (
        2.0,
        ProductWishart(0.5, 2.0),
        lambda n, rng: product_wishart(n // 2, 0.5, 2.0, rng=rng),
        None,
    ),
    "semicircle on a wishart bulk": (3.5, Semicircle(), wigner, MarchenkoPastur(0.3)),
    "product on a semicircle bulk": (
        3.5,
        ProductWishart(0.5, 2.0),
        lambda n, rng: product_wishart(n // 2, 0.5, 2.0, rng=rng),
        Semicircle(0.7),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_finite_matrices(case):
    """200 by 200: means of 40 runs within 4 standard errors and the O(1/n) of the bias."""
    theta, noise, draw, bulk = CASES[case]
    rng, n = np.random.default_rng(5), 200
    levels = (np.arange(n - 1) + 0.5) / (n - 1)
    eigs = np.zeros(n - 1) if bulk is None else bulk.ppf(levels)
    rotate = "product" in case and bulk is not None  # its blocks are not in general position

    def noise_matrix(size):
        X = draw(size, rng=rng)
        Q = haar_orthogonal(size, rng=rng) if rotate else np.eye(size)
        return Q @ X @ Q.T

    mean, error = simulate(noise_matrix, theta, eigs, n, 40)
    expected = [f(theta, noise, bulk=bulk) for f in (outlier_position, outlier_overlap)]
    assert (np.abs(mean - expected) < 4 * error + 2 / n).all(), (mean, error, expected)


def test_spiked_sample_covariance():
    """The model of Baik & Silverstein itself, which is not a sum, by its largest eigenvalue."""
    rng, n, p, theta = np.random.default_rng(6), 150, 300, 3.0
    scale = np.append(np.sqrt(theta), np.ones(n - 1))[:, None]
    tops = []
    for _ in range(60):
        Z = scale * rng.standard_normal((n, p)) / np.sqrt(p)
        tops.append(np.linalg.eigvalsh(Z @ Z.T)[-1])
    error = np.std(tops, ddof=1) / np.sqrt(60)
    expected = outlier_position(theta, MarchenkoPastur(p / n, n / p))
    assert abs(np.mean(tops) - expected) < 4 * error + 2 / n


def test_merged_outliers_leave_the_edge_alone():
    rng, n = np.random.default_rng(7), 200
    mean, _ = simulate(lambda n: wigner(n, rng=rng), 0.5, np.zeros(n - 1), n, 20)
    assert np.isnan(outlier_position(0.5, Semicircle()))
    assert mean[1] < 0.1  # no eigenvector keeps the direction


def test_the_mean_inverse_is_the_inverse_with_effective_damping():
    """In matrix form: every diagonal element of the mean resolvent, within 4.5 standard errors."""
    rng, n, d, runs = np.random.default_rng(8), 150, 1.5, 80
    bulk, noise, s = MarchenkoPastur(0.5), Semicircle(), 0.6
    A = bulk.ppf((np.arange(n) + 0.5) / n)
    inverses = np.array(
        [np.diag(np.linalg.inv(np.diag(A + d) + s * wigner(n, rng=rng))) for _ in range(runs)]
    )
    damping = -subordination(-d, noise, s, bulk=bulk).real
    assert 0 < damping < d - 0.1
    error = inverses.std(axis=0, ddof=1) / np.sqrt(runs)
    z = (inverses.mean(axis=0) - 1 / (A + damping)) / np.hypot(error, 0.5 / n)
    assert np.abs(z).max() < 4.5


# -- errors ----------------------------------------------------------------------------------------


def test_arguments_outside_their_domains():
    noise = Semicircle()
    with pytest.raises(TypeError, match=r"noise must be a SpectralLaw, got 1\.0"):
        outlier_position(2.0, 1.0)
    with pytest.raises(TypeError, match=r"bulk must be a SpectralLaw, got \[0\.0\]"):
        outlier_threshold(noise, bulk=[0.0])
    with pytest.raises(ValueError, match=r"scale must be in \[0, inf\), got -1\.0"):
        outlier_overlap(2.0, noise, -1.0)
    with pytest.raises(ValueError, match=r"theta must be in \(-inf, inf\), got nan"):
        outlier_position([1.0, np.nan], noise)
    with pytest.raises(ValueError, match=r"theta must be outside the spectrum of bulk, got 0\.0"):
        outlier_position([1.0, 0.0], noise)
    with pytest.raises(ValueError, match=r"theta must be outside the spectrum of bulk, got 0\.5"):
        outlier_overlap([5.0, 0.5], noise, bulk=Semicircle(2.0))
    with pytest.raises(ValueError, match=r"side must be one of right \| left, got 'up'"):
        outlier_threshold(noise, side="up")
    with pytest.raises(ValueError, match=r"z must be finite"):
        subordination(np.inf, noise)
