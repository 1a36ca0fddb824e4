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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.validation import real, real_array

__all__ = ["Explorer"]

Real = NDArray[np.float64]
Limits = tuple[float, float]
Pair = tuple[ArrayLike, ArrayLike]

WIDTH, HEIGHT = 10_000, 6_000  # of the plot, in units of the SVG; coordinates are whole numbers
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

    Each curve is given at all positions of the sliders, by arrays with one leading axis per slider
    (below, `grid` is the shape of these axes); a curve without them is drawn at every position.

    Parameters
    ----------
    curves
        Label -> (x, y), with y of shape (\*grid, points) or (points,) and x of a shape that
        broadcasts with it. NaN in an array y is a gap; an infinite value is outside the plot.
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
        if not curves:
            raise ValueError("curves must not be empty")
        if len(sliders) not in (1, 2):
            raise ValueError(f"sliders must be one or two, got {len(sliders)}")
        axes = {name: _increasing(f"sliders[{name!r}]", v) for name, v in sliders.items()}
        grid = tuple(v.size for v in axes.values())
        notes = np.full(grid, "") if annotations is None else np.array(annotations, dtype=object)
        if notes.shape != grid:
            raise ValueError(f"annotations must have shape {grid}, got {notes.shape}")
        if not initial.keys() <= axes.keys():
            raise ValueError(f"initial must name sliders, got {list(initial)}")
        begin = {n: real(f"initial[{n!r}]", initial.get(n, v[v.size // 2])) for n, v in axes.items()}
        self._series = [
            _Series(label, *_outline(*_pair(f"bars[{label!r}]", pair, grid, more=1)))
            for label, pair in bars.items()
        ] + [
            _Series(label, *_pair(f"curves[{label!r}]", pair, grid), *look)
            for (label, pair), look in zip(curves.items(), itertools.cycle(LOOKS), strict=False)
        ]
        self._xlim = _limits("xlim", xlim, *(s.x for s in self._series))
        self._ylim = _limits("ylim", ylim, *(1.05 * s.y for s in self._series), np.zeros(1))
        self._xlabel, self._ylabel, self._description = xlabel, ylabel, description
        self._notes = [str(note) for note in notes.flat]
        self._sliders = [
            (name, [_number(x) for x in v], int(np.abs(v - begin[name]).argmin()))
            for name, v in axes.items()
        ]
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
            f'<span style="margin-right:1.5em"><svg width="34" height="12" aria-hidden="true">'
            f'<path {s.look} d="M0 6h34v4h-34"/></svg> {escape(s.label)}</span>'
            for s in self._series
        ]
        curves = [
            f'<path {s.look}{" data-moves" * (len(p) > 1)} d="{p[self._frame % len(p)]}"/>'
            for s, p in zip(self._series, paths, strict=True)
        ]
        controls = [
            f'<label style="display:block">{escape(name)} = <output aria-live="off">{texts[k]}'
            f'</output><input type="range" min="0" max="{len(texts) - 1}" value="{k}"'
            f' aria-label="{escape(name)}" aria-valuetext="{texts[k]}" autocomplete="off"'
            ' style="display:block;width:100%;height:1.75em"></label>'
            for name, texts, k in self._sliders
        ]
        lines = [
            f'<div class="hessrmt-explorer" style="max-width:640px" data-frames="{data}">',
            f"<div>{escape(self._ylabel)}</div>",
            *(legend if len(legend) > 1 else []),
            f'<svg viewBox="-1400 -300 {WIDTH + 1800} {HEIGHT + 900}" role="img" style="width:100%">',
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
            ax.set_xlabel("\n".join(line for line in lines if line))
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
            return 'fill="currentColor" opacity=".25"'
        dashes = " ".join(map(str, self.dashes)) or "none"
        line = f'stroke="{self.color}" stroke-width="2" stroke-dasharray="{dashes}"'
        return f'fill="none" {line} vector-effect="non-scaling-stroke"'

    def paths(self, xlim: Limits, ylim: Limits) -> list[str]:
        """What to draw in each frame, as commands of an SVG path: a start, then steps from there."""
        xs, ys = _units(self.x, xlim, WIDTH), HEIGHT - _units(self.y, ylim, HEIGHT)
        shape = np.broadcast_shapes(xs.shape, ys.shape)
        return [_path(np.stack(xy, 1)) for xy in zip(*(np.broadcast_to(a, shape) for a in (xs, ys)))]


def _path(points: Real) -> str:
    path = ""
    seen = np.flatnonzero(np.isfinite(points[:, 1]))
    for run in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1):
        if run.size > 1:
            start, *steps = np.diff(points[run], axis=0, prepend=0).astype(int).tolist()
            path += f"M{start[0]} {start[1]}l" + " ".join(f"{dx} {dy}" for dx, dy in steps)
    return path.replace(" -", "-")
