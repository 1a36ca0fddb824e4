"""Figures and tables of measured networks: what they show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hessrmt import Curvature, survey_network
from hessrmt.book import draw_index, draw_spectra, network_tables
from hessrmt.curvature import digits_example


@pytest.fixture(scope="module")
def survey():
    return survey_network(Curvature(*digits_example(images=20)), steps=10, probes=2)


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_spectra_are_drawn_over_their_range(survey, ax):
    draw_spectra(ax, survey)
    curves = {line.get_label(): line for line in ax.lines}
    assert list(curves) == ["H", "H₀", "H₁", "outliers of H"]
    x, y = curves["H"].get_data()
    top = survey.spectra["hessian"].highest[0, 0]
    assert x[0] < survey.spectra["hessian"].lowest[0, 0]
    assert x[-1] > top
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02)
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(
        curves["outliers of H"].get_xdata(), survey.outliers("hessian").values
    )


def test_the_index_is_drawn_with_its_prediction(survey, ax):
    exact = np.linspace(-1, 1, 100)
    draw_index(ax, survey, exact)
    curves = {line.get_label(): line for line in ax.lines}
    cut, value = curves["measured"].get_data()
    np.testing.assert_allclose(value, survey.spectra["hessian"].cdf(-cut)[0])
    np.testing.assert_allclose(curves["if free"].get_ydata(), survey.prediction(-cut)[0])
    at, counted = curves["all eigenvalues"].get_data()
    np.testing.assert_allclose(counted, [np.mean(exact < -c) for c in at])


def test_tables_have_a_row_for_each_thing_measured(survey):
    tables = network_tables({"one": survey, "two": survey}, {"one": 10, "two": 3})
    texts = {name: repr(table).splitlines() for name, table in tables.items()}
    assert {name: len(lines) for name, lines in texts.items()} == {
        "sizes": 3,
        "assumptions": 9,
        "moments": 1 + 2 * len(survey.moments),
    }
    assert texts["sizes"][1].split()[:2] == ["one", "850"]
    assert texts["sizes"][2].split()[-1] == "3"
    assert texts["moments"][1].split()[1] == "AB"
