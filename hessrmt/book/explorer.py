"""Figures with sliders that need neither a kernel nor a network.

What there is to see at each position of the sliders is computed beforehand and stored in the page
as SVG paths, next to a few lines of JavaScript that exchange them. So a figure works in the built
book, from a disk too, and in a notebook; without JavaScript it shows its initial position.
Coordinates are rounded to 1/10000 of the width of the plot, so that the same curves give the same
text on machines whose arithmetic differs in the last digits.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.validation import real, real_array

__all__ = ["Explorer"]

Real = NDArray[np.float64]
Limits = tuple[float, float]
Pair = tuple[ArrayLike, ArrayLike]

WIDTH, HEIGHT = 10_000, 6_000  # of the plot, in units of the SVG; coordinates are whole numbers
_LINE = 56  # characters that fit below a picture
VIEW_BOX = f"-1400 -300 {WIDTH + 1800} {HEIGHT + 900}"  # with room for the numbers at the axes
# Colours that stand out from white and from black, each with a pattern of dashes in pixels.
LOOKS = (("#0072b2", ()), ("#d55e00", (7, 4)), ("#009e73", (2, 3)), ("#cc79a7", (9, 3, 2, 3)))

SCRIPT = """<script>
document.querySelectorAll(".hessrmt-explorer").forEach(function (root) {
  if (root.explorerReady) return;
  root.explorerReady = true;
  var data = JSON.parse(root.dataset.frames), paths = root.querySelectorAll("[data-moves]");
  function draw() {
    var frame = 0, title = data.title;
    root.querySelectorAll("label").forEach(function (label, i) {
      var input = label.querySelector("input"), text = data.values[i][input.value];
      frame = frame * data.values[i].length + Number(input.value);
      title += ", " + input.getAttribute("aria-label") + " = " + text;
      input.setAttribute("aria-valuetext", text);
      label.querySelector("output").textContent = text;
    });
    paths.forEach(function (path, i) { path.setAttribute("d", data.paths[frame][i]); });
    root.querySelector("title").textContent = title;
    root.querySelector("[aria-live=polite]").textContent = data.notes[frame];
  }
  root.addEventListener("input", draw);
  draw();
});
</script>"""


class Explorer:
    r"""Curves that follow one slider or two.

    A curve is given at all positions of the sliders by arrays with one leading axis per slider
    (`grid` is the shape of these axes); an array without them is the same at every position.

    Parameters
    ----------
    curves
        Label -> (x, y), each of shape (\*grid, points) or (points,). NaN in an array y is a gap;
        an infinite value is outside the plot.
    sliders
        Name -> increasing values.
    xlabel, ylabel
        What the axes show.
    description
        What is to be seen, for readers who cannot see it.
    bars
        Label -> (edges, heights), for histograms behind the curves: given like curves, with one
        edge more than there are heights.
    annotations
        Texts of shape `grid`, shown under the plot.
    initial
        Name -> value near which a slider begins; in the middle unless given.
    xlim, ylim
        Ends of the axes; by default everything is shown, and zero on the vertical axis.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; the message names it.

    Examples
    --------
    >>> sigma, x = np.linspace(0.5, 1.0, 6), np.linspace(-2.0, 2.0, 101)
    >>> y = [np.sqrt(np.clip(4 * s**2 - x**2, 0, None)) / (2 * np.pi * s**2) for s in sigma]
    >>> Explorer({"semicircle": (x, y)}, sliders={"σ": sigma}, xlabel="eigenvalue",
    ...          ylabel="density", description="A semicircle that sinks and widens with σ.")
    Explorer: density against eigenvalue, σ from 0.5 to 1 (6 values)
    """

    def __init__(
        self,
        curves: Mapping[str, Pair],
        *,
        sliders: Mapping[str, ArrayLike],
        xlabel: str,
        ylabel: str,
        description: str,
        bars: Mapping[str, Pair] | None = None,
        annotations: ArrayLike | None = None,
        initial: Mapping[str, float] | None = None,
        xlim: Limits | None = None,
        ylim: Limits | None = None,
    ) -> None:
        bars, initial = bars or {}, initial or {}
        named = {"curves": curves, "sliders": sliders, "bars": bars, "initial": initial}
        for name, mapping in named.items():
            if not isinstance(mapping, Mapping):
                raise TypeError(f"{name} must be a mapping from names, got {mapping!r}")
        for name, text in {"xlabel": xlabel, "ylabel": ylabel, "description": description}.items():
            if not isinstance(text, str):
                raise TypeError(f"{name} must be a text, got {text!r}")
        if not curves:
            raise ValueError("curves must not be empty")
        if len(sliders) not in (1, 2):
            raise ValueError(f"sliders must be one or two, got {len(sliders)}")
        if not initial.keys() <= sliders.keys():
            raise ValueError(f"initial must name sliders, got {list(initial)}")
        self._sliders: list[tuple[str, list[str], int]] = []  # name, values as text, position
        for name, numbers in sliders.items():
            values = _increasing(f"sliders[{name!r}]", numbers)
            near = real(f"initial[{name!r}]", initial.get(name, values[values.size // 2]))
            position = int(np.abs(values - near).argmin())
            self._sliders.append((name, [_number(v) for v in values.tolist()], position))
        grid = tuple(len(texts) for _, texts, _ in self._sliders)
        notes = np.full(grid, "") if annotations is None else np.array(annotations, dtype=object)
        if notes.shape != grid:
            raise ValueError(f"annotations must have shape {grid}, got {notes.shape}")
        self._series = [
            _Series(label, *_outline(*_pair(f"bars[{label!r}]", pair, grid, edges=True)))
            for label, pair in bars.items()
        ] + [
            _Series(label, *_pair(f"curves[{label!r}]", pair, grid), *look)
            for (label, pair), look in zip(curves.items(), itertools.cycle(LOOKS), strict=False)
        ]
        self._xlim = _limits("xlim", xlim, *(s.x for s in self._series))
        self._ylim = _limits("ylim", ylim, *(1.05 * s.y for s in self._series), np.zeros(1))
        self._xlabel, self._ylabel, self._description = xlabel, ylabel, description
        self._notes = [str(note) for note in notes.flat]
        self._frame = int(np.ravel_multi_index([k for _, _, k in self._sliders], grid))
        self._title = f"{ylabel} against {xlabel}"
        self._state = ", ".join(f"{name} = {texts[k]}" for name, texts, k in self._sliders)

    def to_html(self) -> str:
        """Return the figure as a piece of HTML, its script included."""
        paths = [s.paths(self._xlim, self._ylim) for s in self._series]
        frames = {
            "title": self._title,
            "values": [texts for _, texts, _ in self._sliders],
            "notes": self._notes,
            "paths": [[p[k] for p in paths if len(p) > 1] for k in range(len(self._notes))],
        }
        data = escape(json.dumps(frames, separators=(",", ":"), ensure_ascii=False))
        legend = [
            f'<span style="display:inline-block;margin-right:1.5em"><svg width="34" height="12">'
            f'<path {s.look} d="{"M0 6h34" if s.color else "M0 1h34v10h-34"}"/></svg>'
            f" {escape(s.label)}</span>"
            for s in self._series
        ]
        curves = [
            f'<path {s.look}{" data-moves" * (len(p) > 1)} d="{p[self._frame % len(p)]}"/>'
            for s, p in zip(self._series, paths, strict=True)
        ]
        controls = [
            f'<label style="display:block">{escape(name)} = '
            f'<output aria-live="off" style="display:inline">{texts[k]}</output>'
            f'<input type="range" min="0" max="{len(texts) - 1}" value="{k}"'
            f' aria-label="{escape(name)}" aria-valuetext="{texts[k]}" autocomplete="off"'
            ' style="display:block;width:100%;height:1.75em"></label>'
            for name, texts, k in self._sliders
        ]
        lines = [
            f'<div class="hessrmt-explorer" style="max-width:640px" data-frames="{data}">',
            f"<div>{escape(self._ylabel)}</div>",
            *(legend if len(legend) > 1 else []),
            f'<svg viewBox="{VIEW_BOX}" style="width:100%" role="img">',
            f"<title>{escape(f'{self._title}, {self._state}')}</title>",
            f"<desc>{escape(self._description)}</desc>",
            _axes(self._xlim, self._ylim),
            f'<svg width="{WIDTH}" height="{HEIGHT}">',
            *curves,
            f'</svg></svg><div style="text-align:center">{escape(self._xlabel)}</div>',
            *controls,
            f'<div aria-live="polite">{escape(self._notes[self._frame])}</div>',
            f"{SCRIPT}</div>",
        ]
        return "\n".join(lines)

    def to_png(self) -> bytes:
        """Return the initial position as a picture, drawn by matplotlib."""
        import matplotlib as mpl
        from matplotlib.figure import Figure

        with mpl.rc_context({"font.size": 13, "lines.linewidth": 2, "text.parse_math": False}):
            figure = Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained", facecolor="white")
            ax = figure.subplots()
            for s in self._series:
                x, y = (array[self._frame % len(array)] for array in (s.x, s.y))
                if s.color:
                    ax.plot(x, y, color=s.color, dashes=[n / 2 for n in s.dashes], label=s.label)
                else:
                    ax.fill(x, y, color="#cccccc", label=s.label)
            lines = (self._xlabel, self._state, self._notes[self._frame])
            ax.set_xlabel("\n".join(fill(line, _LINE) for line in lines if line))
            ax.set(xlim=self._xlim, ylim=self._ylim, ylabel=self._ylabel)
            if len(self._series) > 1:
                ax.legend(frameon=False, handlelength=2.6)
            picture = io.BytesIO()
            figure.savefig(picture, format="png")
        return picture.getvalue()

    def __repr__(self) -> str:
        ranges = [f"{n} from {v[0]} to {v[-1]} ({len(v)} values)" for n, v, _ in self._sliders]
        return f"Explorer: {', '.join([self._title, *ranges])}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = {"text/plain": repr(self), "text/html": self.to_html()}
        with contextlib.suppress(ImportError):  # without matplotlib there is no picture
            bundle["image/png"] = base64.b64encode(self.to_png()).decode()
        return bundle


@dataclass(frozen=True)
class _Series:
    """A curve, or an area if it has no colour; x and y begin with an axis of frames."""

    label: str
    x: Real
    y: Real
    color: str = ""
    dashes: tuple[int, ...] = ()

    @property
    def look(self) -> str:
        """Attributes of its paths."""
        if not self.color:
            return 'fill="currentColor" opacity=".18"'
        dashes = " ".join(map(str, self.dashes)) or "none"
        line = f'stroke="{self.color}" stroke-width="2" stroke-dasharray="{dashes}"'
        return f'fill="none" {line} vector-effect="non-scaling-stroke"'

    def paths(self, xlim: Limits, ylim: Limits) -> list[str]:
        """What to draw in each frame, in commands of SVG: where a line begins, then its steps."""
        xs, ys = _units(self.x, xlim, WIDTH), HEIGHT - _units(self.y, ylim, HEIGHT)
        frames = range(max(len(xs), len(ys)))
        return [_path(np.stack([xs[k % len(xs)], ys[k % len(ys)]], axis=1)) for k in frames]


def _path(points: Real) -> str:
    path = ""
    seen = np.flatnonzero(np.isfinite(points[:, 1]))
    for run in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1):
        if run.size > 1:  # one point between two gaps makes no line
            (x, y), *steps = np.diff(points[run], axis=0, prepend=0).astype(int).tolist()
            path += f"M{x} {y}l" + " ".join(f"{dx} {dy}" for dx, dy in steps)
    return path.replace(" -", "-")


def _units(values: Real, limits: Limits, size: int) -> Real:
    """Whole units from the lower end of an axis, not further out than ten times its size."""
    low, high = limits
    exact = np.clip(size * (values - low) / (high - low), -10 * size, 10 * size)
    return np.rint(np.round(exact, 6))  # in two steps, so that noise does not decide about halves


def _pair(
    name: str, pair: Pair, grid: tuple[int, ...], *, edges: bool = False
) -> tuple[Real, Real]:
    """Check x and y, and give each one axis of frames, of length 1 if it never moves."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{name} must be a pair of arrays, got {pair!r}")
    x, y = real_array(f"x of {name}", pair[0]), pair[1]
    if edges or not isinstance(y, np.ndarray) or y.dtype.kind != "f":
        y = real_array(f"y of {name}", y)
    size = max((1, *y.shape[-1:]))
    for axis, array, n in (("x", x, size + edges), ("y", y, size)):
        if array.shape not in ((n,), (*grid, n)):
            expected = f"{(n,)} or {(*grid, n)}"
            raise ValueError(f"{axis} of {name} must have shape {expected}, got {array.shape}")
    return x.reshape(-1, size + edges), y.reshape(-1, size).astype(np.float64)


