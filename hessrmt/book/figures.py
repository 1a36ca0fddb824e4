"""The one matplotlib style of the book, and how it draws a spectrum.

Colours (those of Okabe and Ito's palette that are dark enough for a white page) go with line
styles, so that everybody can tell curves apart. Letters are large for readers on a telephone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch
from numpy.typing import ArrayLike, NDArray

from hessrmt.validation import integer, real_array

__all__ = ["density_curve", "density_histogram", "law_grid", "use_style", "verdict_tiles"]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")
LINE_STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=LINE_STYLES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "figure.figsize": (6.4, 4.0),
    "font.size": 13,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 2.0,
}


# Face and mark of a verdict of the audit: told apart without colour, all dark enough for white.
VERDICT_LOOKS = {
    "corrected": ("#007a5a", "✎"),
    "refuted": ("#c04f00", "✗"),
    "approximate": ("#5b3f8f", "≈"),
    "not stated": ("#7a6400", "∅"),
    "open": ("#666666", "?"),
    "reproduced": ("#0072b2", "✓"),
    "yes": ("#333333", "y"),
    "no": ("#333333", "n"),
}


class _Law(Protocol):
    def pdf(self, x: NDArray[np.float64], /) -> ArrayLike: ...
    def support(self) -> Sequence[tuple[float, float]]: ...
    def atoms(self) -> Sequence[tuple[float, float]]: ...


def use_style() -> None:
    """Set matplotlib's parameters for all figures drawn afterwards."""
    mpl.rcParams.update(STYLE)


def law_grid(law: _Law, points: int = 501) -> NDArray[np.float64]:
    r"""Points at which to draw the density of a law, dense at the edges of its support.

    At an edge a density grows like a square root, which equal steps draw badly. An interval
    :math:`[a, b]` gets the points :math:`a + (b - a)\sin^2 t` with equal steps of :math:`t`, both
    edges among them, so that a line through all points runs along the axis between intervals.

    Parameters
    ----------
    law
        A law with the methods ``pdf``, ``support`` and ``atoms``.
    points
        How many points to return, shared evenly among the intervals.

    Returns
    -------
    array of shape (points,)
        Increasing; empty only for a law without a density, so that grids of laws can be stacked.

    Raises
    ------
    ValueError
        If there are fewer than two points for an interval.
    """
    intervals = law.support()
    points = integer("points", points, f"[{max(2, 2 * len(intervals))}, inf)")
    grids = [np.empty(0)]
    for k, (low, high) in enumerate(intervals):
        share = (k + 1) * points // len(intervals) - k * points // len(intervals)
        grids.append(low + (high - low) * np.sin(np.linspace(0.0, np.pi / 2, share)) ** 2)
    return np.concatenate(grids)


def density_curve(ax: Axes, law: _Law, *, points: int = 501, **line: Any) -> Line2D:
    """Draw the density of a law on `ax`, and an arrow with its mass for each atom.

    Parameters
    ----------
    ax, law, points
        As in `law_grid` and `density_histogram`.
    **line
        Passed to `matplotlib.axes.Axes.plot`: label, color and so on.

    Returns
    -------
    matplotlib.lines.Line2D
        The curve.
    """
    x = law_grid(law, points)
    (curve,) = ax.plot(x, np.asarray(law.pdf(x), dtype=np.float64), **line)
    upright = ax.get_xaxis_transform()  # an atom has no density: its arrow spans the axes
    arrow = {"arrowstyle": "-|>", "color": curve.get_color(), "linewidth": 2, "shrinkA": 0}
    for at, mass in law.atoms():
        ax.update_datalim([(at, 0.0)])  # an arrow does not widen the axis by itself
        ax.autoscale_view()
        ax.annotate("", (at, 1.0), (at, 0.0), upright, upright, arrowprops=arrow)
        ax.annotate(f"mass {mass:.3g}", (at, 0.94), (6, 0), upright, "offset points", va="center")
    return curve


def density_histogram(
    ax: Axes, eigenvalues: ArrayLike, bins: int | ArrayLike = 60, *, label: str | None = None
) -> StepPatch:
    """Draw a simulated spectrum as a light histogram, to lay a density over.

    A height is the fraction of *all* eigenvalues in the bin over the width of the bin: eigenvalues
    outside the bins are not drawn but count, as they do in the density.

    Parameters
    ----------
    ax
        The axes to draw on.
    eigenvalues
        Of any shape, for instance (matrices, n).
    bins
        The edges of the bins, or how many bins of equal width to lay over all eigenvalues.
    label
        Its name in the legend.

    Returns
    -------
    matplotlib.patches.StepPatch
        The histogram.

    Raises
    ------
    TypeError, ValueError
        If an eigenvalue is not a finite number, there is none, or the edges do not increase.
    """
    values = real_array("eigenvalues", eigenvalues)
    if values.size == 0:
        raise ValueError("eigenvalues must not be empty")
    grid = integer("bins", bins, "[1, inf)") if np.ndim(bins) == 0 else real_array("bins", bins)
    edges = np.histogram_bin_edges(values, grid)
    if not (np.diff(edges) > 0).all():
        raise ValueError(f"bins must be increasing edges, got {bins!r}")
    heights = np.histogram(values, edges)[0] / (values.size * np.diff(edges))
    look: dict[str, Any] = {"facecolor": "#d3dae1", "edgecolor": "#7b8794", "linewidth": 0.8}
    # the color is given so that the histogram does not use up the first one of the cycle
    return ax.stairs(heights, edges, label=label, fill=True, color="none", **look)


def verdict_tiles(ax: Axes, verdicts: Mapping[str, Sequence[str]], *, columns: int = 12) -> None:
    """Draw the verdicts of the audit as tiles, a block for each group of claims.

    Parameters
    ----------
    ax
        Axes to draw on; their frame and ticks are removed.
    verdicts
        The verdicts by name of the group, each a key of `VERDICT_LOOKS`.
    columns
        Tiles in a row.

    Raises
    ------
    KeyError
        If there is no such verdict.
    """
    top = 0.0
    for group, members in verdicts.items():
        ax.annotate(f"{group} ({len(members)})", (0, top), (0, 4), textcoords="offset points")
        for k, verdict in enumerate(members):
            face, mark = VERDICT_LOOKS[verdict]
            x, y = k % columns, top - k // columns - 1
            ax.add_patch(Rectangle((x, y), 0.92, 0.92, facecolor=face))
            ax.text(x + 0.46, y + 0.43, mark, color="white", ha="center", va="center")
        top -= -(-len(members) // columns) + 1
    everything = [verdict for members in verdicts.values() for verdict in members]
    for k, (verdict, (face, mark)) in enumerate(VERDICT_LOOKS.items()):
        left, middle = columns / 2 * (k % 2), top - k // 2 + 0.1
        ax.add_patch(Rectangle((left, middle - 0.46), 0.92, 0.92, facecolor=face))
        ax.text(left + 0.46, middle, mark, color="white", ha="center", va="center")
        ax.text(left + 1.1, middle, f"{verdict}: {everything.count(verdict)}", va="center")
    lowest = top - (len(VERDICT_LOOKS) - 1) // 2 - 0.5
    ax.set(xlim=(0, columns), ylim=(lowest, 1), aspect="equal")
    ax.axis("off")
