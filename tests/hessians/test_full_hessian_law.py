"""The law of the full Hessian against moments by Wick pairings, the law of H0, and simulation."""

import itertools

import numpy as np
import pytest
import torch

from hessrmt import (
    FreeSum,
    FullHessianLaw,
    GaussNewtonLaw,
    MarchenkoPastur,
    ProductWishart,
    SingleHiddenLayer,
    WishartPlusProductWishart,
    free_critical_energy,
    full_hessian_critical_energy,
)

# -- exact moments, by pairings of the Gaussian factors ------------------------------------------

SQUARES = {"relu": 0.25 - 0.5 / np.pi, "linear": 0.0}  # c*^2; c1 = 1/2 and 1
FIRST, SECOND = "ka", "ik"  # rows of the weights: (unit, input) and (output, unit)


class Walk:
    """A closed walk over indices: factors by matrix, slopes, and what is the same index."""

    def __init__(self, word, activation):
        self.word, self.activation = word, activation

    def paths(self):
        """Yield (factors, slopes, pairs of equal indices, weight, number of indices)."""
        for state in (FIRST, SECOND):
            yield from self._go(0, state, (0, 1), 2, [], [], 1.0, state)

    def _ends(self, state, index, new):
        """Ways from a weight (state, index) to an (output i, example mu) through J.

        Each is (factors, slopes, weight, output); `new` gives mu, and further fresh indices.
        """
        mu = new(0)
        if state == FIRST:  # W_ik f'(z_k mu) X_a mu
            k, a = index
            yield [("W", new(1), k), ("X", a, mu)], [(k, mu)], 1.0, new(1)
        else:  # f(z_k mu) by its Gaussian equivalent
            i, k = index
            linear = 0.5 if self.activation == "relu" else 1.0
            yield [("V", k, new(2)), ("X", new(2), mu)], [], linear, i
            if SQUARES[self.activation]:
                yield [("N", k, mu)], [], SQUARES[self.activation] ** 0.5, i

    def _go(self, at, state, index, size, factors, slopes, weight, start):
        if at == len(self.word):
            if state == start:
                yield factors, slopes, [(index[0], 0), (index[1], 1)], weight, size
            return

        def new(j, base=0):
            return size + base + j

        if self.word[at] == "B":
            mu, fresh = new(0), new(1)
            k, a, i = (*index, fresh) if state == FIRST else (index[1], fresh, index[0])
            to, index2 = (SECOND, (i, k)) if state == FIRST else (FIRST, (k, a))
            more = [("E", i, mu), ("X", a, mu)]
            yield from self._go(
                at + 1, to, index2, size + 2, factors + more, [*slopes, (k, mu)], weight, start
            )
            return
        for out, d_out, w_out, i in self._ends(state, index, new):
            for to in (FIRST, SECOND):
                there = (new(3), new(4)) if to == FIRST else (i, new(3))
                for back, d_back, w_back, i_back in self._ends(
                    to, there, lambda j: new(0) if j == 0 else new(j, 4)
                ):
                    same = [(i_back, i)] if to == FIRST else []
                    yield from self._go(
                        at + 1, to, there, size + 8,
                        factors + out + back + [("=", p, q) for p, q in same],
                        slopes + d_out + d_back, weight * w_out * w_back, start,
                    )  # fmt: skip


def pairings(items):
    if not items:
        yield ()
        return
    first, *rest = items
    for j, other in enumerate(rest):
        for others in pairings(rest[:j] + rest[j + 1 :]):
            yield ((first, other), *others)


def find(parent, x):
    while parent[x] != x:
        x = parent[x]
    return x


def join(parent, a, b):
    ra, rb = find(parent, a), find(parent, b)
    if ra != rb:
        parent[ra] = rb