def _outline(edges: Real, heights: Real) -> tuple[Real, Real]:
    """Corners of the bars, from the axis and back to it."""
    return edges.repeat(2, axis=1), np.pad(heights.repeat(2, axis=1), ((0, 0), (1, 1)))


def _increasing(name: str, value: ArrayLike) -> Real:
    array = real_array(name, value)
    if array.ndim != 1 or array.size < 2 or not (np.diff(array) > 0).all():
        raise ValueError(f"{name} must be two or more increasing numbers, got {value!r}")
    return array


def _limits(name: str, given: Limits | None, *data: Real) -> Limits:
    """The ends of an axis: as given, or so that everything is shown."""
    if given is not None:
        low, *_, high = _increasing(name, given).tolist()
        return low, high
    finite = np.concatenate([array[np.isfinite(array)] for array in data])
    low, high = float(finite.min()), float(finite.max())
    return low, high if high > low else low + 1.0


def _number(value: float, digits: int = 4) -> str:
    return f"{value + 0.0:.{digits}g}".replace("-", "−")


def _ticks(limits: Limits) -> list[float]:
    low, high = limits
    rough = float(f"{(high - low) / 5:.6g}")  # few digits, so that noise does not decide
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power > 0.999999 * rough)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [k * step for k in range(first, last + 1)]


