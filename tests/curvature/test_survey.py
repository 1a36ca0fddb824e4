"""What is measured of a network together: files, outliers, cut-offs, words chosen by numbers."""

from dataclasses import replace

import numpy as np
import pytest

from hessrmt import Curvature, lanczos_spectrum, survey_network
from hessrmt.curvature import (
    MeasuredMoment,
    Survey,
    check_assumptions,
    describe_survey,
    digits_example,
    hidden_layer_draw,
    hidden_layer_example,
    load_function,
    transformer_example,
)


@pytest.fixture(scope="module")
def own():
    return survey_network(Curvature(*hidden_layer_example()), steps=20, probes=4)


def made(h0, h1, z=0.0):
    """A survey of diagonal matrices, exactly known, with one row of mixed moments."""
    h0, h1 = np.asarray(h0, float), np.asarray(h1, float)
    parts = {"hessian": h0 + h1, "h0": h0, "h1": h1}
    spectra = {k: lanczos_spectrum(np.diag(v), 100, 4, rng=0) for k, v in parts.items()}
    p_value = 1.0 if abs(z) < 4 else 0.0
    row = MeasuredMoment("AB", 0.5, 0.4, 0.0, 0.1, 0.1, z, p_value, 0.1)
    return Survey(1.0, spectra, [row])


def test_a_file_holds_everything(own, tmp_path):
    own.save(tmp_path / "s.npz")
    back = Survey.load(tmp_path / "s.npz")
    assert back.moments == own.moments
    assert (back.loss, back.size, back.violation) == (own.loss, 512, own.violation)
    x = np.linspace(-3, 6, 50)
    for part, s in own.spectra.items():
        for one, other in ((s, back.spectra[part]),):
            np.testing.assert_array_equal(one.cdf(x), other.cdf(x))
            np.testing.assert_array_equal(one.density(x, 0.1), other.density(x, 0.1))
            assert one.cutoff == other.cutoff
    assert (tmp_path / "s.npz").stat().st_size < 60_000


def test_examples_are_the_networks_they_say(own):
    """The book's own network against its closed form; initial weights do not vary."""
    net, theta, x, y = hidden_layer_draw(3)
    c = Curvature(*hidden_layer_example(3))
    H0, H1 = (part.numpy() for part in net.hessian_parts(theta, x, y))
    v = np.random.default_rng(0).standard_normal(c.size)
    np.testing.assert_allclose(c.h0 @ v, H0 @ v, atol=1e-12)
    np.testing.assert_allclose(c.h1 @ v, H1 @ v, atol=1e-12)
    assert c.loss == pytest.approx(float(net.n2 * net.energy(theta, x, y)), rel=1e-14)
    for make, size in ((digits_example, 850), (transformer_example, 1_062_154)):
        example, again = make(images=4), make(images=4)
        parameters = list(example.model.parameters())
        assert sum(p.numel() for p in parameters) == size
        assert all(
            (p == q).all() for p, q in zip(parameters, again.model.parameters(), strict=True)
        )
    with pytest.raises(ValueError, match="weights must be 850 numbers, got 3"):
        digits_example(np.ones(3))


def test_outliers_are_above_the_widest_gap():
    bulk = np.linspace(0.0, 1.0, 60)
    s = made([*bulk, 9.0, 6.0, 3.0], np.zeros(63))
    assert s.outliers("h0").values.tolist() == [9.0, 6.0, 3.0]
    assert s.outliers("h0").gap == pytest.approx(3.0)
    assert s.outliers("h1").values.size == 0
    assert made(bulk, 0 * bulk).outliers().values.size == 0
    assert made(-bulk, 0 * bulk).outliers().values.size == 0


def test_the_cutoff_is_where_the_index_is_known(own):
    cutoff = own.resolved_cutoff(0.02)
    spectrum = own.spectra["hessian"]
    assert spectrum.index(cutoff)[1] <= 0.02
    assert spectrum.index(cutoff / 10 ** (1 / 4))[1] > 0.02
    assert made([1.0, 2.0], [0.0, 0.0]).resolved_cutoff() == pytest.approx(2e-4)
    with pytest.raises(ValueError, match="error must be in"):
        own.resolved_cutoff(0.0)


