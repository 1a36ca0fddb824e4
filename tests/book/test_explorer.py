"""A figure is read back from its HTML, as its script does."""

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from hessrmt.book import figures
from hessrmt.book.explorer import HEIGHT, LOOKS, WIDTH, Explorer

PHI = np.linspace(0.2, 1.0, 5)
X = np.linspace(-1.0, 3.0, 161)  # steps of 62.5 units: every other coordinate is a tie
Y = np.exp(-((X - PHI[:, None]) ** 2) / PHI[:, None])
TEXTS = {"xlabel": "eigenvalue", "ylabel": "density", "description": "A bump moves right."}


def explorer(curves=None, **changes):
    arguments = {"sliders": {"φ": PHI}, **TEXTS} | changes
    return Explorer({"bump": (X, Y)} if curves is None else curves, **arguments)


class Page(HTMLParser):
    """The elements as (tag, attributes), and the text inside each tag."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], {}, []
        self.feed(text)
        self.close()
        assert self.open == [], "unbalanced tags"
        self.frames = json.loads(self.all("div")[0]["data-frames"])

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag != "input":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(text)

    def all(self, tag, **attributes):
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]


def decode(path, xlim, ylim):
    """Pieces of a path as arrays (points, 2), in the units of the data."""
    pieces = []
    for piece in filter(None, path.split("M")):
        numbers = np.array(re.findall(r"-?\d+", piece), dtype=float).reshape(-1, 2)
        x, y = numbers.cumsum(axis=0).T
        low, high = np.array([xlim, ylim]).T
        unit = np.stack([x / WIDTH, 1 - y / HEIGHT], axis=1)
        pieces.append(low + unit * (high - low))
    return pieces


def test_curves_are_stored_to_half_a_unit():
    page = Page(explorer(xlim=(-1, 3), ylim=(0, 1.2)).to_html())
    assert len(page.frames["paths"]) == PHI.size
    for (path,), y in zip(page.frames["paths"], Y, strict=True):
        (points,) = decode(path, (-1, 3), (0, 1.2))
        np.testing.assert_allclose(points[:, 0], X, atol=0.51 * 4 / WIDTH)
        np.testing.assert_allclose(points[:, 1], y, atol=0.51 * 1.2 / HEIGHT)


def test_default_limits_show_everything_from_zero():
    page = Page(explorer().to_html())
    for (path,) in page.frames["paths"]:
        ((x, y),) = [piece.T for piece in decode(path, (0, 1), (0, 1))]
        assert (x.min(), x.max()) == (0, 1)
        assert y.min() >= 0
    tops = [decode(p, (0, 1), (0, 1))[0][:, 1].max() for (p,) in page.frames["paths"]]
    assert max(tops) == pytest.approx(1 / 1.05, abs=1e-3)


def test_x_may_move_and_other_curves_may_stay():
    moving, still = X + PHI[:, None], np.array([[0.0, 3.0], [0.5, 0.5]])
    page = Page(explorer({"moving": (moving, Y), "still": still.tolist()}, xlim=(-1, 4)).to_html())
    assert [len(frame) for frame in page.frames["paths"]] == [1] * PHI.size
    for (path,), x in zip(page.frames["paths"], moving, strict=True):
        np.testing.assert_allclose(decode(path, (-1, 4), (0, 1))[0][:, 0], x, atol=3e-4)
    drawn = [a for a in page.all("path") if a.get("stroke") == LOOKS[1][0]]
    assert "data-moves" not in drawn[-1]


def test_gaps_infinities_and_lone_points():
    y = np.array([[0.0, np.nan, 1.0, np.nan, np.inf, 0.5], [0, 1, 0, 1, 0, 1]])
    page = Page(explorer({"c": (range(6), y)}, sliders={"a": [0, 1]}, ylim=(0, 1)).to_html())
    (piece,) = decode(page.frames["paths"][0][0], (0, 5), (0, 1))
    np.testing.assert_allclose(piece, [[4, 10], [5, 0.5]], atol=1e-3)


def test_bars_are_outlined_from_the_axis():
    edges, heights = [0.0, 1.0, 2.0], [[0.25, 0.5]] * PHI.size
    figure = explorer(bars={"simulated": (edges, heights)}, xlim=(-1, 3), ylim=(0, 1))
    outline = [[0, 0], [0, 0.25], [1, 0.25], [1, 0.5], [2, 0.5], [2, 0]]
    frames = Page(figure.to_html()).frames
    np.testing.assert_allclose(decode(frames["paths"][0][0], (-1, 3), (0, 1))[0], outline)


def test_frames_of_two_sliders_are_in_row_major_order():
    a, b = [1.0, 2.0], [0.0, 0.5, 1.0]
    y = np.add.outer(a, b)[..., None] * np.ones(4)
    notes = [[f"{p}, {q}" for q in b] for p in a]
    figure = explorer({"c": (range(4), y)}, sliders={"a": a, "b": b}, annotations=notes)
    frames = Page(figure.to_html()).frames
    assert frames["values"] == [["1", "2"], ["0", "0.5", "1"]]
    assert frames["notes"][1 * 3 + 2] == "2.0, 1.0"
    heights = [decode(p, (0, 3), (0, 3.15))[0][0, 1] for (p,) in frames["paths"]]
    np.testing.assert_allclose(heights, np.add.outer(a, b).ravel(), atol=1e-3)


def test_output_does_not_depend_on_rounding_errors():
    noise = 1 + 4e-15 * np.random.default_rng(0).standard_normal((2, *Y.shape))
    noisy = {"bump": (X * noise[0], Y * noise[1])}
    assert explorer(noisy, sliders={"φ": PHI * noise[0, 0, :5]}).to_html() == explorer().to_html()


def test_output_is_small():
    steps = np.linspace(0.1, 2.0, 60)
    x = np.linspace(0, 4, 200)
    y = np.exp(-((x - steps[:, None]) ** 2))
    curves = {"one": (x, y), "two": (x, y**2)}
    assert len(explorer(curves, sliders={"φ": steps}).to_html().encode()) < 200_000


def test_initial_position_is_drawn_without_the_script():
    page = Page(explorer(annotations=list("abcde"), initial={"φ": 0.79}).to_html())
    (curve,) = [a for a in page.all("path") if "data-moves" in a]
    assert curve["d"] == page.frames["paths"][3][0]
    assert page.all("input")[0]["value"] == "3"
    assert page.texts["output"] == ["0.8"]
    assert page.texts["title"] == ["density against eigenvalue, φ = 0.8"]
    assert "d" in page.texts["div"]


def test_accessibility():
    page = Page(explorer({"one": (X, Y), "two": (X, Y**2)}).to_html())
    (slider,) = page.all("input", type="range")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "4", "2")
    assert (slider["aria-label"], slider["aria-valuetext"]) == ("φ", "0.6")
    assert len(page.all("label")) == 1
    assert page.all("svg", role="img")
    assert page.texts["desc"] == [TEXTS["description"]]
    assert page.all("div", **{"aria-live": "polite"})
    assert not any("id" in attributes for _, attributes in page.elements)  # it may appear twice
    looks = {(a["stroke"], a["stroke-dasharray"]) for a in page.all("path") if "data-moves" in a}
    assert len({color for color, _ in looks}) == len({dashes for _, dashes in looks}) == 2


def test_colors_are_those_of_the_other_figures():
    assert tuple(color for color, _ in LOOKS) == figures.COLORS[: len(LOOKS)]


@pytest.mark.parametrize("background", ["#ffffff", "#121212"])
def test_colors_stand_out(background):
    def luminance(color):
        rgb = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for color, _ in LOOKS:
        low, high = sorted([luminance(color), luminance(background)])
        assert (high + 0.05) / (low + 0.05) >= 3  # WCAG 2.1, criterion 1.4.11


def test_texts_are_escaped():
    nasty = "<b>&\"'</script>"
    figure = explorer(
        {nasty: (X, Y), "other": (X, Y)},
        sliders={nasty: PHI},
        annotations=[nasty] * 5,
        xlabel=nasty,
        ylabel=nasty,
        description=nasty,
    )
    text = figure.to_html()
    assert "<b>" not in text
    assert text.count("</script>") == 1
    page = Page(text)
    assert page.frames["notes"] == [nasty] * 5
    assert page.all("input")[0]["aria-label"] == nasty
    assert page.texts["desc"] == [nasty]
    assert figure.to_png()


def test_mime_bundle(monkeypatch):
    from PIL import Image

    figure = explorer({"$x_": (X, Y), "two": (X, Y)}, bars={"three": ([0, 1], [0.5])})
    bundle = figure._repr_mimebundle_()
    assert (
        bundle["text/plain"] == "Explorer: density against eigenvalue, φ from 0.2 to 1 (5 values)"
    )
    assert bundle["text/html"] == figure.to_html()
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
        assert picture.size == (960, 660)
        assert len(picture.getcolors(1 << 20)) > 10
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert set(figure._repr_mimebundle_()) == {"text/plain", "text/html"}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((0, 1), "0 0.2 0.4 0.6 0.8 1"),
        ((-0.3, 0.9), "−0.25 0 0.25 0.5 0.75"),
        ((0, 12000), "0 2500 5000 7500 10000"),
        ((0, 3e-5), "0 1e−05 2e−05 3e−05"),
        ((5, 5.1), "5 5.02 5.04 5.06 5.08 5.1"),
    ],
)
def test_numbers_at_the_axes(limits, expected):
    shown = Page(explorer(xlim=limits).to_html()).texts["text"]
    assert " ".join(shown).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"curves": {}}, ValueError, "curves must not be empty"),
        ({"curves": Y}, TypeError, "curves must be a mapping"),
        ({"curves": {"c": Y}}, TypeError, r"curves\['c'\] must be a pair"),
        ({"curves": {"c": (X, Y[:, :-1])}}, ValueError, r"x of curves\['c'\] must have shape"),
        (
            {"curves": {"c": (X, Y[:-1])}},
            ValueError,
            r"y of curves\['c'\] must have shape \(161,\)",
        ),
        ({"curves": {"c": (X, 1.0)}}, ValueError, r"x of curves\['c'\] must have shape"),
        ({"curves": {"c": ([], [])}}, ValueError, r"x of curves\['c'\] must have shape"),
        ({"curves": {"c": (X, Y * 1j)}}, TypeError, r"y of curves\['c'\] must be real"),
        ({"curves": {"c": (X * np.nan, Y)}}, ValueError, r"x of curves\['c'\] must be in"),
        ({"bars": {"b": (X, Y)}}, ValueError, r"x of bars\['b'\] must have shape \(162,\)"),
        ({"bars": {"b": ([0, 1], [np.nan])}}, ValueError, r"y of bars\['b'\] must be in"),
        ({"sliders": {}}, ValueError, "sliders must be one or two, got 0"),
        ({"sliders": {"φ": PHI[::-1]}}, ValueError, r"sliders\['φ'\] must be two or more"),
        ({"sliders": {"φ": ["a"]}}, TypeError, r"sliders\['φ'\] must be real numbers"),
        ({"xlabel": None}, TypeError, "xlabel must be a text"),
        ({"description": 3}, TypeError, "description must be a text"),
        ({"annotations": ["one"]}, ValueError, r"annotations must have shape \(5,\)"),
        ({"initial": {"ε": 1.0}}, ValueError, "initial must name sliders"),
        ({"initial": {"φ": "x"}}, TypeError, r"initial\['φ'\] must be"),
        ({"xlim": (1, 0)}, ValueError, "xlim must be two or more increasing"),
        ({"ylim": (0, np.inf)}, ValueError, "ylim must be in"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        explorer(**changes)


def test_constant_curves_have_a_plot():
    assert "nan" not in explorer({"zero": ([0, 0], [0, 0])}).to_html().split("<script>")[0]