def _axes(xlim: Limits, ylim: Limits) -> str:
    """Grid, axes, lines through zero, and numbers."""
    grid, zero, numbers = "", "", ""
    for tick in _ticks(xlim):
        x, text = int(_units(np.array(tick), xlim, WIDTH)), _number(tick, 6)
        grid += f"M{x} 0v{HEIGHT}"
        zero += f"M{x} 0v{HEIGHT}" if tick == 0 else ""
        numbers += f'<text x="{x}" y="{HEIGHT + 120}" dy=".8em" text-anchor="middle">{text}</text>'
    for tick in _ticks(ylim):
        y, text = HEIGHT - int(_units(np.array(tick), ylim, HEIGHT)), _number(tick, 6)
        grid += f"M0 {y}h{WIDTH}"
        zero += f"M0 {y}h{WIDTH}" if tick == 0 else ""
        numbers += f'<text x="-120" y="{y}" dy=".35em" text-anchor="end">{text}</text>'
    return (
        '<g fill="none" stroke="currentColor" stroke-width="20" font-size="300">'
        f'<path opacity=".2" d="{grid}"/><path opacity=".6" d="{zero}"/>'
        f'<path d="M0 0v{HEIGHT}h{WIDTH}"/><g fill="currentColor" stroke="none">{numbers}</g></g>'
    )