def test_assumptions_that_hold_and_that_do_not():
    """Quantiles of the laws themselves pass; equal eigenvalues and a spike do not."""
    from hessrmt import MarchenkoPastur, Semicircle

    levels = (np.arange(400) + 0.5) / 400
    h0, h1 = MarchenkoPastur(0.5).ppf(levels), Semicircle(0.3).ppf(levels)
    rng = np.random.default_rng(0)
    shape0, shape1, free, _ = check_assumptions(made(h0, rng.permutation(h1)))
    assert shape0.holds
    assert shape0.value == pytest.approx(1, abs=0.02)
    assert shape1.holds
    assert shape1.value == pytest.approx(2, abs=0.02)
    assert free.holds
    spike = np.where(np.arange(400) < 4, 5.0, 0.0)
    shape0, shape1, free, _ = check_assumptions(made(1 + 0.1 * h1, spike - spike.mean(), z=9.0))
    assert not shape0.holds
    assert not shape1.holds
    assert (free.holds, free.value) == (False, 2.0)


def test_what_errors_leave_open_is_open(own):
    """The same spectrum of H0 from one start with few products: no verdict on its shape."""
    h0 = own.spectra["h0"]
    (alpha, beta), *_ = h0.runs
    few = replace(h0, exact=h0.exact[:0], runs=((alpha[:4], beta[:4]),))
    shape0 = check_assumptions(replace(own, spectra=own.spectra | {"h0": few}))[0]
    assert shape0.holds is None
    assert shape0.error > 0.1
    h = own.spectra["hessian"]
    runs = tuple((alpha[:3], beta[:3]) for alpha, beta in h.runs)
    few = replace(h, exact=h.exact[:0], runs=runs)
    coarse = replace(own, spectra=own.spectra | {"hessian": few})
    assert coarse.resolved_cutoff() == coarse.norm("hessian")
    assert check_assumptions(coarse)[3].holds is None
    assert "Too few products to tell how many eigenvalues" in describe_survey(coarse, 16)


@pytest.mark.parametrize(
    "h0, h1, z, said",
    [
        ([1.0, 50.0], [0, 0.01], 0.0, "nearly its Gauss–Newton part"),
        ([1.2, 50.0], [1, -1], 0.0, "One eigenvalue of H₀ stands apart by a factor 41.7, where"),
        (
            [40.0, 50.0],
            [1, -1],
            0.0,
            "2 eigenvalues of H₀ stand apart by a factor 40.0, as many as",
        ),
        ([1.1, 1.2], [1, -1], 0.0, "No eigenvalue of H₀ stands apart"),
        ([1.1, 1.2], [0, 0], 0.0, "no eigenvalue of H is negative, and none should be"),
        ([1.1, 1.2], [1, -3], 0.0, "a share 0.050 ± 0.000 of the eigenvalues of H is negative"),
        ([1.1, 1.2], [1, -1], 0.0, "No mixed moment up to order four shows"),
        ([1.1, 1.2], [1, -1], 9.0, "differ from order 2 on, most clearly AB, 0.5 instead of 0.4"),
        ([0.0, 0.0], [1, -1], 0.0, "H₁ is"),
    ],
)
def test_words_follow_from_numbers(h0, h1, z, said):
    """The last two eigenvalues of twenty; the others are 1 and 0, or 0 and 0."""
    rest = np.full(18, float(any(h0)))
    text = describe_survey(made([*rest, *h0], [*(0 * rest), *h1], z), 2)
    assert said in text
    assert "nan" not in text
    assert text.endswith(".")


def test_words_of_a_network(own):
    text = describe_survey(own, 16)
    assert "H₁ is 0.3" in text
    none = replace(own, moments=[replace(r, p_value=1.0) for r in own.moments])
    assert "No mixed moment" in describe_survey(none, 16)


def test_what_a_function_must_return(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "returns_less.py").write_text("def make(): return 1, 2\ndef one(): return 3\n")
    with pytest.raises(TypeError, match="returns model, loss and data, got a tuple of 2"):
        load_function("returns_less.py:make")
    with pytest.raises(TypeError, match="returns model, loss and data, got int"):
        load_function("returns_less.py:one")


def test_what_is_refused():
    c = Curvature(*digits_example(images=20))
    with pytest.raises(ValueError, match="probes must be in"):
        survey_network(c, probes=1)
    with pytest.raises(TypeError, match="rng must be an integer"):
        survey_network(c, rng=None)
