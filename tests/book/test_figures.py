import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hessrmt.book import density_curve, density_histogram, figures, law_grid, use_style


class TwoArcs:
    """Half of the mass in semicircles on [-3, -1] and [1, 2], the rest at zero."""

    def support(self):
        return ((-3.0, -1.0), (1.0, 2.0))

    def atoms(self):
        return ((0.0, 0.5),)

    def pdf(self, x):
        y = np.zeros_like(x)
        for low, high in self.support():
            half = (high - low) / 2
            arc = np.sqrt(np.clip((x - low) * (high - x), 0, None))
            y += 0.25 * 2 * arc / (np.pi * half**2)
        return y


class Atom:
    def support(self):
        return ()

    def atoms(self):
        return ((1.0, 1.0),)

    def pdf(self, x):
        return np.zeros_like(x)


@pytest.fixture
def ax():
    with mpl.rc_context():
        use_style()
        yield Figure().subplots()


def test_style_tells_curves_apart_without_color(ax):
    lines = [ax.plot([0, 1])[0] for _ in figures.COLORS]
    assert len({line.get_color() for line in lines}) == len(lines)
    assert len({str(line._dash_pattern) for line in lines}) == len(lines)


def test_pictures_are_white_of_fixed_width_and_small(ax):
    rng = np.random.default_rng(0)
    density_histogram(ax, rng.standard_normal(2000), label="simulated")
    density_curve(ax, TwoArcs(), label="law")
    ax.set(xlabel="eigenvalue", ylabel="density")
    ax.legend()
    file = io.BytesIO()
    ax.figure.savefig(file)
    with Image.open(file) as picture:
        assert picture.width == 960
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    assert file.tell() < 80_000


@pytest.mark.parametrize("points", [4, 7, 500, 501])
def test_grid_has_the_edges_and_the_length(points):
    grid = law_grid(TwoArcs(), points)
    assert grid.shape == (points,)
    assert (np.diff(grid) > 0).all()
    assert np.isin([-3, -1, 1, 2], grid).all()
    assert not ((grid > -1) & (grid < 1)).any()


def test_grid_resolves_the_edges():
    """The trapezoidal rule on the grid is as good as for a smooth function."""
    law, grid = TwoArcs(), law_grid(TwoArcs(), 201)
    assert np.trapezoid(law.pdf(grid), grid) == pytest.approx(0.5, abs=1e-4)
    even = np.linspace(-3, 2, 201)
    assert abs(np.trapezoid(law.pdf(even), even) - 0.5) > 1e-4


@pytest.mark.parametrize("points", [3, 0, -1])
def test_grid_needs_two_points_an_interval(points):
    with pytest.raises(ValueError, match=r"points must be in \[4, inf\)"):
        law_grid(TwoArcs(), points)


def test_curve_touches_the_axis_and_atoms_are_labelled(ax):
    line = density_curve(ax, TwoArcs(), points=101, color="#123456")
    x, y = line.get_data()
    np.testing.assert_allclose(y[np.isin(x, [-3, -1, 1, 2])], 0, atol=1e-7)
    assert line.get_color() == "#123456"
    assert [text.get_text() for text in ax.texts] == ["", "mass 0.5"]


def test_law_without_a_density_is_its_atom(ax):
    assert law_grid(Atom()).size == 0
    density_curve(ax, Atom())
    assert ax.texts[-1].get_text() == "mass 1"


def test_histogram_counts_what_it_does_not_show(ax):
    steps = density_histogram(ax, [[0.1, 0.2], [0.7, 9.0]], bins=[0, 0.5, 1], label="x").get_data()
    np.testing.assert_allclose(steps.values, [1.0, 0.5])
    np.testing.assert_allclose(np.sum(steps.values * np.diff(steps.edges)), 0.75)


def test_histogram_of_everything_has_unit_mass(ax):
    values = np.random.default_rng(0).standard_normal((3, 40))
    steps = density_histogram(ax, values, bins=7).get_data()
    assert steps.values.shape == (7,)
    assert np.sum(steps.values * np.diff(steps.edges)) == pytest.approx(1.0)


def test_curve_over_a_histogram_has_the_first_color(ax):
    density_histogram(ax, [0.0, 1.0])
    assert density_curve(ax, TwoArcs()).get_color() == figures.COLORS[0]


@pytest.mark.parametrize(
    ("eigenvalues", "bins", "error", "message"),
    [
        ([], 5, ValueError, "eigenvalues must not be empty"),
        ([np.nan], 5, ValueError, "eigenvalues must be in"),
        (["a"], 5, TypeError, "eigenvalues must be real numbers"),
        ([1.0], 0, ValueError, r"bins must be in \[1, inf\)"),
        ([1.0], 2.5, TypeError, "bins must be an integer"),
        ([1.0], [1.0, 1.0], ValueError, "bins must be increasing edges"),
        ([1.0], [1.0, np.nan], ValueError, "bins must be in"),
        ([1.0], [2.0, 1.0], ValueError, "bins"),
    ],
)
def test_bad_arguments_of_a_histogram_are_named(ax, eigenvalues, bins, error, message):
    with pytest.raises(error, match=message):
        density_histogram(ax, eigenvalues, bins)