def exact_coefficient(k, j, phi, activation):
    """Limit of the coefficient of epsilon^(j/2) in tau(H^k): j factors H1, k - j factors H0."""
    c, total = phi / 2, 0.0
    for places in itertools.combinations(range(k), j):
        word = "".join("B" if p in places else "A" for p in range(k))
        for factors, slopes, same, weight, size in Walk(word, activation).paths():
            groups = {name: [f[1:] for f in factors if f[0] == name] for name in "WVEXN"}
            if any(len(group) % 2 for group in groups.values()):
                continue
            base = list(range(size))
            for a, b in same + [f[1:] for f in factors if f[0] == "="]:
                join(base, a, b)
            used = {x for f in factors for x in f[1:]} | {x for pair in same for x in pair}
            examples = {f[2] for f in factors if f[0] in "EXN"}
            scale = weight * 2.0 ** (j // 2)
            variances = (len(groups["W"]) + len(groups["V"])) // 2  # each 1/n
            for choice in itertools.product(*(list(pairings(groups[g])) for g in "WVEXN")):
                parent = base.copy()
                for (a, b), (p, q) in itertools.chain(*choice):
                    join(parent, a, p)
                    join(parent, b, q)
                roots = {find(parent, x) for x in used}
                if len(roots) - variances - k < 2:  # of lower order in n
                    continue
                of_examples = len({find(parent, x) for x in examples})
                distinct = len({(find(parent, a), find(parent, b)) for a, b in slopes})
                odds = 0.5**distinct if activation == "relu" else 1.0
                total += scale * odds * c ** (k - of_examples) / 2
    return total


def coefficients(law_at, k, middle, radius):
    """Coefficients of moment k in epsilon, from contours at as many energies."""
    energies = np.arange(k // 2 + 1) / 8  # where the crossing is there
    turn = np.exp(2j * np.pi * (np.arange(96) + 0.5) / 96)
    z = middle + radius * turn
    moments = [np.mean(z**k * law_at(e).stieltjes(z) * radius * turn).real for e in energies]
    return np.linalg.solve(np.vander(energies, increasing=True), moments)


def test_pairings_count_what_they_should():
    """tau(H1^2) = epsilon phi E f'^2, tau(H0^2) as in the law of H0."""
    assert exact_coefficient(2, 2, 0.5, "relu") == pytest.approx(0.25)
    assert exact_coefficient(2, 2, 0.5, "linear") == pytest.approx(0.5)
    law = GaussNewtonLaw(0.5, "linear")
    assert exact_coefficient(2, 0, 0.5, "linear") == pytest.approx(law.var() + law.mean() ** 2)
    law = GaussNewtonLaw(0.5)
    assert exact_coefficient(2, 0, 0.5, "relu") == pytest.approx(law.var() + law.mean() ** 2)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_moments_by_pairings(activation):
    contour = (1.8, 4.5) if activation == "relu" else (7.0, 18.0)

    def law_at(epsilon):
        return FullHessianLaw(0.5, epsilon, activation)

    for k, terms in ((2, (0, 2)), (3, (0, 2)), (4, (2, 4)), (5, (4,)), (6, (4, 6))):
        found = coefficients(law_at, k, *contour)
        for j in terms:
            exact = exact_coefficient(k, j, 0.5, activation)
            # Solutions are good to 1e-9; for ReLU the contour reaches out to 6.3.
            assert found[j // 2] == pytest.approx(exact, rel=1e-5, abs=1e-9 * 6.3**k), (k, j)


def test_moment_counted_once_at_length():
    """The pairings of (7, 4) take three minutes: 246.57568359375 for linear networks."""
    found = coefficients(lambda e: FullHessianLaw(0.5, e, "linear"), 7, 7.0, 18.0)
    assert found[2] == pytest.approx(246.57568359375, rel=1e-5)


# -- other laws ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("phi", "activation"), [(0.37, "relu"), (1.3, "relu"), (0.5, "tanh")])
def test_zero_energy_is_the_law_of_h0(phi, activation):
    z = np.array([-0.5, 0.3 + 0.2j, 1 - 0.5j, 3j, 20.0])
    found = FullHessianLaw(phi, 0.0, activation).stieltjes(z)
    expected = GaussNewtonLaw(phi, activation).stieltjes(z)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def dense_spectra(phi, epsilon, activation, n, networks, seed):
    """Eigenvalues of H at independent residuals, without the largest n (network, rest)."""
    rng, m = np.random.default_rng(seed), round(2 * n / phi)
    net = SingleHiddenLayer(n=n, activation=activation)
    rows = []
    for _ in range(networks):
        theta = net.initialize(rng=rng)
        x, noise = torch.from_numpy(rng.standard_normal((2, n, m)))
        e = np.sqrt(2 * epsilon) * noise
        rows.append(torch.linalg.eigvalsh(net.hessian(theta, x, net.predict(theta, x) - e))[:-n])
    return torch.stack(rows).numpy()


@pytest.mark.parametrize(
    ("phi", "epsilon", "activation"),
    [
        (0.5, 0.1, "relu"),
        (0.37, 0.5, "tanh"),
        (0.711, 0.661, "tanh"),
        (1.3, 0.2, "relu"),
    ],
)
def test_simulated_networks(phi, epsilon, activation):
    """The finite size costs about .5/n = .025; distributions of four networks vary by .002."""
    n, law = 20, FullHessianLaw(phi, epsilon, activation)
    rows = dense_spectra(phi, epsilon, activation, n, 4, 5)
    x = np.array([-0.1, 0.05, 0.2, 0.5, 1.0])
    counted = [(rows < point).mean() for point in x]
    np.testing.assert_allclose(law.cdf(x), counted, atol=0.03)


def test_index_of_simulated_networks_is_not_that_of_free_parts():
    """Extrapolated in 1/n from 12 and 24, four standard errors; the free sum is further off."""
    index = {}
    for n, networks in ((12, 40), (24, 10)):
        below = (dense_spectra(0.5, 0.1, "relu", n, networks, n) < 0).mean(axis=1)
        below *= (2 * n - 1) / (2 * n)  # of all eigenvalues
        index[n] = below.mean(), below.std(ddof=1) / np.sqrt(networks)
    limit = 2 * index[24][0] - index[12][0]
    error = np.hypot(2 * index[24][1], index[12][1])
    law = FullHessianLaw(0.5, 0.1).index()
    free = FreeSum(GaussNewtonLaw(0.5), ProductWishart(0.5, 0.1)).index()
    assert abs(limit - law) < 4 * error + 0.003  # and what is left of second order in 1/n
    assert free - law == pytest.approx(0.0204, abs=2e-4)  # shift of rotated networks at n = 32
    assert abs(limit - free) > 3 * error + 0.003


# -- one law against itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phi", "epsilon", "activation"),
    [(0.37, 0.001, "relu"), (1.3, 2.0, "relu"), (0.6, 0.2, "linear")],
)
def test_density_distribution_moments_and_index_agree(phi, epsilon, activation):
    law = FullHessianLaw(phi, epsilon, activation)
    (low, high), *_ = law.support()
    x = np.linspace(low - 0.1, high + 0.1, 1000)
    cdf = law.cdf(x)
    assert cdf[0] == pytest.approx(0, abs=1e-12)
    assert cdf[-1] == pytest.approx(1, abs=1e-12)
    assert np.diff(cdf).min() > -1e-5
    assert (law.pdf(x[::200]) >= 0).all()
    atom = sum(mass for _, mass in law.atoms())
    assert law.cdf(0.0) - atom == pytest.approx(law.index(), abs=1e-4)
    # Moments by parts from the distribution function; its steps are an error of 1e-3.
    for k in (1, 2):
        by_parts = x[-1] ** k - np.trapezoid(k * x ** (k - 1) * cdf, x)
        assert by_parts == pytest.approx(law.moment(k), abs=2e-3 * high**k)
    assert law.moment(0) == pytest.approx(1, abs=1e-8)
    assert law.moment(1) == pytest.approx(law.mean(), rel=1e-7)
    assert law.moment(2) == pytest.approx(law.var() + law.mean() ** 2, rel=1e-6)


def test_atom_of_relu():
    """Beyond phi = 1 a unit is active on fewer examples than inputs."""
    law = FullHessianLaw(1.28, 0.3)
    ((place, mass),) = law.atoms()
    assert (place, mass) == (0.0, pytest.approx((1 - 1 / 1.28) / 2))
    assert (1e-7j * law.stieltjes(1e-7j)).real == pytest.approx(mass, rel=1e-3)
    rows = dense_spectra(1.28, 0.3, "relu", 16, 2, 0)
    # m/2 examples a unit, with a standard deviation of sqrt(m)/2: within five standard errors.
    error = 5 * np.sqrt(25) / 2 / np.sqrt(32) / 32 + 1 / 32
    assert abs((np.abs(rows) < 1e-9).mean() - mass) < error


# -- critical energies ---------------------------------------------------------------------------


def test_critical_energy_is_where_the_index_begins():
    energy = full_hessian_critical_energy(0.25)
    assert energy == pytest.approx(0.02353, abs=1e-5)
    assert FullHessianLaw(0.25, 0.98 * energy).support()[0][0] > 0
    assert FullHessianLaw(0.25, 1.02 * energy).support()[0][0] < 0


@pytest.mark.parametrize("phi", [0.25, 0.5])
def test_free_critical_energy_of_the_papers_model(phi):
    found = free_critical_energy(MarchenkoPastur(phi), phi / 2, phi)
    assert found == pytest.approx(WishartPlusProductWishart(phi).critical_energy, rel=1e-7)


def test_free_critical_energy_with_the_law_of_h0():
    """.0167 for .0235: freeness lets saddles begin too early."""
    law = GaussNewtonLaw(0.25)
    energy = free_critical_energy(law, 0.125, 0.25)
    assert energy == pytest.approx(0.0167, abs=1e-4)
    assert energy < full_hessian_critical_energy(0.25)
    x = 1e-3
    assert FreeSum(law, ProductWishart(0.25, 0.9 * energy)).pdf(x) == pytest.approx(0, abs=1e-6)
    assert FreeSum(law, ProductWishart(0.25, 1.2 * energy)).pdf(x) > 0.01


def test_no_gap():
    assert full_hessian_critical_energy(1.0) == full_hessian_critical_energy(0.5, "linear") == 0
    assert free_critical_energy(MarchenkoPastur(1.0), 0.5, 1.0) == 0


# -- arguments and time --------------------------------------------------------------------------


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"phi must be in \[0.02, 2\], got 2.5"):
        FullHessianLaw(2.5, 0.1)
    with pytest.raises(ValueError, match="epsilon must be in"):
        FullHessianLaw(0.5, -0.1)
    with pytest.raises(ValueError, match=r"activation must be one of relu \| tanh \| linear"):
        FullHessianLaw(0.5, 0.1, "erf")
    with pytest.raises(ValueError, match=r"activation must be one of relu \| linear"):
        full_hessian_critical_energy(0.5, "tanh")
    with pytest.raises(ValueError, match="z must be finite and not 0"):
        FullHessianLaw(1.5, 0.1).stieltjes(0.0)


@pytest.mark.parametrize(
    ("phi", "epsilon", "activation"),
    [
        (1.445, 0.5731, "relu"),
        (0.711, 0.661, "tanh"),
        (0.8, 3.0, "linear"),
        (1.8, 0.3, "relu"),  # next to the atom the solution is lost, if looked for too coarsely
        (2.0, 100.0, "relu"),  # with the crossing there are points without a solution
    ],
)
def test_without_the_crossing_where_with_it_mass_is_lacking(phi, epsilon, activation):
    """Equations with the crossing have a branch point off the axis there."""
    law = FullHessianLaw(phi, epsilon, activation)
    assert not law.crossing
    atom = sum(mass for _, mass in law.atoms())
    assert law.cdf(0.0) - atom == pytest.approx(law.index(), abs=1e-4)
    low, high = law.support()[0][0], law.support()[-1][1]
    x = np.concatenate([-((-low) ** np.linspace(1, -25, 200)), high ** np.linspace(-9, 1, 300)])
    x = np.sort(np.append(x, np.linspace(low, high, 300)))
    assert np.trapezoid(law.pdf(x), x) + atom == pytest.approx(1, abs=1e-3)  # not made up
    assert law.moment(1) == pytest.approx(law.mean(), rel=1e-7)
    assert law.moment(2) == pytest.approx(law.var() + law.mean() ** 2, rel=1e-6)


def test_moments_keep_the_crossing():
    """The sixth is a polynomial in the energy, whose coefficients are those of small energies."""
    law = FullHessianLaw(0.5, 3.0, "linear")
    assert not law.crossing
    small = coefficients(lambda e: FullHessianLaw(0.5, e, "linear"), 6, 7.0, 18.0)
    expected = small @ 3.0 ** np.arange(4)
    assert law.moment(6) == pytest.approx(expected, rel=1e-5)
    z = 40 * np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)
    without = np.mean(z**7 * law.stieltjes(z)).real
    assert abs(without / expected - 1) > 3e-4


def test_the_crossing_is_there_where_it_can_be():
    assert FullHessianLaw(0.5, 0.1).crossing
    assert FullHessianLaw(0.711, 0.0361, "tanh").crossing


def test_an_edge_at_which_the_iteration_stalls():
    """Its lower edge is looked for at points where no small height converges."""
    law = FullHessianLaw(0.25, 0.5)
    assert law.cdf(0.0) == pytest.approx(law.index(), abs=1e-4)
    low = law.support()[0][0]
    assert law.pdf(low * (1 + 1e-5)) < 1e-4
    assert law.pdf(low * (1 - 1e-3)) > 0.01
